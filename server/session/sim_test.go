package session

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

var (
	simSeed = flag.Uint64("simseed", 0, "run the simulation with this one seed")
	simRuns = flag.Int("simruns", 300, "how many seeds the simulation runs")
)

// TestSimulation lets clients send commands, half commands and nonsense, in messages cut anywhere, while pipes fill up, break and
// go, the engine fails, orders come and time passes, all at random. Whatever happens: nothing panics but what was told to, no
// frame follows the end of a pipe, every reply has its command, positions have no gap, and nobody is left behind.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		simulate(t, *simSeed)
		return
	}
	runs := *simRuns
	if raceEnabled || testing.Short() {
		runs = min(runs, 30)
	}
	for range runs {
		simulate(t, rand.Uint64())
	}
}

// TestSimulationRepeats: a seed that fails would be of no use if it did not bring the same run again.
func TestSimulationRepeats(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		if first, again := simulate(t, seed), simulate(t, seed); first != again {
			t.Errorf("two runs of seed %d differ: %d frames and %d", seed, first, again)
		}
	}
}

const simOptions = `{"client":{"channel_limit":4,"user_connection_limit":3,"stale_close_delay":"3s","ping_interval":"5s","pong_timeout":"2s",
	"expired_close_delay":"1s","expired_sub_close_delay":"1s","recovery_max_publication_limit":5,
	"token":{"hmac_secret_key":"secret"}},
	"channel":{"history_meta_ttl":"10s","namespaces":[
	{"name":"hist","history_size":8,"history_ttl":"5s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_subscriber":true},
	{"name":"open","allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"shut"}]}}`

var simChannels = []string{"hist:1", "hist:2", "open:1", "shut:1", "$open:2", "who:1", "", "open:ü"}

// sim is one run.
type sim struct {
	*stage
	rnd    *rand.Rand
	conns  []*simConn
	tokens []string
	frames int // that arrived
}

// simConn is a pipe and its client.
type simConn struct {
	sim     *sim
	loop    *loop.Loop
	handle  loop.Handle
	session *Session
	form    codec.Form
	lastID  uint32
	asked   map[uint32]codec.Command // and not answered; nil once something else was sent than meant
	at      map[string]uint64        // by subscribed channel, the offset reached; 0 if not positioned
	kind    simKind
	opened  bool // only listens, and has got its first push
	mood    simMood
	ended   bool // nothing goes through any more
	told    bool // and the session knows
	gone    bool
}

// simKind is where the commands of a client come from.
type simKind uint8

const (
	simTalks simKind = iota
	simElsewhere
	simListens
)

// simMood is what becomes of the next frame.
type simMood uint8

const (
	simWell simMood = iota
	simFull
	simPanic
)

var errSim = errors.New("told to panic")

// simulate runs a seed in a bubble with a clock that stands still: how far a turn of a loop gets must not depend on the machine.
func simulate(t *testing.T, seed uint64) (frames int) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("to repeat: go test ./server/session -run TestSimulation$ -simseed=%d", seed)
			}
		}()
		frames = simulateIn(t, seed)
	})
	return frames
}

func simulateIn(t *testing.T, seed uint64) (frames int) {
	st := newStage(t)
	st.loops = 2
	s := &sim{stage: st, rnd: rand.New(rand.NewPCG(seed, 1))}
	s.start(simOptions)
	for _, words := range []string{"1", "1", "2", "-", "2 3s", "1 -1s", "1 expire_at=1", "1 channel=$open:2", "1 4s channel=$open:2", "2 channel=shut:1"} {
		s.tokens = append(s.tokens, s.token("{{token "+words+"}}"))
	}
	for range 200 + s.rnd.IntN(300) {
		s.step()
		if t.Failed() {
			return 0
		}
	}
	for _, c := range s.conns {
		c.finish()
	}
	for range 5 {
		s.turnAll()
	}
	for _, l := range s.node.Loops {
		if n := l.Residents(); n != 0 {
			t.Errorf("%d residents are left on a loop", n)
		}
	}
	s.checkEmpty()
	s.checkPosts()
	return s.frames
}

