package server

import (
	"context"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

// Pace of a drain: clients that are told to leave come back elsewhere at once, and that must not be a storm.
const (
	drainRateMin  = 10_000 // clients per second
	drainFraction = 0.8    // of shutdown.timeout within which all must have been told
	drainStep     = 10 * time.Millisecond
)

// drain closes every client with 3001, paced, and returns when all have gone or ctx ends.
func (s *Server) drain(ctx context.Context, within time.Duration) {
	handles := s.residents(ctx)
	rate := max(drainRateMin, float64(len(handles))/(drainFraction*within.Seconds()))
	perStep := max(1, int(rate*drainStep.Seconds()))
	s.log.Info("closing clients", "clients", len(handles), "per_second", int(rate))

	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for len(handles) > 0 {
		n := min(perStep, len(handles))
		for _, h := range handles[:n] {
			s.node.Loops[h.Loop()].Order(h, codec.DisconnectShutdown)
		}
		handles = handles[n:]
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	for s.present() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.log.Warn("some clients did not answer the close in time", "clients", s.present())
			return
		}
	}
}

// present is how many clients are connected, whatever their transport.
func (s *Server) present() int {
	st := s.reactor.Stats()
	return st.WebSockets + st.Streams + st.Guests
}

// residents lists who lives on all loops, mixed so that the loops share the work of closing them.
func (s *Server) residents(ctx context.Context) []loop.Handle {
	perLoop := make([]census, len(s.node.Loops))
	longest := 0
	for i, l := range s.node.Loops {
		perLoop[i].done = make(chan struct{})
		if l.Post(&perLoop[i], nil, 0) {
			l.Wake()
		}
	}
	for i := range perLoop {
		select {
		case <-perLoop[i].done:
			longest = max(longest, len(perLoop[i].handles))
		case <-ctx.Done():
			return nil
		}
	}
	var all []loop.Handle
	for at := range longest {
		for i := range perLoop {
			if at < len(perLoop[i].handles) {
				all = append(all, perLoop[i].handles[at])
			}
		}
	}
	return all
}

// census collects the handles of one loop's residents, a turn at a time.
type census struct {
	loop    *loop.Loop
	at      uint32
	handles []loop.Handle
	done    chan struct{}
}

// Take starts the census on its loop.
func (c *census) Take(l *loop.Loop, _ any) {
	c.loop = l
	l.Ready(c)
}

// Turn counts some more.
func (c *census) Turn(b *loop.Budget) (more bool) {
	c.at = c.loop.Visit(c.at, b, func(h loop.Handle, _ loop.Resident) { c.handles = append(c.handles, h) })
	if c.at == 0 {
		close(c.done)
	}
	return c.at != 0
}
