package main

import (
	"fmt"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

var recoveryScenarios = []scenario{
	{"recovery", "a cut", recoverAfterCut},
	{"recovery", "cuts while others publish", recoverInTraffic},
	{"recovery", "history was too short", historyTooShort},
	{"recovery", "the latest alone", recoverLatest},
}

// recoverAfterCut: what was published while the client was away comes when it is back, in order.
func recoverAfterCut(s *scene) {
	channel, line := s.channel("stream"), newLine(s.T, s.ordinary.url)
	c, first := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, e := c.enter(channel, centrifuge.SubscriptionConfig{})
	if !e.Recoverable || !e.Positioned || e.WasRecovering || e.StreamPosition.Offset != 0 {
		s.Errorf("subscribed: %+v", e)
	}
	for n := 1; n <= 3; n++ {
		s.ordinary.publish(channel, numbered(n))
		sub.expect(n, uint64(n))
	}

	c.cut(line)
	if e := sub.subscribing.next("subscribing because of the cut"); e.Code != 1 {
		s.Errorf("subscribing with %d %s", e.Code, e.Reason)
	}
	for n := 4; n <= 6; n++ {
		s.ordinary.publish(channel, numbered(n))
	}
	line.mend()
	if e := c.connected.next("connected again"); e.ClientID == first {
		s.Error("the client kept its id")
	}
	if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || !e.Recovered {
		s.Errorf("not recovered: %+v", e)
	}
	s.ordinary.publish(channel, numbered(7))
	for n := 4; n <= 7; n++ {
		sub.expect(n, uint64(n))
	}
}

// recoverInTraffic: publications that meet the recovery are neither lost nor doubled.
func recoverInTraffic(s *scene) {
	channel, line := s.channel("stream"), newLine(s.T, s.ordinary.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{})
	sent, seen := 0, 0
	publish := func() {
		if sent++; sent > 9000 { // the history has room for that many
			s.Fatal("the client did not come back")
		}
		s.ordinary.publish(channel, numbered(sent))
		for len(sub.published.ch) > 0 {
			seen++
			sub.expect(seen, uint64(seen))
		}
	}
	for range 3 {
		publish()
		line.cut()
		publish()
		c.connecting.next("the cut")
		line.mend()
		for len(sub.subscribed.ch) == 0 {
			publish()
		}
		if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || !e.Recovered {
			s.Errorf("not recovered: %+v", e)
		}
	}
	for seen < sent {
		seen++
		sub.expect(seen, uint64(seen))
	}
}

// historyTooShort: the client learns that it has missed something, and goes on with what comes.
func historyTooShort(s *scene) {
	channel, line := s.channel("short"), newLine(s.T, s.ordinary.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{})
	s.ordinary.publish(channel, numbered(1))
	sub.expect(1, 1)
	c.cut(line)
	for n := 2; n <= 4; n++ { // the history has room for two
		s.ordinary.publish(channel, numbered(n))
	}
	line.mend()
	if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || e.Recovered || e.StreamPosition.Offset != 4 {
		s.Errorf("subscribed: %+v at %+v", e, e.StreamPosition)
	}
	s.ordinary.publish(channel, numbered(5))
	sub.expect(5, 5)

	c.cut(line)
	s.ordinary.publish(channel, numbered(6))
	s.ordinary.publish(channel, numbered(7))
	line.mend()
	if e := sub.subscribed.next("subscribed a third time"); !e.WasRecovering || !e.Recovered {
		s.Errorf("not recovered: %+v", e)
	}
	sub.expect(6, 6)
	sub.expect(7, 7)
}

// recoverLatest: in cache mode a client gets the newest publication, when it comes and when it comes back; so does one that the
// server subscribes.
func recoverLatest(s *scene) {
	channel, line := s.channel("cache"), newLine(s.T, s.ordinary.url)
	forced := channel + "-forced"
	publish := func(n int) {
		s.ordinary.publish(channel, numbered(n))
		s.ordinary.publish(forced, numbered(n))
	}
	publish(1)
	publish(2)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), jwt.MapClaims{"channels": []string{forced}})})
	latest := func(n int, offset uint64) {
		s.Helper()
		if e := c.subscribed.next("subscribed by the server"); e.Channel != forced || !e.WasRecovering || !e.Recovered {
			s.Errorf("subscribed by the server: %+v", e)
		}
		if e := c.published.next("publication of " + forced); string(e.Data) != numbered(n) || e.Offset != offset {
			s.Errorf("publication %s at %d", e.Data, e.Offset)
		}
	}
	latest(2, 2)
	fresh := func(centrifuge.SubscriptionGetStateEvent) (p centrifuge.StreamPosition, err error) { return p, nil }
	sub, e := c.enter(channel, centrifuge.SubscriptionConfig{GetState: fresh})
	if !e.WasRecovering || !e.Recovered {
		s.Errorf("subscribed: %+v", e)
	}
	sub.expect(2, 2)

	c.cut(line)
	for n := 3; n <= 5; n++ {
		publish(n)
	}
	line.mend()
	latest(5, 5)
	if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || !e.Recovered {
		s.Errorf("not recovered: %+v", e)
	}
	sub.expect(5, 5)
	publish(6)
	sub.expect(6, 6)
	if e := c.published.next(fmt.Sprint("publication 6 of ", forced)); string(e.Data) != numbered(6) {
		s.Errorf("publication %s", e.Data)
	}
}
