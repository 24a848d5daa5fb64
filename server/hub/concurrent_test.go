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
	next uint64 // offset
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
	}
	x.got.Store(x.next - 1)
}

func (x *reader) Fail(_ *Subscription, why Failure) { x.t.Errorf("failed with %v", why) }

// TestConcurrently lets publishers and members who come and go meet on loops that run by themselves. It is for the race detector,
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
	o := engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Minute}
	for i := range each {
		for _, channel := range channels {
			for {
				_, err := b.Publish(context.Background(), channel, &codec.Publication{Data: []byte(fmt.Sprint(i))}, o)
				if err == nil {
					break
				}
				if err != engine.ErrOverloaded {
					t.Error(err)
					return
				}
			}
		}
	}
}

// comeAndGo subscribes and unsubscribes on one loop, and returns one member of each channel who stays.
func comeAndGo(t *testing.T, table *Table, b engine.Broker, r *runner, channels []string) (stay []*reader) {
	join := func(channel string, f codec.Form) *reader {
		x := &reader{t: t, sub: new(Subscription), form: f}
		r.do(func() {
			table.Subscribe(x.sub, r.loop, channel, f, x, Options{})
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
		guests = append(guests, join(channels[i%len(channels)], codec.Form(i%codec.NumForms)))
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
	for _, channel := range channels {
		stay = append(stay, join(channel, codec.JSON))
	}
	return stay
}
