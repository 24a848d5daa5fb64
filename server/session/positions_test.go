package session

import (
	"context"
	"slices"
	"sync"
	"testing"

	"stentor/codec"
	"stentor/engine"
)

// questioned is a broker that notes whose positions are asked for.
type questioned struct {
	engine.Broker
	fault error

	mu    sync.Mutex // several are asked for at once
	names []string
}

func (q *questioned) History(ctx context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	if q.fault != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.names = append(q.names, channel)
		return nil, codec.StreamPosition{}, q.fault
	}
	return q.Broker.History(ctx, channel, f)
}

func (q *questioned) take() []string {
	names := q.names
	q.names = nil
	slices.Sort(names)
	return names
}

const positionOptions = `{"client":{"insecure":true,"channel_position_check_delay":"0s"},
	"channel":{"namespaces":[{"name":"hist","history_size":10,"history_ttl":"60s","force_recovery":true}]}}`

// TestPositionsAgain: positions that could not be read are asked for again while somebody has one, and only if another answer is
// possible.
func TestPositionsAgain(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(positionOptions)
	broker := &questioned{Broker: st.node.Broker}
	st.node.Broker = broker
	w := st.dial(codec.JSON)
	for i, channel := range []string{"hist:1", "hist:2"} {
		w.say(subscribeTo(uint32(2+i), channel))
		for range 5 {
			st.work()
		}
	}
	step := func(want ...string) {
		t.Helper()
		st.check.step(context.Background(), st.node)
		if got := broker.take(); !slices.Equal(got, want) {
			t.Errorf("asked for %v, want %v", got, want)
		}
	}
	broker.fault = engine.ErrUnreachable
	step() // positions are never checked
	st.node.Table.Resumed([]string{"hist:1", "hist:2"})
	step("hist:1", "hist:2")
	step("hist:1", "hist:2")
	w.say(unsubscribeFrom(4, "hist:2"))
	step("hist:1")
	broker.fault = engine.ErrNotAvailable
	step("hist:1")
	step()

	broker.fault = engine.ErrUnreachable
	st.node.Table.Resumed([]string{"hist:1"})
	step("hist:1")
	other := newStage(t)
	other.start(`{}`)
	st.node.SetPolicy(other.node.policy.Load()) // a reload without the namespace
	step()
	if len(st.check.again) > 0 {
		t.Errorf("%v will be asked for", st.check.again)
	}
}

// TestPositionsAfterLoss: what a node has missed is noticed also where positions are never checked otherwise.
func TestPositionsAfterLoss(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(positionOptions)
	w := st.dial(codec.JSON)
	w.say(subscribeTo(2, "hist:1"))
	for range 5 {
		st.work()
	}
	st.far.asked["hist:1"] = false
	st.publish("hist:1", "1")
	st.far.asked["hist:1"] = true
	st.node.Table.Resumed([]string{"hist:1"})
	w.frames = nil
	for range settleSteps + 2 {
		st.check.step(context.Background(), st.node)
		st.work()
	}
	if got := w.replies(t); len(got) != 1 || got[0].Push == nil || got[0].Push.Unsubscribe == nil || *got[0].Push.Unsubscribe != codec.UnsubscribeInsufficient {
		t.Errorf("heard %+v", got)
	}
}
