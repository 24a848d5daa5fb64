package enginetest_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/memengine"
)

// TestRemote runs the suite on an engine that delivers later, from another goroutine, as one does that has a network in between.
func TestRemote(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, n engine.Node) enginetest.Subject {
		var clock atomic.Int64
		wire := newWire(t, n)
		e := memengine.New(memengine.Config{Clock: func() time.Duration { return time.Duration(clock.Load()) }}, wire)
		return enginetest.Subject{
			Broker:   remote{e, n},
			Presence: e,
			Advance:  func(d time.Duration) { clock.Add(int64(d)) },
		}
	})
}

// TestWithoutHistory runs the suite on an engine that only carries publications.
func TestWithoutHistory(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, n engine.Node) enginetest.Subject {
		e := memengine.New(memengine.Config{}, newWire(t, n))
		return enginetest.Subject{
			Broker: carrier{remote{e, n}},
		}
	})
}

// remote says that it is not local.
type remote struct {
	*memengine.Engine
	node engine.Reporter
}

func (r remote) Subscribe(channel string) { go r.node.Subscribed(channel, nil) }

func (remote) Local() bool { return false }

// carrier has no history and no joins.
type carrier struct{ remote }

func (carrier) Abilities() engine.Ability { return 0 }

func (carrier) RemoveHistory(context.Context, string) error { return engine.ErrNotAvailable }

func (carrier) PublishJoin(context.Context, string, *codec.ClientInfo) error {
	return engine.ErrNotAvailable
}

func (carrier) PublishLeave(context.Context, string, *codec.ClientInfo) error {
	return engine.ErrNotAvailable
}

func (c carrier) Publish(ctx context.Context, channel string, p *codec.Publication, _ engine.PublishOptions) (engine.PublishResult, error) {
	return c.Engine.Publish(ctx, channel, p, engine.PublishOptions{})
}

func (carrier) History(context.Context, string, engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	return nil, codec.StreamPosition{}, engine.ErrNotAvailable
}

// wire hands what an engine delivers to the receiver on a goroutine of its own, in order.
type wire struct {
	engine.Receiver
	queue chan func()
}

func newWire(t *testing.T, r engine.Receiver) wire {
	w := wire{r, make(chan func(), 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for deliver := range w.queue {
			deliver()
		}
	}()
	t.Cleanup(func() {
		close(w.queue)
		<-done
	})
	return w
}

func (w wire) Publication(channel string, p, prev *codec.Publication, at codec.StreamPosition) engine.Wake {
	w.queue <- func() { w.Receiver.Wake(w.Receiver.Publication(channel, p, prev, at)) }
	return 0
}

func (w wire) Join(channel string, info *codec.ClientInfo) engine.Wake {
	w.queue <- func() { w.Receiver.Wake(w.Receiver.Join(channel, info)) }
	return 0
}

func (w wire) Leave(channel string, info *codec.ClientInfo) engine.Wake {
	w.queue <- func() { w.Receiver.Wake(w.Receiver.Leave(channel, info)) }
	return 0
}

func (wire) Wake(engine.Wake) {}
