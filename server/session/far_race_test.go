package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
	"stentor/server/hub"
	"stentor/server/metrics"
)

// hasty is an engine on other machines as goroutines see it: calls sleep for a moment, subscriptions are confirmed by somebody else and
// now and then refused, and what is delivered comes from yet another goroutine.
type hasty struct {
	engine.Broker // in memory
	presence      engine.Presence
	table         *hub.Table
	feed          chan func() engine.Wake
	requests      chan string

	mu    sync.Mutex // taken under the lock of a channel, by Subscribe, and under that of the engine in memory
	asked map[string]bool
}

func (e *hasty) Local() bool { return false }

func (e *hasty) Subscribe(channel string) { e.requests <- channel }

func (e *hasty) Unsubscribe(channel string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.asked, channel)
}

// Run confirms subscriptions and delivers, until ctx ends.
func (e *hasty) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case channel := <-e.requests:
				e.confirm(channel)
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		select {
		case deliver := <-e.feed:
			e.table.Wake(deliver())
		case <-ctx.Done():
			work.Wait()
			return nil
		}
	}
}

func (e *hasty) confirm(channel string) {
	pause()
	if rand.IntN(10) == 0 {
		e.table.Subscribed(channel, engine.ErrUnreachable)
		return
	}
	e.mu.Lock()
	e.asked[channel] = true
	e.mu.Unlock()
	e.table.Subscribed(channel, nil)
	if rand.IntN(10) == 0 {
		e.table.Resumed([]string{channel})
	}
}

// asks is how many channels it delivers.
func (e *hasty) asks() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.asked)
}

// pause is what a network takes.
func pause() { time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond) }

func (e *hasty) call() error {
	pause()
	if rand.IntN(50) == 0 {
		return engine.ErrUnreachable
	}
	return nil
}

func (e *hasty) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	if err := e.call(); err != nil {
		return engine.PublishResult{}, err
	}
	return e.Broker.Publish(ctx, channel, p, o)
}

func (e *hasty) History(ctx context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	if err := e.call(); err != nil {
		return nil, codec.StreamPosition{}, err
	}
	defer pause()
	return e.Broker.History(ctx, channel, f)
}

// The receiver of the engine in memory.

func (e *hasty) Admit(string) bool { return true }
func (e *hasty) Wake(engine.Wake)  {}

func (e *hasty) deliver(channel string, what func() engine.Wake) engine.Wake {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.asked[channel] {
		e.feed <- what
	}
	return 0
}

func (e *hasty) Publication(channel string, p, prev *codec.Publication, at codec.StreamPosition) engine.Wake {
	return e.deliver(channel, func() engine.Wake { return e.table.Publication(channel, p, prev, at) })
}

func (e *hasty) Join(channel string, info *codec.ClientInfo) engine.Wake {
	return e.deliver(channel, func() engine.Wake { return e.table.Join(channel, info) })
}

func (e *hasty) Leave(channel string, info *codec.ClientInfo) engine.Wake {
	return e.deliver(channel, func() engine.Wake { return e.table.Leave(channel, info) })
}

// hastyPresence is its other half.
type hastyPresence struct{ *hasty }

func (p hastyPresence) AddPresence(ctx context.Context, channel string, client [16]byte, info engine.PresenceInfo, ttl time.Duration) error {
	pause()
	return p.presence.AddPresence(ctx, channel, client, info, ttl)
}

func (p hastyPresence) RemovePresence(ctx context.Context, channel string, client [16]byte, user string) error {
	pause()
	return p.presence.RemovePresence(ctx, channel, client, user)
}

func (p hastyPresence) Presence(ctx context.Context, channel string) (map[string]*codec.ClientInfo, error) {
	return p.presence.Presence(ctx, channel)
}

func (p hastyPresence) PresenceStats(ctx context.Context, channel string) (engine.PresenceStats, error) {
	return p.presence.PresenceStats(ctx, channel)
}

// guest is a client of a running loop, which owns it. It checks that replies come in order and publications without a gap.
type guest struct {
	t       *testing.T
	node    *Node
	loop    *loop.Loop
	handle  loop.Handle
	session *Session
	user    string
	ended   bool
	asked   []codec.Command // not answered yet
	lastID  uint32
	stands  map[string]codec.StreamPosition // in channels that it is subscribed to
	known   map[string]codec.StreamPosition // in those that it was
}

const hastyOptions = `{"client":{"user_id_http_header":"X-User","channel_position_check_delay":"1s","presence_update_interval":"1s"},
	"channel":{"namespaces":[{"name":"hist","history_size":20,"history_ttl":"60s","force_recovery":true,"presence":true,"join_leave":true,
	"force_push_join_leave":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true,"allow_history_for_client":true}]}}`

var hastyChannels = []string{"hist:1", "hist:2", "hist:3", "hist:4"}

