package hub

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
)

var (
	simSeed = flag.Uint64("simseed", 0, "run the simulation with this one seed")
	simRuns = flag.Int("simruns", 3000, "how many seeds the simulation runs")
)

// TestSimulation lets publishers, subscribers with and without recovery, deltas and filters, joins, leaves and changes of epoch meet
// on several loops that are turned in random order and with random budgets, and compares what everybody got with a naive model.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		simulate(t, *simSeed)
		return
	}
	runs := *simRuns
	if raceEnabled || testing.Short() {
		runs = min(runs, 100)
	}
	for range runs {
		seed := rand.Uint64()
		if simulate(t, seed); t.Failed() {
			t.Fatalf("to repeat: go test ./server/hub -run TestSimulation -simseed=%d", seed)
		}
	}
}

// sim is one run.
type sim struct {
	*rig
	rnd      *rand.Rand
	engine   *memengine.Engine
	wall     time.Duration
	channels []*simChannel
	members  []*simMember
	marks    int // markers under way
	decoded  map[*codec.Frame][]*codec.Push
}

// simChannel is what the model knows of a channel: every publication, join and leave there ever was, numbered from 0.
type simChannel struct {
	name string
	log  []simEntry

	epochs map[string]bool // that anybody has seen
}

// simEntry is a publication with the epoch it had, zero without history, or a join or leave.
type simEntry struct {
	codec.StreamPosition
	join bool
}

// simPub is what a member got: number of the log.
type simPub struct {
	number int
	offset uint64
	join   bool
}

// simMember is one subscription, with what it must get.
type simMember struct {
	sim       *sim
	channel   *simChannel
	loop      int
	form      codec.Form
	options   Options
	reader    patient // of deltas
	sub       *Subscription
	placed    bool
	from      codec.StreamPosition // where it begins, if placed
	joinedAt  int                  // length of the log then
	got       []simPub
	recovered int // of got
	failed    bool
	left      bool
}

func simulate(t *testing.T, seed uint64) {
	s := &sim{rig: newRig(t, 0), rnd: rand.New(rand.NewPCG(seed, 0)), decoded: map[*codec.Frame][]*codec.Push{}}
	s.rig = newRig(t, 1+s.rnd.IntN(4))
	s.engine = memengine.New(memengine.Config{Stripes: 1, Clock: func() time.Duration { return s.wall }}, s.table)
	for i := range 1 + s.rnd.IntN(3) {
		s.channels = append(s.channels, &simChannel{name: fmt.Sprint("channel-", i), epochs: map[string]bool{}})
	}
	for range 20 + s.rnd.IntN(150) {
		s.step()
	}
	s.settle()
	for _, m := range s.members {
		m.check()
		if !m.left {
			s.table.Unsubscribe(m.sub)
		}
	}
	if s.marks != 0 {
		t.Errorf("%d markers did not come back", s.marks)
	}
	if n, subs := s.table.Count(); n != 0 || subs != 0 || s.table.FilterBytes() != 0 {
		t.Errorf("%d channels with %d subscriptions are left, %d bytes of filters", n, subs, s.table.FilterBytes())
	}
}

func (s *sim) step() {
	c := s.channels[s.rnd.IntN(len(s.channels))]
	switch n := s.rnd.IntN(100); {
	case n < 30:
		s.publishOne(c)
	case n < 37:
		s.tellOne(c)
	case n < 55:
		s.joinOne(c, nil)
	case n < 65:
		if m := s.any(); m != nil {
			m.leave()
		}
	case n < 68:
		if m := s.any(); m != nil {
			s.loops[m.loop].Post(simOrder{m}, len(m.channel.log), 0)
		}
	case n < 73: // come back elsewhere, with the position reached
		if m := s.any(); m != nil && m.placed {
			m.leave()
			s.joinOne(m.channel, m)
		}
	case n < 74:
		s.wall += 2 * simMeta
	case n < 78:
		_, top, err := s.engine.History(context.Background(), c.name, engine.HistoryFilter{MetaTTL: simMeta})
		if err != nil {
			s.t.Fatal(err)
		}
		c.epochs[top.Epoch] = true
		s.table.Check(c.name, top)
	case n < 82:
		s.markOne()
	default:
		s.turn(s.rnd.IntN(len(s.loops)), 1+s.rnd.IntN(1+s.rnd.IntN(12)))
	}
}

// simMeta is how long a stream's epoch outlives its last use.
const simMeta = time.Hour

func (s *sim) publishOne(c *simChannel) {
	o := engine.PublishOptions{HistorySize: 1000, HistoryTTL: time.Minute, HistoryMetaTTL: simMeta}
	if s.rnd.IntN(4) == 0 {
		o = engine.PublishOptions{}
	}
	o.Delta = s.rnd.IntN(3) > 0
	p := &codec.Publication{Data: []byte(payload(strconv.Itoa(len(c.log)))), Tags: simTags(len(c.log))}
	got, err := s.engine.Publish(context.Background(), c.name, p, o)
	if err != nil {
		s.t.Fatal(err)
	}
	c.log = append(c.log, simEntry{StreamPosition: got.StreamPosition})
	if got.Epoch != "" {
		c.epochs[got.Epoch] = true
	}
}

