package redisengine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/memengine"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// taker is a node that counts, so that nothing but the engine is measured.
type taker struct {
	*enginetest.Recorder // for what is not counted
	taken                atomic.Int64
}

func newTaker() *taker { return &taker{Recorder: enginetest.NewRecorder()} }

func (k *taker) Admit(string) bool { return true }

func (k *taker) Publication(string, *codec.Publication, *codec.Publication, codec.StreamPosition) engine.Wake {
	k.taken.Add(1)
	return 0
}

func (k *taker) Wake(engine.Wake) {}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMemory is what BenchmarkPublish does without Redis in between.
func BenchmarkMemory(b *testing.B) {
	e := memengine.New(memengine.Config{}, newTaker())
	o := engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Minute}
	data := make([]byte, 100)
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			if _, err := e.Publish(context.Background(), fmt.Sprint("news:", n%100), &codec.Publication{Data: data}, o); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "node-ns/op")
}

// BenchmarkPublish publishes from 100 goroutines and waits until all has come back. node-ns/op is the processor time of this process, which
// has the node in it and nothing else; the server's is not counted.
func BenchmarkPublish(b *testing.B) {
	server := redistest.Start(b)
	kept := engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Minute}
	delta, once := kept, kept
	delta.Delta = true
	for _, bench := range []struct {
		name    string
		options engine.PublishOptions
		listen  bool
	}{
		{"plain", engine.PublishOptions{}, true},
		{"history", kept, true},
		{"history unheard", kept, false},
		{"delta", delta, true},
		{"key", once, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			k := newTaker()
			broker := node(b, redisengine.Config{Prefix: "bench" + bench.name}, redislink.Config{Address: []string{server.Addr}}, k)
			run(b, broker)
			const channels, publishers = 100, 100
			names := make([]string, channels)
			for i := range names {
				names[i] = fmt.Sprintf("news:%d", i)
				if bench.listen {
					broker.Subscribe(names[i])
				}
			}
			for _, name := range names {
				if bench.listen {
					if err := k.WaitSubscribed(b, name); err != nil {
						b.Fatal(err)
					}
				}
			}
			for {
				if _, err := broker.Publish(context.Background(), "warm", &codec.Publication{}, kept); err == nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			var next atomic.Int64
			next.Store(rand.Int64N(1 << 62)) // keys must not come again in the next round
			data := make([]byte, 100)
			before := cpuTime(b)
			b.ResetTimer()
			b.SetParallelism(publishers / 2)
			b.RunParallel(func(pb *testing.PB) {
				o := bench.options
				for pb.Next() {
					n := next.Add(1)
					if bench.name == "key" {
						o.IdempotencyKey = fmt.Sprint(n)
					}
					if _, err := broker.Publish(context.Background(), names[n%channels], &codec.Publication{Data: data}, o); err != nil {
						b.Error(err)
					}
				}
			})
			for bench.listen && k.taken.Load() < int64(b.N) {
				time.Sleep(time.Millisecond / 10)
			}
			b.StopTimer()
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "node-ns/op")
		})
	}
}
