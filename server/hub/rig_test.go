package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/reactor/loop"
)

// rig is a table with loops that the test turns by hand.
type rig struct {
	t         testing.TB
	table     *Table
	loops     []*loop.Loop
	spenders  []*spender
	published map[string]int // publications so far, by channel
	handed    int            // publications that listeners got
}

func newRig(t testing.TB, loops int) *rig {
	r := &rig{t: t, published: map[string]int{}}
	for id := range loops {
		r.addLoop(loop.New(id, loop.Config{Ring: func() {}}))
	}
	r.table = NewTable(r.loops)
	return r
}

func (r *rig) addLoop(l *loop.Loop) {
	l.SetNow(1)
	s := new(spender)
	l.Ready(s)
	r.loops, r.spenders = append(r.loops, l), append(r.spenders, s)
}

// spender is a task that takes its turn with the channels and leaves them as much of the loop's budget as the test says.
type spender struct {
	keep int
	went bool // in this turn of the loop
}

func (s *spender) Turn(b *loop.Budget) bool {
	if s.went {
		s.keep = 0
	}
	s.went = true
	b.Spend(b.Left() - s.keep)
	return true
}

// listener is a subscriber that remembers what it gets.
type listener struct {
	rig    *rig
	loop   *loop.Loop
	form   codec.Form
	sub    *Subscription
	got    []string // "n" for the data of a publication, "n@offset" if it has one, ">c" and "<c" for joins and leaves; joined by "+"
	failed []Failure
	onSend func()
	onFail func()
}

func (r *rig) join(id int, channel string) *listener { return r.joinAs(id, channel, codec.JSON) }

func (r *rig) joinAs(id int, channel string, f codec.Form) *listener {
	return r.joinWith(id, channel, f, Options{})
}

func (r *rig) joinWith(id int, channel string, f codec.Form, o Options) *listener {
	x := &listener{rig: r, loop: r.loops[id], form: f, sub: new(Subscription)}
	r.table.Subscribe(x.sub, x.loop, channel, f, x, o)
	return x
}

// joinAt is join with a position.
func (r *rig) joinAt(id int, channel string, offset uint64, epoch string) *listener {
	x := r.joinWith(id, channel, codec.JSON, Options{Positioned: true})
	r.table.Position(x.sub, codec.StreamPosition{Offset: offset, Epoch: epoch})
	return x
}

func (x *listener) leave() { x.rig.table.Unsubscribe(x.sub) }

func (x *listener) Send(f *codec.Frame) {
	var words []string
	for _, p := range pushes(x.rig.t, f) {
		words = append(words, word(p))
	}
	x.rig.handed += len(words)
	x.got = append(x.got, strings.Join(words, "+"))
	if x.onSend != nil {
		x.onSend()
	}
}

func (x *listener) Fail(s *Subscription, why Failure) {
	if s != x.sub {
		x.rig.t.Errorf("Fail of somebody else's subscription")
	}
	x.failed = append(x.failed, why)
	if x.onFail != nil {
		x.onFail()
	}
}

func word(p *codec.Push) string {
	switch {
	case p.Join != nil:
		return ">" + p.Join.Info.Client
	case p.Leave != nil:
		return "<" + p.Leave.Info.Client
	case p.Pub.Offset > 0:
		return fmt.Sprintf("%s@%d", p.Pub.Data, p.Pub.Offset)
	}
	return string(p.Pub.Data)
}

// decode reads the publications of a frame.
func decode(t testing.TB, f *codec.Frame) (pubs []*codec.Publication) {
	for _, p := range pushes(t, f) {
		if p.Pub != nil {
			pubs = append(pubs, p.Pub)
		}
	}
	return pubs
}

// pushes reads a frame.
func pushes(t testing.TB, f *codec.Frame) (list []*codec.Push) {
	for rest := f.Messages(); len(rest) > 0; {
		var reply codec.Reply
		var err error
		if rest, err = codec.DecodeReply(f.Form(), rest, &reply); err != nil {
			t.Fatal(err)
		}
		list = append(list, reply.Push)
	}
	return list
}

// publish gives the table publications whose data is 1, 2, … per channel.
func (r *rig) publish(channel string, n int) {
	for range n {
		r.publishAt(channel, 0, "")
	}
}

func (r *rig) publishAt(channel string, offset uint64, epoch string) {
	r.published[channel]++
	r.publishData(channel, fmt.Sprint(r.published[channel]), offset, epoch)
}

func (r *rig) publishData(channel, data string, offset uint64, epoch string) {
	p := &codec.Publication{Data: []byte(data), Offset: offset}
	r.table.Wake(r.table.Publication(channel, p, nil, codec.StreamPosition{Offset: offset, Epoch: epoch}))
}

// tell gives the table a join (">c") or a leave ("<c").
func (r *rig) tell(channel, what string) {
	deliver := r.table.Join
	if what[0] == '<' {
		deliver = r.table.Leave
	}
	r.table.Wake(deliver(channel, &codec.ClientInfo{Client: what[1:]}))
}

// turn turns a loop once, with at most so many visits for its channels: of several that wait, one may still get more.
func (r *rig) turn(id, visits int) {
	l, s := r.loops[id], r.spenders[id]
	s.keep, s.went = visits, false
	l.Turn(l.Now())
}

// inMail runs f behind the mail that waits, before any walk goes on, and then the rest of the turn.
func (r *rig) inMail(id int, f func()) {
	r.loops[id].Post(task(f), nil, 0)
	r.turn(id, loop.TurnVisitsMax)
}

func idle(l *loop.Loop) bool {
	items, _ := l.Waiting()
	return items == 0
}

// walk turns a loop until listeners have got n more publications.
func (r *rig) walk(id, n int) {
	r.t.Helper()
	want := r.handed + n
	for range 1000 {
		if r.handed >= want {
			break
		}
		r.turn(id, want-r.handed)
	}
	if r.handed != want {
		r.t.Fatalf("%d publications were handed out, want %d", r.handed, want)
	}
}

// settle turns all loops until nothing is left to do.
func (r *rig) settle() {
	for range 10_000 {
		busy := false
		for id, l := range r.loops {
			r.turn(id, loop.TurnVisitsMax)
			items, _ := l.Waiting()
			busy = busy || items > 0 || r.waits(id)
		}
		if !busy {
			return
		}
	}
	r.t.Fatal("the loops do not come to rest")
}

// waits reports whether any channel of a loop has something to hand out, also one that nobody listens to any more.
func (r *rig) waits(id int) bool {
	if r.table.locals[id].items.Load() > 0 {
		return true
	}
	for i := range r.table.stripes {
		for _, rec := range r.table.stripes[i].channels {
			for c := &rec.home; c != nil; c = c.next {
				if int(c.loop) == id && c.pending != nil {
					return true
				}
			}
		}
	}
	return false
}

// expect compares what listeners got so far.
func (x *listener) expect(want ...string) {
	x.rig.t.Helper()
	if !slices.Equal(x.got, want) {
		x.rig.t.Errorf("got %q, want %q", x.got, want)
	}
}

func (x *listener) expectFailed(want ...Failure) {
	x.rig.t.Helper()
	if !slices.Equal(x.failed, want) {
		x.rig.t.Errorf("failed with %v, want %v", x.failed, want)
	}
}

// channel is what a loop knows of a channel, nil if nobody there listens.
func (r *rig) channel(id int, name string) *Channel {
	rec := r.table.stripe(name).channels[name]
	if rec == nil {
		return nil
	}
	for c := &rec.home; c != nil; c = c.next {
		if int(c.loop) == id && c.marks&listening != 0 {
			return c
		}
	}
	return nil
}
