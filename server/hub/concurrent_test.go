package hub

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
)

// runner drives a loop with a goroutine.
type runner struct {
	loop *loop.Loop
	bell chan struct{}
}

func newRunner(id int) *runner {
	r := &runner{bell: make(chan struct{}, 1)}
	r.loop = loop.New(id, loop.Config{Ring: r.ring})
	r.loop.SetNow(1)
	return r
}

func (r *runner) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

func (r *runner) run(ctx context.Context) {
	for {
		select {
		case <-r.bell:
			r.loop.Turn(r.loop.Now())
		case <-ctx.Done():
			return
		}
	}
}

// do runs f on the loop and waits for it.
func (r *runner) do(f func()) {
	done := make(chan struct{})
	if r.loop.Post(task(func() { f(); close(done) }), nil, 0) {
		r.loop.Wake()
	}
	<-done
}

type task func()

func (f task) Take(*loop.Loop, any) { f() }

// reader is a positioned subscriber that checks the order of what it gets.
type reader struct {
	t    *testing.T
	sub  *Subscription
	form codec.Form
	text *patient // reads deltas, nil without
	next uint64   // offset
	gone bool
	got  atomic.Uint64 // the last offset
}

func (x *reader) Send(f *codec.Frame) {
	if x.gone {
		x.t.Error("a frame for somebody who has left")
	}
	for _, p := range decode(x.t, f) {
		if p.Offset != x.next {
			x.t.Errorf("offset %d, want %d", p.Offset, x.next)
		}
		x.next = p.Offset + 1
		if x.text != nil {
			x.text.read(p)
		}
	}
	x.got.Store(x.next - 1)
}

func (x *reader) Fail(_ *Subscription, why Failure) { x.t.Errorf("failed with %v", why) }

// TestConcurrently lets publishers and members of all kinds who come and go meet on loops that run by themselves. It is for the race detector,
// and checks that every member gets every offset since its start.
func TestConcurrently(t *testing.T) {
	const loops, publishers, each = 3, 3, 400
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var runners []*runner
	var list []*loop.Loop
	for id := range loops {
		r := newRunner(id)
		runners, list = append(runners, r), append(list, r.loop)
		running.Go(func() { r.run(ctx) })
	}
	table := NewTable(list)
	broker := memengine.New(memengine.Config{}, table)
	channels := []string{"news", "sport"}

	var work sync.WaitGroup
	for range publishers {
		work.Go(func() { publishSome(t, broker, channels, each) })
	}
	stay := make([][]*reader, loops)
	for id, r := range runners {
		work.Go(func() { stay[id] = comeAndGo(t, table, broker, r, channels) })
	}
	work.Wait()
	for _, x := range slices.Concat(stay...) {
		for deadline := time.Now().Add(10 * time.Second); x.got.Load() != publishers*each; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("a member stands at %d of %d", x.got.Load(), publishers*each)
			}
		}
	}
	for id, r := range runners {
		r.do(func() {
			for _, x := range stay[id] {
				table.Unsubscribe(x.sub)
			}
		})
	}
	if n, subs := table.Count(); n != 0 || subs != 0 {
		t.Errorf("%d channels with %d subscriptions are left", n, subs)
	}
	stop()
	running.Wait()
}

func publishSome(t *testing.T, b engine.Broker, channels []string, each int) {
	o := engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Minute, Delta: true}
	insist := func(do func() error) {
		for err := do(); err != nil; err = do() {
			if err != engine.ErrOverloaded {
				t.Error(err)
				return
			}
		}
	}
	for i := range each {
		for _, channel := range channels {
			insist(func() error {
				p := &codec.Publication{Data: []byte(payload(fmt.Sprint(i))), Tags: map[string]string{"t": fmt.Sprint(i)}}
				_, err := b.Publish(context.Background(), channel, p, o)
				return err
			})
			insist(func() error { return b.PublishJoin(context.Background(), channel, &codec.ClientInfo{Client: "c"}) })
		}
	}
}

// comeAndGo subscribes and unsubscribes on one loop, and returns members of all kinds who stay.
func comeAndGo(t *testing.T, table *Table, b engine.Broker, r *runner, channels []string) (stay []*reader) {
	all := mustFilter(t, leaf("t", "ex", ""))
	join := func(channel string, i int) *reader {
		x := &reader{t: t, sub: new(Subscription), form: codec.Form(i % codec.NumAllForms)}
		o := Options{JoinLeave: i%3 == 0}
		switch i % 5 {
		case 1, 2:
			o.Delta, x.text = true, &patient{t: t, form: x.form}
		case 3:
			o.Filter = all
		}
		r.do(func() {
			table.Subscribe(x.sub, r.loop, channel, x.form, x, o)
			_, top, err := b.History(context.Background(), channel, engine.HistoryFilter{})
			if err != nil {
				t.Error(err)
			}
			x.next = top.Offset + 1
			x.got.Store(top.Offset)
			table.Position(x.sub, top)
		})
		return x
	}
	var guests []*reader
	for i := range 200 {
		guests = append(guests, join(channels[i/2%len(channels)], i))
		if len(guests) > 5 {
			x := guests[0]
			guests = guests[1:]
			r.do(func() {
				table.Unsubscribe(x.sub)
				x.gone = true
			})
		}
	}
	for _, x := range guests {
		r.do(func() { table.Unsubscribe(x.sub) })
	}
	for i := range 10 {
		stay = append(stay, join(channels[i/2%len(channels)], i))
	}
	return stay
}
