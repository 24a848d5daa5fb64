package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

var orderScenarios = []scenario{
	{"orders", "unsubscribe", orderUnsubscribe},
	{"orders", "a stream that was lost", lostStream},
	{"orders", "disconnect", orderDisconnect},
	{"orders", "one connection of several", orderSome},
	{"orders", "refresh", orderRefresh},
	{"orders", "a batch", orderBatch},
}

// orderUnsubscribe: a client that the API unsubscribes stays so.
func orderUnsubscribe(s *scene) {
	channel, witness := s.channel("stream"), s.channel("plain")
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{})
	see, _ := c.enter(witness, centrifuge.SubscriptionConfig{})
	s.ordinary.publish(channel, numbered(1))
	s.ordinary.call("unsubscribe", fmt.Sprintf(`{"user":%q,"channel":%q}`, s.user("a"), channel), nil)
	s.ordinary.publish(channel, numbered(2))
	sub.expect(1, 1)
	if e := sub.unsubscribed.next("unsubscribed by the API"); e.Code != 2000 || e.Reason != "server unsubscribe" {
		s.Errorf("unsubscribed with %d %s", e.Code, e.Reason)
	}
	s.ordinary.publish(witness, numbered(3))
	see.expect(3, 0)
	if n := len(sub.published.ch) + len(sub.subscribing.ch); n != 0 || sub.State() != centrifuge.SubStateUnsubscribed {
		s.Errorf("%d events after it was unsubscribed, state %s", n, sub.State())
	}
	if err := sub.Subscribe(); err != nil { // by its own will it may, from where it was
		s.Fatal(err)
	}
	if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || !e.Recovered {
		s.Errorf("subscribed %+v", e)
	}
	sub.expect(2, 2)
}

// lostStream: a stream that was forgotten and began anew ends subscriptions with 2500, and connections that have it from the server
// with 3010. Both come back by themselves and learn that they have missed something.
func lostStream(s *scene) {
	channel := s.channel("fleeting")
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, first := c.enter(channel, centrifuge.SubscriptionConfig{})
	taken, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("b"), jwt.MapClaims{"channels": []string{channel}})})
	taken.subscribed.next("subscribed by the server")

	var at struct{ Epoch string }
	for n := 1; at.Epoch == "" || at.Epoch == first.StreamPosition.Epoch; n++ {
		s.ordinary.call("publish", fmt.Sprintf(`{"channel":%q,"data":%s}`, channel, numbered(n)), &at)
		if at.Epoch == first.StreamPosition.Epoch {
			sub.expect(n, uint64(n))
			taken.expect(channel, n, uint64(n))
			if n == 5 {
				s.Fatal("the stream is not forgotten")
			}
			<-time.After(2100 * time.Millisecond) // it is forgotten 1 s after its last publication, or a second later
		}
	}
	if e := sub.subscribing.next("subscribing again"); e.Code != 2500 || e.Reason != "insufficient state" {
		s.Errorf("subscribing with %d %s", e.Code, e.Reason)
	}
	if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || e.Recovered || e.StreamPosition.Epoch != at.Epoch {
		s.Errorf("subscribed %+v at %+v", e, e.StreamPosition)
	}
	if e := taken.connecting.next("connecting again"); e.Code != 3010 || e.Reason != "insufficient state" {
		s.Errorf("connecting with %d %s", e.Code, e.Reason)
	}
	if e := taken.subscribed.next("subscribed by the server again"); !e.WasRecovering || e.Recovered {
		s.Errorf("subscribed by the server %+v", e)
	}
}

// orderDisconnect: the code says whether a client comes back.
func orderDisconnect(s *scene) {
	for _, test := range []struct {
		code  uint32
		again bool
	}{
		{3000 + 11, true}, {3499, true}, {4000, true}, {4499, true}, {5000 - 1, false}, {3500, false}, {4500, false},
	} {
		user := s.user(fmt.Sprint(test.code))
		c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(user, nil)})
		s.ordinary.call("disconnect", fmt.Sprintf(`{"user":%q,"disconnect":{"code":%d,"reason":"as ordered"}}`, user, test.code), nil)
		if test.again {
			if e := c.connecting.next("connecting again"); e.Code != test.code || e.Reason != "as ordered" {
				s.Errorf("%d: connecting with %d %s", test.code, e.Code, e.Reason)
			}
			c.connected.next("connected again")
			continue
		}
		if e := c.disconnected.next("disconnected"); e.Code != test.code || e.Reason != "as ordered" || c.State() != centrifuge.StateDisconnected {
			s.Errorf("%d: disconnected with %d %s, state %s", test.code, e.Code, e.Reason, c.State())
		}
	}
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	s.ordinary.call("disconnect", fmt.Sprintf(`{"user":%q}`, s.user("a")), nil)
	if e := c.disconnected.next("disconnected without a code"); e.Code != 3503 || e.Reason != "force disconnect" {
		s.Errorf("disconnected with %d %s", e.Code, e.Reason)
	}
}

