package reactor

import (
	"strings"
	"testing"
)

// guest is one that owes so much until it is shed.
type guest struct {
	r      *Reactor
	weight int
	shed   int
}

func (g *guest) Weight() int { return g.weight }

func (g *guest) Shed() {
	g.shed++
	g.r.Guests().Owe(-int64(g.weight))
	g.weight = 0
}

// owe is what a guest does when frames are queued for it.
func (g *guest) owe(loop, bytes int) {
	g.weight = bytes
	g.r.Guests().Owe(int64(bytes))
	g.r.Guests().Burden(loop, g)
}

// TestGuestsTakePlaces: guests and sockets that were accepted elsewhere count among all conns.
func TestGuestsTakePlaces(t *testing.T) {
	r := start(t, Config{MaxConns: 3}, upgradeTo(echo))
	g := r.Guests()
	if !g.Enter() || !g.EnterSocket() {
		t.Fatal("refused with places left")
	}
	c := dialWS(t, r)
	if g.Enter() || g.EnterSocket() {
		t.Error("entered without a place")
	}
	if s := r.Stats(); s.Conns != 3 || s.Guests != 1 || s.RefusedConns != 2 {
		t.Errorf("%d conns, %d guests, %d refused", s.Conns, s.Guests, s.RefusedConns)
	}
	if other := dialRaw(t, r); !strings.Contains(other.head(), "503") {
		t.Error("a socket was accepted without a place")
	}
	c.Close()
	eventually(t, "a place comes free", g.EnterSocket)
	g.LeaveSocket()
	g.LeaveSocket()
	onLoop(r, 0, func() { g.Leave(0, &guest{}) })
	if s := r.Stats(); s.Conns != 0 || s.Guests != 0 {
		t.Errorf("%d conns and %d guests are left", s.Conns, s.Guests)
	}
}

// TestGuestsAreShed: when all together are owed too much, the heaviest ends, whether it is a guest or not.
func TestGuestsAreShed(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{Loops: 1, QueueTotalBytesMax: 1 << 20, QueueBytesMax: 64 << 20, SendBufferBytes: 4 << 10}, router)
	light, heavy := &guest{r: r}, &guest{r: r}
	onLoop(r, 0, func() { light.owe(0, 100<<10); heavy.owe(0, 2<<20) })
	eventually(t, "the heavy one is shed", func() bool {
		done := false
		onLoop(r, 0, func() { done = heavy.shed == 1 })
		return done
	})
	if s := r.Stats(); s.Shed != 1 || s.QueuedBytes != 100<<10 {
		t.Errorf("%d shed, %d bytes are owed", s.Shed, s.QueuedBytes)
	}
	dialSlow(t, r)
	one := <-ch
	onLoop(r, 0, func() {
		for i := range 300 {
			one.Write(numbered(i, 10_000))
		}
	})
	eventually(t, "the socket is shed", func() bool { return r.Stats().Shed == 2 })
	onLoop(r, 0, func() {
		if light.shed > 0 {
			t.Error("the light one was shed")
		}
		r.Guests().Owe(-int64(light.weight))
		light.weight = 0
		if r.drivers[0].victims(); len(r.drivers[0].burdens) != 0 {
			t.Errorf("%d are still called a burden", len(r.drivers[0].burdens))
		}
	})
}
