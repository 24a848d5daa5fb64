package natsengine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/natstest"
	"stentor/engine/natsengine"
)

// deaf is a node that counts the outcomes of subscriptions.
type deaf struct {
	*enginetest.Recorder
	outcomes sync.WaitGroup
}

func (d *deaf) Subscribed(_ string, err error) {
	if err != nil {
		panic(err)
	}
	d.outcomes.Done()
}

// TestSubscriptionBytes: a hundred thousand subscriptions take neither goroutines nor round trips of their own, and so much memory.
func TestSubscriptionBytes(t *testing.T) {
	const (
		count    = 100_000
		bytesMax = 420
		pingsMax = count / 1000
	)
	w := newWire(t, natstest.Start(t).URL())
	d := &deaf{Recorder: enginetest.NewRecorder()}
	n := startWith(t, natsengine.Config{URL: w.url()}, d, d.Recorder)
	eventually(t, "the engine is connected", func() bool { return n.Stats().Connected })
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("chat:room-%d", i)
	}
	heap, goroutines, pings := heapBytes(), runtime.NumGoroutine(), w.pings.Load()
	d.outcomes.Add(count)
	for _, name := range names {
		n.Subscribe(name)
	}
	d.outcomes.Wait()
	if got := runtime.NumGoroutine() - goroutines; got > 5 {
		t.Errorf("%d more goroutines", got)
	}
	if got := w.pings.Load() - pings; got > pingsMax {
		t.Errorf("%d pings, more than %d", got, pingsMax)
	}
	got := (heapBytes() - heap) / count
	t.Logf("%d bytes for a subscription", got)
	if got > bytesMax && !raceDetector {
		t.Errorf("%d bytes for a subscription, more than %d", got, bytesMax)
	}
	if got := n.Stats().Subscriptions; got != count {
		t.Errorf("%d subscriptions counted", got)
	}
	runtime.KeepAlive(names)
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestSlowReceiver: what loops cannot take yet waits; when that lasts, it is dropped and counted, and then goes on.
func TestSlowReceiver(t *testing.T) {
	url := embedded(t, server.Options{}).ClientURL()
	n, other := start(t, natsengine.Config{URL: url}), start(t, natsengine.Config{URL: url})
	n.subscribe("news")
	n.Refuse(true)
	for i := range 100 {
		other.mustPublish("news", fmt.Sprint(i))
	}
	time.Sleep(100 * time.Millisecond)
	if got := n.heard("news"); got != "" {
		t.Fatalf("delivered %q without asking", got)
	}
	n.Refuse(false)
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
	}
	n.expect("news", strings.Join(want, " "))
	if got := n.Stats().Dropped; got != 0 {
		t.Errorf("%d dropped", got)
	}

	n.Refuse(true)
	for range 100 {
		other.mustPublish("news", "late")
	}
	eventually(t, "what nobody takes is dropped", func() bool { return n.Stats().Dropped == 100 })
	n.Refuse(false)
	other.mustPublish("news", "end")
	n.expect("news", strings.Join(append(want, "end"), " "))
}

// stuck is a node that takes nothing until it is released.
type stuck struct {
	*enginetest.Recorder
	release chan struct{}
}

func (s *stuck) Admit(string) bool {
	<-s.release
	return true
}

// TestHeldBack: what comes faster than it is delivered stays with the server. The library would drop it.
func TestHeldBack(t *testing.T) {
	const count = 2 * natsengine.QueueItemsMax
	url := embedded(t, server.Options{}).ClientURL()
	slow := &stuck{Recorder: enginetest.NewRecorder(), release: make(chan struct{})}
	n := startWith(t, natsengine.Config{URL: url}, slow, slow.Recorder)
	n.subscribe("news")
	other, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	payload := codec.AppendCarried(nil, &codec.Push{Pub: &codec.Publication{Data: []byte("x")}})
	for range count {
		if err := other.Publish("centrifugo.client.news", payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(natsengine.SilenceMax + time.Second) // which is not the server's
	close(slow.release)
	n.Wait(t, "news", count)
	if got := n.Stats(); got.Received != count || got.Dropped != 0 || got.Connects != 1 {
		t.Errorf("%+v, want all %d on one connection", got, count)
	}
}

// TestBusOverflow: control messages that nobody handles do not pile up, and are counted.
func TestBusOverflow(t *testing.T) {
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{}).ClientURL()})
	release := make(chan struct{})
	heard := make(chan struct{}, 1)
	n.Listen("me", func([]byte) {
		select {
		case heard <- struct{}{}:
		default:
		}
		<-release
	})
	defer close(release)
	eventually(t, "the bus works", func() bool {
		if err := n.Broadcast(context.Background(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
			return true
		default:
			return false
		}
	})
	eventually(t, "messages are dropped", func() bool {
		for range 1000 {
			if err := n.Broadcast(context.Background(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		return n.Stats().SlowConsumer > 0
	})
	n.subscribe("news")
	n.mustPublish("news", "a")
	n.expect("news", "a")
}

// TestEnd: after Run nothing is left, and calls answer.
func TestEnd(t *testing.T) {
	s := natstest.Start(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	rec := enginetest.NewRecorder()
	e := open(t, natsengine.Config{URL: s.URL()}, rec)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	e.Subscribe("news")
	if err := rec.WaitSubscribed(t, "news"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	_, err := e.Publish(context.Background(), "news", &codec.Publication{Data: []byte("x")}, engine.PublishOptions{})
	if !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("publish after the end: %v", err)
	}
}

// TestContext: a call ends with its context although the server does not answer.
func TestContext(t *testing.T) {
	s := natstest.Start(t)
	n := start(t, natsengine.Config{URL: s.URL(), WriteTimeout: time.Hour})
	n.mustPublish("news", "a")
	s.Freeze()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := n.Publish(ctx, "news", &codec.Publication{Data: []byte("x")}, engine.PublishOptions{})
	if !errors.Is(err, engine.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("publish: %v", err)
	}
}

// BenchmarkPublish is what a publish costs from the call to the delivery, with so many publishers at once.
func BenchmarkPublish(b *testing.B) {
	url := natstest.Start(b).URL()
	for _, publishers := range []int{1, 100} {
		b.Run(fmt.Sprint(publishers), func(b *testing.B) {
			e := open(b, natsengine.Config{URL: url}, &sink{Recorder: enginetest.NewRecorder()})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx) }()
			defer func() { cancel(); <-done }()
			e.Subscribe("news")
			data := make([]byte, 100)
			b.SetParallelism(publishers / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := e.Publish(context.Background(), "news", &codec.Publication{Data: data}, engine.PublishOptions{}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu is the processor time that this process has used, without that of the server.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// sink is a node that takes everything and keeps nothing.
type sink struct{ *enginetest.Recorder }

func (sink) Subscribed(string, error) {}

func (sink) Publication(string, *codec.Publication, *codec.Publication, codec.StreamPosition) engine.Wake {
	return 1
}

func (sink) Wake(engine.Wake) {}
