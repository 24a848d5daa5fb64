package loop

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"stentor/reactor/quiet"
)

// A turn of the loop ends when it has made this many visits (deliveries, deadlines) or taken this long, whichever comes first;
// what is left goes on after the sockets had theirs.
const (
	TurnVisitsMax = 4096
	TurnTimeMax   = 2 * time.Millisecond
)

// Task is work that takes turns on the loop with all other tasks, round robin.
type Task interface {
	// Turn does some of the work and charges b for it. It reports whether some is left.
	Turn(b *Budget) (more bool)
}

// Flusher is a conn with bytes noted during a turn, to be written once at its end.
type Flusher interface {
	Flush()
}

// Config is what a driver gives its loop.
type Config struct {
	// Ring wakes the driver, which then calls Turn. It must not block and may be called from any goroutine.
	Ring func()
	// FlushDelay holds the wake-up for mail back, so that publications that come within it meet in one turn. 0 wakes at once.
	FlushDelay time.Duration
	// Log is told about panics of mail and tasks. Residents look after their own.
	Log *slog.Logger
	// ItemsMax and BytesMax bound the mailbox; 0 means MailboxItemsMax and MailboxBytesMax.
	ItemsMax, BytesMax int
}

// Loop is one event loop. Its zero value is not usable: make it with New.
type Loop struct {
	id  int
	cfg Config

	mailPanics, taskPanics quiet.Line

	// Only the loop's own goroutine touches these.
	now    Time
	slots  slots
	wheel  wheel
	ready  fifo[Task]
	dirty  fifo[Flusher]
	spare  []mail // the mailbox's other slice
	budget Budget // of the turn
	inTurn bool   // its end looks after what comes up

	mail mailbox       // any goroutine
	lag  Lag           // any goroutine
	next atomic.Uint32 // no deadline is before this Time; 0: there is none. The loop writes it, TickDue reads it
}

// New makes loop number id, which must be below LoopsMax.
func New(id int, cfg Config) *Loop {
	if id < 0 || id >= LoopsMax {
		panic(fmt.Sprintf("loop: number %d is not in 0..%d", id, LoopsMax-1))
	}
	if cfg.ItemsMax == 0 {
		cfg.ItemsMax = MailboxItemsMax
	}
	if cfg.BytesMax == 0 {
		cfg.BytesMax = MailboxBytesMax
	}
	return &Loop{id: id, cfg: cfg}
}

// ID is the loop's number on its node.
func (l *Loop) ID() int { return l.id }

// Lag is how long rings waited for their turn.
func (l *Loop) Lag() *Lag { return &l.lag }

// Waiting is how many items and bytes of mail wait; any goroutine may ask.
func (l *Loop) Waiting() (items, bytes int) {
	return int(l.mail.itemsWaiting.Load()), int(l.mail.bytesWaiting.Load())
}

// Admit reports whether the mailbox has room. A producer asks before it commits to anything that must then be posted, such as
// an offset; several producers who ask at once may overshoot the limit by one item each.
func (l *Loop) Admit() bool {
	items, bytes := l.Waiting()
	return items < l.cfg.ItemsMax && bytes < l.cfg.BytesMax
}

// Post leaves what for a recipient and charges the mailbox with its size in bytes. It reports whether the caller must call Wake,
// which it should do after releasing its locks. Any goroutine may call it.
func (l *Loop) Post(to Recipient, what any, bytes int) (wake bool) {
	l.mail.put(mail{to: to, what: what}, bytes)
	return l.mail.ring()
}

// Order leaves what for the resident that h names and wakes the loop. If the resident has gone by then, the order is dropped.
// Any goroutine may call it.
func (l *Loop) Order(h Handle, what any) {
	l.mail.put(mail{handle: h, what: what}, 0)
	if l.mail.ring() {
		l.cfg.Ring()
	}
}

// Wake rings for mail whose Post said so.
func (l *Loop) Wake() {
	if l.cfg.FlushDelay > 0 {
		time.AfterFunc(l.cfg.FlushDelay, l.cfg.Ring)
		return
	}
	l.cfg.Ring()
}

// Tick rings for a turn. Any goroutine may call it.
func (l *Loop) Tick() {
	if l.mail.ring() {
		l.cfg.Ring()
	}
}

// TickDue rings if a deadline has come; a driver's ticker calls it once per TickPeriod. A loop that waits for nothing sleeps on.
func (l *Loop) TickDue(now Time) {
	if next := Time(l.next.Load()); next != 0 && next <= now {
		l.Tick()
	}
}

// Now is the time of the current turn. Only for the loop's goroutine, like all that follows.
func (l *Loop) Now() Time { return l.now }

// SetNow tells the time before driver code runs outside a turn (a socket became readable).
func (l *Loop) SetNow(now Time) {
	if l.now == 0 {
		l.wheel.now = now - 1 // the first time: nothing can be due before it
	}
	l.now = now
}

// Add gives r a slot.
func (l *Loop) Add(r Resident) Handle {
	n := l.slots.take(r)
	return makeHandle(l.id, l.slots.at(n).generation, n)
}

// Remove frees the slot of h and its deadline. Handles to it name nobody from now on.
func (l *Loop) Remove(h Handle) {
	if l.slots.find(h) == nil {
		return
	}
	l.wheel.disarm(&l.slots, h.slot())
	l.slots.give(h.slot())
}

// Find returns the resident that h names, or nil if it has gone.
func (l *Loop) Find(h Handle) Resident {
	if p := l.slots.find(h); p != nil {
		return p.resident
	}
	return nil
}

