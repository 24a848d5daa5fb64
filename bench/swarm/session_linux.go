package swarm

import (
	"encoding/binary"
	"strconv"
	"time"

	"stentor/bench/measure"
	"stentor/codec"
	"stentor/codec/ws"
)

// take acts on the bytes that came for client i and returns those that it needs more of.
func (g *group) take(i int32, data []byte) (rest []byte) {
	c := &g.conns[i]
	switch c.state {
	case stateDraining, stateParting:
		return nil
	case stateRequesting:
		return g.answered(i, data)
	case stateUpgrading:
		_, n, ok, err := ws.ParseUpgradeResponse(data, g.words.key)
		if err != nil {
			g.drop(i, 0, handshakeFailure(err))
			return nil
		}
		if !ok {
			return data
		}
		data = data[n:]
		g.enter(i, g.role.upgraded(i))
	}
	g.swarm.readAt = g.swarm.now()
	for c.fd >= 0 {
		event, n, _, err := c.reader.Next(data, MessageBytesMax)
		if err != nil {
			g.drop(i, 0, "not a ws frame that a server may send: "+err.Error())
			return nil
		}
		data = data[n:]
		switch event.Kind {
		case ws.EventNone:
			return data
		case ws.EventMessage:
			g.message(i, event)
		case ws.EventPing:
			g.write(i, g.words.wrap(ws.OpPong, event.Payload))
		case ws.EventPong:
			if len(event.Payload) == 4 {
				g.role.reply(i, binary.BigEndian.Uint32(event.Payload), nil)
			}
		case ws.EventClose:
			g.write(i, g.words.wrap(ws.OpClose, nil))
			g.drop(i, event.Code, closeText(event.Code, string(event.Payload)))
		}
	}
	return nil
}

// message goes through what one ws frame of client i holds.
func (g *group) message(i int32, event ws.Event) {
	c := &g.conns[i]
	payload, publications := event.Payload, 0
	for c.fd >= 0 {
		delimited, bare, rest, ok := g.words.next(payload)
		if !ok {
			if len(rest) > 0 {
				g.fault("a message longer than its ws frame")
			}
			break
		}
		payload = rest
		if g.hear(i, delimited, bare) {
			publications++
		}
	}
	if publications > 0 {
		g.stats.Frames++
	}
	if publications == 1 && g.stats.Sample == nil && len(payload) == 0 {
		g.stats.Sample = ws.AppendFrame(nil, event.OpCode, event.Payload)
	}
}

// hear acts on one message for client i, and says whether it is a publication.
func (g *group) hear(i int32, delimited, bare []byte) bool {
	c := &g.conns[i]
	if g.words.isPing(bare) {
		g.stats.Pings++
		if c.pongs {
			g.pong(i)
		}
		return false
	}
	if g.words.isPush(bare) {
		if stamp, ok := measure.FindStamp(bare); ok {
			g.delivered(c, stamp)
			if g.places != nil {
				g.advance(i, delimited)
			}
			return true
		}
	}
	g.control(i, delimited)
	return false
}

// pong answers a ping of the protocol.
func (g *group) pong(i int32) {
	if g.posts != nil {
		g.posts.post(i, g.posts.pong)
		return
	}
	g.write(i, g.words.pong)
}

// say sends client i's server what its words hold, on whatever way the transport has.
func (g *group) say(i int32) {
	if g.posts != nil {
		g.posts.post(i, g.words.take())
		return
	}
	g.write(i, g.words.say())
}

// delivered notes one publication.
func (g *group) delivered(c *conn, stamp measure.Stamp) {
	if g.fresh(c, stamp) {
		g.stats.Latency.Record(time.Duration(g.swarm.readAt - stamp.Due))
	}
}

// fresh counts one publication and says whether the client did not have it before.
func (g *group) fresh(c *conn, stamp measure.Stamp) bool {
	late := c.window.Late
	if !c.window.Take(stamp.Number) {
		g.stats.Duplicates++
		return false
	}
	g.stats.Deliveries++
	g.stats.Late += uint64(c.window.Late - late)
	return true
}

// control acts on whatever is not a stamped publication.
func (g *group) control(i int32, delimited []byte) {
	var r codec.Reply
	if err := g.words.decode(delimited, &r); err != nil {
		g.drop(i, 0, "an undecodable message: "+err.Error())
		return
	}
	switch {
	case r.Push != nil:
		g.push(i, r.Push)
	case r.ID == idConnect:
		if r.Error != nil {
			g.drop(i, 0, errorText("connect", r.Error))
			return
		}
		if r.Connect != nil {
			g.conns[i].pongs = r.Connect.Pong
			g.stats.PingInterval = time.Duration(r.Connect.Ping) * time.Second
			if g.posts != nil && !g.posts.meet(i, r.Connect) {
				return
			}
		}
		g.proceed(i)
	case r.ID >= idSubscribe && r.ID < idRequest:
		if r.Error != nil {
			g.drop(i, 0, errorText("subscribe to "+g.cfg.Channels, r.Error))
			return
		}
		g.conns[i].subscribed++
		if g.places != nil && r.Subscribe != nil {
			g.recovered(i, r.Subscribe)
		}
		g.proceed(i)
	default:
		g.role.reply(i, r.ID, &r)
	}
}

