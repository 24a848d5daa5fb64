package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"stentor/codec"
)

const namespaceOptions = `{"client":{"insecure":true,"channel_limit":3},"channel":{
	"without_namespace":{"join_leave":true},
	"namespaces":[
		{"name":"chat","join_leave":true,"history_size":1000,"history_ttl":"60s","force_recovery":true},
		{"name":"bad","publication_data_format":"json_object"},
		{"name":"json"}]}}`

// tellApart has the metrics of the stage tell its namespaces apart.
func (st *stage) tellApart() {
	m := st.node.Metrics
	m.TellApart(st.rules.Namespace, st.rules.Namespaces())
	st.rules.SetLabels(func(namespace string) uint16 { return uint16(m.Namespace(namespace)) })
}

// metric is the sum of the samples of a family whose labels have all of some.
func (st *stage) metric(name string, labels ...string) (sum int) {
	st.t.Helper()
	var page bytes.Buffer
	st.node.Metrics.Write(&page)
	for line := range strings.Lines(page.String()) {
		sample, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "} ")
		if family, _, _ := strings.Cut(sample, "{"); family != name {
			continue
		}
		all := true
		for _, l := range labels {
			all = all && strings.Contains(sample, l)
		}
		var n int
		if _, err := fmt.Sscan(value, &n); all && err != nil {
			st.t.Fatal(err)
		}
		if all {
			sum += n
		}
	}
	return sum
}

func publishTo(id uint32, channel, data string) codec.Command {
	return codec.Command{ID: id, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: channel, Data: []byte(data)}}
}

// TestNamespaceOfCommands: whatever a client does, it is counted under the namespace that it named, if there is such a one.
func TestNamespaceOfCommands(t *testing.T) {
	const subscriptions, errors, published = "centrifugo_client_subscriptions_accepted", "centrifugo_client_num_reply_errors",
		"centrifugo_node_messages_sent_count"
	st := openStage(t, namespaceOptions)
	st.tellApart()
	w := st.dial(codec.JSON)
	w.say(subscribeTo(2, "chat:1"), subscribeTo(3, "chat:2"), subscribeTo(4, "news"))
	w.say(subscribeTo(5, "chat:1"))  // 105
	w.say(subscribeTo(6, "json:1"))  // 106
	w.say(subscribeTo(7, "ghost:1")) // 106, and no namespace
	w.say(publishTo(8, "bad:1", "1"), publishTo(9, "json:1", "{}"), publishTo(10, "news", "1"), publishTo(11, "ghost:1", "1"))
	w.say(unsubscribeFrom(12, "chat:2"))
	w.say(codec.Command{ID: 13, Method: codec.MethodRPC}) // names no channel
	st.turn()
	st.node.Loops[0].Order(w.handle, Unsubscribe{Channel: "chat:1", Unsubscribe: codec.UnsubscribeServer})
	st.turn()
	w.say(codec.Command{ID: 14, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: "chat:1", Recover: true}})
	w.session.Closed()
	for _, tt := range []struct {
		name      string
		namespace string
		more      string
		want      int
	}{
		{subscriptions, "chat", "", 3},
		{subscriptions, "", "", 1},
		{"centrifugo_client_subscriptions_inflight", "chat", "", 0},
		{"centrifugo_client_subscriptions_inflight", "", "", 0},
		{errors, "chat", `code="105"`, 1},
		{errors, "json", `code="106"`, 1},
		{errors, "bad", `code="107"`, 1},
		{errors, "bad", `method="publish"`, 1},
		{errors, "", `code="106"`, 1},
		{errors, "", `code="102"`, 1},
		{published, "json", `type="publication"`, 1},
		{published, "", `type="publication"`, 1},
		{published, "chat", `type="join"`, 3},
		{published, "chat", `type="leave"`, 3},
		{published, "", `type="join"`, 1},
		{published, "", `type="leave"`, 1},
		{"centrifugo_client_command_duration_seconds_count", "chat", `method="subscribe"`, 4},
		{"centrifugo_client_command_duration_seconds_count", "chat", `method="unsubscribe"`, 1},
		{"centrifugo_client_command_duration_seconds_count", "json", `method="publish"`, 1},
		{"centrifugo_client_command_duration_seconds_count", "", `method="publish"`, 2},
		{"centrifugo_client_command_duration_seconds_count", "", `method="rpc"`, 1},
		{"centrifugo_client_num_server_unsubscribes", "chat", `code="2000"`, 1},
		{"centrifugo_client_recover", "chat", `recovered="`, 1},
	} {
		if got := st.metric(tt.name, `channel_namespace="`+tt.namespace+`"`, tt.more); got != tt.want {
			t.Errorf("%s of %q %s: %d, want %d", tt.name, tt.namespace, tt.more, got, tt.want)
		}
	}
	if n := st.metric("centrifugo_client_num_reply_errors", "ghost"); n != 0 {
		t.Error("a client made a label")
	}
}

