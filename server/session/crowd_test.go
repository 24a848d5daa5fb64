package session

import (
	"flag"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
)

var (
	crowdSeed = flag.Uint64("crowdseed", 0, "run the crowd with this one seed")
	crowdRuns = flag.Int("crowdruns", 500, "how many seeds the crowd runs")
	crowdFans = flag.Int("crowdfans", 1000, "how many clients the crowd has")
)

// TestCrowd drives a thousand clients on several loops through publications, cuts, slow reads, expiry and orders, and checks for
// every subscription, over its whole life and all its connections, what it was promised:
//
//	fan ── pipe ──► lane (a loop, turned by hand) ──► session ──► engine, watched by streams
//	sub ◄── pipe ◄─────────────────────────────────── session ◄── hub
//
// A fan behaves as a client SDK does. A stream is the oracle's own idea of a channel: what was published, what its history holds,
// its epoch. A sub is one subscription of one fan as the oracle follows it: no gap, no duplicate, nothing out of order, nothing of
// another channel or client, and "recovered" exactly when nothing was missed. In the end, when everybody is online and all is
// delivered, every sub stands at the top of its stream.
//
// A seed decides everything: each run has a bubble with a clock that stands still, so that even the time that a turn of a loop
// may take does not depend on the machine.
func TestCrowd(t *testing.T) {
	if *crowdSeed != 0 {
		runCrowd(t, *crowdSeed, *crowdFans)
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a run lives shortly, and there are many
	runs, fans := *crowdRuns, *crowdFans
	if raceEnabled || testing.Short() {
		runs, fans = min(runs, 12), min(fans, 300)
	}
	for range runs {
		runCrowd(t, rand.Uint64(), fans)
	}
}

// TestCrowdRepeats: a seed that fails would be of no use if it did not bring the same run again.
func TestCrowdRepeats(t *testing.T) {
	seed := rand.Uint64()
	if first, again := runCrowd(t, seed, 300), runCrowd(t, seed, 300); first != again {
		t.Errorf("two runs of seed %d differ: %+v and %+v", seed, first, again)
	}
}

// crowdLanes is how many loops a run has.
const crowdLanes = 5

// crowdOptions: "brief" forgets publications after seconds and its epoch soon after, "long" hardly ever. Recovery ends at 30.
const crowdOptions = `{"client":{"user_id_http_header":"X-User","ping_interval":"25s","pong_timeout":"8s","stale_close_delay":"20s",
	"expired_close_delay":"3s","expired_sub_close_delay":"3s","recovery_max_publication_limit":30,"token":{"hmac_secret_key":"secret"}},
	"channel":{"history_meta_ttl":"600s","namespaces":[
	{"name":"plain","allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"long","history_size":100,"history_ttl":"300s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_subscriber":true},
	{"name":"brief","history_size":5,"history_ttl":"3s","history_meta_ttl":"9s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"placed","history_size":5,"history_ttl":"60s","force_positioning":true,"allow_subscribe_for_client":true},
	{"name":"own","history_size":10,"history_ttl":"60s","force_recovery":true,"allow_user_limited_channels":true,"allow_publish_for_subscriber":true}]}}`

// crowd is one run.
type crowd struct {
	*stage
	rnd     *rand.Rand
	lanes   []*lane
	streams []*stream // all of them; personal ones at the end
	byName  map[string]*stream
	fans    []*fan
	inbox   []*pipe   // whose clients have something to read
	cuts    []*pipe   // that the server has not noticed
	posts   []post    // publications by number; what they carry is their number
	happens int       // publications that have taken place
	orders  []summons // by number; their reason carries it
	decoded map[*codec.Frame]*content
	seed    maphash.Seed // of sums of frames
	calm    bool         // nothing goes wrong any more: the end of the run
	trace   crowdTrace
}

// post is one publication.
type post struct {
	stream *stream // nil while it has not taken place
	index  int     // in its log
	when   int     // of all publications of the run
	offset uint64
	epoch  string
	by     *pipe // the client that published it, or nil
}

// summons is an order of the server API, given before publication number when of all.
type summons struct {
	Target
	when    int
	channel string // of unsubscribe, if only one
	code    uint32
}

func (o *summons) ends() bool { return o.code >= 3000 }

// isFor reports that a client must obey.
func (o *summons) isFor(f *fan) bool {
	return f.pipe != nil && f.online && f.user == o.User && (o.Client == "" || o.Client == f.pipe.client)
}

// crowdTrace is what two runs of a seed have in common.
type crowdTrace struct {
	Connects, Recovered, Lost, Delivered, Ends int
	Hash                                       uint64
}

// note folds numbers into the trace.
func (x *crowdTrace) note(numbers ...int) {
	for _, n := range numbers {
		x.Hash = (x.Hash ^ uint64(n)) * 1099511628211
	}
}

func runCrowd(t *testing.T, seed uint64, fans int) (trace crowdTrace) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("to repeat: go test ./server/session -run TestCrowd$ -crowdseed=%d -crowdfans=%d", seed, fans)
			}
		}()
		c := newCrowd(t, seed, fans)
		for range 900 + c.rnd.IntN(600) {
			c.step()
		}
		c.finish()
		trace = c.trace
	})
	return trace
}

