package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// field is one of a message, of type bytes.
func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// junk is what other applications, and broken nodes, may send.
var junk = []struct {
	name    string
	message []byte
}{
	{"nothing", nil},
	{"text", []byte("hello world")},
	{"JSON", []byte(`{"type":"hello"}`)},
	{"zeros", make([]byte, 100)},
	{"a field that is cut off", field(fieldUID, []byte("b"))[:2]},
	{"a length beyond the end", []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}},
	{"a length beyond all ends", []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
	{"no sender", field(fieldShutdown, nil)},
	{"an empty sender", join(field(fieldUID, nil), field(fieldShutdown, nil))},
	{"a sender that is a pattern", join(field(fieldUID, []byte("a.*")), field(fieldShutdown, nil))},
	{"a long sender", join(field(fieldUID, make([]byte, UIDBytesMax+1)), field(fieldShutdown, nil))},
	{"a sender that is a number", join([]byte{0x08, 1}, field(fieldShutdown, nil))},
	{"a sender alone", field(fieldUID, []byte("b"))},
	{"two in one", join(field(fieldUID, []byte("b")), field(fieldShutdown, nil), field(fieldNode, nil))},
	{"a number where a message should be", join(field(fieldUID, []byte("b")), []byte{byte(fieldNode) << 3, 1})},
	{"a node that says nothing", join(field(fieldUID, []byte("b")), field(fieldNode, nil))},
	{"a node that describes another", join(field(fieldUID, []byte("b")), field(fieldNode, field(1, []byte("c"))))},
	{"a node that says too much", join(field(fieldUID, []byte("b")), field(fieldNode, make([]byte, NodeMessageBytesMax)))},
	{"an order that says too much", join(field(fieldUID, []byte("b")), field(fieldDisconnect, make([]byte, OrderBytesMax)))},
	{"an answer that says too much", join(field(fieldUID, []byte("b")), field(fieldSurveyResponse, make([]byte, MessageBytesMax)))},
	{"a message of no known kind", join(field(fieldUID, []byte("b")), field(13, nil))},
	{"a bad message inside", join(field(fieldUID, []byte("b")), field(fieldDisconnect, []byte{0xff}))},
	{"groups without end", join(field(fieldUID, []byte("b")), []byte(strings.Repeat("\x6b", 100_000)))},
}

// TestJunk: it is counted, complained about once, and does nothing.
func TestJunk(t *testing.T) {
	for _, tt := range junk {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := put(t, new(ether), "a").run(t)
				for range 3 {
					p.receive(tt.message)
				}
				synctest.Wait()
				if got := p.knows() + p.theirs.take(); got != "a" || p.failed(metrics.ControlJunk) != "3" {
					t.Errorf("did %q, counted %s", got, p.failed(metrics.ControlJunk))
				}
				p.wants(t, "cannot be read and is ignored", 1)
			})
		})
	}
}

// TestDeepFilter: what nests as deep as a message is long is not descended into.
func TestDeepFilter(t *testing.T) {
	deep := []byte{}
	for len(deep) < 50_000 {
		deep = field(6, deep)
	}
	synctest.Test(t, func(t *testing.T) {
		p := put(t, new(ether), "a").run(t)
		p.receive(join(field(fieldUID, []byte("b")), field(fieldDisconnect, field(8, deep))))
		if got := p.failed(metrics.ControlRefused); got != "1" {
			t.Errorf("%s refused", got)
		}
	})
}

// TestCounts: messages are counted as the reference counts them.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := nodes(t, new(ether), "a", "b")[0]
		time.Sleep(AnnounceInterval)
		synctest.Wait()
		for direction, want := range map[string]string{
			"sent":     "3", // two announcements, one greeting
			"received": "5", // its own two, those of the other, and a greeting
		} {
			if got := a.metric(`centrifugo_node_messages_` + direction + `_count{type="control",channel_namespace=""}`); got != want {
				t.Errorf("%s: %s, want %s", direction, got, want)
			}
		}
		a.receive(encoded(t, &control.Command{Uid: "b", Notification: &control.Notification{Op: "x"}}))
		if got := a.failed(metrics.ControlJunk); got != "0" {
			t.Errorf("a notification is junk")
		}
	})
}

// FuzzReceive looks for a message that breaks a node.
func FuzzReceive(f *testing.F) {
	for _, j := range junk {
		if len(j.message) < 1000 {
			f.Add(j.message)
		}
	}
	for _, c := range []*control.Command{
		{Node: &control.Node{Uid: "b", Name: "n", Version: "v", NumClients: 1, Metrics: &control.Metrics{Interval: 60, Items: map[string]float64{"a": 1}}}},
		{Shutdown: &control.Shutdown{}},
		{Disconnect: &control.Disconnect{User: "1", Whitelist: []string{"a", "b"}, Code: 3000, Reason: "r", Client: "c", Session: "s"}},
		{Unsubscribe: &control.Unsubscribe{User: "1", Channel: "c", Code: 2000}},
		{Subscribe: &control.Subscribe{User: "1", Channel: "c", ChannelInfo: []byte("{}"), RecoverSince: &control.StreamPosition{Offset: 1, Epoch: "e"}, LabelFilter: []byte("x")}},
		{Refresh: &control.Refresh{User: "1", ExpireAt: 5, Info: []byte("{}"), AllUsers: true}},
		{SurveyRequest: &control.SurveyRequest{Id: 1, Op: opChannels, Data: encodedPattern("a*")}},
		{SurveyRequest: &control.SurveyRequest{Id: 1, Op: "unknown"}},
		{SurveyResponse: &control.SurveyResponse{Id: 1, Code: 1, Data: []byte("x")}},
		{Notification: &control.Notification{Op: "x", Data: []byte("y")}},
	} {
		for _, uid := range []string{"b", "a"} {
			c.Uid = uid
			f.Add(encoded(f, c))
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := put(t, new(ether), "a").run(t)
			p.with(map[string]int{"ab": 1})
			id, q, _ := p.asked.add([]string{"b"})
			p.receive(message)
			synctest.Wait()
			p.asked.remove(id)
			if answer, ok := q.answers["b"]; ok {
				_ = addChannels(map[string]int{}, answer)
			}
			if n := p.Count(); n > 2 || len(p.Info()) != n || p.inboxBytes.Load() != 0 {
				t.Errorf("%d nodes, %d bytes", n, p.inboxBytes.Load())
			}
		})
	})
}
