package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server/hub"
)

// far makes an engine of this process look like one on another machine: it delivers only what was asked for, and its answers come
// when the pool of the stage runs.
type far struct {
	engine.Broker
	stage *stage
	table *hub.Table
	asked map[string]bool
	mood  string // "silent": subscribing is not answered; "refusing": it fails
}

func newFar(st *stage, table *hub.Table, memory func(engine.Receiver) *memengine.Engine) (*far, farPresence) {
	f := &far{stage: st, table: table, asked: map[string]bool{}}
	e := memory(f)
	f.Broker = e
	table.Connect(f)
	return f, farPresence{e}
}

func (f *far) Local() bool { return false }

func (f *far) Subscribe(channel string) {
	switch f.mood {
	case "silent":
		return
	case "refusing":
		f.stage.pool.Do(func() { f.table.Subscribed(channel, engine.ErrUnreachable) })
		return
	}
	f.asked[channel] = true
	f.stage.pool.Do(func() { f.table.Subscribed(channel, nil) })
}

func (f *far) Unsubscribe(channel string) { delete(f.asked, channel) }

// The receiver of the engine in it.

func (f *far) Admit(channel string) bool { return f.table.Admit(channel) }
func (f *far) Wake(w engine.Wake)        { f.table.Wake(w) }

func (f *far) Publication(channel string, p, prev *codec.Publication, sp codec.StreamPosition) engine.Wake {
	if !f.asked[channel] {
		return 0
	}
	return f.table.Publication(channel, p, prev, sp)
}

func (f *far) Join(channel string, info *codec.ClientInfo) engine.Wake {
	if !f.asked[channel] {
		return 0
	}
	return f.table.Join(channel, info)
}

func (f *far) Leave(channel string, info *codec.ClientInfo) engine.Wake {
	if !f.asked[channel] {
		return 0
	}
	return f.table.Leave(channel, info)
}

type farPresence struct{ *memengine.Engine }

func (farPresence) Local() bool { return false }

// byHandInOrder is lanes whose work is done when the stage's pool runs.
type byHandInOrder struct{ pool *byHand }

func (l byHandInOrder) Do(_ uint64, work func()) bool { return l.pool.Do(work) }

// notFar are the conversations that are about local engines, and why.
var notFar = map[string]string{
	"wildcards": "the broker finds what matches a pattern",
	"engine":    "there is one of its own in testdata/far",
}

// TestConversationsFar plays the conversations with an engine that is not local. Answers are the same; where they are not, there is a
// file of that name in testdata/far, and those that are there alone are about such engines.
func TestConversationsFar(t *testing.T) {
	near, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob("testdata/far/*.txt")
	if err != nil || len(own) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	files := own
	for _, file := range near {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if notFar[name] == "" && !slices.Contains(own, "testdata/far/"+name+".txt") {
			files = append(files, file)
		}
	}
	for _, file := range files {
		for f := range codec.Form(codec.NumForms) {
			t.Run(fmt.Sprintf("%s/%v", strings.TrimSuffix(filepath.Base(file), ".txt"), f), func(t *testing.T) {
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var got string
				synctest.Test(t, func(t *testing.T) {
					st := newStage(t)
					st.isFar = true
					got = st.play(string(want), f)
				})
				if *update && f == codec.JSON && slices.Contains(own, file) {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if got != string(want) {
					t.Errorf("%s differs:\n%s", file, firstDifference(string(want), got))
				}
			})
		}
	}
}

// TestOrdersWhileAwaiting: orders about subscriptions wait also while a key for a token is fetched.
func TestOrdersWhileAwaiting(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(`{"client":{"insecure":true},"channel":{"namespaces":[{"name":"hist","history_size":10,"history_ttl":"60s","force_recovery":true}]}}`)
	w := st.dial(codec.JSON)
	w.session.begin()
	c := unsubscribeFrom(2, "x")
	fetched := 0
	w.session.failed(&c, message(t, codec.JSON, `{"id":2,"unsubscribe":{"channel":"x"}}`), lacking{&fetched})
	w.session.Order(Subscribe{Channel: "hist:1"})
	w.say(unsubscribeFrom(3, "hist:2"))
	for range 5 {
		st.work()
	}
	got := w.replies(t)
	if len(got) != 3 || got[0].Push == nil || got[0].Push.Subscribe == nil || got[1].ID != 2 || got[2].ID != 3 {
		t.Errorf("replies %+v", got)
	}
}

// TestOrdersForOthers: orders for other clients of the user do not wait, and so do not count.
func TestOrdersForOthers(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(openTo)
	w := st.dial(codec.JSON)
	w.say(subscribeTo(2, "x"))
	for range OrdersMax + 1 {
		w.session.Order(Unsubscribe{Target: Target{Client: "somebody"}, Channel: "x"})
	}
	for range 5 {
		st.work()
	}
	if got := w.replies(t); len(w.closed) > 0 || len(got) != 1 || got[0].Subscribe == nil {
		t.Errorf("closed with %v, replies %+v", w.closed, got)
	}
	w.say(subscribeTo(3, "y"))
	for range OrdersMax + 1 {
		w.session.Order(Unsubscribe{Channel: "x"})
	}
	if len(w.closed) != 1 {
		t.Errorf("not closed by more orders than may wait")
	}
}

// TestHeldSubscribes: a client that comes back may subscribe to all its channels at once, each with a token and in a message of its own.
func TestHeldSubscribes(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(`{"client":{"user_id_http_header":"X-User","token":{"hmac_secret_key":"secret"}}}`)
	w := &wire{loop: st.node.Loops[0]}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, Options{Form: codec.JSON, HeaderUser: "42"})
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
	all := st.node.Settings.ChannelLimit
	for i := range all {
		c := subscribeTo(uint32(2+i), fmt.Sprint("$", i))
		c.Subscribe.Token = st.token(fmt.Sprintf(`{{token 42 channel=%s info={"about":"%s"}}}`, c.Subscribe.Channel, strings.Repeat("x", 1000)))
		w.say(c)
	}
	for range 3 * all {
		st.work()
	}
	if got := w.replies(t); len(w.closed) > 0 || len(got) != 1+all || got[all].Subscribe == nil {
		t.Errorf("closed with %v, %d replies", w.closed, len(got))
	}
}

