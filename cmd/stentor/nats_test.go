package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centrifugal/centrifuge-go"

	"stentor/engine/enginetest/natstest"
)

// natsConfig is that of a node over the NATS server at url.
func natsConfig(url string) string {
	return `{"client":{"insecure":true},"http_api":{"key":"` + quickStartAPIKey + `"},
	"broker":{"enabled":true,"type":"nats","nats":{"url":"` + url + `","allow_wildcards":true}},
	"channel":{"without_namespace":{"allow_subscribe_for_client":true,"allow_wildcards":true},
		"namespaces":[{"name":"room","allow_subscribe_for_client":true,"join_leave":true,"force_push_join_leave":true}]}}`
}

// TestNATS: clients of two nodes hear each other and the API of both, and come back with NATS when that was gone.
func TestNATS(t *testing.T) {
	for _, form := range []string{"json", "protobuf"} {
		t.Run(form, func(t *testing.T) {
			nats := natstest.Start(t)
			a, b := start(t, natsConfig(nats.URL())), start(t, natsConfig(nats.URL()))
			s := &scene{T: t, binary: form == "protobuf"}
			alice, aliceID := s.connect(a.url, centrifuge.Config{})
			bob, _ := s.connect(b.url, centrifuge.Config{})
			hers, _ := alice.enter("room:1", centrifuge.SubscriptionConfig{})
			if e := hers.joined.next("her own join"); e.Client != aliceID {
				t.Errorf("joined by %s, not %s", e.Client, aliceID)
			}
			his, _ := bob.enter("room:1", centrifuge.SubscriptionConfig{})
			hers.joined.next("his join, from the other node")
			number := 0
			both := func(publish func(data string)) {
				t.Helper()
				number++
				publish(numbered(number))
				hers.expect(number, 0)
				his.expect(number, 0)
			}
			for _, p := range []*process{a, b} {
				both(func(data string) { p.publish("room:1", data) })
			}
			both(func(data string) {
				if _, err := alice.Publish(t.Context(), "room:1", []byte(data)); err != nil {
					t.Fatal(err)
				}
			})
			if _, answer := a.post("/api/history", `{"channel":"room:1","limit":1}`); !strings.Contains(answer, `"code":108`) {
				t.Errorf("history: %s, want error 108", answer)
			}
			if _, answer := a.post("/api/publish", `{"channel":"room:a b","data":{}}`); !strings.Contains(answer, `"code":107`) {
				t.Errorf("a name that is no subject: %s, want error 107", answer)
			}

			nats.Kill()
			if _, answer := a.post("/api/publish", `{"channel":"room:1","data":{}}`); !strings.Contains(answer, `"code":100`) {
				t.Errorf("without NATS: %s, want error 100", answer)
			}
			nats.Restart()
			for _, p := range []*process{a, b} {
				p.waitLog("connected to NATS again")
			}
			both(func(data string) { b.publish("room:1", data) })
			if err := his.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
			hers.left.next("his leave, from the other node")
		})
	}
}

// TestNATSWildcards: NATS matches patterns, and the node does not once more.
func TestNATSWildcards(t *testing.T) {
	nats := natstest.Start(t)
	a, b := start(t, natsConfig(nats.URL())), start(t, natsConfig(nats.URL()))
	s := &scene{T: t}
	c, _ := s.connect(a.url, centrifuge.Config{})
	pattern, _ := c.enter("news.*", centrifuge.SubscriptionConfig{})
	exact, _ := c.enter("news.sport", centrifuge.SubscriptionConfig{})
	for i := 1; i <= 3; i++ {
		b.publish("news.sport", numbered(i))
		exact.expect(i, 0)
		pattern.expect(i, 0)
	}
	b.publish("room:news.sport", numbered(4)) // in another namespace
	b.publish("news.x", numbered(5))
	pattern.expect(5, 0)
	if _, answer := a.post("/api/publish", `{"channel":"news.*","data":{}}`); !strings.Contains(answer, `"code":107`) {
		t.Errorf("published to a pattern: %s, want error 107", answer)
	}
}

// TestNATSDown: a node starts without NATS, says so to those who ask, and works when it comes.
func TestNATSDown(t *testing.T) {
	nats := natstest.Start(t)
	nats.Kill()
	p := start(t, natsConfig(nats.URL()))
	s := &scene{T: t}
	c, _ := s.connect(p.url, centrifuge.Config{})
	sub := c.subscribe("news", centrifuge.SubscriptionConfig{})
	if _, answer := p.post("/api/publish", `{"channel":"news","data":{}}`); !strings.Contains(answer, `"code":100`) {
		t.Errorf("publish: %s, want error 100", answer)
	}
	nats.Restart()
	p.waitLog("connected to NATS")
	sub.subscribed.next(fmt.Sprintf("subscribed when %s is there", nats.URL()))
	p.publish("news", numbered(1))
	sub.expect(1, 0)
}
