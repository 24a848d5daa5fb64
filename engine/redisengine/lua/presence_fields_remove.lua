-- presence_remove.lua where Redis itself removes fields of a hash when their time is over.
-- KEYS: as in presence_fields_add.lua. ARGV: client, user.
local clients, users = KEYS[1], KEYS[2]
local client, user = ARGV[1], ARGV[2]

local was = redis.call('hdel', clients, client) == 1
if users and was and redis.call('hincrby', users, user, -1) <= 0 then
	redis.call('hdel', users, user)
end