func (s *sim) step() {
	c := s.any()
	switch n := s.rnd.IntN(100); {
	case c == nil || n < 8:
		s.open()
	case n < 60:
		c.receive()
	case n < 63:
		c.finish()
	case n < 70:
		s.disturb(c)
	case n < 80:
		s.publishOne()
	case n < 83:
		s.engine.mood = []string{"well", "well", "well", "broken", "full"}[s.rnd.IntN(5)]
	case n < 85:
		s.wall = s.wall.Add(time.Duration(s.rnd.IntN(7200)-3600) * time.Second / 100)
	default:
		ticks := 1 + s.rnd.IntN(1+s.rnd.IntN(60))
		s.now += loop.Time(ticks)
		s.wall = s.wall.Add(time.Duration(ticks) * loop.TickPeriod)
		s.turnAll()
	}
}

// turnAll turns the loops; what panics on the way is survived by them.
func (s *sim) turnAll() {
	for range 1 + s.rnd.IntN(3) {
		for _, l := range s.node.Loops {
			l.Turn(s.now)
		}
	}
}

func (s *sim) any() *simConn {
	if len(s.conns) == 0 {
		return nil
	}
	c := s.conns[s.rnd.IntN(len(s.conns))]
	if c.gone && s.rnd.IntN(4) > 0 {
		return nil
	}
	return c
}

func (s *sim) open() {
	c := &simConn{sim: s, loop: s.node.Loops[s.rnd.IntN(len(s.node.Loops))], form: codec.Form(s.rnd.IntN(codec.NumForms)), asked: map[uint32]codec.Command{}, at: map[string]uint64{}}
	if s.rnd.IntN(2) == 0 {
		c.kind = simElsewhere + simKind(s.rnd.IntN(2))
	}
	if c.kind == simListens {
		c.form = c.form.Bare()
	}
	c.handle = c.loop.Add(c)
	c.guard(func() { c.session = New(s.node, c, c.handle, Options{Form: c.form, Emulated: c.kind == simElsewhere}) })
	s.conns = append(s.conns, c)
	if c.kind == simListens {
		c.listen()
		return
	}
	if s.rnd.IntN(8) > 0 {
		c.say(codec.Command{ID: c.nextID(), Method: codec.MethodConnect, Connect: codec.ConnectRequest{Token: s.tokens[s.rnd.IntN(5)]}})
	}
}

// disturb does something to a session from outside.
func (s *sim) disturb(c *simConn) {
	users := []string{"1", "2", ""}
	target := Target{User: users[s.rnd.IntN(len(users))]}
	if s.rnd.IntN(3) == 0 {
		target.Client = c.session.clientID()
	}
	switch s.rnd.IntN(7) {
	case 0:
		c.mood = simFull
	case 1:
		c.mood = simPanic
	case 2:
		c.loop.Order(c.handle, codec.DisconnectShutdown)
	case 3:
		c.loop.Order(c.handle, Disconnect{Target: target, Disconnect: codec.DisconnectForceNoReconnect})
	case 4:
		c.loop.Order(c.handle, Unsubscribe{Target: target, Channel: simChannels[s.rnd.IntN(2)], Unsubscribe: codec.UnsubscribeServer})
	default:
		c.loop.Order(c.handle, Unsubscribe{Target: target, Unsubscribe: codec.UnsubscribeServer})
	}
}

func (s *sim) publishOne() {
	name := simChannels[s.rnd.IntN(5)]
	ch, _ := s.rules.Resolve(name)
	o := publishOptions(ch)
	if s.rnd.IntN(5) == 0 {
		o.HistorySize = 0
	}
	data := "1"
	if s.rnd.IntN(40) == 0 {
		data = "not JSON"
	}
	// An engine in a bad mood publishes nothing, which is as good.
	_, _ = s.node.Broker.Publish(context.Background(), name, &codec.Publication{Data: []byte(data)}, o)
}

func (c *simConn) nextID() uint32 {
	c.lastID++
	return c.lastID
}

// listen connects a client that only listens, or does not.
func (c *simConn) listen() {
	rnd := c.sim.rnd
	if c.ended || c.gone || rnd.IntN(8) == 0 {
		return
	}
	request := codec.ConnectRequest{Token: c.sim.tokens[rnd.IntN(5)], Subs: map[string]*codec.SubscribeRequest{}}
	for range rnd.IntN(4) {
		request.Subs[simChannels[rnd.IntN(4)]] = &codec.SubscribeRequest{Recover: rnd.IntN(2) == 0, Offset: uint64(rnd.IntN(6)), Flag: int64(rnd.IntN(4))}
	}
	body, err := codec.AppendConnectRequest(nil, c.form, &request)
	if err == nil {
		err = codec.DecodeConnectRequest(c.form, body, &request)
	}
	if err != nil {
		c.sim.t.Fatal(err)
	}
	c.hand(func() { c.session.ConnectUni(&request) }, body)
}

