package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// sample is the sum of the samples of a family whose labels have part.
func (p *process) sample(name, part string) (sum int) {
	for line := range strings.Lines(p.get("/metrics")) {
		labels, value, ok := strings.Cut(strings.TrimPrefix(line, name), " ")
		if !ok || !strings.HasPrefix(line, name+"{") || !strings.Contains(labels, part) {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			p.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// awaitSample waits until sample is n.
func (p *process) awaitSample(n int, name, part string) {
	p.t.Helper()
	for range 500 {
		if p.sample(name, part) == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Errorf("%s with %s is %d, want %d", name, part, p.sample(name, part), n)
}

// TestNamespacesInMetrics: configured namespaces are told apart, those of a reload, too, and clients that come and go add up.
func TestNamespacesInMetrics(t *testing.T) {
	const accepted, inflight, ended = "centrifugo_client_connections_accepted", "centrifugo_client_connections_inflight", "stentor_client_disconnects_total"
	cfg := strings.Replace(quickStart, "{", `{"prometheus": {"enabled": true, "channel_namespaces": true},`, 1)
	p := start(t, cfg)
	connected, subscribed := events[centrifuge.ConnectedEvent](t), events[centrifuge.SubscribedEvent](t)
	for _, channel := range []string{"chat:1", "notifications:1"} {
		c := centrifuge.NewJsonClient(strings.Replace(p.url, "http", "ws", 1)+"/connection/websocket", centrifuge.Config{Token: token(t, "42"), Name: "go"})
		c.OnConnected(connected.note)
		sub, err := c.NewSubscription(channel)
		if err != nil {
			t.Fatal(err)
		}
		sub.OnSubscribed(subscribed.note)
		if err := c.Connect(); err != nil {
			t.Fatal(err)
		}
		connected.next("connected")
		if err := sub.Subscribe(); err != nil {
			t.Fatal(err)
		}
		subscribed.next("subscribed")
		defer c.Close()
		if channel == "chat:1" {
			p.publish(channel, `{}`)
			p.awaitSample(1, "centrifugo_client_subscriptions_inflight", `client_name="go",channel_namespace="chat"`)
			p.awaitSample(1, "stentor_channels_occupied_total", `channel_namespace="chat"`)
			c.Close()
			p.awaitSample(1, "stentor_channels_vacated_total", `channel_namespace="chat"`)
			p.awaitSample(0, "centrifugo_client_subscriptions_inflight", `client_name="go",channel_namespace="chat"`)
		}
	}
	if a, i, e := p.sample(accepted, ""), p.sample(inflight, ""), p.sample(ended, ""); a != 2 || i != 1 || a-e != i {
		t.Errorf("%d accepted, %d went, %d are here", a, e, i)
	}
	fresh := strings.Replace(cfg, `{"name": "locked"}`, `{"name": "fresh"}`, 1)
	if err := os.WriteFile(filepath.Join(p.cmd.Dir, "config.json"), []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.waitLog("the configuration was reloaded")
	p.publish("fresh:1", `{}`)
	for namespace, want := range map[string]int{"chat": 1, "fresh": 1, "notifications": 0} {
		if n := p.sample("centrifugo_node_messages_sent_count", `type="publication",channel_namespace="`+namespace+`"`); n != want {
			t.Errorf("%d publications in %s, want %d", n, namespace, want)
		}
	}
}
