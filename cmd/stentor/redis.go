package main

import (
	"stentor/engine/redisengine/redislink"
	"stentor/server/config"
)

// redisLink is how to reach the Redis that a block of the configuration describes; path names the block.
func redisLink(path string, c *config.RedisConnection) (redislink.Config, error) {
	l := redislink.Config{
		Address:            c.Address,
		ConnectTimeout:     c.ConnectTimeout.Std(),
		IOTimeout:          c.IOTimeout.Std(),
		DB:                 c.DB,
		User:               c.User,
		Password:           c.Password,
		ClientName:         c.ClientName,
		ForceRESP2:         c.ForceRESP2,
		ClusterAddress:     c.ClusterAddress,
		SentinelAddress:    c.SentinelAddress,
		SentinelUser:       c.SentinelUser,
		SentinelPassword:   c.SentinelPassword,
		SentinelMasterName: c.SentinelMasterName,
		SentinelClientName: c.SentinelClientName,
		ReplicaReads:       c.ReplicaClient.Enabled,
	}
	var err error
	if l.TLS, err = clientTLS(path+".tls", &c.TLS); err != nil {
		return l, err
	}
	l.SentinelTLS, err = clientTLS(path+".sentinel_tls", &c.SentinelTLS)
	return l, err
}