// receive sends a message of some commands, which may be cut or spoilt.
func (c *simConn) receive() {
	rnd := c.sim.rnd
	if c.kind == simListens {
		if rnd.IntN(30) == 0 {
			c.listen()
		}
		return
	}
	var commands []codec.Command
	for range 1 + rnd.IntN(4) {
		commands = append(commands, c.command())
	}
	if rnd.IntN(30) > 0 {
		c.say(commands...)
		return
	}
	msg := c.encode(commands)
	switch rnd.IntN(3) {
	case 0:
		msg = msg[:rnd.IntN(len(msg)+1)]
	case 1:
		msg[rnd.IntN(len(msg))] ^= 1 << rnd.IntN(8)
	default:
		msg = msg[rnd.IntN(len(msg)+1):]
	}
	c.asked = nil
	c.deliver(msg)
}

func (c *simConn) command() codec.Command {
	rnd := c.sim.rnd
	channel := simChannels[rnd.IntN(len(simChannels))]
	if rnd.IntN(3) > 0 {
		channel = simChannels[rnd.IntN(3)]
	}
	token := ""
	if rnd.IntN(4) == 0 || strings.HasPrefix(channel, "$") {
		token = c.sim.tokens[rnd.IntN(len(c.sim.tokens))]
	}
	x := codec.Command{ID: c.nextID()}
	switch n := rnd.IntN(100); {
	case n < 35:
		x.Method = codec.MethodSubscribe
		x.Subscribe = codec.SubscribeRequest{Channel: channel, Token: token, Recover: rnd.IntN(2) == 0, Offset: uint64(rnd.IntN(6)), Flag: int64(rnd.IntN(4))}
	case n < 50:
		x.Method, x.Unsubscribe.Channel = codec.MethodUnsubscribe, channel
	case n < 75:
		x.Method, x.Publish = codec.MethodPublish, codec.PublishRequest{Channel: channel, Data: []byte("2")}
	case n < 90:
		if c.session.pinging == toPing && rnd.IntN(20) > 0 {
			x.Method = codec.MethodUnsubscribe
			x.Unsubscribe.Channel = "x"
		} else {
			x = codec.Command{} // a pong
		}
	case n < 93:
		x.Method, x.Refresh.Token = codec.MethodRefresh, c.sim.tokens[rnd.IntN(len(c.sim.tokens))]
	case n < 97:
		x.Method, x.SubRefresh = codec.MethodSubRefresh, codec.SubRefreshRequest{Channel: channel, Token: token}
	default:
		x.Method = codec.Method(rnd.IntN(int(codec.MethodUnknown)))
		if x.Method == codec.MethodNone {
			x = codec.Command{}
		}
	}
	return x
}

func (c *simConn) say(commands ...codec.Command) {
	msg := c.encode(commands)
	if c.asked != nil {
		for _, x := range commands {
			c.asked[x.ID] = x
		}
	}
	c.deliver(msg)
}

func (c *simConn) encode(commands []codec.Command) (msg []byte) {
	for i := range commands {
		var err error
		if msg, err = codec.AppendCommand(msg, c.form, &commands[i]); err != nil {
			c.sim.t.Fatal(err)
		}
	}
	return msg
}

// deliver is a message that arrives. Its bytes are used again afterwards, as those of a read buffer are.
func (c *simConn) deliver(msg []byte) {
	switch {
	case c.ended || c.gone:
	case c.kind == simElsewhere && c.session.state != fresh:
		c.sim.node.Emulate(c.sim.node.secretOf(c.handle), msg)
	default:
		c.hand(func() { c.session.Receive(msg) }, msg)
	}
}

// hand hands bytes to the session.
func (c *simConn) hand(give func(), msg []byte) {
	c.loop.SetNow(c.sim.now)
	before := c.session.state
	c.guard(give)
	if before == fresh && c.session.state == connected {
		c.sim.drawFirstPing(c.session, c.sim.rnd)
	}
	if x := c.session.extra; x != nil {
		for _, terms := range x.terms {
			if !c.session.holds(terms.sub) {
				c.sim.t.Errorf("terms of %s, which is not subscribed", terms.sub.Name())
			}
		}
	}
	for i := range msg {
		msg[i] = 0xff
	}
}