func newCrowd(t *testing.T, seed uint64, fans int) *crowd {
	st := newStage(t)
	st.loops = crowdLanes
	c := &crowd{stage: st, rnd: rand.New(rand.NewPCG(seed, 2)), byName: map[string]*stream{}, decoded: map[*codec.Frame]*content{}, seed: maphash.MakeSeed()}
	c.start(crowdOptions)
	c.node.Broker = &witness{Broker: c.engine, crowd: c}
	for _, l := range c.node.Loops {
		c.lanes = append(c.lanes, newLane(c, l))
	}
	for _, name := range []string{"plain:all", "long:all", "brief:all"} {
		c.addStream(name)
	}
	for i := range 15 {
		for _, ns := range []string{"plain:", "long:", "brief:", "$long:", "placed:"} {
			c.addStream(ns + strconv.Itoa(i))
		}
	}
	rooms := c.streams[3:]
	for i := range fans {
		c.addFan(i, rooms)
	}
	return c
}

func (c *crowd) addStream(name string) *stream {
	if s := c.byName[name]; s != nil {
		return s
	}
	s := newStream(c, name)
	c.streams, c.byName[name] = append(c.streams, s), s
	return s
}

// addFan makes a client that wants a huge channel or two, some rooms and its own. A few users have several clients.
func (c *crowd) addFan(i int, rooms []*stream) {
	user := "user-" + strconv.Itoa(i-c.rnd.IntN(3))
	f := &fan{crowd: c, index: i, user: user, form: codec.Form(c.rnd.IntN(codec.NumForms)), tokens: c.one(5), forgetful: c.one(4), slow: c.one(20)}
	f.back = c.now + loop.Time(c.rnd.IntN(20))
	for _, s := range c.streams[:3] {
		if !c.one(4) {
			f.want(s)
		}
	}
	for range 1 + c.rnd.IntN(3) {
		f.want(rooms[c.rnd.IntN(len(rooms))])
	}
	if !c.one(3) {
		f.want(c.addStream("own:#" + user))
	}
	c.fans = append(c.fans, f)
}

// one is true once in n times.
func (c *crowd) one(n int) bool { return c.rnd.IntN(n) == 0 }

// fault reports what the oracle does not agree with, and ends the run.
func (c *crowd) fault(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("at tick %d: %s", c.now, fmt.Sprintf(format, args...))
}

func (c *crowd) step() {
	switch n := c.rnd.IntN(1000); {
	case n < 450:
		c.lanes[c.rnd.IntN(len(c.lanes))].turn()
		if !c.one(5) {
			c.readAll()
		}
	case n < 600:
		c.publish(c.anyStream())
	case n < 850:
		c.fans[c.rnd.IntN(len(c.fans))].act()
	case n < 950:
		c.pass(1 + c.rnd.IntN(6))
	case n < 970:
		c.lanes[c.rnd.IntN(len(c.lanes))].lags = c.one(3)
	case n < 985:
		c.order()
	case n < 990:
		s := c.anyStream()
		_ = c.node.Broker.RemoveHistory(c.t.Context(), s.name) // fails never
	case n < 992:
		c.pass(100)
	case n < 993:
		c.storm()
	default:
		c.noticeCuts(2)
	}
}

// pass lets ticks go by for everybody; lanes learn of it when they turn.
func (c *crowd) pass(ticks int) {
	c.now += loop.Time(ticks)
	c.wall = c.wall.Add(time.Duration(ticks) * loop.TickPeriod)
	for _, f := range c.fans {
		f.wake()
	}
}

// anyStream is a room more often than a huge channel: each publication there goes to most fans.
func (c *crowd) anyStream() *stream {
	if c.one(10) {
		return c.streams[c.rnd.IntN(3)]
	}
	return c.streams[3+c.rnd.IntN(len(c.streams)-3)]
}

