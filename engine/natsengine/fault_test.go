package natsengine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest/natstest"
	"stentor/engine/natsengine"
)

// expectDown checks that everything is answered with ErrUnreachable.
func (n *node) expectDown() {
	n.t.Helper()
	ctx := context.Background()
	info := &codec.ClientInfo{Client: "c"}
	for what, err := range map[string]error{
		"publish":   n.publish("down", "x"),
		"join":      n.PublishJoin(ctx, "down", info),
		"leave":     n.PublishLeave(ctx, "down", info),
		"broadcast": n.Broadcast(ctx, []byte("x")),
		"send":      n.Send(ctx, "other", []byte("x")),
	} {
		if !errors.Is(err, engine.ErrUnreachable) {
			n.t.Errorf("%s: %v, want ErrUnreachable", what, err)
		}
	}
	n.Subscribe("down")
	if err := n.WaitSubscribed(n.t, "down"); !errors.Is(err, engine.ErrUnreachable) {
		n.t.Errorf("subscribe: %v, want ErrUnreachable", err)
	}
	if n.Stats().Connected {
		n.t.Error("counted as connected")
	}
}

func TestDownAtStart(t *testing.T) {
	s := natstest.Start(t)
	s.Kill()
	n := start(t, natsengine.Config{URL: s.URL()})
	n.expectDown()
	s.Restart()
	eventually(t, "the server is found", func() bool { return n.Stats().Connected })
	n.subscribe("news")
	n.mustPublish("news", "a")
	n.expect("news", "a")
	if got := n.Stats(); got.Resubscribed != 0 || got.Connects != 1 {
		t.Errorf("%+v: nothing was lost", got)
	}
}

func TestKilled(t *testing.T) {
	const channels = 10_000
	s := natstest.Start(t)
	n := start(t, natsengine.Config{URL: s.URL()})
	var names []string
	for i := range channels {
		names = append(names, fmt.Sprint("news:", i))
	}
	n.subscribe(names...)
	n.mustPublish("news:7", "a")
	n.expect("news:7", "a")
	for round := range 2 {
		s.Kill()
		eventually(t, "the loss is noticed", func() bool { return !n.Stats().Connected })
		n.expectDown()
		n.Unsubscribe(names[round]) // is not to come back
		s.Restart()
		for _, name := range names[2:] {
			n.WaitResumed(t, name, round+1)
		}
		n.mustPublish("news:7", "b")
		n.mustPublish(names[round], "lost")
		n.mustPublish(fmt.Sprint("news:", channels-1), "c")
		n.expect(fmt.Sprint("news:", channels-1), strings.TrimSpace(strings.Repeat("c ", round+1)))
	}
	n.expect("news:7", "a b b")
	if got := n.heard(names[0]) + n.heard(names[1]); got != "" && got != "lost" { // of the first round, for the second name
		t.Errorf("unsubscribed while the server was down, and delivered %q", got)
	}
	want := natsengine.Stats{Connects: 3, Resubscribed: 2*channels - 3, Connected: true, Subscriptions: channels - 2}
	got := n.Stats()
	got.Published, got.Received = 0, 0
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestFrozen: a server that stands still is noticed by calls within the write timeout and by the connection within some seconds.
func TestFrozen(t *testing.T) {
	s := natstest.Start(t)
	n := start(t, natsengine.Config{URL: s.URL(), WriteTimeout: 300 * time.Millisecond})
	n.subscribe("news")
	s.Freeze()
	if err := n.publish("news", "maybe"); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("publish: %v, want ErrUnreachable", err)
	}
	n.Subscribe("other")
	if err := n.WaitSubscribed(t, "other"); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("subscribe: %v, want ErrUnreachable", err)
	}
	eventually(t, "the connection is given up", func() bool { return !n.Stats().Connected })
	n.expectDown()
	s.Thaw()
	n.WaitResumed(t, "news", 1)
	n.subscribe("other")
	n.mustPublish("news", "end")
	n.mustPublish("other", "x")
	n.expect("other", "x")
	eventually(t, "the end is delivered", func() bool { return strings.HasSuffix(n.heard("news"), "end") })
}