// Visit calls f for residents in the order of their slots, beginning at from (0 at first), until b is spent. It returns where to
// go on in another turn, or 0 when it has seen all. f may remove the resident it is called for.
func (l *Loop) Visit(from uint32, b *Budget, f func(Handle, Resident)) (next uint32) {
	for n := max(from, 1); n < l.slots.used; n++ {
		if p := l.slots.at(n); p.resident != nil {
			f(makeHandle(l.id, p.generation, n), p.resident)
		}
		if !b.Spend(1) {
			return n + 1
		}
	}
	return 0
}

// Residents is how many slots are taken.
func (l *Loop) Residents() int { return l.slots.live }

// Arm sets the one deadline of h, replacing an earlier one; 0 takes it away.
func (l *Loop) Arm(h Handle, at Time) {
	if l.slots.find(h) == nil {
		return
	}
	l.wheel.arm(&l.slots, h.slot(), at)
	if next := Time(l.next.Load()); at != 0 && (next == 0 || at < next) {
		l.next.Store(uint32(at))
	}
}

// Ready puts t at the end of the run queue. The caller sees to it that t is there once.
func (l *Loop) Ready(t Task) {
	l.ready.push(t)
	l.again()
}

// Dirty notes that f has bytes to write; its Flush is called at the end of the turn. The caller sees to it that f is noted once.
func (l *Loop) Dirty(f Flusher) {
	l.dirty.push(f)
	l.again()
}

// again asks for a turn that does what was noted, unless this one does.
func (l *Loop) again() {
	if !l.inTurn {
		l.Tick()
	}
}

// Turn does what is due: it sends what earlier turns left over, then deadlines, mail and tasks, then sends what those noted.
// If some is left it rings for another turn.
func (l *Loop) Turn(now Time) {
	l.SetNow(now)
	if l.mail.rung.Load() {
		l.lag.note(time.Duration(nanotime() - l.mail.rungAt.Load()))
	}
	l.mail.rung.Store(false) // before the swap: mail that comes after it rings again
	l.inTurn = true

	b := &l.budget // not a local: tasks see it through an interface, so it would be allocated for every turn
	*b = Budget{visits: TurnVisitsMax, deadline: nanotime() + int64(TurnTimeMax)}
	if l.flush(b) && l.expire(b) && l.drain() && l.run(b) {
		b.visits = TurnVisitsMax
		l.flush(b)
	}
	l.inTurn = false
	if l.dirty.len() > 0 || l.ready.len() > 0 || l.wheel.now < now {
		l.Tick()
		return
	}
	if next := Time(l.next.Load()); next != 0 && next <= now {
		l.next.Store(uint32(l.wheel.next()))
	}
}

// flush writes out dirty conns; false means that the budget ended first.
func (l *Loop) flush(b *Budget) bool {
	for {
		f, ok := l.dirty.pop()
		if !ok {
			return true
		}
		f.Flush()
		if !b.Spend(1) {
			return l.dirty.len() == 0
		}
	}
}

func (l *Loop) expire(b *Budget) bool {
	for {
		n := l.wheel.due(&l.slots, l.now)
		if n == 0 {
			return true
		}
		l.slots.at(n).resident.Expire(l.now)
		if !b.Spend(1) {
			return true // deadlines must not keep mail waiting for ever; the rest is due next turn
		}
	}
}

// drain hands out all mail. Recipients only note it (a channel queues a publication and asks for a turn), so that it needs no
// budget.
func (l *Loop) drain() bool {
	items := l.mail.swap(l.spare)
	for i := range items {
		l.handOut(&items[i])
	}
	clear(items)
	if cap(items) > mailKeptMax {
		items = nil
	}
	l.spare = items
	return true
}

func (l *Loop) handOut(m *mail) {
	defer l.survive("mail", &l.mailPanics)
	if m.to != nil {
		m.to.Take(l, m.what)
		return
	}
	if r := l.Find(m.handle); r != nil {
		r.Order(m.what)
	}
}

// run gives tasks their turns until the budget or the queue ends. It always reports true: what the tasks noted wants flushing.
func (l *Loop) run(b *Budget) bool {
	for !b.Spent() {
		t, ok := l.ready.pop()
		if !ok {
			break
		}
		if l.turn(t, b) {
			l.ready.push(t)
		}
	}
	return true
}

func (l *Loop) turn(t Task, b *Budget) (more bool) {
	defer l.survive("task", &l.taskPanics)
	return t.Turn(b)
}

// survive keeps the loop alive when what it called panics: ten thousand other clients live here.
func (l *Loop) survive(what string, line *quiet.Line) {
	if v := recover(); v != nil && l.cfg.Log != nil {
		line.Say(l.cfg.Log, slog.LevelError, "panic on a loop; the loop goes on",
			"loop", l.id, "in", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// Budget is what is left of a turn.
type Budget struct {
	visits   int
	deadline int64
}

// budgetClockEvery is how many visits pass between two looks at the clock.
const budgetClockEvery = 64

// Spend takes n visits off the budget and reports whether any are left.
func (b *Budget) Spend(n int) bool {
	before := b.visits
	b.visits -= n
	if b.visits <= 0 {
		return false
	}
	if before/budgetClockEvery != b.visits/budgetClockEvery && nanotime() >= b.deadline {
		b.visits = 0
		return false
	}
	return true
}

// Spent reports that the turn is over.
func (b *Budget) Spent() bool { return b.visits <= 0 }

// Left is how many visits may still be made.
func (b *Budget) Left() int { return max(b.visits, 0) }
