package metrics

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"stentor/codec"
)

// TestDigest: names are the reference's; what grows is given as what came since the last time, the rest as it is.
func TestDigest(t *testing.T) {
	m := busy()
	d := m.Digest()
	items := d.Take()
	for name, want := range map[string]float64{
		"centrifugo.node.num_clients":                                                                    3,
		"centrifugo.node.build.version.1.2.3":                                                            1,
		"centrifugo.client.num_reply_errors.code.103.method.publish":                                     1,
		"centrifugo.client.command_duration_seconds.count.method.subscribe":                              2,
		"centrifugo.client.command_duration_seconds.sum.method.publish":                                  3600,
		"centrifugo.client.num_server_disconnects.code.3502":                                             1,
		"centrifugo.api.command_duration_seconds.count.method.publish.protocol.http":                     1,
		"centrifugo.node.incoming_http_requests_total.method.post.path./x.status.418":                    1,
		"centrifugo.client.connections_inflight.client_name.js.client_version.5.3.0.transport.websocket": 1,
		"centrifugo.node.survey_duration_seconds.count.op.channels":                                      1,
		"centrifugo.transport.messages_sent_size.frame_type.push_publication.transport.websocket":        2000,
	} {
		if got, ok := items[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	for _, q := range []string{"50", "99", "999"} {
		if got := items["centrifugo.client.command_duration_seconds.quantile."+q+".method.subscribe"]; got <= 0 || got > 1e-5 {
			t.Errorf("quantile %s is %v", q, got)
		}
	}
	for name := range items {
		if strings.Contains(name, "histogram") || strings.Contains(name, "stentor") || strings.Contains(name, "channel_namespace") {
			t.Errorf("%s does not belong there", name)
		}
	}
	m.ReplyError(0, codec.MethodPublish, 103)
	m.ReplyError(0, codec.MethodPublish, 103)
	m.Command(1, 0, codec.MethodSubscribe, time.Millisecond)
	items = d.Take()
	for name, want := range map[string]float64{
		"centrifugo.node.num_clients":                                       3,
		"centrifugo.client.num_reply_errors.code.103.method.publish":        2,
		"centrifugo.client.command_duration_seconds.count.method.subscribe": 1,
		"centrifugo.client.command_duration_seconds.sum.method.subscribe":   0.001,
		"centrifugo.client.num_server_disconnects.code.3502":                0,
	} {
		if got, ok := items[name]; !ok || got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
}

// TestDigestAddsUpNamespaces: what is counted by namespace is one item, as in the reference, and their number does not matter.
func TestDigestAddsUpNamespaces(t *testing.T) {
	m, _ := newTestMetrics(1)
	names := make([]string, NamespacesMax)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", i)
	}
	m.TellApart(func(channel string) string { return channel }, names)
	js := m.Joined(0, Client{WebSocket, "", "js", "5.3.0"})
	for i := range NamespacesMax {
		n := m.Namespace(names[i])
		m.MessageSent(0, n, MessagePublication)
		m.Subscribed(0, n, js)
		m.Command(0, n, codec.MethodSubscribe, time.Millisecond)
	}
	items := m.Digest().Take()
	for name, want := range map[string]float64{
		"centrifugo.node.messages_sent_count.type.publication":              NamespacesMax,
		"centrifugo.client.subscriptions_inflight.client_name.js":           NamespacesMax,
		"centrifugo.client.command_duration_seconds.count.method.subscribe": NamespacesMax,
	} {
		if got := items[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if len(items) > 100 {
		t.Errorf("%d items: %q", len(items), slices.Sorted(maps.Keys(items)))
	}
}

// TestDigestIsBounded: what did nothing goes first.
func TestDigestIsBounded(t *testing.T) {
	items := map[string]float64{}
	for i := range DigestItemsMax {
		items[fmt.Sprintf("busy%d", i)], items[fmt.Sprintf("idle%d", i)] = 1, 0
	}
	shorten(items)
	if len(items) != DigestItemsMax || items["busy0"] != 1 {
		t.Errorf("%d items are left", len(items))
	}
	items["one more"] = 1
	shorten(items)
	if len(items) != DigestItemsMax {
		t.Errorf("%d items are left", len(items))
	}
}

func TestParseSample(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`a 1`, `a [] 1`},
		{`a{} 1`, `a [] 1`},
		{`a{z="1",b="x\"y\\,}",c=""} 2e3`, `a [{b x"y\,}} {c } {z 1}] 2000`},
		{`a NaN`, ``},
		{`a{b="x} 1`, ``},
		{`a{b} 1`, ``},
		{`# HELP a b 1`, ``},
		{``, ``},
	} {
		got := ""
		if s, ok := parseSample(tt.line + "\n"); ok {
			got = fmt.Sprintf("%s %v %v", s.name, s.labels, s.value)
		}
		if got != tt.want {
			t.Errorf("%q is %q, want %q", tt.line, got, tt.want)
		}
	}
}
