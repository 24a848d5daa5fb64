-- presence_stats.lua where Redis itself removes fields of a hash when their time is over.
-- KEYS: as in presence_fields_add.lua.
return { redis.call('hlen', KEYS[1]), redis.call('hlen', KEYS[2]) }
