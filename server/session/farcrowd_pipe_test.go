package session

import (
	"stentor/codec"
	"stentor/reactor/loop"
)

// farPipe is one connection of a client to a node: what is under way in both directions.
type farPipe struct {
	crowd   *farCrowd
	fan     *farFan
	house   *farHouse
	loop    *farLoop
	handle  loop.Handle
	session *Session
	id      string // the client's

	up      [][]byte // messages on their way to the server
	heeded  bool     // the loop knows
	down    []*codec.Frame
	waiting int // bytes in down, or that nobody will read any more
	limit   int // of waiting
	noted   bool

	asked  []*farAsk // not answered yet, oldest first
	lastID uint32

	renewals []string // infos of orders to refresh, of which it will hear
	info     string   // of the last one it has heard of
	summoned bool     // to end, by an order
	flooded  bool     // with orders
	given    []*farOrder
	panics   bool // at the next frame
	stumbled bool // and it has

	cut    bool // by the network, or after a panic; the server does not know yet
	failed bool // by a panic
	over   bool // by the server
	end    codec.Disconnect
	gone   bool // and the session knows
}

// farAsk is a command that waits for its reply.
type farAsk struct {
	id     uint32
	method codec.Method
	sub    *farSub // all but connect are about one
	moment int
	at     loop.Time
	post   *farPost  // of publish
	parts  []*farAsk // of connect: subscriptions that the server makes

	// Of subscribe.
	recover, strict, delta bool
	from                   codec.StreamPosition
	mark                   farMark
}

// openFarPipe connects f to a random loop.
func (c *farCrowd) openFarPipe(f *farFan) *farPipe {
	h := c.anyHouse()
	p := &farPipe{crowd: c, fan: f, house: h, loop: h.loops[c.rnd.IntN(len(h.loops))], limit: 40_000}
	if f.slow && !c.calm {
		p.limit = 2000 + c.rnd.IntN(4000)
	}
	p.handle = p.loop.loop.Add(p)
	p.loop.loop.SetNow(c.now)
	p.session = New(h.node, p, p.handle, Options{Form: f.form, HeaderUser: f.headerUser()})
	p.id = p.session.clientID()
	c.clients[p.id] = p
	return p
}

// await notes that a command will be answered, and gives it its id.
func (p *farPipe) await(a farAsk) *farAsk {
	p.lastID++
	p.crowd.moment++
	a.id, a.moment, a.at = p.lastID, p.crowd.moment, p.crowd.now
	p.asked = append(p.asked, &a)
	return &a
}

// send sends commands in one message.
func (p *farPipe) send(commands ...codec.Command) {
	var msg []byte
	for i := range commands {
		var err error
		if msg, err = codec.AppendCommand(msg, p.fan.form, &commands[i]); err != nil {
			p.crowd.fault("%v", err)
		}
	}
	p.up = append(p.up, msg)
	if !p.heeded {
		p.heeded = true
		p.loop.readable = append(p.loop.readable, p)
	}
}

// receive brings the server what the client has sent.
func (p *farPipe) receive() {
	p.heeded = false
	up := p.up
	p.up = nil
	for _, msg := range up {
		if p.over || p.gone {
			return
		}
		pinged := p.session.beat
		p.loop.loop.SetNow(p.crowd.now)
		p.guard(func() { p.session.Receive(msg) })
		p.drawPing(pinged)
		for i := range msg {
			msg[i] = 0xff // as a read buffer is used again
		}
	}
}

// drawPing makes the first ping depend on the seed.
func (p *farPipe) drawPing(before loop.Time) {
	if p.session.state == connected && before == 0 && p.session.beat != 0 {
		p.crowd.drawFirstPing(p.session, p.crowd.rnd)
	}
}

// guard does what the reactor does about a panic: the connection fails, and the session hears of nothing but its end, later.
func (p *farPipe) guard(call func()) {
	if p.failed {
		return
	}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v != errSim {
			panic(v)
		}
		if p.failed = true; !p.cut {
			p.drop()
			p.fan.lost(10)
		}
	}()
	p.crowd.busy(call)
}

// Send takes a frame for the client, who will read it later, or never if the network has been cut.
func (p *farPipe) Send(f *codec.Frame) bool {
	c := p.crowd
	if p.over || p.gone {
		c.fault("%v: a frame after the end of the pipe", p.fan)
	}
	if p.panics && !c.calm {
		p.panics, p.stumbled = false, true
		c.trace.Panics++
		panic(errSim)
	}
	n := len(f.Messages())
	if p.waiting+n > p.limit {
		p.stop(codec.DisconnectSlow)
		return false
	}
	p.waiting += n
	if !p.cut {
		p.down = append(p.down, f)
		p.note()
	}
	return true
}

// Close ends the pipe for a reason that must be one.
func (p *farPipe) Close(d codec.Disconnect) {
	if p.over || p.gone {
		p.crowd.fault("%v: Close after the end of the pipe", p.fan)
	}
	p.stop(d)
}

// stop is the end of what the server has to say. The client still reads what was queued.
func (p *farPipe) stop(d codec.Disconnect) {
	p.over, p.end = true, d
	p.note()
}

// note puts the pipe on the list of those with something to read.
func (p *farPipe) note() {
	if p.noted || p.cut || len(p.down) == 0 && !p.over {
		return
	}
	p.noted = true
	p.crowd.pipes = append(p.crowd.pipes, p)
}

// read gives the client n frames, and the end of the pipe behind the last one.
func (p *farPipe) read(n int) {
	for n = min(n, len(p.down)); n > 0 && !p.cut; n-- {
		next := p.down[0]
		p.down[0], p.down = nil, p.down[1:]
		p.waiting -= len(next.Messages())
		for rest := next.Messages(); len(rest) > 0 && p.fan.pipe == p; {
			var r codec.Reply
			var err error
			if rest, err = codec.DecodeReply(next.Form(), rest, &r); err != nil {
				p.crowd.fault("%v", err)
			}
			p.fan.hear(p, &r)
		}
	}
	if p.over && len(p.down) == 0 && !p.cut {
		p.cut = true
		p.finish()
		p.fan.ended(p, p.end)
	}
}

// drop is a cut of the network: what is under way is lost, and the server learns of it some time later.
func (p *farPipe) drop() {
	if p.session.busy() {
		p.crowd.trace.CutBusy++
	}
	p.cut, p.down, p.up = true, nil, nil
	p.crowd.cuts = append(p.crowd.cuts, p)
}

// finish is the server learning that the pipe has ended.
func (p *farPipe) finish() {
	if !p.gone {
		p.gone = true
		p.loop.loop.Remove(p.handle)
		p.crowd.busy(p.session.Closed)
	}
}

// Arm implements Conn.
func (p *farPipe) Arm(at loop.Time) { p.loop.loop.Arm(p.handle, at) }

// Expire implements loop.Resident.
func (p *farPipe) Expire(now loop.Time) {
	if !p.over {
		p.guard(func() { p.session.Expire(now) })
	}
}

// Order implements loop.Resident. The reply to a connect may be the outcome of one.
func (p *farPipe) Order(what any) {
	pinged := p.session.beat
	p.guard(func() { p.session.Order(what) })
	p.drawPing(pinged)
}
