package hub

// A fence is a marker that is sent after the joins and leaves that are on their way to a channel of a loop when the last member there who
// wants any leaves and others stay. They are for nobody: whoever wants some next must not hear of them, because those that were told in
// between, when no one wanted any, are missing. So joins and leaves are dropped while a fence is still to come.

// fenceOff sends a fence. No joins or leaves are told to c until somebody wants some again.
func (t *Table) fenceOff(c *Channel) {
	o := &t.locals[c.loop]
	if o.fences == nil {
		o.fences = make(map[*Channel]int)
	}
	o.fences[c]++
	if l := t.loops[c.loop]; l.Post(c, &marker{table: t, fence: true}, 0) {
		l.Wake()
	}
}

// passed notes that so many fences of c have come to the front of what waits there.
func (o *local) passed(c *Channel, fences int) {
	if fences == 0 {
		return
	}
	if o.fences[c] -= fences; o.fences[c] > 0 {
		return
	}
	delete(o.fences, c)
	if len(o.fences) == 0 {
		o.fences = nil // a map never gives memory back by itself
	}
}
