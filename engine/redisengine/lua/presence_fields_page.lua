-- presence_page.lua where Redis itself removes fields of a hash when their time is over.
-- KEYS: clients. ARGV: cursor, how many to look at.
return redis.call('hscan', KEYS[1], ARGV[1], 'count', ARGV[2])