// push acts on what the server says to client i unasked.
func (g *group) push(i int32, p *codec.Push) {
	switch {
	case p.Connect != nil:
		g.introduced(i, p.Connect)
	case p.Disconnect != nil:
		g.drop(i, uint16(p.Disconnect.Code), closeText(uint16(p.Disconnect.Code), p.Disconnect.Reason))
	case p.Unsubscribe != nil:
		g.fault("unsubscribed by the server: " + strconv.Itoa(int(p.Unsubscribe.Code)) + " " + p.Unsubscribe.Reason)
	case p.Join != nil:
		g.stats.Joins++
	case p.Leave != nil:
		g.stats.Leaves++
	}
}

// introduced takes what a unidirectional client hears first: it has all its subscriptions then, or never will.
func (g *group) introduced(i int32, p *codec.Connect) {
	g.stats.PingInterval = time.Duration(p.Ping) * time.Second
	for s := range g.cfg.Subscribed {
		name := g.cfg.Channel(g.cfg.First+int(i), s)
		r, ok := p.Subs[name]
		if !ok {
			g.drop(i, 0, "connect: no subscription to "+g.cfg.Channels+": the server must know the channel's namespace, and without --token-hmac-secret "+
				"the namespace must let clients subscribe (allow_subscribe_for_client, allow_subscribe_for_anonymous)")
			return
		}
		if g.places != nil {
			g.recovered(i, r)
		}
	}
	g.enter(i, stateLive)
}

// proceed asks for the next subscription of client i, unless it has asked for all already, or finds that it has all.
func (g *group) proceed(i int32) {
	c := &g.conns[i]
	if int(c.subscribed) >= g.cfg.Subscribed {
		g.enter(i, stateLive)
		return
	}
	c.state = stateSubscribing
	if g.cfg.pipelined() {
		return
	}
	if err := g.subscribe(i, int(c.subscribed)); err != nil {
		g.drop(i, 0, "subscribe: "+err.Error())
		return
	}
	g.say(i)
}

// subscribe adds a request for subscription s of client i.
func (g *group) subscribe(i int32, s int) error {
	r := codec.SubscribeRequest{
		Channel: g.cfg.Channel(g.cfg.First+int(i), s), Recoverable: g.cfg.Recoverable, Positioned: g.cfg.Recoverable, JoinLeave: g.cfg.JoinLeave,
	}
	if g.places != nil {
		g.places.ask(i, &r)
	}
	return g.words.subscribe(uint32(idSubscribe+s), r)
}

// greeting is the ws frame or the HTTP request with which client i begins: connect, and all subscribes if the group is pipelined.
func (g *group) greeting(i int32) ([]byte, error) {
	var body []byte
	var err error
	if g.cfg.uni() {
		body, err = g.introduce(i)
	} else {
		err = g.words.connect(g.cfg.First + int(i))
		if g.cfg.pipelined() {
			for s := 0; s < g.cfg.Subscribed && err == nil; s++ {
				err = g.subscribe(i, s)
			}
		}
		body = g.words.take()
	}
	switch {
	case err != nil:
		return nil, err
	case g.streams != nil:
		return g.words.request(body), nil
	}
	return g.words.frameOf(body), nil
}

// talker goes through upgrade, connect and subscribe, or says the latter two in a request.
type talker struct{ *group }

func (t talker) connected(i int32) state {
	head := t.words.head
	if t.streams == nil && t.cfg.Pipeline != Everything {
		t.write(i, head)
		return stateUpgrading
	}
	said, err := t.greeting(i)
	if err != nil {
		t.drop(i, 0, "connection token: "+err.Error())
		return stateClosed
	}
	if t.streams != nil {
		t.write(i, said)
		return stateRequesting
	}
	t.write(i, append(head[:len(head):len(head)], said...))
	return stateUpgrading
}

func (t talker) upgraded(i int32) state {
	if t.cfg.Pipeline == Everything {
		return stateConnecting
	}
	frame, err := t.greeting(i)
	if err != nil {
		t.drop(i, 0, "connection token: "+err.Error())
		return stateClosed
	}
	t.write(i, frame)
	return stateConnecting
}

func (t talker) reply(_ int32, id uint32, _ *codec.Reply) {
	t.fault("a reply to command " + strconv.Itoa(int(id)) + " that was not sent")
}

func (t talker) turn(int64) int64 { return never }

// receiver is live at once, and answers pings.
type receiver struct{ *group }

func (r receiver) connected(i int32) state {
	r.conns[i].pongs = r.posts == nil
	return stateLive
}

func (receiver) upgraded(int32) state              { return stateLive }
func (receiver) reply(int32, uint32, *codec.Reply) {}
func (receiver) turn(int64) int64                  { return never }

// upgrader says nothing after the request head.
type upgrader struct{ talker }

func (u upgrader) connected(i int32) state {
	u.write(i, u.words.head)
	return stateUpgrading
}

func (u upgrader) upgraded(i int32) state {
	u.conns[i].pongs = true
	return stateLive
}
