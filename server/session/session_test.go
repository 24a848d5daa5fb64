package session

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// wire is a pipe that keeps frames, and can be told to take no more.
type wire struct {
	loop    *loop.Loop
	handle  loop.Handle
	session *Session
	frames  []*codec.Frame
	closed  []codec.Disconnect
	full    bool
	onSend  func()
}

const openTo = `{"client":{"insecure":true,"channel_limit":100000},"channel":{"namespaces":[
	{"name":"hist","history_size":10,"history_ttl":"60s","force_recovery":true}]}}`

// dial opens a pipe on the stage's first loop and connects.
func (st *stage) dial(f codec.Form) *wire {
	w := &wire{loop: st.node.Loops[0]}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, Options{Form: f})
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
	w.frames = nil
	return w
}

func (w *wire) say(commands ...codec.Command) {
	var msg []byte
	for i := range commands {
		var err error
		if msg, err = codec.AppendCommand(msg, w.session.form, &commands[i]); err != nil {
			panic(err)
		}
	}
	w.session.Receive(msg)
}

func (w *wire) Send(f *codec.Frame) bool {
	if w.full {
		return false
	}
	w.frames = append(w.frames, f)
	if w.onSend != nil {
		w.onSend()
	}
	return true
}

// replies takes the messages of all frames.
func (w *wire) replies(t *testing.T) (list []*codec.Reply) {
	for _, f := range w.frames {
		for rest := f.Messages(); len(rest) > 0; {
			r := new(codec.Reply)
			var err error
			if rest, err = codec.DecodeReply(f.Form(), rest, r); err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
	}
	w.frames = nil
	return list
}

func (w *wire) Close(d codec.Disconnect) { w.closed = append(w.closed, d) }
func (w *wire) Arm(at loop.Time)         { w.loop.Arm(w.handle, at) }
func (w *wire) Expire(now loop.Time)     { w.session.Expire(now) }
func (w *wire) Order(what any)           { w.session.Order(what) }

func subscribeTo(id uint32, channel string) codec.Command {
	return codec.Command{ID: id, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: channel}}
}

func unsubscribeFrom(id uint32, channel string) codec.Command {
	return codec.Command{ID: id, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: channel}}
}

func openStage(t testing.TB, options string) *stage {
	st := newStage(t)
	st.start(options)
	return st
}

// checkEmpty checks that nobody is left behind on a node whose sessions have all ended.
func (st *stage) checkEmpty() {
	st.t.Helper()
	channels, subscriptions := st.node.Table.Count()
	if users, clients := st.node.Users.Count(), st.node.Clients(); channels+subscriptions+users+clients != 0 {
		st.t.Errorf("left behind: %d channels, %d subscriptions, %d users, %d clients", channels, subscriptions, users, clients)
	}
	if n := st.node.held.Load(); n != 0 {
		st.t.Errorf("left behind: %d bytes that were held back", n)
	}
}

// TestSizes: a million sessions and their first subscriptions pay for every field.
func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(Session{}); got != 128 {
		t.Errorf("a session takes %d bytes, want 128, a size class of the allocator", got)
	}
}

// TestRepliesAreJoined: sixteen to a frame.
func TestRepliesAreJoined(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, openTo)
		w := st.dial(f)
		var commands []codec.Command
		for id := range uint32(2*repliesPerFrame + 3) {
			commands = append(commands, unsubscribeFrom(id+1, "news"))
		}
		w.say(commands...)
		var got []int
		for _, frame := range w.frames {
			one := &wire{frames: []*codec.Frame{frame}}
			got = append(got, len(one.replies(t)))
		}
		if want := []int{repliesPerFrame, repliesPerFrame, 3}; !slices.Equal(got, want) {
			t.Errorf("%v: frames of %v replies, want %v", f, got, want)
		}
	}
}

// TestManySubscriptions: a session with thousands of them finds and leaves them all.
func TestManySubscriptions(t *testing.T) {
	const n = 3000
	for _, ending := range []string{"pipe", "order", "disconnect", "one by one"} {
		t.Run(ending, func(t *testing.T) {
			st := openStage(t, openTo)
			w, other := st.dial(codec.JSON), st.dial(codec.JSON)
			for i := range n {
				w.say(subscribeTo(2, fmt.Sprint("hist:", i)))
				if i%100 == 0 {
					other.say(subscribeTo(2, fmt.Sprint("hist:", i)))
				}
			}
			if got := w.session.count(); got != n {
				t.Fatalf("%d subscriptions", got)
			}
			w.frames = nil
			w.say(subscribeTo(3, "hist:7"))
			w.say(unsubscribeFrom(4, "hist:7"), unsubscribeFrom(5, "hist:7"), subscribeTo(6, "hist:7"))
			replies := string(bytes.Join([][]byte{w.frames[0].Messages(), w.frames[1].Messages()}, nil))
			for i, want := range []string{`"code":105`, `"unsubscribe":{}`, `"unsubscribe":{}`, `"recoverable":true`} {
				if line := strings.Split(replies, "\n")[i]; !strings.Contains(line, want) {
					t.Errorf("reply %s, want %s", line, want)
				}
			}
			switch ending {
			case "pipe":
				w.session.Closed()
			case "order":
				w.session.Order(Unsubscribe{Unsubscribe: codec.UnsubscribeServer})
			case "disconnect":
				w.session.Order(Disconnect{Disconnect: codec.DisconnectForceReconnect})
			case "one by one":
				for i := range n {
					w.say(unsubscribeFrom(7, fmt.Sprint("hist:", i)))
				}
			}
			if w.session.subs != nil || w.session.count() != 0 || w.session.extra != nil && w.session.extra.index != nil {
				t.Errorf("%d subscriptions are left", w.session.count())
			}
			if channels, subscriptions := st.node.Table.Count(); channels != n/100 || subscriptions != n/100 {
				t.Errorf("%d channels with %d subscriptions, want those of the other client", channels, subscriptions)
			}
			w.session.Closed()
			other.session.Closed()
			st.checkEmpty()
		})
	}
}

