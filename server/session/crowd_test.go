package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

var (
	crowdSeed = flag.Uint64("crowdseed", 0, "run the crowd with this one seed")
	crowdRuns = flag.Int("crowdruns", 500, "how many seeds the crowd runs")
	crowdFans = flag.Int("crowdfans", 1000, "how many clients the crowd has")
)

// TestCrowd drives a thousand clients on several loops through publications, cuts, slow reads, panics, expiry and orders, and checks
// for every subscription, over its whole life and all its connections, what it was promised:
//
//	fan ── pipe ──► lane (a loop, turned by hand) ──► session ──► engine, watched by a witness for the streams
//	sub ◄── pipe ◄─────────────────────────────────── session ◄── hub
//
// A fan behaves as a client SDK does. A stream is the oracle's own idea of a channel: what was published, who joined and left, what
// its history holds, its epoch. A sub is one subscription of one fan as the oracle follows it: no gap, no duplicate, nothing out of
// order, nothing of another channel or client, nothing that its filter does not take, every payload whole however it was written,
// and "recovered" exactly when nothing was missed. Presence is at every moment who is subscribed. In the end, when everybody is
// online and all is delivered, every sub stands at the top of its stream, and when everybody has gone nothing is left.
//
// A seed decides everything: each run has a bubble with a clock that stands still, so that even the time that a turn of a loop
// may take does not depend on the machine.
func TestCrowd(t *testing.T) {
	if *crowdSeed != 0 {
		runCrowd(t, *crowdSeed, *crowdFans)
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a run lives shortly, and there are many
	runs, fans := *crowdRuns, *crowdFans
	if raceEnabled || testing.Short() {
		runs, fans = min(runs, 12), min(fans, 300)
	}
	var all crowdTrace
	for range runs {
		all.add(runCrowd(t, rand.Uint64(), fans))
	}
	if runs >= 10 {
		all.checkBusy(t)
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

// crowdOptions: "brief" and "give" forget publications after seconds and their epoch soon after, others hardly ever. Recovery ends
// at 12 publications. Clients subscribe to "give" and "gift" by their tokens or by order.
const crowdOptions = `{"client":{"user_id_http_header":"X-User","ping_interval":"25s","pong_timeout":"8s","stale_close_delay":"20s",
	"expired_close_delay":"3s","expired_sub_close_delay":"3s","recovery_max_publication_limit":12,"token":{"hmac_secret_key":"secret"}},
	"channel":{"history_meta_ttl":"600s","namespaces":[
	{"name":"plain","allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"long","history_size":100,"history_ttl":"300s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_subscriber":true,
		"allow_history_for_subscriber":true},
	{"name":"brief","history_size":5,"history_ttl":"3s","history_meta_ttl":"9s","force_recovery":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"placed","history_size":5,"history_ttl":"60s","force_positioning":true,"allow_subscribe_for_client":true},
	{"name":"own","history_size":10,"history_ttl":"60s","force_recovery":true,"allow_user_limited_channels":true,"allow_publish_for_subscriber":true},
	{"name":"delta","history_size":20,"history_ttl":"60s","force_recovery":true,"delta_publish":true,"allowed_delta_types":["fossil"],"allow_tags_filter":true,
		"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"loose","history_size":20,"history_ttl":"60s","allow_recovery":true,"delta_publish":true,"allowed_delta_types":["fossil"],
		"allow_subscribe_for_client":true,"allow_publish_for_subscriber":true},
	{"name":"tags","history_size":40,"history_ttl":"60s","allow_recovery":true,"allow_tags_filter":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true},
	{"name":"cache","history_size":6,"history_ttl":"40s","force_recovery":true,"force_recovery_mode":"cache","delta_publish":true,"allowed_delta_types":["fossil"],
		"allow_tags_filter":true,"allow_subscribe_for_client":true},
	{"name":"room","history_size":10,"history_ttl":"60s","force_recovery":true,"presence":true,"join_leave":true,"force_push_join_leave":true,
		"allow_subscribe_for_client":true,"allow_publish_for_subscriber":true,"allow_presence_for_subscriber":true,"allow_history_for_subscriber":true},
	{"name":"hall","presence":true,"join_leave":true,"allow_subscribe_for_client":true,"allow_publish_for_client":true,"allow_presence_for_subscriber":true},
	{"name":"gift","history_size":5,"history_ttl":"60s","force_recovery":true,"force_recovery_mode":"cache","auto_cache_recover":true,
		"presence":true,"join_leave":true,"force_push_join_leave":true},
	{"name":"give","history_size":10,"history_ttl":"4s","history_meta_ttl":"9s","force_recovery":true,"delta_publish":true,"allowed_delta_types":["fossil"],
		"presence":true,"join_leave":true,"allow_subscribe_for_client":true}]}}`

// crowd is one run.
type crowd struct {
	*stage
	rnd     *rand.Rand
	lanes   []*lane
	streams []*stream // all of them: huge ones, rooms, those that the server subscribes to, personal ones
	huge    []*stream
	rooms   []*stream
	gifts   []*stream
	byName  map[string]*stream
	fans    []*fan
	clients map[string]*pipe // all that there ever were, by client id
	inbox   []*pipe          // whose clients have something to read
	cuts    []*pipe          // that the server has not noticed
	posts   []post           // by number, which is what they carry
	happens int              // posts that have taken place
	orders  []summons        // by number, which is what they carry
	decoded map[*codec.Frame]*content
	seed    maphash.Seed // of sums of frames
	mac     hash.Hash    // of tokens
	calm    bool         // nothing goes wrong any more: the end of the run
	trace   crowdTrace
}

func runCrowd(t *testing.T, seed uint64, fans int) (trace crowdTrace) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("to repeat: go test ./server/session -run TestCrowd$ -crowdseed=%d -crowdfans=%d", seed, fans)
			}
		}()
		c := newCrowd(t, seed, fans)
		for range 700 + c.rnd.IntN(300) {
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
	c := &crowd{
		stage: st, rnd: rand.New(rand.NewPCG(seed, 2)), byName: map[string]*stream{}, clients: map[string]*pipe{},
		decoded: map[*codec.Frame]*content{}, seed: maphash.MakeSeed(), mac: hmac.New(sha256.New, []byte("secret")),
	}
	c.log = slog.New(alarm{slog.DiscardHandler, c})
	c.start(crowdOptions)
	c.node.Broker = &witness{Broker: c.engine, crowd: c}
	for _, l := range c.node.Loops {
		c.lanes = append(c.lanes, newLane(c, l))
	}
	c.huge = c.addStreams(1, "plain:", "long:", "brief:", "tags:", "delta:")
	c.rooms = append(c.addStreams(7, "plain:room", "long:room", "brief:room", "$long:", "placed:", "tags:room", "delta:room", "loose:", "cache:"),
		c.addStreams(2, "room:", "hall:")...)
	c.gifts = c.addStreams(3, "give:", "gift:")
	for i := range fans {
		c.addFan(i)
	}
	return c
}

// addStreams adds n streams of each kind.
func (c *crowd) addStreams(n int, kinds ...string) (added []*stream) {
	for i := range n {
		for _, kind := range kinds {
			added = append(added, c.addStream(kind+strconv.Itoa(i)))
		}
	}
	return added
}

func (c *crowd) addStream(name string) *stream {
	if s := c.byName[name]; s != nil {
		return s
	}
	s := newStream(c, name)
	c.streams, c.byName[name] = append(c.streams, s), s
	return s
}

// addFan makes a client that wants some huge channels, some rooms and its own, and may have channels in its token. A few users have
// several clients.
func (c *crowd) addFan(i int) {
	user := "user-" + strconv.Itoa(i-c.rnd.IntN(3))
	f := &fan{crowd: c, index: i, user: user, form: codec.Form(c.rnd.IntN(codec.NumForms)), tokens: c.one(5), forgetful: c.one(4), slow: c.one(20)}
	f.back = c.now + loop.Time(c.rnd.IntN(20))
	if c.one(8) {
		f.onlyListen()
		return
	}
	f.elsewhere = c.one(8)
	for _, s := range c.huge {
		if c.one(2) {
			f.want(s)
		}
	}
	for range 1 + c.rnd.IntN(3) {
		f.want(c.rooms[c.rnd.IntN(len(c.rooms))])
	}
	if !c.one(3) {
		f.want(c.addStream("own:#" + user))
	}
	if c.one(12) {
		f.give()
	}
	c.fans = append(c.fans, f)
}

// give puts channels into the tokens of the fan.
func (f *fan) give() {
	c := f.crowd
	f.tokens, f.info = true, `{"fan":`+strconv.Itoa(f.index)+`}`
	for range 1 + c.rnd.IntN(3) {
		f.admit(c.gifts[c.rnd.IntN(len(c.gifts))]).named = true
	}
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
	case n < 440:
		c.lanes[c.rnd.IntN(len(c.lanes))].turn()
		if !c.one(5) {
			c.readAll()
		}
	case n < 580:
		c.publish(c.anyStream())
	case n < 820:
		c.fans[c.rnd.IntN(len(c.fans))].act()
	case n < 920:
		c.pass(1 + c.rnd.IntN(6))
	case n < 940:
		c.lanes[c.rnd.IntN(len(c.lanes))].lags = c.one(3)
	case n < 960:
		c.order()
	case n < 965:
		s := c.anyStream()
		_ = c.node.Broker.RemoveHistory(c.t.Context(), s.name) // fails never
	case n < 967:
		c.pass(100)
	case n < 968:
		c.storm()
	case n < 980:
		c.checkPositions(2)
	case n < 984:
		c.pool.run()
	case n < 988:
		s := c.anyStream()
		if c.one(2) {
			s = c.gifts[c.rnd.IntN(len(c.gifts))]
		}
		s.checkPlace(s.members())
	case n < 991:
		c.panic()
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
	list := c.streams[len(c.huge):]
	switch n := c.rnd.IntN(10); {
	case n < 1:
		list = c.huge
	case n < 5:
		list = c.rooms
	case n < 6:
		list = c.gifts
	}
	return list[c.rnd.IntN(len(list))]
}

// publish is the server API's way; now and then past history or without a delta, or several in a row.
func (c *crowd) publish(s *stream) {
	o := s.publishOptions()
	if !c.calm && c.one(12) {
		o.HistorySize = 0
	}
	o.Delta = o.Delta && !c.one(8)
	for range 1 + c.rnd.IntN(1+c.rnd.IntN(4)) {
		x := c.newPost(s, nil)
		p := &codec.Publication{Data: []byte(x.data), Tags: tagSets[x.tags]}
		if _, err := c.node.Broker.Publish(c.t.Context(), s.name, p, o); err != nil {
			c.fault("%s: %v", s.name, err)
		}
	}
}

// checkPositions is a part of the periodic check, one in n of the channels. The server goes through them in an order that differs
// from process to process, which would make two runs of a seed differ.
func (c *crowd) checkPositions(n int) {
	var names []string
	for stripe := range hub.StripesCount {
		names = c.node.Table.Positioned(names, stripe)
	}
	positioned := make(map[string]bool, len(names))
	for _, name := range names {
		positioned[name] = true
	}
	for _, s := range c.streams {
		if positioned[s.name] && c.one(n) {
			c.node.checkPosition(c.t.Context(), s.name)
			s.checked(s.epoch)
		}
	}
}

// panic makes the next frame for somebody a panic.
func (c *crowd) panic() {
	if p := c.fans[c.rnd.IntN(len(c.fans))].pipe; p != nil {
		p.panics = true
	}
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

// finish is the end of a run: nothing goes wrong any more, everybody comes back and hears everything, streams that nobody uses are
// forgotten, which has to be noticed, and all leave.
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
	for range 12 {
		c.quiet(10)
	}
	c.checkPositions(1)
	c.rest()
	for _, f := range c.fans {
		f.checkEnd()
	}
	c.checkPlaces()
	for _, f := range c.fans {
		f.cut()
	}
	c.noticeCuts(1)
	c.pool.run()
	for _, l := range c.lanes {
		l.turn()
		if n := l.loop.Residents(); n != 0 {
			c.fault("%d residents are left on a loop", n)
		}
	}
	c.checkPlaces()
	c.checkEmpty()
}

// lastWords publishes in every other stream, more or less.
func (c *crowd) lastWords() {
	for _, s := range c.streams {
		if c.one(2) {
			c.publish(s)
		}
	}
}

// quiet lets ticks go by in which nobody but the server does anything.
func (c *crowd) quiet(ticks int) {
	c.pass(ticks)
	c.pool.run()
	for _, l := range c.lanes {
		l.turn()
	}
	c.readAll()
}

// rest lets time go by until nothing has moved for a while and every fan has what it wants. It keeps epochs alive meanwhile.
func (c *crowd) rest() {
	still := 0
	for round := range 1000 {
		if round%40 == 39 {
			c.checkPositions(1)
		}
		before := c.trace
		c.quiet(2)
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
