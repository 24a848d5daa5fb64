package swarm

import (
	"strings"

	"stentor/bench/measure"
	"stentor/codec"
)

// places is where the clients of a group stand in their channels: 16 bytes for each.
type places struct {
	of     []streamPlace
	epochs []string         // each once; the first is none
	number map[string]int32 // of an epoch
}

// streamPlace is the last publication that a client has seen.
type streamPlace struct {
	offset uint64
	epoch  int32 // in places.epochs; 0: the client was never subscribed
}

func newPlaces(count int) *places {
	return &places{of: make([]streamPlace, count), epochs: []string{""}, number: map[string]int32{}}
}

func (p *places) epoch(text string) int32 {
	if n, ok := p.number[text]; ok {
		return n
	}
	text = strings.Clone(text)
	n := int32(len(p.epochs))
	p.epochs = append(p.epochs, text)
	p.number[text] = n
	return n
}

// ask adds to a request for a subscription where client i goes on.
func (p *places) ask(i int32, r *codec.SubscribeRequest) {
	r.Recoverable, r.Positioned = true, true
	if at := p.of[i]; at.epoch != 0 {
		r.Recover, r.Offset, r.Epoch = true, at.offset, p.epochs[at.epoch]
	}
}

// recovered takes the answer to that: the publications that client i missed come with it.
func (g *group) recovered(i int32, r *codec.SubscribeResult) {
	if !r.Recoverable {
		g.fault("a subscription that is not recoverable: the channel's namespace needs history and force_recovery")
		return
	}
	at := &g.places.of[i]
	if at.epoch != 0 && !r.Recovered {
		g.stats.Lost++
	}
	at.offset, at.epoch = r.Offset, g.places.epoch(r.Epoch)
	for _, p := range r.Publications {
		at.offset = p.Offset
		if stamp, ok := measure.FindStamp(p.Data); ok {
			g.stats.Recovered++
			g.fresh(&g.conns[i], stamp)
		}
	}
}

// advance notes the offset of a publication that came while client i was subscribed.
func (g *group) advance(i int32, delimited []byte) {
	var r codec.Reply
	if err := g.words.decode(delimited, &r); err == nil && r.Push != nil && r.Push.Pub != nil {
		g.places.of[i].offset = r.Push.Pub.Offset
	}
}

// Leave ends all conns of a group at once, as a network that goes away does. What each client has received stays known.
func (s *Swarm) Leave(name string) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	g.hangUpAll()
	return nil
}

// Return connects the clients of a group anew and calls done as Open does.
func (s *Swarm) Return(name string, done func(Opened)) error {
	g, err := s.known(name)
	if err != nil {
		return err
	}
	g.hangUpAll()
	g.begin(done)
	return nil
}