// guard does what the reactor does about a panic.
func (c *simConn) guard(call func()) {
	defer func() {
		if v := recover(); v != nil {
			if v != errSim {
				panic(v)
			}
			c.ended = true
		}
	}()
	call()
}

// finish is the end of the pipe.
func (c *simConn) finish() {
	if c.gone {
		return
	}
	c.ended, c.told, c.gone = true, true, true
	c.loop.Remove(c.handle)
	c.guard(c.session.Closed)
}

func (c *simConn) Send(f *codec.Frame) bool {
	if c.told {
		c.sim.t.Error("a frame after the end of the pipe")
	}
	mood := c.mood
	c.mood = simWell
	switch {
	case c.ended || mood == simFull:
		c.ended, c.told = true, true
		return false
	case mood == simPanic:
		panic(errSim)
	}
	c.read(f)
	return true
}

func (c *simConn) Close(d codec.Disconnect) {
	if c.told {
		c.sim.t.Error("Close after the end of the pipe")
	}
	if farewell := c.session.AppendFarewell(make([]byte, codec.HeaderRoom), d); c.kind != simTalks && len(farewell) > codec.HeaderRoom {
		c.read(codec.NewFrame(c.form, farewell))
	}
	c.ended, c.told = true, true
}

func (c *simConn) Arm(at loop.Time) { c.loop.Arm(c.handle, at) }

func (c *simConn) Expire(now loop.Time) {
	if !c.ended {
		c.guard(func() { c.session.Expire(now) })
	}
}

func (c *simConn) Order(what any) { c.guard(func() { c.session.Order(what) }) }

// read checks the messages of a frame.
func (c *simConn) read(f *codec.Frame) {
	t := c.sim.t
	c.sim.frames++
	for rest := f.Messages(); len(rest) > 0; {
		var r codec.Reply
		var err error
		if rest, err = codec.DecodeReply(c.form, rest, &r); err != nil {
			t.Fatal(err)
		}
		if c.kind == simListens {
			c.hear(&r)
		}
		switch {
		case c.asked == nil:
		case r.Push == nil:
			c.answered(&r)
		case r.Push.Pub != nil:
			c.follow(r.Push.Channel, r.Push.Pub)
		case r.Push.Unsubscribe != nil:
			delete(c.at, r.Push.Channel)
		}
	}
}

// hear checks what a client gets that only listens: pushes, after the one that it begins with, but for its end.
func (c *simConn) hear(r *codec.Reply) {
	switch {
	case r.Push == nil && c.opened, r.Push != nil && r.Push.Disconnect != nil:
	case r.Push == nil || c.opened == (r.Push.Connect != nil):
		c.sim.t.Errorf("heard %+v, opened %t", r.Push, c.opened)
	case r.Push.Connect != nil:
		c.opened = true
		for channel, s := range r.Push.Connect.Subs {
			c.at[channel] = s.Offset
			for _, p := range s.Publications {
				c.follow(channel, p)
			}
		}
	}
}

func (c *simConn) answered(r *codec.Reply) {
	if r.ID == 0 {
		return // a ping
	}
	x, ok := c.asked[r.ID]
	if !ok {
		c.sim.t.Errorf("an answer to command %d, which was not asked or has been answered", r.ID)
	}
	delete(c.asked, r.ID)
	switch {
	case r.Subscribe != nil:
		c.at[x.Subscribe.Channel] = r.Subscribe.Offset
		for _, p := range r.Subscribe.Publications {
			c.follow(x.Subscribe.Channel, p)
		}
	case r.Unsubscribe != nil:
		delete(c.at, x.Unsubscribe.Channel)
	}
}

// follow checks that a publication is for a subscriber and that offsets follow each other.
func (c *simConn) follow(channel string, p *codec.Publication) {
	last, ok := c.at[channel]
	if !ok {
		c.sim.t.Errorf("a publication in %s, which is not subscribed", channel)
	}
	if p.Offset == 0 {
		return
	}
	if p.Offset != last+1 {
		c.sim.t.Errorf("%s: offset %d after %d", channel, p.Offset, last)
	}
	c.at[channel] = p.Offset
}
