-- Says that a client is in a channel.
-- KEYS: clients and their times; with user mapping also the numbers of clients of users, and the times of users.
-- ARGV: client, info, time to live in ms, how many that are gone may be removed, user.
local clients, times, users, user_times = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local client, info, ttl, most, user = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local until_ = stamp(now + ttl / 1000)

-- The keys live longer than what is in them, so that not every call has to prolong them.
local function keep(hash, set)
	if redis.call('pttl', set) < ttl then
		redis.call('pexpire', hash, 2 * ttl)
		redis.call('pexpire', set, 2 * ttl)
	end
end

if most ~= '0' then
	clean(clients, times, most)
	if users then
		clean(users, user_times, most)
	end
end
local new = redis.call('hset', clients, client, info) == 1
redis.call('zadd', times, until_, client)
keep(clients, times)

if users then
	if new then
		local known = redis.call('zscore', user_times, user)
		if known and tonumber(known) > now then
			redis.call('hincrby', users, user, 1)
		else
			redis.call('hset', users, user, 1)
		end
	end
	redis.call('zadd', user_times, until_, user)
	keep(users, user_times)
end
