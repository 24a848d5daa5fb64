-- As publish_stream.lua, with a list instead of a stream: its items are framed like what is published, the newest comes first. There are
-- no versions.
local list, meta, result = KEYS[1], KEYS[2], KEYS[3]
local payload, size, ttl, meta_ttl, new_epoch, topic = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local result_ttl, delta = ARGV[7] or '', ARGV[8] or ''

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

local top = redis.call('hincrby', meta, 's', 1)
local offset = string.format('%.0f', top)
if meta_ttl == '0' then
	redis.call('persist', meta)
else
	redis.call('pexpire', meta, meta_ttl)
end

if top == 1 then
	redis.call('del', list)
end

-- The base of a delta travels without its own frame.
local prev = ''
if delta ~= '' then
	prev = redis.call('lindex', list, 0) or ''
	local _, frame_end = string.find(prev, '__', 3, true)
	prev = string.sub(prev, (frame_end or 0) + 1)
end

local framed = '__p1:' .. offset .. ':' .. epoch .. '__' .. payload
redis.call('lpush', list, framed)
redis.call('ltrim', list, 0, size - 1)
redis.call('pexpire', list, ttl)

if delta ~= '' then
	framed = '__d1:' .. offset .. ':' .. epoch .. ':' .. #prev .. ':' .. prev .. ':' .. #payload .. ':' .. payload
end
redis.call('publish', topic, framed)

if result_ttl ~= '' then
	redis.call('hset', result, 'e', epoch, 's', offset)
	redis.call('pexpire', result, result_ttl)
end
return 'p:' .. offset .. ':' .. epoch
