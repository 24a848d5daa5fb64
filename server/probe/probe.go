// Package probe finds out whether delivery is alive, by delivering something.
//
//	Check ──► a listener on every loop, on a channel of its own ──► Broker.Publish ──► … ──► each of them has heard it
//
// That is the whole way of a publication but for the socket: through the broker, wherever it is, its connection back, the table's
// stripe, and each loop's mailbox and turn. A broker that takes publications and delivers none, or a loop that has come to a stop,
// shows here and nowhere else.
package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// Times of a check.
const (
	// Timeout is how long a probe may be on its way.
	Timeout = 3 * time.Second
	// again is when it is sent once more: what is published before a broker far away delivers the channel is lost.
	again = 250 * time.Millisecond
	// Fresh is how long the outcome of a check is told to others who ask.
	Fresh = time.Second
)

// channelPrefix begins the names of the channels of probes. Clients cannot name them: they are on no list and outside of all rules.
const channelPrefix = "__stentor_probe."

// Own reports that a channel is a probe's, and not to be listed.
func Own(channel string) bool { return strings.HasPrefix(channel, channelPrefix) }

// Prober checks one node. Any goroutine may use it.
type Prober struct {
	broker engine.Broker
	table  *hub.Table
	loops  []*loop.Loop
	node   string

	mu      sync.Mutex // one check at a time
	number  int
	at      time.Time // of the outcome
	outcome error
}

// New makes a prober of the node with this uid.
func New(node string, b engine.Broker, t *hub.Table, loops []*loop.Loop) *Prober {
	return &Prober{broker: b, table: t, loops: loops, node: node}
}

// Check reports what is wrong, or nil. It takes up to Timeout; who asks while a check is under way, or soon after, gets its outcome.
func (p *Prober) Check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() && time.Since(p.at) < Fresh {
		return p.outcome
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.outcome = p.check()
	p.at = time.Now()
	return p.outcome
}

func (p *Prober) check() error {
	p.number++
	channel := channelPrefix + p.node + "." + strconv.Itoa(p.number)
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	joined, heard := make(chan struct{}, len(p.loops)), make(chan struct{}, len(p.loops))
	listeners := make([]*listener, len(p.loops))
	for i, l := range p.loops {
		listeners[i] = &listener{table: p.table, channel: channel, ready: joined, all: heard}
		post(l, listeners[i], true)
	}
	defer func() {
		for i, l := range p.loops {
			post(l, listeners[i], false)
		}
	}()
	for range listeners {
		select {
		case <-joined:
		case <-ctx.Done():
			return missed(nil, listeners)
		}
	}
	return p.send(ctx, channel, heard, listeners)
}

// send publishes until all listeners have heard it.
func (p *Prober) send(ctx context.Context, channel string, heard <-chan struct{}, listeners []*listener) error {
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	var refused error
	for missing := len(listeners); missing > 0; {
		_, err := p.broker.Publish(ctx, channel, &codec.Publication{Data: []byte("{}")}, engine.PublishOptions{})
		if err != nil && ctx.Err() == nil {
			refused = err
		}
	wait:
		for missing > 0 {
			select {
			case <-heard:
				missing--
			case <-ticker.C:
				break wait
			case <-ctx.Done():
				return missed(refused, listeners)
			}
		}
	}
	return nil
}

// missed says what is known of a probe that did not come back.
func missed(refused error, listeners []*listener) error {
	if refused != nil {
		return fmt.Errorf("the broker does not take publications: %w", refused)
	}
	var deaf []string
	for i, l := range listeners {
		switch {
		case !l.joined.Load():
			return fmt.Errorf("loop %d has come to a stop: see its stack in /debug/pprof and the log", i)
		case !l.done.Load():
			deaf = append(deaf, strconv.Itoa(i))
		}
	}
	if len(deaf) == len(listeners) {
		return fmt.Errorf("the broker took a publication and did not deliver it within %v: look at its connections", Timeout)
	}
	return errors.New("loops without delivery: " + strings.Join(deaf, ", "))
}

func post(l *loop.Loop, to loop.Recipient, what any) {
	if l.Post(to, what, 0) {
		l.Wake()
	}
}

// listener is a subscriber on one loop.
type listener struct {
	table   *hub.Table
	channel string
	ready   chan<- struct{} // joined
	all     chan<- struct{} // heard
	sub     hub.Subscription

	joined, done atomic.Bool
}

// Take joins or leaves (loop.Recipient).
func (x *listener) Take(l *loop.Loop, join any) {
	if join == true {
		x.table.Subscribe(&x.sub, l, x.channel, codec.Protobuf, x, hub.Options{})
		x.joined.Store(true)
		x.ready <- struct{}{} // there is room for each, here and below
		return
	}
	x.table.Unsubscribe(&x.sub)
}

// Send hears the probe (hub.Subscriber).
func (x *listener) Send(*codec.Frame) {
	if x.done.CompareAndSwap(false, true) {
		x.all <- struct{}{}
	}
}

// Fail never happens to a subscriber without a position.
func (x *listener) Fail(*hub.Subscription, hub.Failure) {}

// Handler answers 200 and {}, at once. With ?deep=1 it checks first, and answers 503 and {"error": …} if delivery is dead.
func Handler(check func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if deep, _ := strconv.ParseBool(r.URL.Query().Get("deep")); deep {
			if err := check(r.Context()); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // whoever has gone hears nothing
				return
			}
		}
		_, _ = w.Write([]byte("{}"))
	})
}
