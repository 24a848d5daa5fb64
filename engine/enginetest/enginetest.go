// Package enginetest is the suite that every engine passes. An engine is done when this says so.
//
//	func TestEngine(t *testing.T) {
//		enginetest.Run(t, func(t *testing.T, n engine.Node) enginetest.Subject {
//			e := memengine.New(memengine.Config{}, n)
//			return enginetest.Subject{Broker: e, Presence: e}
//		})
//	}
//
// The node is a Recorder: it notes what an engine delivers, in order. What a broker cannot do it says in Abilities, and the tests of
// that are skipped; those of what it must refuse then run instead. Each test has an engine and channels of its own, so
// that engines over one shared store can run it too. That nothing was delivered is told from what comes next on that channel,
// never by waiting.
package enginetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// Subject is an engine to be tested.
type Subject struct {
	Broker   engine.Broker
	Presence engine.Presence // nil without one
	Bus      engine.Bus      // nil without one
	// DataAlone says that the broker carries the data of a publication and nothing else of it.
	DataAlone bool
	// PlainNames says that channels with spaces, control characters or wildcards are refused.
	PlainNames bool
	// Peer makes another engine over the same store, for another node. Nil if nothing is shared.
	Peer func(t *testing.T, n engine.Node) Subject
	// Advance makes the engine believe that d has passed. Without it, expiry is tested in real time, and less exactly.
	Advance func(d time.Duration)
}

// Patience is how long the suite waits for what a remote engine has to deliver.
const Patience = 20 * time.Second

// Run tests the engines that open makes. The suite runs Broker.Run itself; open registers whatever cleaning up it needs.
func Run(t *testing.T, open func(t *testing.T, n engine.Node) Subject) {
	run(t, open, publishTests, joinTests, historyTests, expiryTests, suppressTests, concurrentTests, presenceTests, peerTests, lackTests)
}

// RunPresence is the part of Run that is about presence alone.
func RunPresence(t *testing.T, open func(t *testing.T, n engine.Node) Subject) {
	run(t, open, presenceTests, []testCase{{"peer/presence", presence, testPeerPresence}})
}

func run(t *testing.T, open func(t *testing.T, n engine.Node) Subject, groups ...[]testCase) {
	for _, tc := range slices.Concat(groups...) {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, open)
			if !f.can().Has(tc.needs) {
				t.Skip("the engine says that it cannot do this")
			}
			tc.run(f)
		})
	}
}

// presence is the ability to know who is in a channel, which no broker has.
const presence engine.Ability = 1 << 63

func (f *fixture) can() engine.Ability {
	can := f.Broker.Abilities()
	if f.Presence != nil {
		can |= presence
	}
	return can
}

type testCase struct {
	name  string
	needs engine.Ability
	run   func(f *fixture)
}

// fixture is one engine at work, and what tests say to it.
type fixture struct {
	*testing.T
	Subject
	rec   *Recorder
	name  string // of the node
	heard heard  // from the bus
}

func newFixture(t *testing.T, open func(t *testing.T, n engine.Node) Subject) *fixture {
	rec := NewRecorder()
	f := &fixture{T: t, Subject: open(t, rec), rec: rec, name: fmt.Sprintf("node-%x", rand.Uint64())}
	f.start()
	return f
}

// start runs the engine for as long as the test.
func (f *fixture) start() {
	t := f.T
	if f.Bus != nil {
		f.Bus.Listen(f.name, f.heard.take)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Broker.Run(ctx) }()
	t.Cleanup(func() {
		patience := Patience
		if f.Broker.Local() {
			patience = 0 // its calls have returned, so it has done all it does
		}
		f.rec.WaitWoken(t, patience)
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(Patience):
			t.Error("Run goes on although its context ended")
		}
	})
}

// peer is another node of the same cluster.
func (f *fixture) peer() *fixture {
	f.Helper()
	if f.Peer == nil {
		f.Skip("the engine shares nothing with other nodes")
	}
	p := newFixture(f.T, f.Peer)
	p.channel("ready") // what is subscribed to shows that its servers are reached
	return p
}

// keep is how most tests publish.
var keep = engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Hour, HistoryMetaTTL: 24 * time.Hour}

// all reads everything.
var all = engine.HistoryFilter{Limit: -1}

// top reads the position alone.
var top = engine.HistoryFilter{}

// channel is a name that no other test uses, delivered to this node.
func (f *fixture) channel(name string) string {
	f.Helper()
	name = fmt.Sprintf("%s:%x", name, rand.Uint64())
	f.subscribe(name)
	return name
}

// subscribe has a channel delivered to this node.
func (f *fixture) subscribe(names ...string) {
	f.Helper()
	if f.Broker.Local() {
		return
	}
	for _, name := range names {
		f.Broker.Subscribe(name)
	}
	for _, name := range names {
		if err := f.rec.WaitSubscribed(f.T, name); err != nil {
			f.Fatalf("subscribe %s: %v", name, err)
		}
	}
}

func pub(data string) *codec.Publication { return &codec.Publication{Data: []byte(data)} }

func (f *fixture) publish(channel, data string, o engine.PublishOptions) engine.PublishResult {
	f.Helper()
	return f.publishPub(channel, pub(data), o)
}

func (f *fixture) publishPub(channel string, p *codec.Publication, o engine.PublishOptions) engine.PublishResult {
	f.Helper()
	res, err := f.Broker.Publish(context.Background(), channel, p, o)
	if err != nil {
		f.Fatalf("publish %s: %v", p.Data, err)
	}
	return res
}

// history reads publications as text, "3:c 4:d", and the top.
func (f *fixture) history(channel string, filter engine.HistoryFilter) (string, codec.StreamPosition) {
	f.Helper()
	pubs, at, err := f.Broker.History(context.Background(), channel, filter)
	if err != nil {
		f.Fatalf("history: %v", err)
	}
	return text(pubs), at
}

// text is publications as offset:data.
func text(pubs []*codec.Publication) string {
	var b strings.Builder
	for _, p := range pubs {
		fmt.Fprintf(&b, " %d:%s", p.Offset, p.Data)
	}
	return strings.TrimPrefix(b.String(), " ")
}

// expectHistory reads everything and compares.
func (f *fixture) expectHistory(channel, want string) {
	f.Helper()
	if got, _ := f.history(channel, all); got != want {
		f.Errorf("history %q, want %q", got, want)
	}
}

// expectDelivered publishes a last, plain publication to channel and compares everything delivered up to there.
func (f *fixture) expectDelivered(channel, want string) {
	f.Helper()
	f.publish(channel, "end", engine.PublishOptions{})
	n := len(strings.Fields(want)) + 1
	if got := text(publications(f.rec.Wait(f.T, channel, n))); got != strings.TrimPrefix(want+" 0:end", " ") {
		f.Errorf("delivered %q, want %q", got, want)
	}
}

// passes lets d go by. Then what must hold: at once if the clock is ours, else soon.
func (f *fixture) passes(d time.Duration, what string, holds func() bool) {
	f.Helper()
	if f.Advance != nil {
		f.Advance(d)
		if !holds() {
			f.Errorf("after %v: %s does not hold", d, what)
		}
		return
	}
	deadline := time.After(d + Patience)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-deadline:
			f.Fatalf("after %v: %s does not hold", d, what)
		case <-poll.C:
		}
	}
}
