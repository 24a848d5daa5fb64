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
	for given := 0; given < writeBytesMax && c.unsent() == 0 && c.pending(); given += d.writeBytes {
		if c.writeOnce(); c.state == stateDead {
			return
		}
	}
	c.judge()
	c.settled()
}
