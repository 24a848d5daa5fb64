package session

import (
	"bytes"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/server/metrics"
)

// openWire opens a pipe on the stage's first loop.
func (st *stage) openWire(o Options) *wire {
	w := &wire{loop: st.node.Loops[0]}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, o)
	return w
}

// listen opens a pipe for a client that only listens, and connects it.
func (st *stage) listen(f codec.Form, request codec.ConnectRequest) *wire {
	w := st.openWire(Options{Form: f.Bare(), Transport: metrics.UniSSE})
	w.session.ConnectUni(&request)
	return w
}

// TestFarewell: why a pipe ends, in the session's form; there are ends of which nothing is told.
func TestFarewell(t *testing.T) {
	for f := range codec.Form(codec.NumAllForms) {
		st := openStage(t, openTo)
		w := st.openWire(Options{Form: f, Transport: metrics.SSE})
		for _, d := range []codec.Disconnect{codec.DisconnectSlow, {Code: 4000, Reason: "é"}, {Code: 1009}} {
			got := w.session.AppendFarewell([]byte("before"), d)
			var r codec.Reply
			rest, err := codec.DecodeReply(f, bytes.TrimPrefix(got, []byte("before")), &r)
			if err != nil || len(rest) > 0 || r.Push == nil || *r.Push.Disconnect != (codec.DisconnectPush{Code: d.Code, Reason: d.Reason}) {
				t.Errorf("%v: %q, error %v", f, got, err)
			}
		}
		for _, d := range []codec.Disconnect{{}, codec.DisconnectConnectionClosed} {
			if got := w.session.AppendFarewell([]byte("before"), d); string(got) != "before" {
				t.Errorf("%v: %q for %v", f, got, d)
			}
		}
	}
}

// TestUniStrings: nothing of a connect request is kept, as it may lie in a buffer that others use next.
func TestUniStrings(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, openTo)
		body, err := codec.AppendConnectRequest(nil, f, &codec.ConnectRequest{
			Name: "name", Version: "1", Subs: map[string]*codec.SubscribeRequest{"hist:1": {Recover: true, Epoch: "epoch"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := st.openWire(Options{Form: f.Bare()})
		var request codec.ConnectRequest
		if err := codec.DecodeConnectRequest(f, body, &request); err != nil {
			t.Fatal(err)
		}
		w.session.ConnectUni(&request)
		for i := range body {
			body[i] = 'x'
		}
		if name := w.session.subs.Name(); name != "hist:1" {
			t.Errorf("%v: subscribed to %q", f, name)
		}
		st.publish("hist:1", "1")
		st.turn()
		got := w.replies(t)
		if len(got) != 2 || got[0].Push.Connect == nil || got[1].Push.Channel != "hist:1" || string(got[1].Push.Pub.Data) != "1" {
			t.Errorf("%v: %+v", f, got)
		}
	}
}

// TestUniReceives: where a message of the transport is the request to connect, it is the only one that counts.
func TestUniReceives(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, openTo)
		w := st.openWire(Options{Form: f.Bare()})
		request, err := codec.AppendConnectRequest(nil, f, &codec.ConnectRequest{Subs: map[string]*codec.SubscribeRequest{"news": {}}})
		if err != nil {
			t.Fatal(err)
		}
		w.session.Receive(request)
		w.session.Receive(request)
		w.session.Receive(message(t, f, `{"id":2,"subscribe":{"channel":"more"}}`))
		w.session.Receive(nil)
		w.session.Receive([]byte("\xff"))
		if got := w.replies(t); len(got) != 1 || got[0].Push.Connect.Subs["news"] == nil || len(w.closed) != 0 || w.session.count() != 1 {
			t.Errorf("%v: %+v, closed %v", f, got, w.closed)
		}
		w = st.openWire(Options{Form: f.Bare()})
		w.session.Receive([]byte("\xff"))
		w.session.Receive(request)
		if len(w.frames) != 0 || len(w.closed) != 1 || w.closed[0] != codec.DisconnectBadRequest {
			t.Errorf("%v: %d frames, closed %v", f, len(w.frames), w.closed)
		}
	}
}

// TestUniHasNoMore: a client that only listens gets its first push once, and orders that are of no concern to it do nothing.
func TestUniHasNoMore(t *testing.T) {
	st := openStage(t, openTo)
	w := st.listen(codec.JSON, codec.ConnectRequest{})
	w.session.Order(commands{to: w.handle, data: []byte(`{"id":2,"subscribe":{"channel":"news"}}`)})
	w.session.Order(resumed{})
	if got := w.replies(t); len(got) != 1 || len(w.closed) != 0 || w.session.subs != nil {
		t.Errorf("replies %+v, closed %v", got, w.closed)
	}
}

