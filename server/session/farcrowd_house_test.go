package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"stentor/reactor/loop"
	"stentor/server/hub"
	"stentor/server/metrics"
)

// farHouse is one node, and what lies between it and the engine.
type farHouse struct {
	crowd  *farCrowd
	number int
	node   *Node
	loops  []*farLoop
	link   *farLink
	calls  *farCalls
	work   *farWork

	check   positionCheck
	checked loop.Time // the last time
}

func newFarHouse(c *farCrowd, number int) *farHouse {
	h := &farHouse{crowd: c, number: number}
	var loops []*loop.Loop
	for id := range farLoops {
		l := loop.New(id, loop.Config{Ring: func() {}, Log: c.log})
		l.SetNow(c.now)
		loops, h.loops = append(loops, l), append(h.loops, newFarLoop(c, l))
	}
	table := hub.NewTable(loops)
	table.SetScope(c.rules.Scope)
	h.link = newFarLink(h, table)
	h.calls = &farCalls{farLink: h.link, house: h}
	h.work = newFarWork(h)
	if c.near != nearBroker {
		table.Connect(h.calls)
	}
	h.node = &Node{
		Settings: c.node.Settings, Broker: h.calls, Presence: farPresent{h.calls}, Lanes: h.work, Table: table, Users: hub.NewUsers(), Loops: loops,
		Pool: &c.pool, Fetches: &c.pool, Metrics: metrics.New(metrics.Config{Loops: len(loops)}), Log: c.log, Now: c.node.Now,
	}
	if number == farNodes-1 {
		h.node.Settings.PositionCheckDelay = 0
	}
	h.node.Start(c.node.policy.Load())
	h.node.seal = inHouse{number: byte(number)}
	return h
}

// inHouse is inOrder for one of several nodes: no two clients have the same id.
type inHouse struct {
	inOrder
	number byte
}

func (x inHouse) Encrypt(dst, src []byte) {
	copy(dst, src)
	dst[0] = x.number
}

// Nothing waits longer, in ticks: for a loop, for a call to begin, for a message of the feed to come.
const (
	farLagMax  = 25
	farWaitMax = 40
	farFeedMax = 15
)

// keepUp does what has waited too long, and what is due every second. Positions are compared two seconds after they were read: by then
// messages have to be there.
func (h *farHouse) keepUp() {
	now := h.crowd.now
	h.link.deliverOld(now - min(now, farFeedMax))
	h.work.runOld(now - min(now, farWaitMax))
	for _, l := range h.loops {
		if l.turned+farLagMax < now {
			l.pass()
		}
	}
	if second := loop.Time(time.Second / loop.TickPeriod); h.checked+second <= h.crowd.now {
		h.checked = h.crowd.now
		h.checkPositions()
		h.checkHeld()
	}
}

// checkHeld: what is held back is counted.
func (h *farHouse) checkHeld() {
	sum := int64(0)
	for _, p := range h.crowd.clients {
		if p.house == h && p.session.busy() {
			sum += int64(len(p.session.extra.held.inbox))
		}
	}
	if n := h.node.held.Load(); n != sum {
		h.crowd.fault("node %d holds %d bytes back, and counts %d", h.number, sum, n)
	}
}

// checkPositions is one step of the periodic check. Positions are read by many at once, in any order; that of their comparing must
// not differ from run to run.
func (h *farHouse) checkPositions() {
	h.check.step(context.WithValue(context.Background(), farCheck{}, true), h.node)
	slices.SortStableFunc(h.check.suspects, func(a, b suspect) int {
		if a.step != b.step {
			return a.step - b.step
		}
		return strings.Compare(a.channel, b.channel)
	})
}

// farCheck marks the calls of the periodic check.
type farCheck struct{}

// settle does everything that is under way.
func (h *farHouse) settle() {
	for h.link.goOn() || h.work.runOne() {
	}
	for _, l := range h.loops {
		l.pass()
	}
}