// TestFullPipe: a session whose pipe takes no more gives back all it has at once, and says nothing more.
func TestFullPipe(t *testing.T) {
	for name, use := range map[string]func(st *stage, w *wire){
		"reply":       func(st *stage, w *wire) { w.say(unsubscribeFrom(9, "x"), unsubscribeFrom(10, "x")) },
		"subscribe":   func(st *stage, w *wire) { w.say(subscribeTo(9, "hist:2"), subscribeTo(10, "hist:3")) },
		"publication": func(st *stage, w *wire) { st.publish("hist:1", "1") },
		"order":       func(st *stage, w *wire) { w.session.Order(Unsubscribe{Unsubscribe: codec.UnsubscribeServer}) },
		"ping":        func(st *stage, w *wire) { w.session.Expire(st.now.After(25 * time.Second)) },
		"last words": func(st *stage, w *wire) {
			w.say(unsubscribeFrom(9, "x"), codec.Command{ID: 10, Method: codec.MethodPing})
		},
		"catch-up": func(st *stage, w *wire) {
			st.publish("hist:1", "1")
			w.loop.Order(w.handle, Disconnect{Disconnect: codec.DisconnectForceReconnect})
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := openStage(t, openTo)
			w := st.dial(codec.JSON)
			w.say(subscribeTo(2, "hist:1"), subscribeTo(3, "x"))
			w.frames, w.full = nil, true
			use(st, w)
			st.turn()
			st.checkEmpty()
			w.full = false
			st.publish("hist:1", "2")
			st.turn()
			w.say(unsubscribeFrom(11, "x"))
			w.session.Order(codec.DisconnectShutdown)
			w.session.Expire(st.now.After(time.Hour))
			if len(w.frames) > 0 || len(w.closed) > 0 {
				t.Errorf("the session still sends %d frames and closes with %v", len(w.frames), w.closed)
			}
			w.session.Closed()
			st.checkEmpty()
		})
	}
}

// TestPanic: the reactor survives a panic in any call, closes the pipe and tells Closed later. Others are not disturbed.
func TestPanic(t *testing.T) {
	for name, use := range map[string]func(st *stage, w *wire){
		"receive": func(st *stage, w *wire) { w.say(unsubscribeFrom(9, "x")) },
		"connect": func(st *stage, w *wire) {
			w.say(subscribeTo(9, "hist:2"), codec.Command{ID: 9, Method: codec.MethodConnect})
		},
		"order":   func(st *stage, w *wire) { w.session.Order(Unsubscribe{Unsubscribe: codec.UnsubscribeServer}) },
		"expire":  func(st *stage, w *wire) { w.session.Expire(st.now.After(25 * time.Second)) },
		"fan-out": func(st *stage, w *wire) { st.publish("hist:1", "1"); st.turn() },
	} {
		t.Run(name, func(t *testing.T) {
			st := openStage(t, openTo)
			w, other := st.dial(codec.JSON), st.dial(codec.JSON)
			for _, x := range []*wire{w, other} {
				x.say(subscribeTo(2, "hist:1"), subscribeTo(3, "x"))
				x.frames = nil
			}
			w.onSend = func() { w.onSend = nil; panic("the pipe broke") }
			func() {
				defer func() { recover() }()
				use(st, w)
			}()
			other.say(unsubscribeFrom(9, "y"))
			if got := string(other.frames[len(other.frames)-1].Messages()); got != `{"id":9,"unsubscribe":{}}`+"\n" {
				t.Errorf("another session answers %q", got)
			}
			w.session.Closed()
			other.frames = nil
			st.publish("hist:1", "2")
			st.turn()
			if len(other.frames) != 1 {
				t.Errorf("another session gets %d frames", len(other.frames))
			}
			other.session.Closed()
			st.checkEmpty()
		})
	}
}

