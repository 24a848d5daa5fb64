package memengine

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"stentor/engine"
)

func clientID(n int) (id [16]byte) {
	binary.LittleEndian.PutUint64(id[:], uint64(n))
	return id
}

// enter and leave are what a subscription does with a presence.
func enter(t testing.TB, e *Engine, channel string, client int, info engine.PresenceInfo) {
	if err := e.AddPresence(context.Background(), channel, clientID(client), info, 0); err != nil {
		t.Fatal(err)
	}
}

func leave(t testing.TB, e *Engine, channel string, client int) {
	if err := e.RemovePresence(context.Background(), channel, clientID(client), ""); err != nil {
		t.Fatal(err)
	}
}

// TestPresenceDensity is a gate: what a subscription's entry costs with all that is around it, but for the strings and bytes that
// its session has anyway.
func TestPresenceDensity(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const entries = 200_000
	plain := func(user string) engine.PresenceInfo { return engine.PresenceInfo{User: user} }
	conn := []byte(`{"name":"x"}`)
	rich := func(user string) engine.PresenceInfo { return engine.PresenceInfo{User: user, ConnInfo: conn} }
	for _, tt := range []struct {
		name           string
		perChannel     int
		info           func(user string) engine.PresenceInfo
		bytes, objects float64 // at most
	}{
		{"one client per channel", 1, plain, 116, 2.1},
		{"one client per channel, with info", 1, rich, 148, 3.1},
		{"10 clients per channel", 10, plain, 56, 0.3},
		{"10 clients per channel, with info", 10, rich, 88, 1.3},
		{"100 clients per channel", 100, plain, 150, 0.3},
		{"one channel", entries, plain, 190, 0.1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bytes, objects := perEntry(t, entries, tt.perChannel, tt.info)
			t.Logf("%.0f bytes and %.2f objects per entry", bytes, objects)
			if bytes > tt.bytes || objects > tt.objects {
				t.Errorf("%.0f bytes and %.2f objects per entry, want at most %v and %v", bytes, objects, tt.bytes, tt.objects)
			}
		})
	}
}

// perEntry fills an engine with clients of different users.
func perEntry(t testing.TB, entries, perChannel int, info func(user string) engine.PresenceInfo) (bytes, objects float64) {
	users, names := make([]string, entries), make([]string, entries/perChannel)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	for i := range names {
		names[i] = fmt.Sprint("room:", i)
	}
	e := New(Config{}, nobody{})
	before := heap()
	for i := range users {
		enter(t, e, names[i%len(names)], i, info(users[i]))
	}
	after := heap()
	runtime.KeepAlive(e)
	runtime.KeepAlive(users)
	runtime.KeepAlive(names)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(entries),
		float64(after.HeapObjects-before.HeapObjects) / float64(entries)
}

// TestPresenceGivesMemoryBack: when members leave, what they took goes, also in a channel that others stay in.
func TestPresenceGivesMemoryBack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const entries = 100_000
	e := New(Config{}, nobody{})
	before := heap().HeapAlloc
	for i := range entries {
		enter(t, e, "large", i, engine.PresenceInfo{User: "u"})
		enter(t, e, fmt.Sprint("small:", i), i, engine.PresenceInfo{})
	}
	full := heap().HeapAlloc - before
	for i := range entries {
		if i%100 > 0 {
			leave(t, e, "large", i)
		}
		leave(t, e, fmt.Sprint("small:", i), i)
	}
	rest := int64(heap().HeapAlloc) - int64(before)
	if rest > int64(full)/20 {
		t.Errorf("%d bytes of %d are left when one in 200 entries is", rest, full)
	}
	for i := 0; i < entries; i += 100 {
		leave(t, e, "large", i)
	}
	for i := range e.halls {
		if h := &e.halls[i]; h.table.buckets != nil || h.large != nil {
			t.Fatalf("an empty hall keeps %d buckets and %d indexes", len(h.table.buckets), len(h.large))
		}
	}
	runtime.KeepAlive(e)
}

// TestIndex follows a channel through the sizes at which it gets an index, rebuilds it and loses it.
func TestIndex(t *testing.T) {
	e := New(Config{Stripes: 1}, nobody{})
	of := func() *index {
		rec := e.halls[0].table.find(e.hash("news"), "news")
		return e.halls[0].large[&rec.of]
	}
	count := 0
	resize := func(n int) {
		for ; count < n; count++ {
			enter(t, e, "news", count, engine.PresenceInfo{User: fmt.Sprint(count / 2)})
		}
		for ; count > n; count-- {
			leave(t, e, "news", count-1)
		}
		if s, err := e.PresenceStats(context.Background(), "news"); err != nil || s.Clients != n || s.Users != (n+1)/2 {
			t.Errorf("with %d members: %+v, %v", n, s, err)
		}
		rec := e.halls[0].table.find(e.hash("news"), "news")
		if x := of(); x != nil {
			for i := range rec.of.members {
				if x.places[rec.of.members[i].client] != uint32(i) {
					t.Fatalf("with %d members: the one at %d is sought at %d", n, i, x.places[rec.of.members[i].client])
				}
			}
		}
	}
	for _, step := range []struct{ members, peak int }{ // peak 0: no index
		{membersFew, 0}, {membersFew + 1, 33}, {400, 400}, {101, 400}, {100, 100}, {26, 100}, {25, 25}, {membersFew / 2, 0},
		{membersFew, 0}, {membersFew + 1, 33}, {1, 0},
	} {
		resize(step.members)
		peak := 0
		if x := of(); x != nil {
			peak = x.peak
		}
		if peak != step.peak {
			t.Errorf("with %d members the index has room for %d, want %d", step.members, peak, step.peak)
		}
	}
}

