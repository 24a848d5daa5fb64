-- Reads a channel's position and publications: {top, epoch, id, payload, id, payload, ...}.
-- KEYS: stream, meta. Without a new epoch this writes nothing, so that a replica can run it: an answer without an epoch then says that
-- the master has to be asked.
local stream, meta = KEYS[1], KEYS[2]
local start, count, reverse, meta_ttl, unused_ttl, new_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local known = redis.call('hmget', meta, 'e', 's')
local epoch, top = known[1], known[2] or '0'
if new_epoch == '' then
	-- Positions are kept alive by reading, and only the master can do that: it is asked when half of the time has passed.
	local left = redis.call('pttl', meta)
	if not epoch or (meta_ttl ~= '0' and left >= 0 and left < meta_ttl / 2) then
		return {'0', ''}
	end
else
	if not epoch then
		epoch, top = new_epoch, '0'
		redis.call('del', stream, meta)
		redis.call('hset', meta, 'e', epoch)
	end
	if meta_ttl ~= '0' then
		redis.call('pexpire', meta, top == '0' and unused_ttl or meta_ttl)
	end
end

local answer = {top, epoch}
if count == '0' then
	return answer
end
local command, finish = 'xrange', '+'
if reverse ~= '' then
	command, finish = 'xrevrange', '-'
end
local entries
if count == '-1' then
	entries = redis.call(command, stream, start, finish)
else
	entries = redis.call(command, stream, start, finish, 'count', count)
end
for _, entry in ipairs(entries) do
	local payload = ''
	for i = 1, #entry[2], 2 do
		if entry[2][i] == 'd' then
			payload = entry[2][i + 1]
		end
	end
	answer[#answer + 1] = entry[1]
	answer[#answer + 1] = payload
end
return answer
