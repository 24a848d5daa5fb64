package hub

// Life is told what becomes of channels on this node. Its methods run on the loop that they name, and those about a first and a
// last subscriber under the lock of the channel's stripe: they must be quick and not call the table.
type Life interface {
	// Occupied: somebody is the first to subscribe to channel.
	Occupied(loop int, channel string)
	// Vacated: the last one has left it.
	Vacated(loop int, channel string)
	// FilteredOut: tags filters kept publications from subscribers of channel, counted per subscriber.
	FilteredOut(loop int, channel string, publications int)
}

// Watch tells l from now on. It comes before the first subscription.
func (t *Table) Watch(l Life) { t.life = l }

func (t *Table) occupied(loop int, channel string) {
	if t.life != nil {
		t.life.Occupied(loop, channel)
	}
}

func (t *Table) vacated(loop int, channel string) {
	if t.life != nil {
		t.life.Vacated(loop, channel)
	}
}

func (t *Table) filteredOut(c *Channel, publications int) {
	if t.life != nil && publications > 0 {
		t.life.FilteredOut(int(c.loop), c.record.name, publications)
	}
}