// simTags are those of publication number, of which simFilter takes some.
func simTags(number int) map[string]string { return map[string]string{"t": strconv.Itoa(number % 3)} }

var simFilter = codec.FilterNode{Key: "t", Cmp: "neq", Val: "0"}

func (s *sim) tellOne(c *simChannel) {
	tell := s.engine.PublishJoin
	if s.rnd.IntN(2) == 0 {
		tell = s.engine.PublishLeave
	}
	if err := tell(context.Background(), c.name, &codec.ClientInfo{Client: strconv.Itoa(len(c.log))}); err != nil {
		s.t.Fatal(err)
	}
	c.log = append(c.log, simEntry{join: true})
}

// joinOne adds a member; one who comes back asks for what it has missed.
func (s *sim) joinOne(c *simChannel, back *simMember) {
	m := &simMember{sim: s, channel: c, loop: s.rnd.IntN(len(s.loops)), form: codec.Form(s.rnd.IntN(codec.NumAllForms)), sub: new(Subscription)}
	m.joinedAt = len(c.log)
	if back != nil {
		m.options = back.options
	} else {
		m.options = Options{JoinLeave: s.rnd.IntN(3) == 0, Delta: s.rnd.IntN(3) == 0}
		if s.rnd.IntN(3) == 0 {
			m.options.Filter = mustFilter(s.t, &simFilter)
		}
	}
	m.reader = patient{t: s.t, form: m.form}
	s.table.Subscribe(m.sub, s.loops[m.loop], c.name, m.form, m, m.options)
	s.members = append(s.members, m)
	if m.placed = back != nil || s.rnd.IntN(3) > 0; !m.placed {
		return
	}
	filter := engine.HistoryFilter{MetaTTL: simMeta}
	if back != nil {
		at := back.position()
		filter.Since, filter.Limit = &at, -1
	}
	missed, top, err := s.engine.History(context.Background(), c.name, filter)
	m.from, c.epochs[top.Epoch] = top, true
	complete := back != nil && err == nil && (len(missed) == 0 && filter.Since.Offset == top.Offset ||
		len(missed) > 0 && missed[0].Offset == filter.Since.Offset+1)
	s.table.Position(m.sub, top)
	if complete {
		m.from.Offset = filter.Since.Offset
		m.recover(missed)
	}
}

// recover takes what a subscribe reply brings.
func (m *simMember) recover(missed []*codec.Publication) {
	switch {
	case m.options.Delta && len(missed) > 0:
		missed, _ = Deltas(m.form, missed)
		m.sim.table.Recovered(m.sub)
	case m.options.Filter != nil:
		missed = m.options.Filter.Select(missed)
	}
	for _, p := range missed {
		m.got = append(m.got, m.read(&codec.Push{Pub: p}))
	}
	m.recovered = len(m.got)
}

// any is a random member who has not left.
func (s *sim) any() *simMember {
	for range 10 {
		if len(s.members) > 0 {
			if m := s.members[s.rnd.IntN(len(s.members))]; !m.left {
				return m
			}
		}
	}
	return nil
}

// markOne publishes as a subscriber does who wants its reply behind the publication.
func (s *sim) markOne() {
	m := s.any()
	if m == nil {
		return
	}
	s.publishOne(m.channel)
	number := len(m.channel.log) - 1
	mark := &simMark{member: m, number: number}
	mark.h = s.loops[m.loop].Add(mark)
	s.table.Behind(m.sub.Channel(), mark.h, nil)
	s.marks++
}

// simOrder makes a member leave, wherever it stands, with all that was published before the order and nothing that came after.
type simOrder struct{ member *simMember }

// Take is the order, out of the mailbox.
func (o simOrder) Take(_ *loop.Loop, published any) {
	m := o.member
	if m.left {
		return
	}
	m.sim.table.CatchUp(m.sub)
	m.leave()
	have := map[int]bool{}
	for _, p := range m.got {
		have[p.number] = true
		if p.number >= published.(int) {
			m.sim.t.Errorf("publication %d was made after the order to leave, at %d", p.number, published)
		}
	}
	for number := m.joinedAt; number < published.(int) && !m.failed; number++ {
		if !have[number] && m.wants(number) {
			m.sim.t.Errorf("publication %d was made before the order to leave, at %d: %v", number, published, m.got)
		}
	}
}

// simMark is a publisher that waits for its publication, number of its channel.
type simMark struct {
	member *simMember
	number int
	h      loop.Handle
}

// Expire implements loop.Resident.
func (k *simMark) Expire(loop.Time) {}

