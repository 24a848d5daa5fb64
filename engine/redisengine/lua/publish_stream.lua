-- Puts a publication into the stream of a channel and tells all nodes.
-- KEYS: stream, meta, and the result if there is an idempotency key. Sharded pub/sub adds the topic, see names.go.
-- ARGV: empty ones at the end are left out.
local stream, meta, result = KEYS[1], KEYS[2], KEYS[3]
local payload, size, ttl, meta_ttl, new_epoch, topic = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local result_ttl, delta, version, version_epoch = ARGV[7] or '', ARGV[8] or '', ARGV[9] or '', ARGV[10] or ''

if result_ttl ~= '' then
	local known = redis.call('hmget', result, 'e', 's')
	if known[1] then
		return 'i:' .. (known[2] or '0') .. ':' .. known[1]
	end
end

local epoch = redis.call('hget', meta, 'e')
if not epoch then
	epoch = new_epoch
	redis.call('hset', meta, 'e', epoch)
end

-- Versions have 64 bits and numbers of Lua 53, so they are compared as text: the longer one is the greater.
if version ~= '' then
	local known = redis.call('hmget', meta, 'v', 've', 's')
	local v = known[1]
	if v and (known[2] or '') == version_epoch and (#v > #version or (#v == #version and v >= version)) then
		return 'v:' .. (known[3] or '0') .. ':' .. epoch
	end
	redis.call('hset', meta, 'v', version, 've', version_epoch)
end

local top = redis.call('hincrby', meta, 's', 1)
local offset = string.format('%.0f', top)
if meta_ttl == '0' then
	redis.call('persist', meta)
else
	redis.call('pexpire', meta, meta_ttl)
end

-- A stream that is there before its first publication is of an earlier epoch, whose meta was lost.
if top == 1 then
	redis.call('del', stream)
end

local prev = ''
if delta ~= '' then
	local last = redis.call('xrevrange', stream, '+', '-', 'count', 1)[1]
	local fields = last and last[2] or {}
	for i = 1, #fields, 2 do
		if fields[i] == 'd' then
			prev = fields[i + 1]
		end
	end
end

redis.call('xadd', stream, 'maxlen', size, offset .. '-0', 'd', payload)
redis.call('pexpire', stream, ttl)

if delta ~= '' then
	redis.call('publish', topic,
		'__d1:' .. offset .. ':' .. epoch .. ':' .. #prev .. ':' .. prev .. ':' .. #payload .. ':' .. payload)
else
	redis.call('publish', topic, '__p1:' .. offset .. ':' .. epoch .. '__' .. payload)
end

-- What is remembered has happened: so this comes last.
if result_ttl ~= '' then
	redis.call('hset', result, 'e', epoch, 's', offset)
	redis.call('pexpire', result, result_ttl)
end
return 'p:' .. offset .. ':' .. epoch
