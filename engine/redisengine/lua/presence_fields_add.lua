-- presence_add.lua where Redis itself removes fields of a hash when their time is over.
-- KEYS: clients; with user mapping also the numbers of clients of users.
-- ARGV: client, info, time to live in ms, -, user.
local clients, users = KEYS[1], KEYS[2]
local client, info, ttl, user = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]

-- A server that does not know this command must fail here: after hset the client would stay for ever.
local left = redis.call('hpttl', clients, 'fields', 1, client)
local new = not left or left[1] == -2

-- The key as a whole has no time to live, unless another node has given it one.
local function keep(hash, field)
	redis.call('hpexpire', hash, ttl, 'fields', 1, field)
	local rest = redis.call('pttl', hash)
	if rest >= 0 and rest < ttl then
		redis.call('pexpire', hash, 2 * ttl)
	end
end

redis.call('hset', clients, client, info)
keep(clients, client)
if users then
	if new then
		redis.call('hincrby', users, user, 1)
	end
	keep(users, user)
end
