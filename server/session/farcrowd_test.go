package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

var (
	farSeed = flag.Uint64("farseed", 0, "run the far crowd with this one seed")
	farRuns = flag.Int("farruns", 300, "how many seeds the far crowd runs")
	farFans = flag.Int("farfans", 100, "how many clients the far crowd has")
)

// TestFarCrowd drives clients on the loops of two nodes that share one engine on other machines, and checks for every subscription,
// over its whole life and all its connections, what it was promised:
//
//	farFan ── farPipe ──► farLoop (turned by hand) ──► session ──► farWork (lanes) ──► farCalls ──► farStore (a memengine)
//	farSub ◄── farPipe ◄──────────── session ◄── hub ◄── farLink (subscriptions, a feed with delay, losses) ◄─────┘
//
// Everything that happens far away takes its time: while a call is under way, loops turn, other calls begin and end, publications
// come. Calls fail with and without their effect, or panic; subscriptions are refused; a node loses its connection and hears what it
// missed from nobody; channels lose their epoch. Clients are cut in the middle of anything and come back from where they stood, as an
// SDK does.
//
// A farStream is the oracle's own idea of a channel. A farSub is one subscription of one client as the oracle follows it: no gap that
// was not announced, no duplicate, nothing out of order, nothing before the subscribe reply and nothing after the unsubscribe reply.
// Every command has one reply, in order. In the end, when nothing goes wrong any more, every subscription stands at the top of its
// stream, presence is who is subscribed, and when everybody has gone nothing is left.
//
// In a few runs the broker or presence is local. A seed decides everything, as in TestCrowd.
func TestFarCrowd(t *testing.T) {
	if *farSeed != 0 {
		t.Logf("%+v", runFarCrowd(t, *farSeed, *farFans))
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a run lives shortly, and there are many
	runs, fans := *farRuns, *farFans
	if raceEnabled || testing.Short() {
		runs, fans = min(runs, 20), min(fans, 60)
	}
	var all farTrace
	for range runs {
		all.add(runFarCrowd(t, rand.Uint64(), fans))
	}
	if runs >= 20 {
		all.checkBusy(t)
	}
}

// TestFarCrowdRepeats: a seed that fails would be of no use if it did not bring the same run again.
func TestFarCrowdRepeats(t *testing.T) {
	for range 5 {
		seed := rand.Uint64()
		if first, again := runFarCrowd(t, seed, 60), runFarCrowd(t, seed, 60); first != again {
			t.Errorf("two runs of seed %d differ: %+v and %+v", seed, first, again)
		}
	}
}

// Sizes of a run.
const (
	farNodes = 2
	farLoops = 3 // of each node
)

// farOptions: "brief" forgets publications after seconds and its epoch soon after. Clients get "give" by their tokens or by order.
// Every position is checked every second, but on the last node only when its connection has been lost.
const farOptions = `{"client":{"user_id_http_header":"X-User","ping_interval":"25s","pong_timeout":"8s","stale_close_delay":"20s",
	"recovery_max_publication_limit":30,"channel_position_check_delay":"1s","presence_update_interval":"27s",
	"token":{"hmac_secret_key":"secret"}},
	"channel":{"history_meta_ttl":"6000s","namespaces":[
	{"name":"plain","allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"long","history_size":50,"history_ttl":"3000s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true,
		"allow_history_for_client":true},
	{"name":"brief","history_size":5,"history_ttl":"3s","history_meta_ttl":"9s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"placed","history_size":5,"history_ttl":"60s","force_positioning":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"delta","history_size":20,"history_ttl":"3000s","force_recovery":true,"delta_publish":true,"allowed_delta_types":["fossil"],
		"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"tags","history_size":40,"history_ttl":"3000s","force_recovery":true,"allow_tags_filter":true,"allow_subscribe_for_client":true,
		"allow_publish_for_client":true},
	{"name":"room","history_size":10,"history_ttl":"3000s","force_recovery":true,"presence":true,"join_leave":true,"force_push_join_leave":true,
		"allow_subscribe_for_client":true,"allow_publish_for_client":true,"allow_presence_for_client":true,"allow_history_for_client":true},
	{"name":"hall","presence":true,"join_leave":true,"force_push_join_leave":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true,
		"allow_presence_for_client":true},
	{"name":"give","history_size":20,"history_ttl":"3000s","force_recovery":true,"presence":true,"join_leave":true,
		"allow_subscribe_for_client":true,"allow_publish_for_client":true}]}}`

// farCrowd is one run.
type farCrowd struct {
	*stage
	rnd     *rand.Rand
	store   *farStore
	houses  []*farHouse
	streams []*farStream
	shared  []*farStream // that many want
	gives   []*farStream
	byName  map[string]*farStream
	fans    []*farFan
	clients map[string]*farPipe // all that there ever were, by client id
	pipes   []*farPipe          // with something to read
	cuts    []*farPipe          // that the server has not noticed
	orders  []*farOrder         // by number, which is what they carry
	mac     hash.Hash           // of tokens
	moment  int                 // counts what happens, so that two things can be put in order
	depth   int                 // of calls that are under way while others happen
	onLoop  bool                // a loop is at work
	near    nearness            // what of the engine is local
	calm    bool                // nothing goes wrong any more: the end of the run
	calmed  loop.Time           // since then
	trace   farTrace

	mu    sync.Mutex // positions are read by many at once
	posts []*farPost // by number, which is what they carry
}

// nearness is what of the engine is local after all, in a few runs.
type nearness int

const (
	allFar nearness = iota
	nearBroker
	nearPresence
)

func runFarCrowd(t *testing.T, seed uint64, fans int) (trace farTrace) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("to repeat: go test ./server/session -run TestFarCrowd$ -farseed=%d -farfans=%d", seed, fans)
			}
		}()
		c := newFarCrowd(t, seed, fans)
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		for _, h := range c.houses {
			go func() { _ = h.node.Table.Tend(ctx) }()
			go func() { _ = h.node.RefreshPresence(ctx) }()
		}
		for range 700 + c.rnd.IntN(500) {
			c.step()
		}
		c.finish()
		trace = c.trace
	})
	return trace
}

