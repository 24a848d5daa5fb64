-- Reads some of the clients in a channel; small channels come as a whole.
-- KEYS: clients and their times. ARGV: cursor, how many to look at, how many that are gone may be removed (0 on a replica).
-- Answers as HSCAN does: the next cursor, and a list of clients and infos by turns.
local clients, times = KEYS[1], KEYS[2]
local cursor, count, most = ARGV[1], ARGV[2], ARGV[3]

if most ~= '0' then
	clean(clients, times, most)
end
local page = redis.call('hscan', clients, cursor, 'count', count)
if redis.call('zcount', times, '-inf', stamp(now)) == 0 then
	return page
end
local here = {}
for i = 1, #page[2], 2 do
	local till = redis.call('zscore', times, page[2][i])
	if not till or tonumber(till) > now then
		here[#here + 1] = page[2][i]
		here[#here + 1] = page[2][i + 1]
	end
end
return { page[1], here }
