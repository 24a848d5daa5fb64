package enginetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
)

var presenceTests = []testCase{
	{"presence/come and go", presence, testComeAndGo},
	{"presence/users", presence, testUsers},
	{"presence/again", presence, testAgain},
	{"presence/any name", presence, testPresenceNames},
	{"presence/many", presence, testCrowd},
	{"presence/stays as it was", presence, testPresenceImmutable},
	{"presence/time to live", presence, testPresenceTTL},
	{"presence/concurrent", presence, testConcurrentPresence},
}

// presenceTTL is long enough to mean nothing in tests that are not about it.
const presenceTTL = time.Hour

// clientID is a client of these tests.
func clientID(n int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], 0xfedcba9876543210)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func printed(id [16]byte) string { return string(engine.AppendClientID(nil, id)) }

// mustEnter and mustLeave may be called on any goroutine.
func (f *fixture) mustEnter(channel string, client [16]byte, info engine.PresenceInfo) {
	if err := f.Presence.AddPresence(context.Background(), channel, client, info, presenceTTL); err != nil {
		f.Errorf("add presence: %v", err)
	}
}

func (f *fixture) mustLeave(channel string, client [16]byte, user string) {
	if err := f.Presence.RemovePresence(context.Background(), channel, client, user); err != nil {
		f.Errorf("remove presence: %v", err)
	}
}

// crowd is what presence should say, by printed client id.
type crowd map[string]*codec.ClientInfo

func (c crowd) enter(client [16]byte, info engine.PresenceInfo) {
	id := printed(client)
	c[id] = &codec.ClientInfo{Client: id, User: info.User, ConnInfo: info.ConnInfo, ChanInfo: info.ChanInfo}
}

func (c crowd) stats() engine.PresenceStats {
	users := make(map[string]bool)
	for _, info := range c {
		users[info.User] = true
	}
	return engine.PresenceStats{Clients: len(c), Users: len(users)}
}

// expectPresence reads presence and its numbers and compares.
func (f *fixture) expectPresence(channel string, want crowd) {
	f.Helper()
	got, err := f.Presence.Presence(context.Background(), channel)
	if err != nil {
		f.Fatalf("presence: %v", err)
	}
	if len(got) != len(want) {
		f.Errorf("%d clients are present, want %d", len(got), len(want))
	}
	for id, info := range want {
		if !reflect.DeepEqual(got[id], info) {
			f.Errorf("client %s is %+v, want %+v", id, got[id], info)
		}
	}
	f.expectStats(channel, want.stats())
}

func (f *fixture) expectStats(channel string, want engine.PresenceStats) {
	f.Helper()
	if got, err := f.Presence.PresenceStats(context.Background(), channel); err != nil || got != want {
		f.Errorf("stats %+v, %v; want %+v", got, err, want)
	}
}

func testComeAndGo(f *fixture) {
	ch, want := f.channel("news"), crowd{}
	f.expectPresence(ch, want)
	f.mustLeave(ch, clientID(1), "nobody")
	infos := []engine.PresenceInfo{
		{User: "a"},
		{User: "b", ConnInfo: []byte(`{"name":"b"}`)},
		{User: "c", ChanInfo: []byte(`[1]`)},
		{User: "d", ConnInfo: []byte("\x00\xff"), ChanInfo: []byte(`"x"`)},
		{},
	}
	for i, info := range infos {
		want.enter(clientID(i), info)
		f.mustEnter(ch, clientID(i), info)
		f.expectPresence(ch, want)
	}
	for _, i := range []int{2, 0, 4, 1, 3} {
		delete(want, printed(clientID(i)))
		f.mustLeave(ch, clientID(i), infos[i].User)
		f.mustLeave(ch, clientID(i), infos[i].User)
		f.expectPresence(ch, want)
	}
}

// testUsers: clients of one user, and those of none, count as one user.
func testUsers(f *fixture) {
	ch := f.channel("news")
	users := []string{"a", "b", "a", "", "a", "", "c"}
	for i, user := range users {
		f.mustEnter(ch, clientID(i), engine.PresenceInfo{User: user})
	}
	f.expectStats(ch, engine.PresenceStats{Clients: 7, Users: 4})
	for i, step := range []struct {
		leaves int
		users  int
	}{{0, 4}, {2, 4}, {4, 3}, {3, 3}, {5, 2}, {6, 1}, {1, 0}} {
		f.mustLeave(ch, clientID(step.leaves), users[step.leaves])
		f.expectStats(ch, engine.PresenceStats{Clients: 6 - i, Users: step.users})
	}
}

// testAgain: a client that is there already is described anew and does not count twice.
func testAgain(f *fixture) {
	ch, want := f.channel("news"), crowd{}
	for _, info := range []engine.PresenceInfo{
		{User: "a"}, {User: "a"}, {User: "a", ConnInfo: []byte(`1`)}, {User: "a", ConnInfo: []byte(`2`)}, {User: "a", ChanInfo: []byte(`2`)}, {User: "a"},
	} {
		want.enter(clientID(1), info)
		f.mustEnter(ch, clientID(1), info)
		f.expectPresence(ch, want)
	}
}

