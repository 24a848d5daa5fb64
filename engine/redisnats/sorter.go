package redisnats

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// Limits of what waits for publications before it.
const (
	// HoldTime is how long a publication may wait, if the sorter has no other. What is then still missing is a gap, which the node deals
	// with.
	HoldTime = 100 * time.Millisecond
	// HeldMax is how many publications of one channel may wait, and heldTotalMax of all channels.
	HeldMax      = 64
	heldTotalMax = 64 << 10

	sweepEvery = 20 * time.Millisecond
)

// stripesCount is how many locks share the channels.
const stripesCount = 256

// Sorter is the node as the carrier sees it: it puts the publications of a channel into the order of their offsets.
type Sorter struct {
	engine.Node
	// Hold is how long a publication may wait for those before it. It does not change once the sorter is used.
	Hold time.Duration

	seed    maphash.Seed
	stripes [stripesCount]stripe
	held    atomic.Int64 // publications that wait
}

type stripe struct {
	mu      sync.Mutex
	places  map[string]*place // of the channels that are subscribed to
	waiting map[string]*place // those of them where something waits, or did a moment ago
}

// place is where a channel stands.
type place struct {
	last  uint64 // the highest offset that was delivered, or read; 0: not known yet
	epoch string
	early []early // by offset
	due   time.Time
}

// early is a publication that came before its turn.
type early struct {
	pub *codec.Publication
	at  codec.StreamPosition
}

// NewSorter makes one that delivers to n.
func NewSorter(n engine.Node) *Sorter {
	return &Sorter{Node: n, Hold: HoldTime, seed: maphash.MakeSeed()}
}

func (s *Sorter) stripe(channel string) *stripe {
	return &s.stripes[maphash.String(s.seed, channel)%stripesCount]
}

// begin follows a channel from now on.
func (s *Sorter) begin(channel string) {
	st := s.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.places == nil {
		st.places = make(map[string]*place)
	}
	if st.places[channel] == nil {
		st.places[strings.Clone(channel)] = new(place)
	}
}

// end forgets a channel, with what waits there: nobody listens.
func (s *Sorter) end(channel string) {
	st := s.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	if p := st.places[channel]; p != nil {
		s.held.Add(-int64(len(p.early)))
		p.early = nil
	}
	if delete(st.places, channel); len(st.places) == 0 {
		st.places = nil // a map never gives memory back by itself
	}
}

// Publication implements engine.Receiver. The lock of the stripe is the one that orders the channel.
func (s *Sorter) Publication(channel string, p, prev *codec.Publication, at codec.StreamPosition) engine.Wake {
	if at.Offset == 0 {
		return s.Node.Publication(channel, p, prev, at)
	}
	st := s.stripe(channel)
	st.mu.Lock()
	defer st.mu.Unlock()
	pl := st.places[channel]
	if pl == nil {
		return s.Node.Publication(channel, p, prev, at)
	}
	var wake engine.Wake
	if at.Epoch != pl.epoch {
		wake = s.release(channel, pl)
		pl.epoch, pl.last = at.Epoch, 0
	}
	if at.Offset > pl.last+1 {
		if st.waiting == nil {
			st.waiting = make(map[string]*place)
		}
		st.waiting[strings.Clone(channel)] = pl
		return wake | s.hold(channel, pl, early{p, at})
	}
	return wake | s.deliver(channel, pl, early{p, at}) | s.follow(channel, pl)
}

// learn hears where the stream of a channel stands: a subscriber reads that after it has begun to listen. So what comes first has its
// place.
func (s *Sorter) learn(channel string, top codec.StreamPosition) {
	st := s.stripe(channel)
	st.mu.Lock()
	pl := st.places[channel]
	var wake engine.Wake
	if pl != nil && (pl.epoch == "" || pl.epoch == top.Epoch) {
		pl.epoch, pl.last = top.Epoch, max(pl.last, top.Offset)
		wake = s.follow(channel, pl)
	}
	st.mu.Unlock()
	s.Wake(wake)
}

// deliver hands a publication on. The stripe is locked, as for all that follow.
func (s *Sorter) deliver(channel string, pl *place, e early) engine.Wake {
	pl.last = max(pl.last, e.at.Offset)
	return s.Node.Publication(channel, e.pub, nil, e.at)
}

// follow hands on what waited for the publication that was the last one.
func (s *Sorter) follow(channel string, pl *place) (wake engine.Wake) {
	for len(pl.early) > 0 && pl.early[0].at.Offset <= pl.last+1 {
		wake |= s.first(channel, pl)
	}
	return wake
}

// release hands on all that waits, whatever is missing in between.
func (s *Sorter) release(channel string, pl *place) (wake engine.Wake) {
	for len(pl.early) > 0 {
		wake |= s.first(channel, pl)
	}
	return wake
}

func (s *Sorter) first(channel string, pl *place) engine.Wake {
	e := pl.early[0]
	if pl.early = slices.Delete(pl.early, 0, 1); len(pl.early) == 0 {
		pl.early = nil
	}
	s.held.Add(-1)
	return s.deliver(channel, pl, e)
}

// hold keeps a publication for a while, if there is room.
func (s *Sorter) hold(channel string, pl *place, e early) engine.Wake {
	if len(pl.early) == 0 {
		pl.due = time.Now().Add(s.Hold)
	}
	i, _ := slices.BinarySearchFunc(pl.early, e.at.Offset, func(e early, offset uint64) int {
		if e.at.Offset < offset {
			return -1
		}
		return 1
	})
	pl.early = slices.Insert(pl.early, i, e)
	if s.held.Add(1) > heldTotalMax || len(pl.early) > HeldMax {
		return s.release(channel, pl)
	}
	return 0
}

// Subscribed implements engine.Reporter.
func (s *Sorter) Subscribed(channel string, err error) {
	if err != nil {
		s.end(channel)
	}
	s.Node.Subscribed(channel, err)
}

// Resumed implements engine.Reporter. What comes next may have any offset.
func (s *Sorter) Resumed(channels []string) {
	var wake engine.Wake
	for _, channel := range channels {
		st := s.stripe(channel)
		st.mu.Lock()
		if pl := st.places[channel]; pl != nil {
			wake |= s.release(channel, pl)
			pl.last = 0
		}
		st.mu.Unlock()
	}
	s.Wake(wake)
	s.Node.Resumed(channels)
}

// run releases what has waited long enough, until ctx ends.
func (s *Sorter) run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if s.held.Load() > 0 {
				s.Wake(s.sweep(now))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Sorter) sweep(now time.Time) (wake engine.Wake) {
	for i := range s.stripes {
		st := &s.stripes[i]
		st.mu.Lock()
		for channel, pl := range st.waiting {
			if len(pl.early) > 0 && now.Before(pl.due) {
				continue
			}
			wake |= s.release(channel, pl)
			delete(st.waiting, channel)
		}
		st.mu.Unlock()
	}
	return wake
}
