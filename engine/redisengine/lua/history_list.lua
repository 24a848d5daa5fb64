-- As history_stream.lua, with a list: {top, epoch, framed, framed, ...}, the newest first, all of them.
local list, meta = KEYS[1], KEYS[2]
local count, meta_ttl, unused_ttl, new_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local known = redis.call('hmget', meta, 'e', 's')
local epoch, top = known[1], known[2] or '0'
if new_epoch == '' then
	local left = redis.call('pttl', meta)
	if not epoch or (meta_ttl ~= '0' and left >= 0 and left < meta_ttl / 2) then
		return {'0', ''}
	end
else
	if not epoch then
		epoch, top = new_epoch, '0'
		redis.call('del', list, meta)
		redis.call('hset', meta, 'e', epoch)
	end
	if meta_ttl ~= '0' then
		redis.call('pexpire', meta, top == '0' and unused_ttl or meta_ttl)
	end
end

local answer = {top, epoch}
if count ~= '0' then
	local items = redis.call('lrange', list, 0, -1)
	for i = 1, #items do
		answer[i + 2] = items[i]
	end
end
return answer