// publish is the server API's way; now and then past history, or several in a row.
func (c *crowd) publish(s *stream) {
	o := s.publishOptions()
	if !c.calm && c.one(20) {
		o.HistorySize = 0
	}
	for range 1 + c.rnd.IntN(1+c.rnd.IntN(4)) {
		p := &codec.Publication{Data: c.newPost(nil)}
		if _, err := c.node.Broker.Publish(c.t.Context(), s.name, p, o); err != nil {
			c.fault("%s: %v", s.name, err)
		}
	}
}

// newPost is the payload of the next publication.
func (c *crowd) newPost(by *pipe) []byte {
	c.posts = append(c.posts, post{by: by})
	return strconv.AppendInt(nil, int64(len(c.posts)-1), 10)
}

// order is what the server API does to a user.
func (c *crowd) order() {
	f := c.fans[c.rnd.IntN(len(c.fans))]
	to := Target{User: f.user}
	if f.pipe != nil && c.one(2) {
		to.Client = f.pipe.client
	}
	reason := strconv.Itoa(len(c.orders))
	o := summons{Target: to, when: c.happens}
	var what any
	if c.one(4) {
		o.code = []uint32{3011, 3503, 4000, 4501}[c.rnd.IntN(4)]
		what = Disconnect{Target: to, Disconnect: codec.Disconnect{Code: o.code, Reason: reason}}
	} else {
		o.code = uint32(2000 + 500*c.rnd.IntN(2))
		if !c.one(3) {
			o.channel = f.subs[c.rnd.IntN(len(f.subs))].stream.name
		}
		what = Unsubscribe{Target: to, Channel: o.channel, Unsubscribe: codec.Unsubscribe{Code: o.code, Reason: reason}}
	}
	c.orders = append(c.orders, o)
	for _, other := range c.fans {
		if o.isFor(other) {
			other.summon(&o)
		}
	}
	c.orderUser(f.user, what)
}

// orderOf is the order that a reason names, or nil.
func (c *crowd) orderOf(reason string) *summons {
	if n, err := strconv.Atoi(reason); err == nil && n < len(c.orders) {
		return &c.orders[n]
	}
	return nil
}

// storm cuts a fifth of all pipes at once.
func (c *crowd) storm() {
	for _, f := range c.fans {
		if f.pipe != nil && c.one(5) {
			f.cut()
		}
	}
}

// noticeCuts tells the server about one in n of the pipes that were cut.
func (c *crowd) noticeCuts(n int) {
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

// readAll lets clients read what has come; slow ones read some, or nothing.
func (c *crowd) readAll() {
	inbox := c.inbox
	c.inbox = nil
	for _, p := range inbox {
		p.noted = false
		n := len(p.down)
		if p.fan.slow && !c.calm {
			n = c.rnd.IntN(1 + c.rnd.IntN(4))
		}
		p.read(n)
		p.note()
	}
}

// finish is the end of a run: nothing goes wrong any more, everybody comes back and hears everything, and all leave.
func (c *crowd) finish() {
	c.calm = true
	for _, l := range c.lanes {
		l.lags = false
	}
	c.noticeCuts(1)
	for _, f := range c.fans {
		f.calmDown()
	}
	c.rest()
	c.lastWords()
	c.rest()
	for _, f := range c.fans {
		f.checkEnd()
	}
	for _, f := range c.fans {
		f.cut()
	}
	c.noticeCuts(1)
	for _, l := range c.lanes {
		l.turn()
		if n := l.loop.Residents(); n != 0 {
			c.fault("%d residents are left on a loop", n)
		}
	}
	c.checkEmpty()
}

// lastWords publishes in every stream: who stands in an epoch that is over learns it from a publication.
func (c *crowd) lastWords() {
	for _, s := range c.streams {
		c.publish(s)
	}
}

// rest turns the lanes until nothing has moved for a while and every fan has what it wants. It keeps epochs alive meanwhile.
func (c *crowd) rest() {
	still := 0
	for round := range 1000 {
		if round%40 == 39 {
			c.lastWords()
		}
		before := c.trace
		c.pass(1)
		for _, l := range c.lanes {
			l.turn()
		}
		c.readAll()
		if still++; c.trace != before || !c.settled() {
			still = 0
		}
		if still == 10 {
			return
		}
	}
	for _, f := range c.fans {
		if !f.settled() {
			c.fault("%v does not come to rest", f)
		}
	}
	c.fault("the crowd does not come to rest")
}

func (c *crowd) settled() bool {
	for _, f := range c.fans {
		if !f.settled() {
			return false
		}
	}
	return len(c.inbox) == 0
}