// meanwhile is what else happens while a call about a channel is under way. More often than by chance somebody publishes there, and
// the loop of whoever waits for the call hears of it before.
func (h *farHouse) meanwhile(channel string) {
	c := h.crowd
	if c.depth >= 3 || c.calm {
		return
	}
	c.depth++
	for range c.rnd.IntN(1 + c.rnd.IntN(8)) {
		c.step()
	}
	if c.one(4) {
		c.publish(c.byName[channel])
		if c.one(2) {
			h.link.deliverOld(c.now)
			h.loops[loop.Handle(h.work.current).Loop()].turn()
		}
	}
	c.depth--
}

// farLoop is a loop with its driver: it reads what its pipes bring, then turns the loop, unless it lags.
type farLoop struct {
	crowd    *farCrowd
	loop     *loop.Loop
	readable []*farPipe
	lags     bool
	spender  *spender
	turned   loop.Time // the last time
}

func newFarLoop(c *farCrowd, l *loop.Loop) *farLoop {
	x := &farLoop{crowd: c, loop: l, spender: new(spender)}
	l.Ready(x.spender)
	return x
}

// turn is one pass, unless the loop lags.
func (x *farLoop) turn() {
	if !x.lags {
		x.pass()
	}
}

// pass is one pass of the driver. A budget that ends early leaves a walk open.
func (x *farLoop) pass() {
	c := x.crowd
	x.turned = c.now
	readable := x.readable
	x.readable = nil
	for _, p := range readable {
		if c.mishap(6) {
			x.readable = append(x.readable, p)
		} else {
			p.receive()
		}
	}
	x.spender.keep, x.spender.went = loop.TurnVisitsMax, false
	if c.mishap(3) {
		x.spender.keep = 1 + c.rnd.IntN(30)
	}
	c.busy(func() { x.loop.Turn(c.now) })
}

// busy does something on a loop, where nothing far away may be waited for.
func (c *farCrowd) busy(do func()) {
	before := c.onLoop
	c.onLoop = true
	defer func() { c.onLoop = before }()
	do()
}

// farWork is the lanes of a node: what has the same key is done in order, one after the other, at any time.
type farWork struct {
	house   *farHouse
	queues  map[uint64][]farJob
	ready   []uint64 // keys with work, none of which is under way
	running map[uint64]bool
	current uint64              // whose work is under way, 0 if none is
	blamed  map[loop.Handle]int // when something went wrong in somebody's work
}

type farJob struct {
	do    func()
	since loop.Time
}

func newFarWork(h *farHouse) *farWork {
	return &farWork{house: h, queues: map[uint64][]farJob{}, running: map[uint64]bool{}, blamed: map[loop.Handle]int{}}
}

// Do implements Lanes.
func (w *farWork) Do(key uint64, work func()) bool {
	c := w.house.crowd
	if c.mishap(200) {
		c.trace.Overloads++
		w.blamed[loop.Handle(key)] = c.moment
		return false
	}
	if len(w.queues[key]) == 0 && !w.running[key] {
		w.ready = append(w.ready, key)
	}
	w.queues[key] = append(w.queues[key], farJob{work, c.now})
	return true
}

// runOne does some work, and reports whether there was any.
func (w *farWork) runOne() bool {
	if len(w.ready) == 0 {
		return false
	}
	w.run(w.house.crowd.rnd.IntN(len(w.ready)))
	return true
}

// runOld does what has waited since a moment.
func (w *farWork) runOld(since loop.Time) {
	for i := 0; i < len(w.ready); {
		if w.queues[w.ready[i]][0].since <= since {
			w.run(i)
			i = 0
		} else {
			i++
		}
	}
}

func (w *farWork) run(i int) {
	key := w.ready[i]
	w.ready = slices.Delete(w.ready, i, i+1)
	job := w.queues[key][0]
	w.queues[key] = w.queues[key][1:]
	before := w.current
	w.current, w.running[key] = key, true
	w.do(job.do)
	w.current = before
	delete(w.running, key)
	if len(w.queues[key]) > 0 {
		w.ready = append(w.ready, key)
	} else {
		delete(w.queues, key)
	}
}

// do survives panics, as lanes do.
func (w *farWork) do(work func()) {
	defer func() {
		if v := recover(); v != nil && v != errSim {
			panic(v)
		}
	}()
	work()
}

// blame notes that something goes wrong in the work that is under way.
func (w *farWork) blame() { w.blamed[loop.Handle(w.current)] = w.house.crowd.moment }