// TestOutdoneWhileConnecting: a client that is still connecting has no place among the user's connections yet, and so nobody has a later
// one.
func TestOutdoneWhileConnecting(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(`{"client":{"user_id_http_header":"X-User","subscribe_to_user_personal_channel":{"enabled":true,"single_connection":true}},
		"channel":{"without_namespace":{"presence":true}}}`)
	w := &wire{loop: st.node.Loops[0]}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, Options{Form: codec.JSON, HeaderUser: "42"})
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
	w.session.Order(last{"42", st.node.places.Add(1)}) // of one that came before and was quicker
	for range 5 {
		st.work()
	}
	if got := w.replies(t); len(w.closed) > 0 || len(got) != 1 || got[0].Connect == nil {
		t.Errorf("closed with %v, replies %+v", w.closed, got)
	}
	w.session.Order(last{"42", st.node.places.Add(1)})
	if len(w.closed) != 1 || w.closed[0] != codec.DisconnectConnectionLimit {
		t.Errorf("closed with %v", w.closed)
	}
}

// firstDifference shows where two conversations part, with some lines around.
func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("want …\n%s\ngot …\n%s", strings.Join(a[max(i-3, 0):min(i+6, len(a))], "\n"), strings.Join(b[max(i-3, 0):min(i+6, len(b))], "\n"))
		}
	}
	return "more lines: " + strings.Join(b[len(a):], "\n")
}

// farAway says how the engine that is not local behaves from now on.
func (st *stage) farAway(mood string) {
	switch mood {
	case "hold", "go":
		st.pool.held = mood == "hold"
	default:
		st.far.mood = mood
	}
}

// TestFarLeavesNothing: what a session waits with is gone when it has waited.
func TestFarLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		st.isFar = true
		st.play(`config {"client":{"user_id_http_header":"X-User"},"channel":{"namespaces":[{"name":"hist","history_size":10,"history_ttl":"60s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true}]}}
open a user=42
a> {"id":1,"connect":{}}
a> {"id":2,"subscribe":{"channel":"hist:1"}}\n{"id":3,"publish":{"channel":"hist:1","data":1}}
`, codec.JSON)
		if e := st.actor("a").session.extra; e != nil {
			t.Errorf("it keeps %+v", *e)
		}
	})
}

// lasting is presence that notes for how long it is to keep a client.
type lasting struct {
	farPresence
	ttls []time.Duration
}

func (p *lasting) AddPresence(ctx context.Context, channel string, id [16]byte, info engine.PresenceInfo, ttl time.Duration) error {
	p.ttls = append(p.ttls, ttl)
	return p.farPresence.AddPresence(ctx, channel, id, info, ttl)
}

// TestFarPresenceTTL: the configuration says how long clients are kept, from the first time on.
func TestFarPresenceTTL(t *testing.T) {
	st := newStage(t)
	st.isFar = true
	st.start(`{"client":{"insecure":true},"engine":{"type":"redis","redis":{"presence_ttl":"90s"}},"channel":{"without_namespace":{"presence":true}}}`)
	p := &lasting{farPresence: st.node.Presence.(farPresence)}
	st.node.Presence = p
	w := st.dial(codec.JSON)
	w.say(subscribeTo(2, "room"))
	for range 5 {
		st.work()
	}
	w.session.Order(stillPresent{})
	st.work()
	if want := []time.Duration{90 * time.Second, 90 * time.Second}; !slices.Equal(p.ttls, want) {
		t.Errorf("kept for %v, want %v", p.ttls, want)
	}
}
