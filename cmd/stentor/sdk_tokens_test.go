package main

import (
	"sync/atomic"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

var tokenScenarios = []scenario{
	{"tokens", "refresh", refreshTokens},
	{"tokens", "expired tokens", expiredTokens},
	{"tokens", "invalid tokens", invalidTokens},
	{"tokens", "keys of all kinds", keysOfAllKinds},
}

// shortLived are tokens that end in 3 s, of which the SDK has to get new ones. The third lasts an hour: that it was asked for says that
// the second was accepted, for its end came from the server.
type shortLived struct {
	s      *scene
	user   string
	claims jwt.MapClaims
	asked  atomic.Int32
	third  chan struct{} // closed with the third
}

func (s *scene) shortLived(user string, claims jwt.MapClaims) *shortLived {
	return &shortLived{s: s, user: user, claims: claims, third: make(chan struct{})}
}

func (l *shortLived) get() (string, error) {
	claims := jwt.MapClaims{"exp": after(3 * time.Second)}
	if l.asked.Add(1) == 3 {
		claims["exp"] = after(time.Hour)
		defer close(l.third)
	}
	for name, value := range l.claims {
		claims[name] = value
	}
	return l.s.token(l.user, claims), nil
}

func (l *shortLived) waitThird(what string) {
	l.s.Helper()
	select {
	case <-l.third:
	case <-time.After(20 * time.Second):
		l.s.Fatalf("the third %s was not asked for, only %d", what, l.asked.Load())
	}
}

// refreshTokens: a connection and a subscription outlive their first tokens, and nothing else happens to them.
func refreshTokens(s *scene) {
	user, channel := s.user("a"), s.channel("token")
	connection, subscription := s.shortLived(user, nil), s.shortLived(user, jwt.MapClaims{"channel": channel})
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{
		GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) { return connection.get() },
	})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{
		GetToken: func(centrifuge.SubscriptionTokenEvent) (string, error) { return subscription.get() },
	})
	connection.waitThird("connection token")
	subscription.waitThird("subscription token")
	s.ordinary.publish(channel, numbered(1))
	sub.expect(1, 0)
	if n := len(c.connecting.ch) + len(c.disconnected.ch); n != 0 {
		s.Errorf("the connection was lost %d times", n)
	}
	if n := len(sub.subscribing.ch) + len(sub.unsubscribed.ch); n != 0 {
		s.Errorf("the subscription was lost %d times", n)
	}
}

// expiredTokens: with a token that has ended the SDK asks for another, once, and goes on.
func expiredTokens(s *scene) {
	user, channel := s.user("a"), s.channel("token")
	ended := jwt.MapClaims{"exp": after(-time.Minute), "channel": channel}
	var connections, subscriptions atomic.Int32
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{
		Token: s.token(user, jwt.MapClaims{"exp": after(-time.Minute)}),
		GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
			connections.Add(1)
			return s.token(user, nil), nil
		},
	})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{
		Token: s.token(user, ended),
		GetToken: func(e centrifuge.SubscriptionTokenEvent) (string, error) {
			subscriptions.Add(1)
			return s.token(user, jwt.MapClaims{"channel": e.Channel}), nil
		},
	})
	s.ordinary.publish(channel, numbered(1))
	sub.expect(1, 0)
	if connections.Load() != 1 || subscriptions.Load() != 1 || len(c.disconnected.ch) != 0 {
		s.Errorf("%d connection tokens and %d subscription tokens were asked for; disconnected %d times",
			connections.Load(), subscriptions.Load(), len(c.disconnected.ch))
	}
}

// invalidTokens: what nobody of ours has signed, or was signed for something else, opens nothing.
func invalidTokens(s *scene) {
	user, channel := s.user("a"), s.channel("token")
	valid := s.token(user, nil)
	for _, test := range []struct {
		name, token string
		code        uint32
		reason      string
	}{
		{"another signature", valid[:len(valid)-8] + "AAAAAAAA", 3500, "invalid token"},
		{"a key that is not configured", s.keys.sign(s.T, jwt.SigningMethodEdDSA, user, nil), 3500, "invalid token"},
		{"a subscription token", s.token(user, jwt.MapClaims{"channel": channel}), 3500, "invalid token"},
		{"none", "", 3501, "bad request"},
	} {
		c := s.dial(s.ordinary.url, centrifuge.Config{Token: test.token})
		if e := c.disconnected.next(test.name); e.Code != test.code || e.Reason != test.reason {
			s.Errorf("%s: disconnected with %d %s", test.name, e.Code, e.Reason)
		}
	}

	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: valid})
	for _, token := range []string{"", "nonsense", s.keys.sign(s.T, jwt.SigningMethodEdDSA, user, jwt.MapClaims{"channel": channel})} {
		sub := c.subscribe(channel, centrifuge.SubscriptionConfig{Token: token})
		if e := sub.unsubscribed.next("unsubscribed"); e.Code != 103 || e.Reason != "permission denied" {
			s.Errorf("subscription token %q: unsubscribed with %d %s", token, e.Code, e.Reason)
		}
		if err := c.RemoveSubscription(sub.Subscription); err != nil {
			s.Fatal(err)
		}
	}
	c.subscribe(channel, centrifuge.SubscriptionConfig{Token: s.token(user, jwt.MapClaims{"channel": channel + "-other"})})
	if e := c.disconnected.next("a token of another channel"); e.Code != 3500 || e.Reason != "invalid token" {
		s.Errorf("a token of another channel: disconnected with %d %s", e.Code, e.Reason)
	}
}

// keysOfAllKinds: tokens of asymmetric keys, from the configuration and from a JWKS, for connections and subscriptions.
func keysOfAllKinds(s *scene) {
	for _, test := range []struct {
		method jwt.SigningMethod
		server *process
	}{
		{jwt.SigningMethodRS256, s.ordinary},
		{jwt.SigningMethodES256, s.ordinary},
		{jwt.SigningMethodEdDSA, s.special},
	} {
		user, channel := s.user(test.method.Alg()), s.channel("token")+test.method.Alg()
		c, id := s.connect(test.server.url, centrifuge.Config{Token: s.keys.sign(s.T, test.method, user, nil)})
		sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{
			Token: s.keys.sign(s.T, test.method, user, jwt.MapClaims{"channel": channel}),
		})
		here, err := sub.Presence(s.Context())
		if err != nil || len(here.Clients) != 1 || here.Clients[id].User != user {
			s.Errorf("%s: presence %+v, %v", test.method.Alg(), here, err)
		}
		test.server.publish(channel, numbered(1))
		sub.expect(1, 0)
	}
}
