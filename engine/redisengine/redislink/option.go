package redislink

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

// Sizes of one connection. Callers whose commands find the pipeline full wait until there is room. Together they cost about 600 KB,
// whether the connection is busy or not; larger ones measured no better.
const (
	pipelineScale   = 10       // a pipeline holds 2^10 commands without an answer
	readBufferSize  = 64 << 10 // bytes
	writeBufferSize = 64 << 10 // bytes
)

// poolSizeMax bounds the connections to one server that are taken out for one caller alone: subscriptions, and answers so large that
// others would wait behind them. An unused one is closed after poolIdle.
const (
	poolSizeMax = 128
	poolIdle    = time.Minute
)

// flushDelay is how long commands are gathered before they are sent, if there are others under way. It halves what a command costs
// us; 20 µs gain less, and more than 100 gain nothing (BenchmarkPublish and BenchmarkPresence of redisengine).
const flushDelay = 100 * time.Microsecond

// topologyInterval is how often sentinels, and the nodes of a cluster, are asked who is master. They also tell unasked; this is for
// what was missed.
const topologyInterval = 5 * time.Second

// redirectionsMax is how often nodes of a cluster may send a command on to each other: twice is usual while slots move.
const redirectionsMax = 8

// keepAliveShare is the part of the I/O time limit after which a connection that nothing came from is asked for a sign of life. That
// answer is then waited for: a command may meet a server that stopped to answer just after one such question, so it waits for two
// intervals and the limit of the answer. All three together are the I/O time limit.
const keepAliveShare = 10

// option is what the library is told.
func (s settings) option() rueidis.ClientOption {
	keepAlive := max(s.ioTimeout/keepAliveShare, time.Millisecond)
	dialer := net.Dialer{Timeout: s.connectTimeout, KeepAlive: keepAlive}
	o := rueidis.ClientOption{
		InitAddress:      slices.Clone(s.addresses), // it shuffles them
		ShuffleInit:      true,
		TLSConfig:        s.tls,
		Dialer:           dialer,
		ConnWriteTimeout: max(s.ioTimeout-2*keepAlive, time.Millisecond),
		Username:         s.user,
		Password:         s.password,
		ClientName:       s.clientName,
		SelectDB:         s.db,
		AlwaysRESP2:      s.forceRESP2,

		AlwaysPipelining:    true, // else a caller whose time is up takes the connection down with it
		PipelineMultiplex:   -1,   // one connection: batches are larger, and a caller's commands stay in order
		MaxFlushDelay:       flushDelay,
		RingScaleEachConn:   pipelineScale,
		ReadBufferEachConn:  readBufferSize,
		WriteBufferEachConn: writeBufferSize,
		BlockingPoolSize:    poolSizeMax,
		BlockingPoolCleanup: poolIdle,
		DisableCache:        true,
		DisableRetry:        true, // reads fail like writes do: at once
	}
	switch s.kind {
	case kindSentinel:
		o.Sentinel = rueidis.SentinelOption{
			Dialer:                  dialer,
			TLSConfig:               s.sentinelTLS,
			MasterSet:               s.masterName,
			Username:                s.sentinelUser,
			Password:                s.sentinelPassword,
			ClientName:              s.sentinelClientName,
			TopologyRefreshInterval: topologyInterval,
		}
	case kindUnix:
		o.ForceSingleClient = true
		o.DialCtxFn = func(ctx context.Context, path string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}
	default:
		o.ClusterOption.ShardsRefreshInterval = topologyInterval
		o.ClusterOption.MaxMovedRedirections = redirectionsMax
	}
	return o
}
