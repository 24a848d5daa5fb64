package session

import (
	"fmt"
	"strings"
	"testing"

	"stentor/codec"
)

// sizeOptions have a queue of 1 MiB, of which a reply may take 960 KiB.
const sizeOptions = `{"client":{"insecure":true,"queue_max_size":1048576},"channel":{"namespaces":[
	{"name":"hist","history_size":256,"history_ttl":"60s","force_recovery":true,"allowed_delta_types":["fossil"]},
	{"name":"here","presence":true}]}}`

// fill publishes n strings of so many letters.
func (st *stage) fill(channel string, n, letters int) {
	for range n {
		st.publish(channel, `"`+strings.Repeat("x", letters)+`"`)
	}
}

func historyOf(id uint32, channel string) codec.Command {
	return codec.Command{ID: id, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: channel, Limit: entriesMax}}
}

// work lets the work off the loop be done, and says how much there was.
func (st *stage) work() int {
	n := len(st.pool.work)
	st.pool.run()
	st.node.Loops[0].Turn(st.now)
	return n
}

// TestFewLargeEntries: a reply of few entries is encoded off the loop, too, if they are large, and not at all if they are too large.
func TestFewLargeEntries(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, sizeOptions)
		st.fill("hist:small", 60, 1<<10)
		st.fill("hist:large", 70, 1<<10)
		st.fill("hist:most", 90, 10<<10)
		st.fill("hist:pile", 100, 10<<10)
		for _, tt := range []struct {
			channel string
			away    int
			code    uint32
		}{{"hist:small", 0, 0}, {"hist:large", 1, 0}, {"hist:most", 1, 0}, {"hist:pile", 1, codec.ErrorLimitExceeded.Code}} {
			w := st.dial(f)
			w.say(historyOf(2, tt.channel))
			if away := st.work(); away != tt.away {
				t.Errorf("%v, %s: work off the loop %d times, want %d", f, tt.channel, away, tt.away)
			}
			got := w.replies(t)
			if len(got) != 1 || (tt.code == 0) != (got[0].History != nil) || tt.code != 0 && got[0].Error.Code != tt.code {
				t.Errorf("%v, %s: replies %+v, want code %d", f, tt.channel, got, tt.code)
			}
		}
	}
}

// TestCrowdedPresence: more clients than a reply can name are not looked at.
func TestCrowdedPresence(t *testing.T) {
	st := openStage(t, strings.Replace(sizeOptions, "1048576", "8192", 1))
	most := 7680 / memberBytesMin
	var last *wire
	for range most + 1 {
		last = st.dial(codec.Protobuf)
		last.say(subscribeTo(2, "here:1"))
	}
	last.frames = nil
	last.say(codec.Command{ID: 3, Method: codec.MethodPresence, Presence: codec.PresenceRequest{Channel: "here:1"}})
	if got := last.replies(t); len(got) != 1 || got[0].Error == nil || got[0].Error.Code != codec.ErrorLimitExceeded.Code {
		t.Errorf("replies %+v", got)
	}
	if n := st.work(); n != 0 {
		t.Errorf("work off the loop %d times", n)
	}
}

// TestJoinedBytes: replies do not pile up before they are sent, so that a client that does not take them is noticed.
func TestJoinedBytes(t *testing.T) {
	st := openStage(t, sizeOptions)
	st.fill("hist:1", 1, 60<<10)
	w := st.dial(codec.JSON)
	w.say(historyOf(2, "hist:1"), historyOf(3, "hist:1"), historyOf(4, "hist:1"), unsubscribeFrom(5, "x"))
	var sizes []int
	for _, f := range w.frames {
		sizes = append(sizes, len(f.Messages())>>10)
	}
	if fmt.Sprint(sizes) != "[120 60]" {
		t.Errorf("frames of %v KiB", sizes)
	}
}

// TestRecoveryOfTooMuch: what would not fit into the client's queue is not recovered, and the channels of a connect share the room.
func TestRecoveryOfTooMuch(t *testing.T) {
	recover := func(channel, delta string, flag int64) codec.Command {
		return codec.Command{ID: 2, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: channel, Recover: true, Delta: delta, Flag: flag}}
	}
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, sizeOptions)
		st.fill("hist:most", 90, 10<<10)
		st.fill("hist:pile", 100, 10<<10)
		w := st.dial(f)
		w.say(recover("hist:most", "", 0), recover("hist:pile", "", 0))
		got := w.replies(t)
		if r := got[0].Subscribe; !r.Recovered || len(r.Publications) != 90 || r.Offset != 0 {
			t.Errorf("%v: recovered %t, %d publications, offset %d", f, r.Recovered, len(r.Publications), r.Offset)
		}
		if r := got[1].Subscribe; r.Recovered || !r.WasRecovering || len(r.Publications) != 0 || r.Offset != 100 {
			t.Errorf("%v: recovered %t, %d publications, offset %d", f, r.Recovered, len(r.Publications), r.Offset)
		}
		w.say(unsubscribeFrom(3, "hist:pile"), recover("hist:pile", "fossil", codec.SubscribeRejectUnrecoverable))
		if got := w.replies(t); got[1].Error == nil || got[1].Error.Code != codec.ErrorUnrecoverablePosition.Code {
			t.Errorf("%v: %+v", f, got[1])
		}
	}
}

// TestRecoveryInDeltas: it is the text of a payload that counts, which is longer than the payload where that has quotes.
func TestRecoveryInDeltas(t *testing.T) {
	st := openStage(t, sizeOptions)
	for range 2 {
		st.publish("hist:1", "["+strings.Repeat(`"",`, 150_000)+"1]") // 450 KiB, as text 750
	}
	for _, tt := range []struct {
		form      codec.Form
		delta     string
		recovered bool
	}{{codec.JSON, "", true}, {codec.JSON, "fossil", false}, {codec.Protobuf, "fossil", true}} {
		w := st.dial(tt.form)
		w.say(codec.Command{ID: 2, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: "hist:1", Recover: true, Delta: tt.delta}})
		if r := w.replies(t)[0].Subscribe; r.Recovered != tt.recovered {
			t.Errorf("%v, delta %q: recovered %t", tt.form, tt.delta, r.Recovered)
		}
	}
}

func TestRecoveryOfAConnect(t *testing.T) {
	st := openStage(t, sizeOptions)
	subs := map[string]*codec.SubscribeRequest{}
	for i := range 4 {
		channel := fmt.Sprint("hist:", i)
		st.fill(channel, 30, 10<<10)
		subs[channel] = &codec.SubscribeRequest{Channel: channel, Recover: true}
	}
	w := &wire{loop: st.node.Loops[0]}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, Options{Form: codec.JSON})
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect, Connect: codec.ConnectRequest{Subs: subs}})
	recovered := 0
	for _, r := range w.replies(t)[0].Connect.Subs {
		if r.Recovered {
			recovered++
		}
	}
	if recovered != 3 {
		t.Errorf("%d channels are recovered, want the 3 of 300 KiB that fit", recovered)
	}
}
