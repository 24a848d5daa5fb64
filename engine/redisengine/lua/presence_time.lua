-- Put before the presence scripts that keep an expiry of their own. An entry whose time is not above now is gone. Times are seconds
-- of Redis, for the clocks of nodes may differ.
local clock = redis.call('time')
local now = clock[1] + clock[2] / 1000000

local function stamp(seconds)
	return string.format('%.3f', seconds)
end

-- Removes at most so many entries that are gone from a hash and from the set of their times.
local function clean(hash, times, most)
	local gone = redis.call('zrangebyscore', times, '-inf', stamp(now), 'limit', 0, most)
	if #gone > 0 then
		redis.call('hdel', hash, unpack(gone))
		redis.call('zrem', times, unpack(gone))
	end
end

