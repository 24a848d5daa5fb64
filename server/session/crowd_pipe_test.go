package session

import (
	"bytes"
	"hash/maphash"
	"slices"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

// lane is a loop with its driver: it reads what its pipes bring, then turns the loop, unless it lags.
type lane struct {
	crowd    *crowd
	loop     *loop.Loop
	readable []*pipe
	lags     bool
	spender  *spender
}

func newLane(c *crowd, l *loop.Loop) *lane {
	x := &lane{crowd: c, loop: l, spender: new(spender)}
	l.Ready(x.spender)
	return x
}

// spender is a task that takes its turn with the channels and leaves them as many visits of the loop's budget as it is told.
type spender struct {
	keep int
	went bool // in this turn of the loop
}

func (s *spender) Turn(b *loop.Budget) bool {
	if s.went {
		s.keep = 0
	}
	s.went = true
	b.Spend(b.Left() - s.keep)
	return true
}

// turn is one pass of the lane. A budget that ends early leaves a walk open.
func (x *lane) turn() {
	if x.lags {
		return
	}
	c := x.crowd
	readable := x.readable
	x.readable = nil
	for _, p := range readable {
		if c.calm || !c.one(6) {
			p.receive()
		} else {
			x.readable = append(x.readable, p)
		}
	}
	x.spender.keep, x.spender.went = loop.TurnVisitsMax, false
	if !c.calm && c.one(3) {
		x.spender.keep = 1 + c.rnd.IntN(200)
	}
	x.loop.Turn(c.now)
}

// pipe is one connection: what is under way in both directions, and what the server knows of its end.
type pipe struct {
	crowd   *crowd
	fan     *fan
	lane    *lane
	handle  loop.Handle
	session *Session

	up       []sent // messages on their way to the server
	readying bool   // the lane knows
	down     []parcel
	waiting  int // bytes in down, or that nobody will read any more
	limit    int // of waiting
	noted    bool

	asked   []*ask // not answered yet, oldest first
	given   []*ask // subscriptions that the server has made and the client does not know of
	lastID  uint32
	heardID uint32 // of the last answer that did not wait behind a publication
	opened  loop.Time
	refused bool      // connect was answered with an error
	id      string    // the client's
	client  string    // the same, once connect has told
	endAt   time.Time // of the connection, by its token; zero is never
	pingAt  loop.Time // of the ping that the server waits for, 0 if none

	summoned bool // to end, by an order
	panics   bool // at the next frame
	stumbled bool // and it has

	cut    bool // by the network, or after a panic; the server does not know yet
	failed bool // by a panic
	over   bool // by the server
	end    codec.Disconnect
	gone   bool // and the session knows
}

// sent is a message of the client.
type sent struct {
	bytes   []byte
	pong    bool
	listens *ask // it is the request of a client that only listens
}

// parcel is one frame on its way to the client.
type parcel struct {
	frame *codec.Frame
	*content
}

// content is what was in a frame when it was sent first, one for all who got it.
type content struct {
	replies []codec.Reply
	sum     uint64
	read    map[reading]int // numbers of publications that were read with a base
}

// ask is a command that waits for its reply.
type ask struct {
	id     uint32
	method codec.Method
	pipe   *pipe
	sub    *sub // all but connect and refresh are about one
	life   int  // of sub when it was asked
	post   int  // of publish
	limit  int  // of history
	end    time.Time
	parts  []*ask // of connect: subscriptions that the server makes

	// Of subscribe: what is asked for, and what was there when it was answered.
	features
	recover bool
	from    codec.StreamPosition
	reject  bool
	begin   int // things in the stream's log
	newest  int // the newest publication that history held for it, by its place in the log; -1 if none, or perhaps none
	owed    int // publications to be pushed
	judged  bool
}

// late reports that the command's token has expired.
func (a *ask) late(wall time.Time) bool { return !a.end.IsZero() && !wall.Before(a.end) }

// openPipe connects f to a random lane.
func (c *crowd) openPipe(f *fan) *pipe {
	p := &pipe{crowd: c, fan: f, lane: c.lanes[c.rnd.IntN(len(c.lanes))], limit: 20_000, opened: c.now}
	if f.slow {
		p.limit = 1000 + c.rnd.IntN(4000)
	}
	p.handle = p.lane.loop.Add(p)
	p.lane.loop.SetNow(c.now)
	p.session = New(c.node, p, p.handle, Options{Form: f.form, HeaderUser: f.headerUser(), Emulated: f.elsewhere})
	p.id = p.session.clientID()
	c.clients[p.id] = p
	return p
}

// ask sends commands in one message, each with the next id.
func (p *pipe) ask(commands ...codec.Command) {
	s := sent{pong: commands[0].Method == codec.MethodNone}
	for i := range commands {
		var err error
		if s.bytes, err = codec.AppendCommand(s.bytes, p.fan.form, &commands[i]); err != nil {
			p.crowd.fault("%v", err)
		}
	}
	p.send(s)
}

func (p *pipe) send(s sent) {
	p.up = append(p.up, s)
	if !p.readying {
		p.readying = true
		p.lane.readable = append(p.lane.readable, p)
	}
}

// await notes that a command will be answered and gives it its id.
func (p *pipe) await(a ask) uint32 {
	p.lastID++
	a.id, a.pipe = p.lastID, p
	p.asked = append(p.asked, &a)
	return a.id
}

func (p *pipe) find(id uint32) *ask {
	i := slices.IndexFunc(p.asked, func(a *ask) bool { return a.id == id })
	if i < 0 {
		p.crowd.fault("%v: an answer to command %d, which was not asked or has been answered", p.fan, id)
	}
	return p.asked[i]
}

func (p *pipe) forget(a *ask) {
	p.asked = slices.DeleteFunc(p.asked, func(x *ask) bool { return x == a })
}

// receive brings the server what the client has sent.
func (p *pipe) receive() {
	p.readying = false
	up := p.up
	p.up = nil
	for _, m := range up {
		if p.over || p.gone {
			return
		}
		if m.pong && !p.fan.elsewhere {
			p.pingAt = 0
		}
		fresh := p.session.state == fresh
		p.lane.loop.SetNow(p.crowd.now)
		p.guard(func() { p.hand(m, fresh) })
		if fresh && p.session.state == connected {
			p.crowd.drawFirstPing(p.session, p.crowd.rnd)
		}
		for i := range m.bytes {
			m.bytes[i] = 0xff // as a read buffer is used again
		}
	}
}

// hand hands a message to the session, on the way that it takes.
func (p *pipe) hand(m sent, fresh bool) {
	switch {
	case m.listens != nil:
		p.connectUni(m.bytes)
	case p.fan.elsewhere && !fresh:
		if !p.crowd.calm { // pongs and new tokens have no end
			p.crowd.trace.Posts++
		}
		p.crowd.node.Emulate(p.crowd.node.secretOf(p.handle), m.bytes)
	default:
		p.session.Receive(m.bytes)
	}
}

// guard does what the reactor does about a panic: the connection fails, and the session hears of nothing but its end, later.
func (p *pipe) guard(call func()) {
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
	call()
}

// Send takes a frame for the client, who will read it later, or never if the network has been cut.
func (p *pipe) Send(f *codec.Frame) bool {
	if p.over || p.gone {
		p.crowd.fault("%v: a frame after the end of the pipe", p.fan)
	}
	if p.panics {
		p.panics, p.stumbled = false, true
		p.crowd.trace.Panics++
		panic(errSim)
	}
	n := len(f.Messages())
	if p.waiting+n > p.limit {
		p.stop(codec.DisconnectSlow)
		return false
	}
	p.waiting += n
	in := p.crowd.decode(f)
	for i := range in.replies {
		p.judge(&in.replies[i])
	}
	if !p.cut {
		p.down = append(p.down, parcel{f, in})
		p.note()
	}
	return true
}

// decode reads a frame once, however many get it.
func (c *crowd) decode(f *codec.Frame) *content {
	if in := c.decoded[f]; in != nil {
		return in
	}
	in := &content{sum: maphash.Bytes(c.seed, f.Messages())}
	for rest := f.Messages(); len(rest) > 0; {
		var r codec.Reply
		var err error
		if rest, err = codec.DecodeReply(f.Form(), rest, &r); err != nil {
			c.fault("%v", err)
		}
		in.replies = append(in.replies, r)
	}
	c.decoded[f] = in
	return in
}

// judge looks at a reply at the moment of its making, when the streams are as the server found them.
func (p *pipe) judge(r *codec.Reply) {
	switch {
	case r.Connect != nil:
		p.judgeConnect(p.find(r.ID), r.Connect)
	case r.Subscribe != nil:
		a := p.find(r.ID)
		a.sub.stream.judge(a, r.Subscribe)
	case r.Presence != nil || r.PresenceStats != nil:
		p.judgePresence(p.find(r.ID), r)
	case r.Push != nil && r.Push.Connect != nil:
		p.judgeConnect(p.asked[0], resultOf(r.Push.Connect))
	case r.Push != nil && r.Push.Subscribe != nil:
		p.judgeGiven(r.Push)
	case r.Error != nil:
		switch a := p.find(r.ID); {
		case a.method == codec.MethodConnect:
			if p.refused = true; r.Error.Code == codec.ErrorUnrecoverablePosition.Code && !a.refuses() {
				p.crowd.fault("%v: connect was refused with %v", p.fan, r.Error)
			}
		case r.Error.Code == codec.ErrorUnrecoverablePosition.Code:
			a.sub.stream.judgeRefusal(a)
		}
	case r.ID == 0 && r.Push == nil:
		p.pingAt = p.crowd.now
	}
}

// Close ends the pipe for a reason that must be one.
func (p *pipe) Close(d codec.Disconnect) {
	if p.over || p.gone {
		p.crowd.fault("%v: Close after the end of the pipe", p.fan)
	}
	c := p.crowd
	p.checkFarewell(d)
	if p.fan.listens && p.mayEnd(d) {
		p.stop(d)
		return
	}
	switch d.Code {
	case codec.DisconnectExpired.Code:
		late := slices.ContainsFunc(p.asked, func(a *ask) bool { return a.method == codec.MethodRefresh && a.late(c.wall) })
		if !late && (p.endAt.IsZero() || c.wall.Before(p.endAt.Add(expiryGrace-expirySlack))) {
			c.fault("%v: expired at %v, which should be at %v", p.fan, c.wall, p.endAt.Add(expiryGrace))
		}
	case codec.DisconnectNoPong.Code:
		if p.pingAt == 0 || c.now < p.pingAt.After(c.node.Settings.PongTimeout) {
			c.fault("%v: closed for a pong of the ping at tick %d", p.fan, p.pingAt)
		}
	case codec.DisconnectStale.Code:
		if p.client != "" || c.now < p.opened.After(c.node.Settings.StaleCloseDelay) {
			c.fault("%v: closed as stale", p.fan)
		}
	case codec.DisconnectConnectionClosed.Code:
		if !p.refused {
			c.fault("%v: closed without a reason", p.fan)
		}
	case codec.DisconnectInsufficientState.Code, codec.DisconnectSubExpired.Code, 3011, 3503, 4000, 4501: // the client will judge
	default:
		c.fault("%v: closed with %v", p.fan, d)
	}
	p.stop(d)
}

// What options say of the grace after an expiry, and how exact seconds are.
const (
	expiryGrace = 3 * time.Second
	expirySlack = 1100 * time.Millisecond
)

// stop is the end of what the server has to say. The client still reads what was queued.
func (p *pipe) stop(d codec.Disconnect) {
	p.over, p.end = true, d
	if p.cut {
		return
	}
	p.note()
}

// note puts the pipe on the list of those with something to read.
func (p *pipe) note() {
	if p.noted || p.cut || len(p.down) == 0 && !p.over {
		return
	}
	p.noted = true
	p.crowd.inbox = append(p.crowd.inbox, p)
}

// read gives the client n frames, and the end of the pipe behind the last one.
func (p *pipe) read(n int) {
	for n = min(n, len(p.down)); n > 0 && !p.cut; n-- {
		next := p.down[0]
		p.down[0], p.down = parcel{}, p.down[1:]
		p.waiting -= len(next.frame.Messages())
		if maphash.Bytes(p.crowd.seed, next.frame.Messages()) != next.sum {
			p.crowd.fault("%v: a frame has changed since it was sent", p.fan)
		}
		for i := range next.replies {
			p.fan.hear(p, next.content, &next.replies[i])
		}
	}
	if p.over && len(p.down) == 0 && !p.cut {
		p.cut = true
		p.finish()
		p.fan.ended(p.end)
	}
}

// drop is a cut of the network: what is under way is lost, and the server learns of it some time later.
func (p *pipe) drop() {
	p.cut, p.down, p.up = true, nil, nil
	p.crowd.cuts = append(p.crowd.cuts, p)
}

// finish is the server learning that the pipe has ended.
func (p *pipe) finish() {
	if p.gone {
		return
	}
	p.gone = true
	p.lane.loop.Remove(p.handle)
	p.session.Closed()
}

// Arm implements Conn.
func (p *pipe) Arm(at loop.Time) { p.lane.loop.Arm(p.handle, at) }

// Expire implements loop.Resident.
func (p *pipe) Expire(now loop.Time) {
	if !p.over {
		p.guard(func() { p.session.Expire(now) })
	}
}

// Order implements loop.Resident.
func (p *pipe) Order(what any) {
	if c, posted := what.(commands); posted && bytes.Equal(c.data, codec.AppendPing(nil, p.fan.form)) { // a pong looks like a ping
		p.pingAt = 0
	}
	p.guard(func() { p.session.Order(what) })
}
