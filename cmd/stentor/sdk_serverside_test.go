package main

import (
	"fmt"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

var serverSideScenarios = []scenario{
	{"serverside", "what the token says", serverSideByToken},
	{"serverside", "what the API says", serverSideByAPI},
	{"serverside", "the personal channel", personalChannel},
}

// expect waits for the publication of a server-side subscription that follows.
func (c *client) expect(channel string, number int, offset uint64) {
	c.s.Helper()
	e := c.published.next("publication " + numbered(number) + " of " + channel)
	if e.Channel != channel || string(e.Data) != numbered(number) || e.Offset != offset {
		c.s.Fatalf("publication %s of %s at %d, want %s of %s at %d", e.Data, e.Channel, e.Offset, numbered(number), channel, offset)
	}
}

// serverSideByToken: the channels of a connection token, with their options, joins, publications, and recovery after a cut.
func serverSideByToken(s *scene) {
	stream, room, line := s.channel("stream"), s.channel("room"), newLine(s.T, s.ordinary.url)
	c, id := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), jwt.MapClaims{"subs": map[string]any{
		stream: map[string]any{"data": map[string]int{"d": 1}},
		room:   map[string]any{"info": map[string]string{"seat": "a"}},
	}})})
	enter := func(recovering bool) {
		s.Helper()
		for range 2 { // in whatever order
			e := c.subscribed.next("subscribed by the server")
			want := centrifuge.ServerSubscribedEvent{Channel: e.Channel}
			if e.Channel == stream {
				want.Recoverable, want.Positioned, want.Data = true, true, []byte(`{"d":1}`)
				want.WasRecovering, want.Recovered = recovering, recovering
				e.StreamPosition = nil // compared by what is recovered
			}
			if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) {
				s.Errorf("subscribed %+v, want %+v", e, want)
			}
		}
	}
	enter(false)
	if e := c.joined.next("own join"); e.Channel != room || e.Client != id || string(e.ChanInfo) != `{"seat":"a"}` {
		s.Errorf("own join %+v", e)
	}
	other, otherID := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("b"), jwt.MapClaims{"channels": []string{room}})})
	if e := c.joined.next("join of b"); e.Channel != room || e.Client != otherID || e.User != s.user("b") {
		s.Errorf("join %+v", e)
	}
	if err := other.Disconnect(); err != nil {
		s.Fatal(err)
	}
	if e := c.left.next("leave of b"); e.Channel != room || e.Client != otherID {
		s.Errorf("leave %+v", e)
	}
	s.ordinary.publish(stream, numbered(1))
	c.expect(stream, 1, 1)

	c.cut(line)
	s.ordinary.publish(stream, numbered(2))
	s.ordinary.publish(stream, numbered(3))
	line.mend()
	enter(true)
	s.ordinary.publish(stream, numbered(4))
	for n := 2; n <= 4; n++ {
		c.expect(stream, n, uint64(n))
	}
}

// serverSideByAPI: channels into which and out of which the API takes a client that has no rights of its own.
func serverSideByAPI(s *scene) {
	locked, stream, line := s.channel("locked"), s.channel("stream"), newLine(s.T, s.ordinary.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	order := func(method, channel, more string) {
		s.Helper()
		s.ordinary.call(method, fmt.Sprintf(`{"user":%q,"channel":%q%s}`, s.user("a"), channel, more), nil)
	}
	order("subscribe", locked, `,"data":{"d":1}`)
	if e := c.subscribed.next("subscribed by the API"); e.Channel != locked || e.Recoverable || string(e.Data) != `{"d":1}` {
		s.Errorf("subscribed %+v", e)
	}
	s.ordinary.publish(locked, numbered(1))
	c.expect(locked, 1, 0)

	s.ordinary.publish(stream, numbered(1))
	s.ordinary.publish(stream, numbered(2))
	order("subscribe", stream, `,"recover_since":{"offset":1}`)
	if e := c.subscribed.next("subscribed to the stream"); e.Channel != stream || !e.Recoverable || e.StreamPosition.Offset != 1 {
		s.Errorf("subscribed %+v at %+v", e, e.StreamPosition)
	}
	c.expect(stream, 2, 2)

	order("unsubscribe", locked, "")
	if e := c.unsubscribed.next("unsubscribed by the API"); e.Channel != locked {
		s.Errorf("unsubscribed %+v", e)
	}
	s.ordinary.publish(locked, numbered(2)) // would come before the next, if it did
	s.ordinary.publish(stream, numbered(3))
	c.expect(stream, 3, 3)

	// A client that comes back asks for what it had. It has the right to the one, not to the other.
	order("subscribe", locked, "")
	c.subscribed.next("subscribed by the API again")
	c.cut(line)
	s.ordinary.publish(stream, numbered(4))
	line.mend()
	if e := c.subscribed.next("subscribed to the stream again"); e.Channel != stream || !e.WasRecovering || !e.Recovered {
		s.Errorf("subscribed after the cut %+v", e)
	}
	c.expect(stream, 4, 4)
	if e := c.unsubscribed.next("the locked channel is lost"); e.Channel != locked {
		s.Errorf("lost %+v", e)
	}
}

// personalChannel: every user has one, and it is recovered.
func personalChannel(s *scene) {
	user, line := s.user("a"), newLine(s.T, s.special.url)
	own := "me:#" + user
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.keys.sign(s.T, jwt.SigningMethodEdDSA, user, nil)})
	if e := c.subscribed.next("subscribed to the personal channel"); e.Channel != own || !e.Recoverable || e.WasRecovering {
		s.Errorf("subscribed %+v", e)
	}
	s.special.publish(own, numbered(1))
	c.expect(own, 1, 1)
	c.cut(line)
	s.special.publish(own, numbered(2))
	line.mend()
	if e := c.subscribed.next("subscribed to it again"); e.Channel != own || !e.WasRecovering || !e.Recovered {
		s.Errorf("subscribed after the cut %+v", e)
	}
	c.expect(own, 2, 2)
}