func newFarCrowd(t *testing.T, seed uint64, fans int) *farCrowd {
	st := newStage(t)
	c := &farCrowd{
		stage: st, rnd: rand.New(rand.NewPCG(seed, 3)), byName: map[string]*farStream{}, clients: map[string]*farPipe{},
		mac: hmac.New(sha256.New, []byte("secret")),
	}
	if c.one(5) {
		c.near = nearBroker + nearness(c.rnd.IntN(2))
	}
	c.log = slog.New(farAlarm{slog.DiscardHandler, c})
	c.start(farOptions)
	c.store = newFarStore(c)
	for n := range farNodes {
		c.houses = append(c.houses, newFarHouse(c, n))
	}
	for n := range 2 {
		for _, kind := range []string{"plain:", "long:", "brief:", "placed:", "delta:", "tags:", "room:", "hall:"} {
			c.shared = append(c.shared, c.addStream(kind+strconv.Itoa(n)))
		}
		c.gives = append(c.gives, c.addStream("give:"+strconv.Itoa(n)))
	}
	for i := range fans {
		c.addFan(i)
	}
	return c
}

func (c *farCrowd) addStream(name string) *farStream {
	ch, unknown := c.rules.Resolve(name)
	if unknown != nil {
		c.fault("%s: %v", name, unknown)
	}
	s := &farStream{crowd: c, name: name, options: ch.Options}
	c.streams, c.byName[name] = append(c.streams, s), s
	return s
}

// addFan makes a client that wants some channels that others want, too, and one of its own. A few users have several clients, and a
// few clients have channels in their token.
func (c *farCrowd) addFan(i int) {
	user := "user-" + strconv.Itoa(i-c.rnd.IntN(3))
	f := &farFan{crowd: c, index: i, user: user, form: codec.Form(c.rnd.IntN(codec.NumForms)), slow: c.one(20)}
	f.back = c.now + loop.Time(c.rnd.IntN(20))
	for range 1 + c.rnd.IntN(4) {
		f.want(c.shared[c.rnd.IntN(len(c.shared))])
	}
	if c.one(2) {
		f.want(c.addStream([]string{"long:", "room:", "plain:"}[c.rnd.IntN(3)] + "of-" + strconv.Itoa(i)))
	}
	if c.one(3) {
		f.admit(c.gives[c.rnd.IntN(len(c.gives))]).named = true
		f.admit(c.addStream("give:of-" + strconv.Itoa(i))).named = true
	}
	c.fans = append(c.fans, f)
}

// one is true once in n times.
func (c *farCrowd) one(n int) bool { return c.rnd.IntN(n) == 0 }

