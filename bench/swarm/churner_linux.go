package swarm

import (
	"errors"
	"fmt"

	"stentor/bench/measure"
)

// churners are subscribers of whom one after the other leaves and is back at once.
type churners struct {
	talker
	plan  measure.Schedule
	going bool
	next  int64 // number of the next to go
}

// Churn lets perSecond clients a second of a group of churners go and come back; 0 ends it. A client that is not live when its
// turn comes is passed over.
func (s *Swarm) Churn(name string, perSecond float64) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	c, ok := g.role.(*churners)
	switch {
	case !ok:
		return fmt.Errorf("group %s has the role %s and does not come and go", name, g.cfg.Role)
	case perSecond < 0:
		return errors.New("the number of clients per second that come and go must not be below 0")
	}
	if c.going = perSecond > 0; c.going {
		c.plan, c.next = measure.Every(s.now(), perSecond), 0
	}
	c.due = 0
	return nil
}

func (c *churners) turn(now int64) int64 {
	if !c.going || c.done != nil {
		return never
	}
	for ; c.plan.Due(c.next) <= now; c.next++ {
		i := int32(c.next % int64(len(c.conns)))
		if !c.conns[i].state.live() {
			continue
		}
		c.stats.Churned++
		c.hangUp(i)
		c.dial(i)
	}
	return c.plan.Due(c.next)
}
