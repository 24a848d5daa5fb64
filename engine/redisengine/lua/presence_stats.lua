-- Counts clients and users of a channel, with user mapping.
-- KEYS: as in presence_add.lua. ARGV: how many that are gone may be removed (0 on a replica).
local clients, times, users, user_times = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

if ARGV[1] ~= '0' then
	clean(clients, times, ARGV[1])
	clean(users, user_times, ARGV[1])
end
local after = '(' .. stamp(now)
return { redis.call('zcount', times, after, '+inf'), redis.call('zcount', user_times, after, '+inf') }
