package hub

import "stentor/codec"

// collected is what a channel of a loop has handed out while some of its members read history from far away. They are silent until
// they know their position; then they get what came after it from here.
type collected struct {
	silent map[*Subscription]struct{}
	events []*event // publications with an offset
	bytes  int
}

// Limits of what is collected for a channel. The oldest go first; who would have needed them has missed something and fails as Lost.
const (
	collectedItemsMax = 4096
	collectedBytesMax = 4 << 20
)

// Silence keeps everything from s, which was subscribed a moment ago, until LetIn. With collect, publications with an offset are kept
// for it meanwhile.
func (t *Table) Silence(s *Subscription, collect bool) {
	s.flags |= failed
	if !collect {
		return
	}
	o := &t.locals[s.channel.loop]
	k := o.collecting[s.channel]
	if k == nil {
		k = &collected{silent: make(map[*Subscription]struct{})}
		if o.collecting == nil {
			o.collecting = make(map[*Channel]*collected)
		}
		o.collecting[s.channel] = k
	}
	k.silent[s] = struct{}{}
}

// LetIn ends the silence of s. If it has a Position by now, it gets what was collected beyond that, at once.
func (t *Table) LetIn(s *Subscription) {
	s.flags &^= failed
	c := s.channel
	k := t.locals[c.loop].collecting[c]
	if k == nil {
		return
	}
	t.locals[c.loop].forgo(s)
	p := c.pending
	if p == nil {
		p = &pending{table: t, channel: c}
	}
	for _, e := range k.events {
		p.handOne(s, e)
	}
}

// forgo ends the collecting for s, if there is any.
func (o *local) forgo(s *Subscription) {
	k := o.collecting[s.channel]
	if k == nil {
		return
	}
	delete(k.silent, s)
	if len(k.silent) > 0 {
		return
	}
	delete(o.collecting, s.channel)
	if len(o.collecting) == 0 {
		o.collecting = nil // a map never gives memory back by itself
	}
}

// keep collects the publications of a batch that is being handed out.
func (k *collected) keep(events []*event) {
	for _, e := range events {
		if e.kind == codec.Publications && e.pub.Offset > 0 {
			k.events = append(k.events, e)
			k.bytes += e.cost()
		}
	}
	n := max(len(k.events)-collectedItemsMax, 0)
	for _, e := range k.events[:n] {
		k.bytes -= e.cost()
	}
	for ; k.bytes > collectedBytesMax; n++ {
		k.bytes -= k.events[n].cost()
	}
	if n > 0 {
		k.events = append(k.events[:0], k.events[n:]...)
	}
}
