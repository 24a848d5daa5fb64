package swarm

// Stall makes the clients of a group stop reading, or read again.
func (s *Swarm) Stall(name string, stalled bool) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	interest := uint32(0) // errors and the end of both directions are told all the same
	if !stalled {
		interest = interestRead
	}
	for i := range g.conns {
		if c := &g.conns[i]; c.state.live() {
			if err := s.poll.change(int(c.fd), g.number, int32(i), interest); err != nil {
				g.drop(int32(i), 0, "epoll: "+err.Error())
			}
		}
	}
	return nil
}
