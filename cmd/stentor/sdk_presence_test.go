package main

import (
	"errors"
	"slices"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

var presenceScenarios = []scenario{
	{"presence", "who is here", whoIsHere},
	{"presence", "joins without a right to presence", quietRoom},
	{"history", "pages", historyPages},
}

// whoIsHere: presence, its numbers, joins and leaves, with what tokens say of connection and subscription.
func whoIsHere(s *scene) {
	channel := s.channel("room")
	enter := func(name string) (*client, *subscription, string) {
		user := s.user(name)
		c, id := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(user, jwt.MapClaims{"info": map[string]string{"name": name}})})
		sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{
			Token: s.token(user, jwt.MapClaims{"channel": channel, "info": map[string]string{"seat": name}}),
		})
		return c, sub, id
	}
	is := func(what string, got centrifuge.ClientInfo, name, id string) {
		s.Helper()
		if got.User != s.user(name) || got.Client != id || string(got.ConnInfo) != `{"name":"`+name+`"}` || string(got.ChanInfo) != `{"seat":"`+name+`"}` {
			s.Errorf("%s: user %s, client %s, info %s and %s; want %s, %s", what, got.User, got.Client, got.ConnInfo, got.ChanInfo, name, id)
		}
	}
	_, a, idA := enter("a")
	is("own join", a.joined.next("own join").ClientInfo, "a", idA)
	_, b, idB := enter("b")
	is("join of b at a", a.joined.next("join of b at a").ClientInfo, "b", idB)
	is("own join of b", b.joined.next("own join of b").ClientInfo, "b", idB)
	twin, twinSub, idTwin := enter("b")
	is("second join of b at a", a.joined.next("second join of b").ClientInfo, "b", idTwin)

	here, err := a.Presence(s.Context())
	if err != nil || len(here.Clients) != 3 {
		s.Fatalf("presence %+v, %v", here, err)
	}
	is("presence", here.Clients[idA], "a", idA)
	is("presence", here.Clients[idB], "b", idB)
	is("presence", here.Clients[idTwin], "b", idTwin)
	if n, err := a.PresenceStats(s.Context()); err != nil || n.NumClients != 3 || n.NumUsers != 2 {
		s.Errorf("presence stats %+v, %v", n, err)
	}

	if err := b.Unsubscribe(); err != nil {
		s.Fatal(err)
	}
	is("leave of b", a.left.next("leave of b").ClientInfo, "b", idB)
	is("leave of b at its twin", twinSub.left.next("leave of b at its twin").ClientInfo, "b", idB)
	if err := twin.Disconnect(); err != nil {
		s.Fatal(err)
	}
	is("leave of the twin", a.left.next("leave of the twin").ClientInfo, "b", idTwin)
	if n, err := a.PresenceStats(s.Context()); err != nil || n.NumClients != 1 || n.NumUsers != 1 {
		s.Errorf("presence stats at the end %+v, %v", n, err)
	}
}

// quietRoom: joins come only to those who ask for them and may, and presence is refused to others.
func quietRoom(s *scene) {
	channel := s.channel("quiet")
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	asks, _ := c.enter(channel, centrifuge.SubscriptionConfig{JoinLeave: true})
	own := asks.joined.next("own join")
	other, id := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("b"), nil)})
	silent, _ := other.enter(channel, centrifuge.SubscriptionConfig{})
	if e := asks.joined.next("join of b"); e.Client != id || own.User != s.user("a") {
		s.Errorf("joins %+v and %+v", own, e)
	}
	s.ordinary.publish(channel, numbered(1)) // comes after the join, if that does
	silent.expect(1, 0)
	if n := len(silent.joined.ch); n != 0 {
		s.Errorf("%d joins that were not asked for", n)
	}

	plain, _ := c.enter(s.channel("plain"), centrifuge.SubscriptionConfig{JoinLeave: true})
	_, presence := plain.Presence(s.Context())
	_, stats := plain.PresenceStats(s.Context())
	_, history := plain.History(s.Context())
	for _, err := range []error{presence, stats, history} {
		if errorCode(err) != 108 {
			s.Errorf("where there is none: %v", err)
		}
	}
	_, presence = c.Presence(s.Context(), s.channel("room"))
	_, history = c.History(s.Context(), s.channel("stream"))
	for _, err := range []error{presence, history} {
		if errorCode(err) != 103 {
			s.Errorf("to one who has not subscribed: %v", err)
		}
	}
}

// errorCode is the server's in an error of the SDK; 0 is none.
func errorCode(err error) uint32 {
	var e *centrifuge.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// historyPages reads a history from both ends, page by page.
func historyPages(s *scene) {
	channel := s.channel("stream")
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{})
	for n := 1; n <= 5; n++ {
		s.ordinary.publish(channel, numbered(n))
	}
	read := func(options ...centrifuge.HistoryOption) (offsets []uint64, top centrifuge.StreamPosition) {
		s.Helper()
		r, err := sub.History(s.Context(), options...)
		if err != nil {
			s.Fatal(err)
		}
		for _, p := range r.Publications {
			if string(p.Data) != numbered(int(p.Offset)) {
				s.Errorf("publication %s at %d", p.Data, p.Offset)
			}
			offsets = append(offsets, p.Offset)
		}
		return offsets, centrifuge.StreamPosition{Offset: r.Offset, Epoch: r.Epoch}
	}
	none, top := read()
	if len(none) != 0 || top.Offset != 5 || top.Epoch == "" {
		s.Errorf("without a limit %v, top %+v", none, top)
	}
	for _, reverse := range []bool{false, true} {
		since, want := centrifuge.StreamPosition{Epoch: top.Epoch}, [][]uint64{{1, 2}, {3, 4}, {5}, nil}
		if reverse {
			since.Offset, want = 6, [][]uint64{{5, 4}, {3, 2}, {1}, nil}
		}
		for _, page := range want {
			got, now := read(centrifuge.WithHistoryLimit(2), centrifuge.WithHistorySince(&since), centrifuge.WithHistoryReverse(reverse))
			if !slices.Equal(got, page) || now != top {
				s.Errorf("reverse %t since %d: %v at %+v, want %v at %+v", reverse, since.Offset, got, now, page, top)
			}
			if len(got) > 0 {
				since.Offset = got[len(got)-1]
			}
		}
	}
	if got, _ := read(centrifuge.WithHistoryLimit(-1)); !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
		s.Errorf("all: %v", got)
	}
	if got, _ := read(centrifuge.WithHistoryLimit(2), centrifuge.WithHistoryReverse(true)); !slices.Equal(got, []uint64{5, 4}) {
		s.Errorf("the newest two: %v", got)
	}
	_, err := sub.History(s.Context(), centrifuge.WithHistorySince(&centrifuge.StreamPosition{Offset: 1, Epoch: "other"}))
	if errorCode(err) != 112 {
		s.Errorf("of another epoch: %v", err)
	}
	s.ordinary.call("history_remove", `{"channel":"`+channel+`"}`, nil)
	if got, now := read(centrifuge.WithHistoryLimit(-1)); len(got) != 0 || now != top {
		s.Errorf("after its removal %v at %+v", got, now)
	}
}
