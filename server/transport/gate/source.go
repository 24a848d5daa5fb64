package gate

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

// source is where a client comes from: its IPv4 address, or the first 64 bits of its IPv6 address, as one subscriber of a provider
// has all addresses behind them. The zero source is for addresses that are not known.
type source [8]byte

// sourceOf reads "host:port".
func sourceOf(hostPort string) (s source) {
	addr, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return source{}
	}
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		// No global IPv6 address begins so: ::ffff:0:0/96 was taken off above, and 0::/8 is reserved.
		four := ip.As4()
		copy(s[4:], four[:])
		return s
	}
	sixteen := ip.As16()
	copy(s[:], sixteen[:8])
	return s
}

// sourceStripes is how many locks share the sources, a power of two.
const sourceStripes = 64

// sources counts the open connections of each source. It remembers those that have some, and nobody else. Any goroutine may use it.
type sources struct {
	max     uint32
	seed    maphash.Seed // random per process: nobody can aim at one stripe
	stripes [sourceStripes]sourceStripe
}

type sourceStripe struct {
	mu   sync.Mutex
	open map[source]uint32 // nil while there are none

	_ [48]byte // a cache line of its own
}

func newSources(most int) *sources { return &sources{max: uint32(most), seed: maphash.MakeSeed()} }

func (t *sources) stripe(s source) *sourceStripe {
	return &t.stripes[maphash.Bytes(t.seed, s[:])%sourceStripes]
}

// full reports that s has as many as it may have.
func (t *sources) full(s source) bool {
	st := t.stripe(s)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.open[s] >= t.max
}

// take counts one more.
func (t *sources) take(s source) {
	st := t.stripe(s)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.open == nil {
		st.open = make(map[source]uint32)
	}
	st.open[s]++
}

// give counts one less.
func (t *sources) give(s source) {
	st := t.stripe(s)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.open[s]--; st.open[s] > 0 {
		return
	}
	delete(st.open, s)
	if len(st.open) == 0 {
		st.open = nil // a map never gives memory back by itself
	}
}

// known is how many sources have connections.
func (t *sources) known() (n int) {
	for i := range t.stripes {
		st := &t.stripes[i]
		st.mu.Lock()
		n += len(st.open)
		st.mu.Unlock()
	}
	return n
}