// mishap is one, unless nothing goes wrong any more.
func (c *farCrowd) mishap(n int) bool { return !c.calm && c.one(n) }

// anyHouse is one of the nodes.
func (c *farCrowd) anyHouse() *farHouse { return c.houses[c.rnd.IntN(len(c.houses))] }

// anyStream is one that many want, more often than not.
func (c *farCrowd) anyStream() *farStream {
	if c.one(3) {
		return c.streams[c.rnd.IntN(len(c.streams))]
	}
	return c.shared[c.rnd.IntN(len(c.shared))]
}

// fault reports what the oracle does not agree with, and ends the run.
func (c *farCrowd) fault(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("at tick %d: %s", c.now, fmt.Sprintf(format, args...))
}

// step is one thing that happens somewhere.
func (c *farCrowd) step() {
	c.moment++
	h := c.anyHouse()
	switch n := c.rnd.IntN(1000); {
	case n < 230:
		h.loops[c.rnd.IntN(len(h.loops))].turn()
	case n < 400:
		h.work.runOne()
	case n < 510:
		h.link.goOn()
	case n < 590:
		c.readSome()
	case n < 680:
		c.publish(c.anyStream())
	case n < 840:
		c.fans[c.rnd.IntN(len(c.fans))].act()
	case n < 920:
		c.pass(1 + c.rnd.IntN(3))
	case n < 935:
		c.order()
	case n < 945:
		h.loops[c.rnd.IntN(len(h.loops))].lags = c.one(3)
	case n < 955:
		h.link.flap()
	case n < 960:
		h.calls.unreachable = !h.calls.unreachable && c.one(3)
	case n < 970:
		c.disturb(c.anyStream())
	case n < 973:
		c.pass(12)
	case n < 976:
		c.panic()
	case n < 977:
		c.storm()
	default:
		c.noticeCuts(2)
	}
}

// pass lets ticks go by for everybody. Positions are checked every second, and what waits too long for a loop or a network is done.
func (c *farCrowd) pass(ticks int) {
	for range ticks {
		time.Sleep(loop.TickPeriod)
		synctest.Wait()
		c.now++
		c.wall = time.Now()
		for _, h := range c.houses {
			h.keepUp()
		}
		for _, f := range c.fans {
			f.wake()
		}
	}
}

// publish is the server API's way, sometimes several in a row.
func (c *farCrowd) publish(s *farStream) {
	for range 1 + c.rnd.IntN(1+c.rnd.IntN(4)) {
		x := c.newPost(s)
		x.tags = c.rnd.IntN(len(tagSets))
		p := &codec.Publication{Data: []byte(x.data), Tags: tagSets[x.tags]}
		if _, err := c.store.engine(s.name).Publish(c.t.Context(), s.name, p, s.publishOptions()); err != nil {
			c.fault("%s: %v", s.name, err)
		}
	}
}

// disturb makes a channel lose its history, or its epoch, too.
func (c *farCrowd) disturb(s *farStream) {
	if c.one(2) {
		c.store.flush(s)
		return
	}
	if err := c.store.engine(s.name).RemoveHistory(c.t.Context(), s.name); err != nil {
		c.fault("%s: %v", s.name, err)
	}
	s.removed()
}

// panic makes the next frame for somebody a panic.
func (c *farCrowd) panic() {
	if p := c.fans[c.rnd.IntN(len(c.fans))].pipe; p != nil {
		p.panics = true
	}
}

// storm cuts a fifth of all pipes at once.
func (c *farCrowd) storm() {
	for _, f := range c.fans {
		if f.pipe != nil && c.one(5) {
			f.cut()
		}
	}
}

// noticeCuts tells the server about one in n of the pipes that were cut.
func (c *farCrowd) noticeCuts(n int) {
	kept := c.cuts[:0]
	for _, p := range c.cuts {
		if c.one(n) {
			p.finish()
		} else {
			kept = append(kept, p)
		}
	}
	c.cuts = kept
}

// readSome lets clients read what has come; slow ones read some, or nothing.
func (c *farCrowd) readSome() {
	pipes := c.pipes
	c.pipes = nil
	for _, p := range pipes {
		p.noted = false
		n := len(p.down)
		if p.fan.slow && !c.calm {
			n = c.rnd.IntN(1 + c.rnd.IntN(4))
		}
		p.read(n)
		p.note()
	}
}