// orderSome: an order for one client, or for all but one, of a user.
func orderSome(s *scene) {
	user, channel := s.user("a"), s.channel("plain")
	cfg := centrifuge.Config{Token: s.token(user, nil)}
	kept, keptID := s.connect(s.ordinary.url, cfg)
	one, oneID := s.connect(s.ordinary.url, cfg)
	other, _ := s.connect(s.ordinary.url, cfg)
	sub, _ := kept.enter(channel, centrifuge.SubscriptionConfig{})
	s.ordinary.call("disconnect", fmt.Sprintf(`{"user":%q,"client":%q}`, user, oneID), nil)
	one.disconnected.next("the one is disconnected")
	if n := len(other.disconnected.ch); n != 0 {
		s.Error("the order for one client reached another")
	}
	s.ordinary.call("disconnect", fmt.Sprintf(`{"user":%q,"whitelist":[%q]}`, user, keptID), nil)
	other.disconnected.next("the other is disconnected")
	s.ordinary.publish(channel, numbered(1))
	sub.expect(1, 0)
	if n := len(kept.disconnected.ch) + len(kept.connecting.ch); n != 0 {
		s.Errorf("the spared client had %d events", n)
	}
}

// orderRefresh: the API gives a connection other info, prolongs it, and ends it; the SDK comes back then, with its token.
func orderRefresh(s *scene) {
	user, channel := s.user("a"), s.channel("room")
	c, first := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(user, jwt.MapClaims{"info": map[string]string{"role": "guest"}})})
	refresh := func(more string) {
		s.Helper()
		s.ordinary.call("refresh", fmt.Sprintf(`{"user":%q,%s}`, user, more), nil)
	}
	refresh(fmt.Sprintf(`"info":{"role":"host"},"expire_at":%d`, after(time.Hour)))
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{})
	if e := sub.joined.next("own join"); e.Client != first || string(e.ConnInfo) != `{"role":"host"}` {
		s.Errorf("own join of %s with %s", e.Client, e.ConnInfo)
	}
	for _, end := range []string{`"expired":true`, fmt.Sprintf(`"expire_at":%d`, after(-time.Minute))} {
		refresh(end)
		if e := c.connecting.next("the connection has expired"); e.Code != 3005 || e.Reason != "connection expired" {
			s.Errorf("connecting with %d %s", e.Code, e.Reason)
		}
		c.connected.next("connected again")
		sub.subscribed.next("subscribed again")
	}
}

// orderBatch: commands of one request, each with its effect.
func orderBatch(s *scene) {
	a, b, room, locked := s.channel("stream"), s.channel("plain"), s.channel("room"), s.channel("locked")
	c, id := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	victim, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("b"), nil)})
	subA, _ := c.enter(a, centrifuge.SubscriptionConfig{})
	subB, _ := c.enter(b, centrifuge.SubscriptionConfig{})
	c.enter(room, centrifuge.SubscriptionConfig{})
	for _, parallel := range []bool{false, true} {
		commands := `{"publish":{"channel":"$a","data":{"n":1}}},{"broadcast":{"channels":["$a","$b"],"data":{"n":1}}},
			{"presence":{"channel":"$room"}},{"presence_stats":{"channel":"$room"}},{"publish":{"channel":"unknown:1","data":1}},{}`
		if !parallel { // these need their order
			commands += `,{"history":{"channel":"$a","limit":10}},{"subscribe":{"channel":"$locked","user":"$user-a"}},
				{"publish":{"channel":"$locked","data":{"n":2}}},{"unsubscribe":{"channel":"$locked","user":"$user-a"}},
				{"disconnect":{"user":"$user-b"}}`
		}
		body := fmt.Sprintf(`{"parallel":%t,"commands":[%s]}`, parallel,
			strings.NewReplacer("$a", a, "$b", b, "$room", room, "$locked", locked, "$user", s.id).Replace(commands))
		status, answer := s.ordinary.post("/api/batch", body)
		for _, part := range []string{`"publish":{"offset":`, `"broadcast":{"responses":[{"result":{"offset":`, `"presence":{"presence":{"` + id + `":{`,
			`"presence_stats":{"num_clients":1,"num_users":1}`, `{"error":{"code":102,`, `{"error":{"code":104,`} {
			if status != 200 || !strings.Contains(answer, part) {
				s.Errorf("no %s in %d %s", part, status, answer)
			}
		}
		if !parallel && !strings.Contains(answer, `"history":{"publications":[{"data":{"n":1},"offset":1},{"data":{"n":1},"offset":2}],`) {
			s.Errorf("no history in %s", answer)
		}
		first := uint64(1)
		if parallel {
			first = 3
		}
		subA.expect(1, first)
		subA.expect(1, first+1)
		subB.expect(1, 0)
	}
	if e := c.subscribed.next("subscribed by the batch"); e.Channel != locked {
		s.Errorf("subscribed %+v", e)
	}
	c.expect(locked, 2, 0)
	if e := c.unsubscribed.next("unsubscribed by the batch"); e.Channel != locked {
		s.Errorf("unsubscribed %+v", e)
	}
	if e := victim.disconnected.next("disconnected by the batch"); e.Code != 3503 {
		s.Errorf("disconnected with %d %s", e.Code, e.Reason)
	}
}
