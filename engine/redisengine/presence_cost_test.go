package redisengine_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine/redislink"
)

// serverTime is the processor time that a server has used.
func serverTime(b *testing.B, server *redistest.Server) time.Duration {
	b.Helper()
	var seconds float64
	for line := range strings.Lines(server.Must("INFO", "cpu")) {
		for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			if text, is := strings.CutPrefix(line, name); is {
				n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
				if err != nil {
					b.Fatal(err)
				}
				seconds += n
			}
		}
	}
	return time.Duration(seconds * float64(time.Second))
}

// BenchmarkPresence has 100,000 clients in channels of ten say that they are there still, from 100 goroutines. node-ns/op is the processor
// time of this process, server-ns/op that of Redis.
func BenchmarkPresence(b *testing.B) {
	server := redistest.Start(b)
	for name, cfg := range presenceConfigs(server) {
		b.Run(name, func(b *testing.B) {
			server.Must("FLUSHALL")
			p := newPresence(b, cfg, reach(b, redislink.Config{Address: []string{server.Addr}}))
			const clients, channelSize, workers = 100_000, 10, 100
			refresh := func(i int) {
				i %= clients
				info := engine.PresenceInfo{User: "user" + strconv.Itoa(i), ConnInfo: []byte(`{"name":"somebody"}`)}
				if err := p.AddPresence(context.Background(), "room:"+strconv.Itoa(i/channelSize), client(i), info, time.Minute); err != nil {
					b.Error(err)
				}
			}
			var next atomic.Int64
			b.SetParallelism(workers / 2)
			b.ReportAllocs()
			before, serverBefore := cpuTime(b), serverTime(b, server)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					refresh(int(next.Add(1)))
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "node-ns/op")
			b.ReportMetric(float64(serverTime(b, server)-serverBefore)/float64(b.N), "server-ns/op")
		})
	}
}