// TestUserChanges: a client that comes back as another user counts for that one.
func TestUserChanges(t *testing.T) {
	e := New(Config{}, nobody{})
	for _, members := range []int{2, 100} {
		channel := fmt.Sprint(members)
		for i := range members {
			enter(t, e, channel, i, engine.PresenceInfo{User: "a"})
		}
		for i, want := range []int{2, 1} {
			enter(t, e, channel, 0, engine.PresenceInfo{User: []string{"b", "a"}[i]})
			if s, err := e.PresenceStats(context.Background(), channel); err != nil || s.Users != want || s.Clients != members {
				t.Errorf("%+v, %v; want %d users", s, err, want)
			}
		}
	}
}

// TestPresenceShares: strings and bytes are those of the session, not copies.
func TestPresenceShares(t *testing.T) {
	e := New(Config{}, nobody{})
	channel, user, conn := fmt.Sprint("ne", "ws"), fmt.Sprint("us", "er"), []byte(`{}`)
	enter(t, e, channel, 1, engine.PresenceInfo{User: user, ConnInfo: conn})
	rec := e.hall(e.hash(channel)).table.find(e.hash(channel), channel)
	found, err := e.Presence(context.Background(), channel)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d clients, %v", len(found), err)
	}
	for _, info := range found {
		if unsafe.StringData(info.User) != unsafe.StringData(user) || &info.ConnInfo[0] != &conn[0] || unsafe.StringData(rec.name) != unsafe.StringData(channel) {
			t.Error("something was copied")
		}
	}
}

func TestPresenceAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	e := New(Config{}, nobody{})
	rich := engine.PresenceInfo{User: "u", ConnInfo: []byte(`1`)}
	for i := range 10 {
		enter(t, e, "small", i, rich)
	}
	for i := range 10_000 {
		enter(t, e, "large", i, rich)
	}
	ctx := context.Background()
	hash, room := e.hash("large"), make([]member, 0, 10_000)
	for _, tt := range []struct {
		name string
		do   func()
		want float64
	}{
		{"numbers of few", func() { _, _ = e.PresenceStats(ctx, "small") }, 0},
		{"numbers of many", func() { _, _ = e.PresenceStats(ctx, "large") }, 0},
		{"nothing new of a client", func() { enter(t, e, "large", 7, rich) }, 0},
		{"come and go", func() {
			enter(t, e, "small", -1, engine.PresenceInfo{User: "v"})
			leave(t, e, "small", -1)
		}, 0},
		{"come and go among many", func() {
			enter(t, e, "large", -1, engine.PresenceInfo{User: "u"})
			leave(t, e, "large", -1)
		}, 0},
		{"come and go with info", func() {
			enter(t, e, "small", -1, rich)
			leave(t, e, "small", -1)
		}, 1},
		{"read of few", func() { _, _ = e.Presence(ctx, "small") }, 7},
		{"copy of many under the lock", func() {
			room = room[:0]
			if n := e.hall(hash).copyTo(&room, hash, "large"); n != len(room) {
				t.Errorf("%d of %d copied", len(room), n)
			}
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.do()
			if got := testing.AllocsPerRun(100, tt.do); got > tt.want {
				t.Errorf("%v allocations, want at most %v", got, tt.want)
			}
		})
	}
}

// BenchmarkPresence compares a small channel with a huge one: coming, going and counting cost about the same in both.
func BenchmarkPresence(b *testing.B) {
	for _, members := range []int{10, 100_000} {
		e := New(Config{}, nobody{})
		for i := range members {
			enter(b, e, "news", i, engine.PresenceInfo{User: fmt.Sprint(i)})
		}
		b.Run(fmt.Sprintf("come and go/%d", members), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				enter(b, e, "news", -1, engine.PresenceInfo{User: "u"})
				leave(b, e, "news", -1)
			}
		})
		b.Run(fmt.Sprintf("stats/%d", members), func(b *testing.B) {
			for b.Loop() {
				_, _ = e.PresenceStats(context.Background(), "news")
			}
		})
		b.Run(fmt.Sprintf("copy under the lock/%d", members), func(b *testing.B) {
			hash, room := e.hash("news"), make([]member, 0, members)
			for b.Loop() {
				room = room[:0]
				e.hall(hash).copyTo(&room, hash, "news")
			}
		})
		b.Run(fmt.Sprintf("read/%d", members), func(b *testing.B) {
			for b.Loop() {
				_, _ = e.Presence(context.Background(), "news")
			}
		})
	}
}
