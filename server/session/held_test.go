package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stentor/codec"
)

const largeOptions = `{"client":{"insecure":true,"history_max_publication_limit":0},
	"channel":{"namespaces":[{"name":"hist","history_size":1000,"history_ttl":"60s"}]}}`

// TestLargeReply: a reply of many entries is encoded off the loop. Commands that come meanwhile wait, pongs do not, and too many
// end the client.
func TestLargeReply(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, largeOptions)
		for i := range entriesMax + 1 {
			st.publish("hist:1", fmt.Sprint(i))
		}
		w := st.dial(f)
		ask := codec.Command{ID: 2, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: "hist:1", Limit: -1}}
		w.say(ask, unsubscribeFrom(3, "x"))
		w.say(unsubscribeFrom(4, "x"))
		if n := len(w.frames); n != 0 {
			t.Fatalf("%v: %d frames before the work was done", f, n)
		}
		w.session.Expire(w.session.beat) // a ping
		w.say(codec.Command{})
		if len(w.closed) != 0 || w.session.pinging != toPing {
			t.Errorf("%v: the pong waited, too: %v", f, w.closed)
		}
		w.frames = nil
		st.pool.run()
		st.node.Loops[0].Turn(st.now)
		got := w.replies(t)
		if len(got) != 3 || got[0].History == nil || len(got[0].History.Publications) != entriesMax+1 || got[1].ID != 3 || got[2].ID != 4 {
			t.Errorf("%v: %d replies: %v", f, len(got), got)
		}
		w.say(ask)
		for range HeldBytesMax/100 + 1 {
			w.say(unsubscribeFrom(5, strings.Repeat("x", 100)))
		}
		if len(w.closed) != 1 || w.closed[0] != codec.DisconnectTooManyRequests {
			t.Errorf("%v: closed with %v", f, w.closed)
		}
		st.pool.run()
		st.node.Loops[0].Turn(st.now)
		st.checkEmpty()
	}
}

// TestTooLargeReply: what would close the client as slow is refused.
func TestTooLargeReply(t *testing.T) {
	st := openStage(t, strings.Replace(largeOptions, `"insecure"`, `"queue_max_size":65536,"insecure"`, 1))
	for range entriesMax + 1 {
		st.publish("hist:1", `"`+strings.Repeat("x", 256)+`"`)
	}
	w := st.dial(codec.JSON)
	w.say(codec.Command{ID: 2, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: "hist:1", Limit: -1}}, unsubscribeFrom(3, "x"))
	st.pool.run()
	st.node.Loops[0].Turn(st.now)
	got := w.replies(t)
	if len(got) != 2 || got[0].Error == nil || got[0].Error.Code != codec.ErrorLimitExceeded.Code || got[1].Unsubscribe == nil {
		t.Errorf("replies: %+v", got)
	}
}

// lacking is an error of a command that needs something fetched.
type lacking struct{ fetched *int }

func (lacking) Error() string { return "a key is missing" }

func (l lacking) Fetch(context.Context) error {
	*l.fetched++
	return errors.New("the other server is down")
}

// TestAwait: a command that lacks something is tried again after it has been fetched, before what came behind it.
func TestAwait(t *testing.T) {
	st := openStage(t, openTo)
	w := st.dial(codec.JSON)
	fetched := 0
	w.session.begin()
	c := unsubscribeFrom(2, "x")
	w.session.failed(&c, message(t, codec.JSON, `{"id":2,"unsubscribe":{"channel":"x"}}`), lacking{&fetched})
	w.say(unsubscribeFrom(3, "x"))
	if len(w.frames) != 0 {
		t.Fatal("an answer before the fetch")
	}
	st.pool.run()
	st.node.Loops[0].Turn(st.now)
	if got := w.replies(t); fetched != 1 || len(got) != 2 || got[0].ID != 2 || got[1].ID != 3 {
		t.Errorf("fetched %d times, replies %v", fetched, got)
	}
	// Whoever leaves meanwhile is forgotten.
	w.session.failed(&c, []byte("x"), lacking{&fetched})
	w.session.Closed()
	st.node.Loops[0].Remove(w.handle)
	st.pool.run()
	st.node.Loops[0].Turn(st.now)
	st.checkEmpty()
}

// TestLargeReplyOutlivesItsCommand: what a command says is still known when the buffer that it came in has other bytes.
func TestLargeReplyOutlivesItsCommand(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, largeOptions)
		st.publish("hist:1", "1")
		w := st.dial(f)
		ask := codec.Command{ID: 2, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: "hist:1"}}
		w.say(ask)
		position := &codec.StreamPosition{Epoch: w.replies(t)[0].History.Epoch}
		ask.History.Limit, ask.History.Since = -1, position
		msg, err := codec.AppendCommand(nil, f, &ask)
		if err != nil {
			t.Fatal(err)
		}
		w.session.Receive(msg)
		clear(msg)
		st.pool.run()
		st.node.Loops[0].Turn(st.now)
		if got := w.replies(t); len(got) != 1 || got[0].History == nil || len(got[0].History.Publications) != 1 {
			t.Errorf("%v: replies %+v", f, got)
		}
	}
}

// TestHeldInAll: what waits for all sessions together has a limit, too, and is given back however they end.
func TestHeldInAll(t *testing.T) {
	st := openStage(t, largeOptions)
	for i := range entriesMax + 1 {
		st.publish("hist:1", fmt.Sprint(i))
	}
	ask := codec.Command{ID: 2, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: "hist:1", Limit: -1}}
	a, b, c := st.dial(codec.JSON), st.dial(codec.Protobuf), st.dial(codec.JSON)
	for _, w := range []*wire{a, b} {
		w.say(ask, unsubscribeFrom(3, "x"))
	}
	if st.node.held.Load() == 0 {
		t.Fatal("nothing is held back")
	}
	a.session.Closed()
	rest := HeldTotalBytesMax - st.node.held.Load()
	st.node.held.Add(rest)
	c.say(ask, unsubscribeFrom(3, "x"))
	if len(c.closed) != 1 || c.closed[0] != codec.DisconnectTooManyRequests {
		t.Errorf("closed with %v", c.closed)
	}
	st.node.held.Add(-rest)
	st.work()
	if got := b.replies(t); len(got) != 2 || got[1].ID != 3 {
		t.Errorf("replies %+v", got)
	}
	b.session.Closed()
	st.checkEmpty()
}