// TestThawed: a server that stands still for less than what is noticed goes on with the same connection. What was published meanwhile
// is then either there or was answered with an error, however full the buffers were.
func TestThawed(t *testing.T) {
	const publishers, each = 100, 20
	s := natstest.Start(t)
	n := start(t, natsengine.Config{URL: s.URL(), WriteTimeout: 200 * time.Millisecond})
	other := start(t, natsengine.Config{URL: s.URL()})
	other.subscribe("news")
	payload := strings.Repeat("x", 40<<10)
	var good sync.Map
	var refused atomic.Int64
	var all sync.WaitGroup
	for i := range publishers {
		all.Go(func() {
			for j := range each {
				data := fmt.Sprintf("%d/%d ", i, j)
				if n.publish("news", data+payload) == nil {
					good.Store(data, true)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	eventually(t, "publishing has begun", func() bool { return len(other.Of("news")) > 100 })
	s.Freeze()
	time.Sleep(700 * time.Millisecond)
	s.Thaw()
	all.Wait()
	eventually(t, "the server is back", func() bool { return n.publish("news", "end ") == nil })
	other.expectAll("news", &good)
	t.Logf("%d refused", refused.Load())
	if refused.Load() == 0 {
		t.Error("nothing was refused although the server stood still")
	}
}

// expectAll waits until everything in want is delivered.
func (n *node) expectAll(channel string, want *sync.Map) {
	n.t.Helper()
	missing := 0
	defer func() {
		if n.t.Failed() {
			n.t.Errorf("%d publications were confirmed and never came", missing)
		}
	}()
	eventually(n.t, "what was confirmed is delivered", func() bool {
		got := make(map[string]bool)
		for _, d := range n.Of(channel) {
			data, _, _ := strings.Cut(string(d.Publication.Data), " ")
			got[data+" "] = true
		}
		missing = 0
		want.Range(func(data, _ any) bool {
			if !got[data.(string)] {
				missing++
			}
			return true
		})
		return missing == 0
	})
}

// TestCut: a connection that breaks at any moment loses nothing that was confirmed, and repeats and swaps nothing.
func TestCut(t *testing.T) {
	const publishers = 20
	s := embedded(t, server.Options{})
	w := newWire(t, s.ClientURL())
	n := start(t, natsengine.Config{URL: w.url()})
	other := start(t, natsengine.Config{URL: s.ClientURL()})
	other.subscribe("news")
	var good sync.Map
	var confirmed, refused atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range publishers {
		all.Go(func() {
			for j := 0; ; j++ {
				select {
				case <-stop:
					return
				default:
				}
				data := fmt.Sprintf("%d/%d ", i, j)
				if n.publish("news", data) == nil {
					good.Store(data, true)
					confirmed.Add(1)
				} else {
					refused.Add(1)
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	for range 5 {
		before := confirmed.Load()
		eventually(t, "publishing goes on", func() bool { return confirmed.Load() > before+500 })
		time.Sleep(rand.N(3 * time.Millisecond))
		w.cut()
	}
	eventually(t, "publishing fails now and then", func() bool { return refused.Load() > 0 })
	close(stop)
	all.Wait()
	other.expectAll("news", &good)
	last := make([]int, publishers)
	for _, d := range other.Of("news") {
		var i, j int
		if _, err := fmt.Sscanf(string(d.Publication.Data), "%d/%d", &i, &j); err != nil {
			t.Fatal(err)
		}
		if j < last[i] {
			t.Fatalf("publisher %d: %d after %d", i, j, last[i]-1)
		}
		last[i] = j + 1
	}
	t.Logf("%d confirmed, %d refused", confirmed.Load(), refused.Load())
}

// TestUnknownError: a server that ends the connection with words that the library gives up on is reached again.
func TestUnknownError(t *testing.T) {
	s := newScript(t)
	n := start(t, natsengine.Config{URL: s.url()})
	for i := range 3 {
		eventually(t, "the engine is connected", func() bool { return n.Stats().Connects == int64(i+1) && n.Stats().Connected })
		n.subscribe(fmt.Sprint("news", i))
		s.say("-ERR 'The weather is bad'\r\n")
		n.WaitResumed(t, "news0", i+1)
	}
	if got := n.Stats().Subscriptions; got != 3 {
		t.Errorf("%d subscriptions, want 3", got)
	}
}

// TestOrdersCoalesced: however often a channel is left and taken again, each Subscribe gets one answer and the last word holds.
func TestOrdersCoalesced(t *testing.T) {
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{}).ClientURL()})
	names := []string{"a", "b", "c"}
	for range 100 {
		for _, name := range names {
			n.Subscribe(name)
			n.Unsubscribe(name)
		}
	}
	n.Subscribe("a")
	for i, name := range names {
		for range 100 + len(names[i:])/3 { // one more for the first
			if err := n.WaitSubscribed(t, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.subscribe("witness")
	if got := n.Stats().Subscriptions; got != 2 {
		t.Errorf("%d subscriptions, want a and witness", got)
	}
	for _, name := range slices.Concat(names, []string{"witness"}) {
		n.mustPublish(name, "x")
	}
	n.expect("a", "x")
	n.expect("witness", "x")
	if got := n.heard("b") + n.heard("c"); got != "" {
		t.Errorf("delivered %q on what was left", got)
	}
}
