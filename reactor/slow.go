package reactor

import "time"

// sweepPeriod is how often slow conns are looked at. gnet drains its own buffer when the socket is writable, but tells nobody.
const sweepPeriod = 10 * time.Millisecond

// A sweep makes way for the sockets after this many conns or this long.
const (
	sweepConnsMax = 4096
	sweepTimeMax  = 2 * time.Millisecond
)

// slowList is the conns of a loop whose sockets take no more for now.
type slowList struct {
	driver *driver
	conns  []*Conn
	next   int           // where an unfinished sweep goes on
	at     time.Duration // reactor time of the last finished one
	timer  *time.Timer   // rings for the next one
	shedAt time.Duration
}

func (s *slowList) init(d *driver) { s.driver = d }

func (s *slowList) add(c *Conn) {
	if c.flags&flagListed != 0 {
		return
	}
	c.flags |= flagListed
	s.conns = append(s.conns, c)
	if len(s.conns) == 1 {
		s.ringLater()
	}
	s.driver.slowConns.Store(int64(len(s.conns)))
}

func (s *slowList) ringLater() {
	if s.timer == nil {
		s.timer = time.AfterFunc(sweepPeriod, s.driver.loop.Tick)
		return
	}
	s.timer.Reset(sweepPeriod)
}

// sweep gives each slow conn what its socket takes by now, if it is time for that.
func (s *slowList) sweep() {
	if len(s.conns) == 0 {
		return
	}
	d := s.driver
	_, now := d.reactor.clock.Read()
	if s.next == 0 && now-s.at < sweepPeriod {
		return
	}
	for visits := 1; s.next < len(s.conns); visits++ {
		c := s.conns[s.next]
		if c.state != stateDead {
			d.sweepConn(c)
		}
		if c.flags&flagSlow != 0 {
			s.next++
		} else {
			s.remove(s.next)
		}
		if visits%64 == 0 {
			if _, t := d.reactor.clock.Read(); visits >= sweepConnsMax || t-now > sweepTimeMax {
				break
			}
		}
	}
	d.slowConns.Store(int64(len(s.conns)))
	if s.next < len(s.conns) {
		d.loop.Tick()
		return
	}
	s.next, s.at = 0, now
	if len(s.conns) > 0 {
		s.ringLater()
	} else {
		s.conns = nil
	}
}

// remove puts the last conn in place i.
func (s *slowList) remove(i int) {
	last := len(s.conns) - 1
	s.conns[i].flags &^= flagListed
	s.conns[i] = s.conns[last]
	s.conns[last] = nil
	s.conns = s.conns[:last]
}

func (d *driver) sweepConn(c *Conn) {
	defer d.survive(c, "sweep")
	if c.gc.OutboundBuffered() == 0 && c.pending() {
		if c.writeOnce(); c.state == stateDead {
			return
		}
	}
	c.judge()
	c.settled()
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
func (c *Conn) weight() int { return c.owed() + int(c.held) }

// victim is a conn and its weight when it was looked at.
type victim struct {
	c      *Conn
	weight int
}

// shed ends conns, the heaviest first, while all loops together hold more than Config.QueueTotalBytesMax. An open conn is
// closed with Config.Slow, which drops its queue; one that is closing already is hung up on, which frees gnet's copies too. A
// loop whose heaviest conn is much lighter than another loop's leaves the next step to that one.
func (d *driver) shed() {
	r := d.reactor
	if r.owed.Load() <= d.cfg.QueueTotalBytesMax {
		return
	}
	_, now := r.clock.Read()
	if now-d.slow.shedAt < sweepPeriod {
		return // the timer or the ticker will ring again
	}
	d.slow.shedAt = now
	enough := d.cfg.QueueTotalBytesMax - d.cfg.QueueTotalBytesMax/16
	victims := d.victims()
	for len(victims) > 0 && r.owed.Load() > enough {
		d.heaviest.Store(int64(victims[0].weight))
		if other := r.heavier(d); other != nil {
			other.loop.Tick()
			return
		}
		if c := victims[0].c; c.state == stateOpen {
			d.stats.shed.Add(1)
			c.failSlow()
			victims[0].weight = c.weight()
		} else {
			c.hangUp()
			last := len(victims) - 1
			victims[0] = victims[last]
			victims = victims[:last]
		}
		sink(victims, 0)
		d.account.settle()
	}
	d.heaviest.Store(0)
}

// heavier finds a driver whose heaviest conn weighs more than twice as much as d's.
func (r *Reactor) heavier(d *driver) *driver {
	for _, other := range r.drivers {
		if other != d && other.heaviest.Load() > 2*d.heaviest.Load() {
			return other
		}
	}
	return nil
}

// victims makes a heap of the conns that hold memory, the heaviest on top.
func (d *driver) victims() []victim {
	all := make([]victim, 0, len(d.slow.conns)+len(d.holders))
	for _, c := range d.slow.conns {
		if c.state != stateDead {
			all = append(all, victim{c, c.weight()})
		}
	}
	for c := range d.holders {
		if c.flags&flagListed == 0 {
			all = append(all, victim{c, c.weight()})
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