// act does something at random.
func (g *guest) act() {
	channel := hastyChannels[rand.IntN(len(hastyChannels))]
	_, on := g.stands[channel]
	switch k := rand.IntN(10); {
	case g.session == nil || g.ended || k == 0:
		g.cut()
		g.connect()
	case len(g.asked) > 0:
	case k < 5 && !on:
		g.subscribe(channel)
	case k < 6 && on:
		g.say(codec.Command{Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: channel}})
	case k < 8:
		g.say(codec.Command{Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: channel, Data: []byte("1")}})
		g.say(codec.Command{Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: channel, Limit: 3}})
	}
}

// settle subscribes to what is missing, and reports whether nothing is.
func (g *guest) settle() bool {
	if g.session == nil || g.ended {
		g.connect()
	}
	for _, channel := range hastyChannels {
		if _, on := g.stands[channel]; !on && len(g.asked) == 0 {
			g.subscribe(channel)
		}
	}
	return len(g.asked) == 0 && len(g.stands) == len(hastyChannels)
}

func (g *guest) subscribe(channel string) {
	at, again := g.known[channel]
	g.say(codec.Command{Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{
		Channel: channel, Recover: again, Offset: at.Offset, Epoch: at.Epoch,
	}})
}

func (g *guest) say(c codec.Command) {
	if g.ended {
		return
	}
	g.lastID++
	c.ID = g.lastID
	g.asked = append(g.asked, c)
	msg, err := codec.AppendCommand(nil, codec.Protobuf, &c)
	if err != nil {
		g.t.Error(err)
	}
	g.session.Receive(msg)
	clear(msg)
}

func (g *guest) connect() {
	g.ended, g.lastID, g.asked, g.stands = false, 0, nil, map[string]codec.StreamPosition{}
	g.handle = g.loop.Add(g)
	g.session = New(g.node, g, g.handle, Options{Form: codec.Protobuf, HeaderUser: g.user})
	g.say(codec.Command{Method: codec.MethodConnect})
}

func (g *guest) cut() {
	if g.session != nil && !g.ended {
		g.ended = true
		g.loop.Remove(g.handle)
		g.session.Closed()
	}
}

// Close implements Conn.
func (g *guest) Close(codec.Disconnect) {
	g.ended, g.asked = true, nil
	g.loop.Remove(g.handle)
}

func (g *guest) Arm(at loop.Time)     { g.loop.Arm(g.handle, at) }
func (g *guest) Expire(now loop.Time) { g.session.Expire(now) }
func (g *guest) Order(what any)       { g.session.Order(what) }

// Send implements Conn.
func (g *guest) Send(f *codec.Frame) bool {
	for rest := f.Messages(); len(rest) > 0; {
		var r codec.Reply
		var err error
		if rest, err = codec.DecodeReply(codec.Protobuf, rest, &r); err != nil {
			g.t.Error(err)
			return true
		}
		switch {
		case r.Push != nil:
			g.pushed(r.Push)
		case r.ID != 0 && (len(g.asked) == 0 || g.asked[0].ID != r.ID):
			g.t.Errorf("an answer to command %d, which is not the next one of %d", r.ID, len(g.asked))
		case r.ID != 0:
			c := g.asked[0]
			g.asked = g.asked[1:]
			g.answered(&c, &r)
		}
	}
	return true
}

func (g *guest) answered(c *codec.Command, r *codec.Reply) {
	switch {
	case r.Error != nil:
	case r.Unsubscribe != nil:
		delete(g.stands, c.Unsubscribe.Channel)
	case r.Subscribe != nil:
		g.stands[c.Subscribe.Channel] = codec.StreamPosition{Offset: r.Subscribe.Offset, Epoch: r.Subscribe.Epoch}
		for _, p := range r.Subscribe.Publications {
			g.advance(c.Subscribe.Channel, p)
		}
		g.known[c.Subscribe.Channel] = g.stands[c.Subscribe.Channel]
	}
}

func (g *guest) pushed(p *codec.Push) {
	switch {
	case p.Unsubscribe != nil:
		delete(g.stands, p.Channel)
	case p.Subscribe != nil:
		g.stands[p.Channel] = codec.StreamPosition{Offset: p.Subscribe.Offset, Epoch: p.Subscribe.Epoch}
	case p.Pub != nil:
		g.advance(p.Channel, p.Pub)
	}
}

func (g *guest) advance(channel string, p *codec.Publication) {
	at, on := g.stands[channel]
	if !on || p.Offset != at.Offset+1 {
		g.t.Errorf("%s: offset %d after %d, subscribed: %t", channel, p.Offset, at.Offset, on)
	}
	at.Offset = p.Offset
	g.stands[channel], g.known[channel] = at, at
}

