package session

import (
	"context"
	"time"

	"stentor/reactor/loop"
)

// RefreshPresence says anew who is in which channels, for every client once in client.presence_update_interval, until ctx ends: an
// engine far away forgets who is not heard of, such as the clients of a node that has died. There is no timer for each client; every
// second each loop goes on a bit through its own.
func (n *Node) RefreshPresence(ctx context.Context) error {
	if n.Presence.Local() || n.Settings.PresenceInterval <= 0 {
		return nil
	}
	rounds := make([]*presenceRound, len(n.Loops))
	for i, l := range n.Loops {
		rounds[i] = &presenceRound{loop: l, seconds: max(int(n.Settings.PresenceInterval/time.Second), 1)}
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			for i, l := range n.Loops {
				if l.Post(rounds[i], nil, 0) {
					l.Wake()
				}
			}
		}
	}
}

// presenceRound goes round and round the residents of a loop. The loop owns it.
type presenceRound struct {
	loop    *loop.Loop
	seconds int
	at      uint32
	left    int // residents to be visited in this second
}

// stillPresent is the order to say anew that the client is where it is.
type stillPresent struct{}

// Take begins the work of a second (loop.Recipient).
func (r *presenceRound) Take(l *loop.Loop, _ any) {
	if r.left == 0 {
		l.Ready(r)
	}
	r.left = l.Residents()/r.seconds + 1
}

// Turn does some of it.
func (r *presenceRound) Turn(b *loop.Budget) (more bool) {
	r.at = r.loop.Visit(r.at, b, func(_ loop.Handle, c loop.Resident) {
		c.Order(stillPresent{})
		if r.left--; r.left == 0 {
			b.Spend(b.Left()) // Visit has no other end
		}
	})
	if r.at == 0 { // all have been visited; the next round begins with the next second
		r.left = 0
	}
	return r.left > 0
}

// stayPresent is what a session does then.
func (s *Session) stayPresent() {
	for sub := s.subs; sub != nil; sub = sub.Next {
		if sub.Own()&present != 0 {
			s.appearFar(sub)
		}
	}
}
