-- Says that a client has left a channel.
-- KEYS: as in presence_add.lua. ARGV: client, user.
local clients, times, users, user_times = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local client, user = ARGV[1], ARGV[2]

local was = redis.call('hdel', clients, client) == 1
redis.call('zrem', times, client)
if users and was and redis.call('hincrby', users, user, -1) <= 0 then
	redis.call('hdel', users, user)
	redis.call('zrem', user_times, user)
end
