-- Publishes without history, unless the result of the idempotency key is there.
-- KEYS: result. Sharded pub/sub adds the topic, see names.go.
local payload, topic, result_ttl = ARGV[1], ARGV[2], ARGV[3]

local known = redis.call('hmget', KEYS[1], 'e', 's')
if known[1] then
	return 'i:' .. (known[2] or '0') .. ':' .. known[1]
end

-- A full server refuses the first write: so that comes before the publication. A topic that is not allowed takes the result back.
redis.call('hset', KEYS[1], 'e', '')
redis.call('pexpire', KEYS[1], result_ttl)
local told = redis.pcall('publish', topic, payload)
if type(told) == 'table' and told.err then
	redis.call('del', KEYS[1])
	return told
end
return 'p:0:'
