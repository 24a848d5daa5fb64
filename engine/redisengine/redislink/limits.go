package redislink

import "time"

// IOTimeout is how long an answer of the shard is waited for at most.
func (s *Shard) IOTimeout() time.Duration { return s.settings.ioTimeout }

// Bucket puts a name into one of n buckets. It is how channels are shared among shards, and among the partitions of sharded
// pub/sub: it must never change.
func Bucket(name string, n int) int { return bucket(hash(name), n) }
