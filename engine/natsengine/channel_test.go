package natsengine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/natsengine"
)

// TestBadNames: a name that cannot be a subject is refused, with the protocol's error, and harms nobody else.
func TestBadNames(t *testing.T) {
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{}).ClientURL()})
	n.subscribe("news")
	for _, name := range []string{"", "a b", "a\r\nSUB > 9", "news\r\nPUB centrifugo.client.news 4\r\nevil\r\n", ".", "a..b", "a.", "\x00", "a.*", ">", strings.Repeat("x", 5000)} {
		n.Subscribe(name)
		if err := n.WaitSubscribed(t, name); !errors.Is(err, codec.ErrorBadRequest) {
			t.Errorf("subscribe %.20q: %v", name, err)
		}
		if err := n.publish(name, "x"); !errors.Is(err, codec.ErrorBadRequest) {
			t.Errorf("publish %.20q: %v", name, err)
		}
		if err := n.PublishJoin(context.Background(), name, &codec.ClientInfo{Client: "c"}); !errors.Is(err, codec.ErrorBadRequest) {
			t.Errorf("join %.20q: %v", name, err)
		}
		n.Unsubscribe("never subscribed")
	}
	if err := n.Send(context.Background(), "a\r\nPUB x 0", nil); err == nil {
		t.Error("sent to a node with an impossible name")
	}
	n.mustPublish("news", "a")
	n.expect("news", "a")
	if got := n.Stats(); got.Connects != 1 || got.Subscriptions != 1 {
		t.Errorf("%+v, want one subscription on the first connection", got)
	}
}

func TestWildcards(t *testing.T) {
	within := func(pattern, channel string) bool {
		return strings.HasPrefix(channel, "$") == strings.HasPrefix(pattern, "$")
	}
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{}).ClientURL(), AllowWildcards: true, Within: within})
	if !n.Abilities().Has(engine.Wildcards | engine.Joins) {
		t.Error("the ability is not declared")
	}
	n.subscribe("news.*", "news.>", "*", "news.sport", "$private.*")
	for _, channel := range []string{"news.sport", "news.sport.today", "other", "$private", "$private.x", "news"} {
		n.mustPublish(channel, "1")
	}
	if err := n.PublishJoin(context.Background(), "news.sport", &codec.ClientInfo{Client: "c"}); err != nil {
		t.Fatal(err)
	}
	n.mustPublish("news.sport", "2")
	n.expect("news.sport", "1 +c 2")
	n.expect("news.*", "news.sport=1 news.sport=2")
	n.expect("news.>", "news.sport=1 news.sport.today=1 news.sport=2")
	n.expect("*", "other=1 news=1")
	n.expect("$private.*", "$private.x=1")
	for _, pattern := range []string{"news.*", ">"} {
		if err := n.publish(pattern, "x"); !errors.Is(err, codec.ErrorBadRequest) {
			t.Errorf("published to %s: %v", pattern, err)
		}
		if err := n.PublishJoin(context.Background(), pattern, &codec.ClientInfo{Client: "c"}); err != nil {
			t.Errorf("joined %s: %v", pattern, err)
		}
	}
	n.Subscribe("news.s*")
	if err := n.WaitSubscribed(t, "news.s*"); !errors.Is(err, codec.ErrorBadRequest) {
		t.Errorf("half a wildcard: %v", err)
	}
}

// TestRaw: others publish nothing but data to subjects of their own, and read ours as such.
func TestRaw(t *testing.T) {
	url := embedded(t, server.Options{}).ClientURL()
	n := start(t, natsengine.Config{URL: url, AllowWildcards: true, Raw: natsengine.Raw{
		Enabled: true, Prefix: "up.", Replacements: map[string]string{":": "."},
	}})
	if n.Abilities().Has(engine.Joins) {
		t.Error("joins are carried as data")
	}
	n.subscribe("chat:room", "chat.room", "chat:*")
	others, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	theirs, err := others.SubscribeSync("up.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(others.Flush(), others.Publish("up.chat.room", []byte("theirs")), others.Flush()); err != nil {
		t.Fatal(err)
	}
	n.expect("chat:room", "theirs")
	n.mustPublish("chat:room", "\x08\x01")
	n.expect("chat:room", "theirs \x08\x01")
	n.expect("chat.room", "theirs \x08\x01") // two names of one subject
	n.expect("chat:*", "chat:room=theirs chat:room=\x08\x01")
	for _, want := range []string{"theirs", "\x08\x01"} {
		m, err := theirs.NextMsg(enginetest.Patience)
		if err != nil || string(m.Data) != want || m.Subject != "up.chat.room" {
			t.Errorf("others got %+v, %v; want %q", m, err, want)
		}
	}
	n.Unsubscribe("chat.room")
	n.subscribe("witness")
	n.mustPublish("chat:room", "b")
	n.expect("chat:room", "theirs \x08\x01 b")
	n.mustPublish("witness", "x")
	n.expect("witness", "x")
	if got := n.heard("chat.room"); got != "theirs \x08\x01" {
		t.Errorf("delivered %q on a channel that was left", got)
	}
}

// TestRawReserved: clients neither read nor give the orders of nodes, although the subjects of channels are bare.
func TestRawReserved(t *testing.T) {
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{}).ClientURL(), AllowWildcards: true, Raw: natsengine.Raw{Enabled: true}})
	heard := make(chan string, 10)
	n.Listen("me", func(message []byte) { heard <- string(message) })
	n.subscribe(">", "*.control", "news")
	ctx := context.Background()
	if err := n.publish("centrifugo.control", "evil"); !errors.Is(err, codec.ErrorBadRequest) {
		t.Errorf("a client gave an order to all nodes: %v", err)
	}
	if err := errors.Join(n.Broadcast(ctx, []byte("order")), n.Send(ctx, "me", []byte("order"))); err != nil {
		t.Fatal(err)
	}
	n.mustPublish("other.control", "x")
	n.mustPublish("news", "x")
	n.expect("*.control", "other.control=x")
	n.expect(">", "other.control=x news=x")
	for range 2 {
		if got := <-heard; got != "order" {
			t.Errorf("the nodes heard %q", got)
		}
	}
}

// TestForeign: what others put on our subjects in the protocol's own words is delivered, and what they get wrong is counted.
func TestForeign(t *testing.T) {
	url := embedded(t, server.Options{}).ClientURL()
	n := start(t, natsengine.Config{URL: url})
	n.subscribe("news")
	others, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	payload := func(data string) []byte {
		return codec.AppendCarried(nil, &codec.Push{Channel: "lies", Pub: &codec.Publication{Data: []byte(data), Offset: 7, Epoch: "e", Channel: "lies"}})
	}
	for _, data := range [][]byte{[]byte("{}"), payload("a"), nil, {0xff}, payload("b")} {
		if err := others.Publish("centrifugo.client.news", data); err != nil {
			t.Fatal(err)
		}
	}
	n.expect("news", "a b")
	if got := n.Stats(); got.Malformed != 3 || got.Received != 5 {
		t.Errorf("%+v, want 3 of 5 malformed", got)
	}
}

// TestTooLarge: what is more than the server takes is refused, and the connection stays.
func TestTooLarge(t *testing.T) {
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{MaxPayload: 1000}).ClientURL()})
	n.subscribe("news")
	if err := n.publish("news", strings.Repeat("x", 2000)); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("error %v, which should name max_payload", err)
	}
	n.mustPublish("news", "a")
	n.expect("news", "a")
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("%d connections, want one", got)
	}
}