// TestNamespaceOfLargeReplies: one that is refused after work off the loop is counted where it was asked for, however many commands
// came in between.
func TestNamespaceOfLargeReplies(t *testing.T) {
	st := openStage(t, strings.Replace(namespaceOptions, `"insecure"`, `"history_max_publication_limit":0,"queue_max_size":65536,"insecure"`, 1))
	st.tellApart()
	for range entriesMax + 1 {
		st.publish("chat:1", `"`+strings.Repeat("x", 256)+`"`)
	}
	w, other := st.dial(codec.JSON), st.dial(codec.JSON)
	w.say(codec.Command{ID: 2, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: "chat:1", Limit: -1}})
	other.say(publishTo(2, "bad:1", "1"))
	st.pool.run()
	st.node.Loops[0].Turn(st.now)
	if n := st.metric("centrifugo_client_num_reply_errors", `method="history"`, `code="106"`, `channel_namespace="chat"`); n != 1 {
		t.Errorf("%d errors are counted", n)
	}
}

// codedWire is a wire that knows how it ended.
type codedWire struct {
	wire
	code uint16
}

func (w *codedWire) CloseCode() uint16 { return w.code }

// TestClientsAddUp: however clients end, those that were accepted are those who went, by code, and those who are here.
func TestClientsAddUp(t *testing.T) {
	for name, tt := range map[string]struct {
		code string
		end  func(st *stage, w *codedWire)
	}{
		"still here":     {"", func(*stage, *codedWire) {}},
		"just gone":      {"0", func(_ *stage, w *codedWire) { w.session.Closed() }},
		"closed by peer": {"1000", func(_ *stage, w *codedWire) { w.code = 1000; w.session.Closed() }},
		"odd code":       {"custom", func(_ *stage, w *codedWire) { w.code = 4999; w.session.Closed() }},
		"gone twice":     {"0", func(_ *stage, w *codedWire) { w.session.Closed(); w.session.Closed() }},
		"slow":           {"3008", func(st *stage, w *codedWire) { w.code, w.full = 3008, true; w.say(subscribeTo(2, "x")) }},
		"slow at a ping": {"3008", func(st *stage, w *codedWire) { w.code, w.full = 3008, true; w.session.Expire(w.session.beat) }},
		"bad command":    {"3501", func(_ *stage, w *codedWire) { w.session.Receive([]byte("{")) }},
		"shutdown": {"3001", func(st *stage, w *codedWire) {
			w.session.Order(codec.DisconnectShutdown)
			w.code = 3001
			w.session.Closed()
		}},
		"no pong":         {"3012", func(st *stage, w *codedWire) { expireAll(w, 3) }},
		"connected twice": {"3501", func(_ *stage, w *codedWire) { w.say(codec.Command{ID: 3, Method: codec.MethodConnect}) }},
	} {
		t.Run(name, func(t *testing.T) {
			st := openStage(t, openTo)
			w, fresh := st.dialCoded(), st.dialCoded()
			w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
			tt.end(st, w)
			fresh.session.Closed() // was no client yet
			accepted, inflight := st.metric("centrifugo_client_connections_accepted"), st.metric("centrifugo_client_connections_inflight")
			ended := st.metric("stentor_client_disconnects_total")
			if accepted != 1 || accepted-ended != inflight || inflight != st.node.Clients() {
				t.Errorf("%d accepted, %d went, %d of %d are here", accepted, ended, inflight, st.node.Clients())
			}
			if tt.code != "" && st.metric("stentor_client_disconnects_total", `code="`+tt.code+`"`) != 1 {
				t.Errorf("not counted as %s", tt.code)
			}
		})
	}
}

// TestConnectThatFailed was accepted and went: what it was answered with is the code.
func TestConnectThatFailed(t *testing.T) {
	st := openStage(t, strings.Replace(openTo, `"insecure":true`, `"subscribe_to_user_personal_channel":{"enabled":true,"personal_channel_namespace":"hist"},
		"user_id_http_header":"X-User"`, 1))
	w := st.dialCoded()
	w.session.user = "ann"
	st.engine.mood = "broken"
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
	accepted, ended := st.metric("centrifugo_client_connections_accepted"), st.metric("stentor_client_disconnects_total", `code="3004"`)
	if accepted != 1 || ended != 1 || st.metric("centrifugo_client_connections_inflight") != 0 {
		t.Errorf("%d accepted, %d went with 3004, %d in all", accepted, ended, st.metric("stentor_client_disconnects_total"))
	}
	w.session.Closed()
	if n := st.metric("stentor_client_disconnects_total"); n != 1 {
		t.Errorf("%d went", n)
	}
}

func expireAll(w *codedWire, times int) {
	for range times {
		w.session.Expire(w.session.beat.After(time.Second))
	}
}

// dialCoded opens a pipe that has not connected.
func (st *stage) dialCoded() *codedWire {
	w := &codedWire{wire: wire{loop: st.node.Loops[0]}}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, Options{Form: codec.JSON})
	return w
}

// TestNamespacesAllocateNothing: to tell namespaces apart costs a command no allocation.
func TestNamespacesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	perRound := func(apart bool) float64 {
		st := openStage(t, namespaceOptions)
		if apart {
			st.tellApart()
		}
		s := st.bench(new(drain), codec.JSON, benchConnect)
		publish, fail := message(t, codec.JSON, `{"id":2,"publish":{"channel":"json:1","data":{}}}`), message(t, codec.JSON, `{"id":2,"publish":{"channel":"bad:1","data":1}}`)
		return testing.AllocsPerRun(100, func() {
			s.Receive(publish)
			s.Receive(fail)
		})
	}
	if off, on := perRound(false), perRound(true); on != off {
		t.Errorf("%v allocations, %v with namespaces told apart", off, on)
	}
}