// TestFarConcurrently has clients of all kinds meet publications, orders, losses and refusals on loops, lanes and an engine that run by
// themselves. It is for the race detector, and checks what a client can check.
func TestFarConcurrently(t *testing.T) {
	house := openHasty(t, 3)
	t.Cleanup(house.stop)
	var guests []*guest
	for i := range 60 {
		guests = append(guests, &guest{
			t: t, node: house.node, loop: house.node.Loops[i%len(house.node.Loops)], user: fmt.Sprint("user-", i/2), known: map[string]codec.StreamPosition{},
		})
	}
	for range 150 {
		for range 40 {
			g := guests[rand.IntN(len(guests))]
			house.post(g, func() { g.act() })
		}
		house.order(fmt.Sprint("user-", rand.IntN(len(guests)/2)))
		time.Sleep(5 * time.Millisecond)
	}
	for _, g := range guests {
		house.wait(g, func() bool { return g.settle() })
	}
	for _, g := range guests {
		house.wait(g, func() bool { return house.atTop(g) })
	}
	for _, g := range guests {
		house.wait(g, func() bool { g.cut(); return true })
	}
	for deadline := time.Now().Add(time.Minute); house.lanes.Waiting() > 0 || house.broker.asks() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d channels are asked for, and %d works wait", house.broker.asks(), house.lanes.Waiting())
		}
	}
	house.stop()
	if left := whatIsLeft(house.node.Table); left.waiting+left.collecting > 0 {
		t.Errorf("%+v is left", left)
	}
	for _, channel := range hastyChannels {
		if stats, err := house.broker.presence.PresenceStats(context.Background(), channel); err != nil || stats.Clients > 0 {
			t.Errorf("%s: %+v, %v", channel, stats, err)
		}
	}
	if house.node.held.Load() != 0 || house.node.Clients() != 0 {
		t.Errorf("%d bytes are held back for %d clients", house.node.held.Load(), house.node.Clients())
	}
}

// hastyHouse is a node whose loops run.
type hastyHouse struct {
	t      *testing.T
	node   *Node
	lanes  *loop.Lanes
	broker *hasty
	stop   func()
}

func openHasty(t *testing.T, loops int) *hastyHouse {
	st := newStage(t)
	st.start(hastyOptions)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	clock := loop.NewClock()
	var list []*loop.Loop
	for id := range loops {
		bell := make(chan struct{}, 1)
		ring := func() {
			select {
			case bell <- struct{}{}:
			default:
			}
		}
		l := loop.New(id, loop.Config{Ring: ring, Log: st.log})
		l.SetNow(clock.Now())
		list = append(list, l)
		running.Go(func() {
			for {
				select {
				case <-bell:
					l.Turn(clock.Now())
				case <-ctx.Done():
					return
				}
			}
		})
	}
	table := hub.NewTable(list)
	broker := &hasty{table: table, feed: make(chan func() engine.Wake, 1<<16), requests: make(chan string, 1<<10), asked: map[string]bool{}}
	memory := memengine.New(memengine.Config{}, broker)
	broker.Broker, broker.presence = memory, memory
	table.Connect(broker)
	house := &hastyHouse{t: t, lanes: loop.NewLanes(st.log), broker: broker}
	house.node = &Node{
		Settings: st.node.Settings, Broker: broker, Presence: hastyPresence{broker}, Lanes: house.lanes, Table: table, Users: hub.NewUsers(),
		Loops: list, Pool: &st.pool, Fetches: &st.pool, Metrics: metrics.New(metrics.Config{Loops: loops}), Log: st.log, Now: time.Now,
	}
	house.node.Start(st.node.policy.Load())
	for _, run := range []func(context.Context) error{broker.Run, table.Tend, house.node.CheckPositions, house.node.RefreshPresence} {
		running.Go(func() { _ = run(ctx) })
	}
	house.stop = func() {
		house.lanes.Close()
		cancel()
		running.Wait()
	}
	return house
}

// errand is something to be done on a loop.
type errand func()

func (e errand) Take(*loop.Loop, any) { e() }

// post has something done on the loop of g.
func (h *hastyHouse) post(g *guest, do func()) {
	if g.loop.Post(errand(do), nil, 0) {
		g.loop.Wake()
	}
}

// wait asks g until it says yes.
func (h *hastyHouse) wait(g *guest, ready func() bool) {
	h.t.Helper()
	answer := make(chan bool)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		h.post(g, func() { answer <- ready() })
		if <-answer {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("a client does not come to rest: it waits for %v and stands at %v", g.asked, g.stands)
		}
	}
}

// atTop reports that g has all there is.
func (h *hastyHouse) atTop(g *guest) bool {
	if !g.settle() {
		return false
	}
	for channel, at := range g.stands {
		_, top, err := h.broker.Broker.History(context.Background(), channel, engine.HistoryFilter{})
		if err != nil || at != top {
			return false
		}
	}
	return true
}

// order gives a user some order.
func (h *hastyHouse) order(user string) {
	to := Target{User: user}
	channel := hastyChannels[rand.IntN(len(hastyChannels))]
	var what any
	switch rand.IntN(4) {
	case 0:
		what = Subscribe{Target: to, Channel: channel}
	case 1:
		what = Unsubscribe{Target: to, Channel: channel, Unsubscribe: codec.UnsubscribeServer}
	case 2:
		what = Refresh{Target: to, Info: []byte(`{"new":1}`)}
	default:
		what = Disconnect{Target: to, Disconnect: codec.DisconnectConnectionLimit}
	}
	for _, handle := range h.node.Users.Sessions(nil, user) {
		h.node.Loops[handle.Loop()].Order(handle, what)
	}
}
