package reactor

import (
	"sync/atomic"
	"time"
)

// shedPatience is how long a loop that is over the ceiling waits to hear of the others' conns.
const shedPatience = 50 * time.Millisecond

// scales is what a driver knows about the memory of all loops together, and tells the others about its own.
type scales struct {
	overSince time.Duration // reactor time since when the ceiling has been passed; 0 if it is not
	shedAt    time.Duration

	// Any goroutine: the weight of the heaviest conn, and when it was weighed. It may have lost weight since.
	heaviest, weighedAt atomic.Int64
}

// tellWeight lets the other loops know of a slow conn that has become heavier than the heaviest they have heard of, before they see what
// all loops hold together: else they would end lighter ones of their own for it.
func (c *Conn) tellWeight() {
	s := &c.driver.scales
	if w := int64(c.weight()); w > s.heaviest.Load() {
		s.heaviest.Store(w)
	}
}

// hold keeps the account of incomplete input.
func (c *Conn) hold(bytes int) {
	d := c.driver
	bytes = bufferBytes(bytes)
	if bytes == int(c.held) {
		return
	}
	d.account.add(bytes - int(c.held))
	c.held = uint32(bytes)
	if bytes > 0 {
		d.holders[c] = struct{}{}
	} else {
		delete(d.holders, c)
	}
}

// weight is the memory that ending c would give back at the most.
func (c *Conn) weight() int {
	n := c.owed() + int(c.held)
	if s := c.secured(); s != nil {
		n += int(s.rest)
	}
	return n
}

// shed ends conns, the heaviest first, while all loops together hold more than Config.QueueTotalBytesMax. An open conn is
// closed with Config.Slow, which drops its queue; one that is closing already, or has not been upgraded, is hung up on, which
// frees gnet's copies too. A loop whose heaviest conn is much lighter than another loop's leaves the next step to that one.
func (d *driver) shed() {
	r := d.reactor
	if r.owed.Load() <= d.cfg.QueueTotalBytesMax {
		d.scales.overSince = 0
		return
	}
	_, now := r.clock.Read()
	if d.scales.shedAt != 0 && now-d.scales.shedAt < sweepPeriod {
		return // it has rung for the next time
	}
	d.scales.shedAt = now
	d.slow.ringLater()
	victims := d.victims()
	d.weigh(victims, now)
	if d.scales.overSince == 0 {
		d.scales.overSince = now
	}
	if now-d.scales.overSince < shedPatience && r.unweighed(now) {
		return
	}
	enough := d.cfg.QueueTotalBytesMax - d.cfg.QueueTotalBytesMax/16
	for len(victims) > 0 && r.owed.Load() > enough && !r.heavier(d) {
		if victims[0].end(d) {
			last := len(victims) - 1
			victims[0] = victims[last]
			victims = victims[:last]
		}
		sink(victims, 0)
		d.account.settle()
		d.weigh(victims, now)
	}
}

// weigh tells the others how heavy the first of victims is.
func (d *driver) weigh(victims []victim, now time.Duration) {
	heaviest := 0
	if len(victims) > 0 {
		heaviest = victims[0].weight
	}
	d.scales.heaviest.Store(int64(heaviest))
	d.scales.weighedAt.Store(int64(now))
}

// unweighed reports whether a loop has not weighed its conns for a while, and rings it.
func (r *Reactor) unweighed(now time.Duration) bool {
	found := false
	for _, d := range r.drivers {
		if now-time.Duration(d.scales.weighedAt.Load()) > shedPatience {
			found = true
			d.loop.Tick()
		}
	}
	return found
}

// heavier reports whether another loop has a conn that weighs more than twice as much as d's heaviest, and rings that loop.
func (r *Reactor) heavier(d *driver) bool {
	for _, other := range r.drivers {
		if other != d && other.scales.heaviest.Load() > 2*d.scales.heaviest.Load() {
			other.loop.Tick()
			return true
		}
	}
	return false
}

// victim is a conn, or a guest, and its weight when it was looked at.
type victim struct {
	c      *Conn // nil of a guest
	guest  Guest
	weight int
}

// end ends a victim, as far as it goes at once, and reports that nothing is left of it.
func (v *victim) end(d *driver) (gone bool) {
	switch {
	case v.guest != nil:
		d.stats.shed.Add(1)
		v.guest.Shed()
		return true
	case v.c.state == stateOpen:
		d.stats.shed.Add(1)
		v.c.failSlow()
		v.weight = v.c.weight()
		return false
	default:
		if v.c.state != stateClosing && v.c.state != stateLinger { // those have been counted with what closed them
			d.stats.shed.Add(1)
		}
		v.c.hangUp()
		return true
	}
}

// victims makes a heap of the conns that hold memory, the heaviest on top.
func (d *driver) victims() []victim {
	all := make([]victim, 0, len(d.slow.conns)+len(d.holders)+len(d.burdens))
	for _, c := range d.slow.conns {
		if c.state != stateDead {
			all = append(all, victim{c: c, weight: c.weight()})
		}
	}
	for c := range d.holders {
		if c.flags&flagListed == 0 {
			all = append(all, victim{c: c, weight: c.weight()})
		}
	}
	for g := range d.burdens {
		if w := g.Weight(); w > 0 {
			all = append(all, victim{guest: g, weight: w})
		} else {
			delete(d.burdens, g)
		}
	}
	for i := len(all)/2 - 1; i >= 0; i-- {
		sink(all, i)
	}
	return all
}

// sink restores the heap below i.
func sink(heap []victim, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && heap[child+1].weight > heap[child].weight {
			child++
		}
		if heap[i].weight >= heap[child].weight {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}
