package main

import (
	"strings"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

// The twin of this topic also has the pings of WebSocket itself: centrifuge-go does not show them.
var transportScenarios = []scenario{
	{"transport", "compression", compressedMessages},
}

// compressedMessages: what repeats itself crosses the wire in a small part of its bytes, in both directions.
func compressedMessages(s *scene) {
	channel, user, line := s.channel("chat"), s.user("a"), newLine(s.T, s.special.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.keys.sign(s.T, jwt.SigningMethodEdDSA, user, nil), EnableCompression: true})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{})
	text := `"` + strings.Repeat("over and over ", 3000) + `"`
	for _, publish := range []func(){
		func() { s.special.publish(channel, text) },
		func() {
			if _, err := sub.Publish(s.Context(), []byte(text)); err != nil {
				s.Fatal(err)
			}
		},
	} {
		publish()
		if e := sub.published.next("a long publication"); string(e.Data) != text {
			s.Errorf("%d bytes came of %d", len(e.Data), len(text))
		}
	}
	if from, to := line.fromServer.Load(), line.toServer.Load(); from > 8192 || to > 8192 {
		s.Errorf("%d bytes from the server and %d to it, of %d and %d", from, to, 2*len(text), len(text))
	}
}