// TestUniFrames: everybody of a form gets the same frame, and it is made for those forms only that somebody has.
func TestUniFrames(t *testing.T) {
	st := openStage(t, openTo)
	subs := map[string]*codec.SubscribeRequest{"news": {}}
	var all []*wire
	for f := range codec.Form(codec.NumForms) {
		all = append(all, st.listen(f, codec.ConnectRequest{Subs: subs}), st.listen(f, codec.ConnectRequest{Subs: subs}))
	}
	talker := st.dial(codec.JSON)
	talker.say(subscribeTo(2, "news"))
	for _, w := range append(all, talker) {
		w.frames = nil
	}
	st.publish("news", `{"n":1}`)
	st.turn()
	for i := 0; i < len(all); i += 2 {
		if a, b := all[i].frames, all[i+1].frames; len(a) != 1 || len(b) != 1 || a[0] != b[0] || a[0].Form() != all[i].session.form {
			t.Errorf("%v: frames %v and %v", all[i].session.form, a, b)
		}
	}
	if got := string(all[0].frames[0].Messages()); got != `{"channel":"news","pub":{"data":{"n":1}}}`+"\n" {
		t.Errorf("bare: %s", got)
	}
	if got := string(talker.frames[0].Messages()); got != `{"push":{"channel":"news","pub":{"data":{"n":1}}}}`+"\n" {
		t.Errorf("wrapped: %s", got)
	}
}

// TestTransportsAreCounted: what a session sends and receives counts for its transport.
func TestTransportsAreCounted(t *testing.T) {
	st := openStage(t, openTo)
	for _, o := range []Options{
		{Form: codec.JSON, Transport: metrics.HTTPStream, Emulated: true, Version: HTTP2},
		{Form: codec.UniProtobuf, Transport: metrics.UniGRPC, Version: HTTP2},
		{Form: codec.JSON, Transport: metrics.WebTransport, Version: HTTP3},
	} {
		w := st.openWire(o)
		if o.Form.Uni() {
			w.session.ConnectUni(&codec.ConnectRequest{Name: "go"})
			continue
		}
		w.say(codec.Command{ID: 1, Method: codec.MethodConnect, Connect: codec.ConnectRequest{Name: "js"}})
	}
	var page bytes.Buffer
	st.node.Metrics.Write(&page)
	for _, want := range []string{
		`{transport="http_stream",frame_type="connect",channel_namespace=""} 1`, `{transport="webtransport",frame_type="connect",channel_namespace=""} 1`,
		`{transport="uni_grpc",frame_type="push_connect",channel_namespace=""} 1`,
		`transport="http_stream",accept_protocol="h2"`, `transport="uni_grpc",accept_protocol="h2"`, `transport="webtransport",accept_protocol="h3"`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(page.String(), `transport="websocket",frame_type="connect"`) {
		t.Error("some count for WebSocket")
	}
}

// TestUniKeyHasToCome: while a key for the token is fetched, the request waits in the session, and is judged then.
func TestUniKeyHasToCome(t *testing.T) {
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, openTo)
		w := st.openWire(Options{Form: f.Bare()})
		c := &codec.Command{ID: 1, Method: codec.MethodConnect, Connect: codec.ConnectRequest{
			Data: []byte(`{"a":1}`), Subs: map[string]*codec.SubscribeRequest{"news": {}}, Name: "go",
		}}
		fetched := 0
		w.session.begin()
		w.session.failed(c, nil, lacking{&fetched})
		w.session.ConnectUni(&codec.ConnectRequest{Name: "js"})
		w.session.Receive([]byte("{}"))
		if len(w.frames) != 0 || fetched != 0 || !w.session.busy() {
			t.Fatalf("%v: %d frames, fetched %d times", f, len(w.frames), fetched)
		}
		st.turn()
		got := w.replies(t)
		if fetched != 1 || len(got) != 1 || got[0].Push.Connect.Subs["news"] == nil || len(w.closed) != 0 {
			t.Errorf("%v: fetched %d times, %+v", f, fetched, got)
		}
		if n := st.node.held.Load(); n != 0 {
			t.Errorf("%v: %d bytes are held back", f, n)
		}
	}
}