// TestPanicOnTheWayOut: leaving goes on where it broke off.
func TestPanicOnTheWayOut(t *testing.T) {
	st := openStage(t, openTo)
	w := st.dial(codec.JSON)
	for i := range 10 {
		w.say(subscribeTo(2, fmt.Sprint(i)))
	}
	broken := &hub.Subscription{Next: w.session.subs.Next} // of no channel
	w.session.subs.Next = broken
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		w.session.close(codec.DisconnectForceReconnect)
	}()
	w.session.Closed()
	w.session.Closed()
	st.checkEmpty()
}

// TestFailureOfWhatWasLeft: an order about a subscription that the client has left, or left and taken again, is late.
func TestFailureOfWhatWasLeft(t *testing.T) {
	for _, again := range []bool{false, true} {
		st := openStage(t, openTo)
		w := st.dial(codec.JSON)
		w.say(subscribeTo(2, "hist:1"))
		w.session.Fail(w.session.subs, hub.Lost)
		w.say(unsubscribeFrom(3, "hist:1"))
		if again {
			w.say(subscribeTo(4, "hist:1"))
		}
		w.frames = nil
		st.turn()
		if len(w.frames) > 0 || len(w.closed) > 0 || (w.session.subs != nil) != again {
			t.Errorf("subscribed again %t: %d frames, closed with %v, subscription %v", again, len(w.frames), w.closed, w.session.subs)
		}
	}
}

// TestPauseOfTheProcess: after a stop that is longer than all deadlines, a client that has answered its ping in time is kept, and
// is not asked twice.
func TestPauseOfTheProcess(t *testing.T) {
	st := openStage(t, openTo)
	w := st.dial(codec.JSON)
	for len(w.frames) == 0 {
		st.wait(time.Second)
	}
	st.now = st.now.After(time.Hour) // nothing runs meanwhile
	st.turn()
	w.say(codec.Command{}) // the pong was in the socket
	if len(w.closed) > 0 || len(w.frames) != 1 {
		t.Fatalf("closed with %v after %d pings", w.closed, len(w.frames))
	}
	st.wait(20 * time.Second)
	if len(w.frames) != 2 {
		t.Fatalf("%d pings, want the second one an interval after the first answer", len(w.frames))
	}
	w.say(codec.Command{})
	if st.wait(10 * time.Second); len(w.closed) > 0 {
		t.Fatalf("closed with %v", w.closed)
	}
}

// TestPongsMoveTheDeadline: a pong takes its deadline away, so that the pipe wakes the session once per ping.
func TestPongsMoveTheDeadline(t *testing.T) {
	st := openStage(t, openTo)
	w := st.dial(codec.Protobuf)
	for range 5 {
		at := w.session.beat
		w.session.Expire(at)
		st.node.Loops[0].SetNow(at + 3)
		w.say(codec.Command{})
		if want := w.session.pingTime(at + ticks(25*time.Second)); w.session.beat != want {
			t.Fatalf("the next ping is due at %d, want %d", w.session.beat, want)
		}
	}
}

// TestPingsMeet: a loop pings at few moments, so that it wakes up once for many clients, and no client is pinged later than it was told.
func TestPingsMeet(t *testing.T) {
	for _, interval := range []time.Duration{25 * time.Second, 33 * time.Second, time.Hour, 600 * time.Millisecond} {
		st := openStage(t, openTo)
		st.node.Settings.PingInterval = interval
		moments := map[loop.Time]bool{}
		for range 2000 {
			w := st.dial(codec.JSON)
			now, every := st.now, ticks(interval)
			first := w.session.beat
			if first < now+every/2-every/pingsPerInterval || first <= now || first > now+every+1 {
				t.Fatalf("interval %v: the first ping comes after %d ticks", interval, first-now)
			}
			moments[first] = true
			w.session.Expire(first)
			st.node.Loops[0].SetNow(first + 2)
			w.say(codec.Command{})
			if next := w.session.beat; next > first+every || next <= first+every-every/pingsPerInterval-1 {
				t.Fatalf("interval %v: the second ping comes %d ticks after the first", interval, next-first)
			}
			st.node.Loops[0].SetNow(now)
		}
		if len(moments) > pingsPerInterval {
			t.Errorf("interval %v: pings fall into %d moments", interval, len(moments))
		}
	}
}

// TestMalformedIsToldOnce: anybody can send nonsense, a million times a second.
func TestMalformedIsToldOnce(t *testing.T) {
	st := openStage(t, openTo)
	var log bytes.Buffer
	st.node.Log = slog.New(slog.NewTextHandler(&log, nil))
	nonsense := func() {
		w := st.dial(codec.JSON)
		w.session.Receive([]byte("nonsense"))
	}
	for range 100 {
		nonsense()
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines", n)
	}
	st.wait(2 * time.Second)
	nonsense()
	if !strings.Contains(log.String(), "suppressed=99") {
		t.Errorf("no line says that 99 were left out:\n%s", log.String())
	}
}