// Order is the marker coming back.
func (k *simMark) Order(any) {
	m := k.member
	m.sim.marks--
	m.sim.loops[m.loop].Remove(k.h)
	if !m.left && !m.failed && m.wants(k.number) && !slices.ContainsFunc(m.got, func(p simPub) bool { return p.number == k.number }) {
		m.sim.t.Errorf("a publisher is answered before it has its publication %d; it has %v", k.number, m.got)
	}
}

func (m *simMember) leave() {
	m.left = true
	m.sim.table.Unsubscribe(m.sub)
}

// position is where a placed member stands.
func (m *simMember) position() codec.StreamPosition {
	at := m.from
	for _, p := range m.got {
		at.Offset = max(at.Offset, p.offset)
	}
	return at
}

func (m *simMember) Send(f *codec.Frame) {
	if m.left || m.failed {
		m.sim.t.Errorf("a frame after leaving (%t) or failing (%t)", m.left, m.failed)
	}
	if f.Form() != m.form {
		m.sim.t.Errorf("a frame in another form")
	}
	list, known := m.sim.decoded[f]
	if !known {
		list = pushes(m.sim.t, f)
		m.sim.decoded[f] = list
	}
	for _, p := range list {
		m.got = append(m.got, m.read(p))
	}
}

func (m *simMember) read(p *codec.Push) (got simPub) {
	var text string
	switch {
	case p.Join != nil:
		text, got.join = p.Join.Info.Client, true
	case p.Leave != nil:
		text, got.join = p.Leave.Info.Client, true
	case m.options.Delta:
		_, text, _ = strings.Cut(m.reader.read(p.Pub), " ")
		got.offset = p.Pub.Offset
	default:
		text, got.offset = head(p.Pub.Data), p.Pub.Offset
	}
	var err error
	if got.number, err = strconv.Atoi(text); err != nil {
		m.sim.t.Fatal(err)
	}
	return got
}

// wants reports whether a member has to get number of the log.
func (m *simMember) wants(number int) bool {
	if m.channel.log[number].join {
		return m.options.JoinLeave
	}
	return m.options.Filter == nil || m.options.Delta || m.options.Filter.Match(simTags(number))
}

// next is the place of the publication that a placed member at a place has to get.
func (m *simMember) next(at codec.StreamPosition) codec.StreamPosition {
	for number, x := range m.channel.log {
		if x.Epoch == at.Epoch && x.Offset > at.Offset && m.wants(number) {
			return x.StreamPosition
		}
	}
	return codec.StreamPosition{}
}

func (m *simMember) Fail(_ *Subscription, why Failure) {
	m.failed = true
	if why != Lost || !m.placed {
		m.sim.t.Errorf("a member failed with %v", why)
	}
}

// check compares what a member got with what there was.
func (m *simMember) check() {
	t, log := m.sim.t, m.channel.log
	last, at := -1, m.from
	have := map[int]bool{}
	for i, p := range m.got {
		if i == m.recovered {
			last = -1 // what was under way at the join comes behind what was recovered
		}
		if p.number <= last || have[p.number] {
			t.Errorf("publication %d came again, or late: %v", p.number, m.got)
		}
		last, have[p.number] = p.number, true
		if p.offset != log[p.number].Offset || p.join != log[p.number].join {
			t.Errorf("%+v came, want %+v", p, log[p.number])
		}
		if !m.wants(p.number) {
			t.Errorf("%+v came and was not wanted", p)
		}
		if m.placed && p.offset > 0 {
			if at = m.next(at); log[p.number].StreamPosition != at {
				t.Errorf("%v came in the place of %v", log[p.number], at)
			}
		}
	}
	m.checkRun(have)
	if m.left || m.failed {
		m.checkFailure()
		return
	}
	for number := m.joinedAt; number < len(log); number++ {
		if !have[number] && m.wants(number) {
			t.Errorf("publication %d of %d is missing, joined at %d: %v", number, len(log), m.joinedAt, m.got)
		}
	}
}

// checkRun: of joins and leaves, and of publications without a position, nobody knows of a gap, so that there is none, also where
// members left in a hurry that were there before.
func (m *simMember) checkRun(have map[int]bool) {
	for _, join := range []bool{true, false} {
		run := slices.DeleteFunc(slices.Clone(m.got), func(p simPub) bool { return p.join != join })
		if len(run) == 0 || m.placed && !join {
			continue
		}
		for number := run[0].number; number < run[len(run)-1].number; number++ {
			if !have[number] && m.wants(number) && m.channel.log[number].join == join {
				m.sim.t.Errorf("publication %d (join: %t) is missing, joined at %d: %v", number, join, m.joinedAt, m.got)
			}
		}
	}
}

// checkFailure: nobody loses a position unless the stream was made anew.
func (m *simMember) checkFailure() {
	if m.failed && len(m.channel.epochs) == 1 {
		m.sim.t.Errorf("a member that began at %v failed in a stream of one epoch: %v", m.from, m.channel.log)
	}
}