// testPresenceNames: channels are apart, whatever their names.
func testPresenceNames(f *fixture) {
	names := []string{"a", "a:b", "a.b", "{a}", "a*", "é", "a b", "a\x00", "AaAa", "AaBB", "BBAa", "BBBB"}
	for i := range names {
		names[i] = f.channel(names[i])
		f.mustEnter(names[i], clientID(i), engine.PresenceInfo{User: names[i]})
		f.mustEnter(names[i], clientID(1000), engine.PresenceInfo{User: "all"})
	}
	for i, name := range names {
		want := crowd{}
		want.enter(clientID(i), engine.PresenceInfo{User: name})
		want.enter(clientID(1000), engine.PresenceInfo{User: "all"})
		f.expectPresence(name, want)
	}
}

// testCrowd: a channel that fills and empties, several times, holds exactly those who are in it.
func testCrowd(f *fixture) {
	ch, want := f.channel("news"), crowd{}
	rnd := rand.New(rand.NewPCG(1, 2))
	info := func(i, turn int) engine.PresenceInfo {
		return engine.PresenceInfo{User: fmt.Sprint(i / 3), ConnInfo: fmt.Appendf(nil, "%d", turn)}
	}
	for turn, size := range []int{300, 3, 100, 0, 40, 20, 50, 0} {
		for len(want) < size {
			i := rnd.IntN(400)
			want.enter(clientID(i), info(i, turn))
			f.mustEnter(ch, clientID(i), info(i, turn))
		}
		for len(want) > size {
			i := rnd.IntN(400)
			delete(want, printed(clientID(i)))
			f.mustLeave(ch, clientID(i), info(i, turn).User)
			if len(want)%16 == 0 {
				f.expectStats(ch, want.stats())
			}
		}
		f.expectPresence(ch, want)
	}
}

// testPresenceImmutable: what was read stays as it was.
func testPresenceImmutable(f *fixture) {
	ch, want := f.channel("news"), crowd{}
	for i := range 3 {
		info := engine.PresenceInfo{User: "a", ConnInfo: []byte(`1`)}
		want.enter(clientID(i), info)
		f.mustEnter(ch, clientID(i), info)
	}
	read, err := f.Presence.Presence(context.Background(), ch)
	if err != nil {
		f.Fatal(err)
	}
	f.mustEnter(ch, clientID(0), engine.PresenceInfo{User: "a", ConnInfo: []byte(`2`)})
	f.mustLeave(ch, clientID(1), "a")
	f.mustEnter(ch, clientID(9), engine.PresenceInfo{User: "z"})
	if !reflect.DeepEqual(crowd(read), want) {
		f.Errorf("what was read changed to %v", read)
	}
}

// testPresenceTTL: on a remote engine an entry goes when it is not said anew; on a local one it stays.
func testPresenceTTL(f *fixture) {
	ch, want := f.channel("news"), crowd{}
	info := engine.PresenceInfo{User: "a"}
	if err := f.Presence.AddPresence(context.Background(), ch, clientID(1), info, short); err != nil {
		f.Fatal(err)
	}
	want.enter(clientID(1), info)
	f.expectPresence(ch, want)
	if !f.Presence.Local() {
		f.passes(short+granule, "nobody is present", func() bool {
			got, err := f.Presence.PresenceStats(context.Background(), ch)
			return err == nil && got == engine.PresenceStats{}
		})
		f.expectPresence(ch, crowd{})
		return
	}
	if f.Advance != nil {
		f.Advance(1000 * short)
	}
	f.expectPresence(ch, want)
}

// testConcurrentPresence: many come and go at once in a few channels while others read; in the end those are there who stayed.
func testConcurrentPresence(f *fixture) {
	channels := []string{f.channel("a"), f.channel("b")}
	const each = 60 // clients of one goroutine
	var working atomic.Int32
	working.Store(publishers)
	together(publishers+2, func(i int) {
		if i >= publishers {
			for working.Load() > 0 {
				f.readWhileChanging(channels[i-publishers], publishers*each)
			}
			return
		}
		defer working.Add(-1)
		for n := range each {
			id, info := clientID(i*each+n), engine.PresenceInfo{User: fmt.Sprint(n), ConnInfo: []byte(`1`)}
			for _, ch := range channels {
				f.mustEnter(ch, id, info)
				f.mustEnter(ch, id, info)
				if n%4 > 0 {
					f.mustLeave(ch, id, info.User)
				}
			}
		}
	})
	want := crowd{}
	for i := range publishers {
		for n := 0; n < each; n += 4 {
			want.enter(clientID(i*each+n), engine.PresenceInfo{User: fmt.Sprint(n), ConnInfo: []byte(`1`)})
		}
	}
	for _, ch := range channels {
		f.expectPresence(ch, want)
	}
}

// readWhileChanging reads presence and its numbers, which must make sense at any moment.
func (f *fixture) readWhileChanging(channel string, most int) {
	got, err := f.Presence.Presence(context.Background(), channel)
	if err != nil || len(got) > most {
		f.Errorf("%d of %d clients, %v", len(got), most, err)
	}
	for id, info := range got {
		if info.Client != id || info.User == "" || string(info.ConnInfo) != "1" {
			f.Errorf("client %s is %+v", id, info)
		}
	}
	if s, err := f.Presence.PresenceStats(context.Background(), channel); err != nil || s.Users > s.Clients || s.Clients > most {
		f.Errorf("stats %+v, %v", s, err)
	}
}
