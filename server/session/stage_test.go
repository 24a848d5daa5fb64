package session

import (
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// stage is a node with loops, one if not told otherwise, that are turned by hand.
type stage struct {
	t      testing.TB
	loops  int
	form   codec.Form // of clients that do not say theirs
	node   *Node
	engine *moody
	isFar  bool // the engine is not local
	far    *far
	now    loop.Time
	wall   time.Time
	actors map[string]*actor
	order  []string
	known  map[string]string // volatile text → what stands for it
	rules  *channel.Rules
	pool   byHand
	check  positionCheck
	log    *slog.Logger
}

// byHand is a pool whose work is done when the test says so.
type byHand struct {
	work []func()
	held bool // until the test lets go
}

func (p *byHand) Do(work func()) bool {
	p.work = append(p.work, work)
	return true
}

func (p *byHand) run() {
	if p.held {
		return
	}
	work := p.work
	p.work = nil
	for _, do := range work {
		p.do(do)
	}
}

// do survives panics that were asked for, as a pool does.
func (p *byHand) do(work func()) {
	defer func() {
		if v := recover(); v != nil && v != errSim {
			panic(v)
		}
	}()
	work()
}

func newStage(t testing.TB) *stage {
	return &stage{
		t: t, now: 1, wall: time.Unix(1_700_000_000, 0), actors: map[string]*actor{}, known: map[string]string{},
		log: slog.New(slog.DiscardHandler),
	}
}

// start makes the node, with options on top of the defaults.
func (st *stage) start(options string) {
	file := filepath.Join(st.t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(cmp.Or(options, "{}")), 0o600); err != nil {
		st.t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{File: file, Env: []string{}})
	if err != nil {
		st.t.Fatal(err)
	}
	cfg := loaded.Config
	var loops []*loop.Loop
	for id := range max(st.loops, 1) {
		loops = append(loops, loop.New(id, loop.Config{Ring: func() {}, Log: st.log}))
		loops[id].SetNow(st.now)
	}
	table := hub.NewTable(loops)
	if st.rules, err = channel.NewRules(cfg); err != nil {
		st.t.Fatal(err)
	}
	table.SetScope(st.rules.Scope)
	connection, subscription, err := auth.NewVerifiers(cfg)
	if err != nil {
		st.t.Fatal(err)
	}
	rules, err := policy.New(cfg, st.rules, connection, subscription, st.log)
	if err != nil {
		st.t.Fatal(err)
	}
	clock := func() time.Duration { return time.Duration(st.now) * loop.TickPeriod }
	make := func(r engine.Receiver) *memengine.Engine {
		return memengine.New(memengine.Config{Stripes: 1, Clock: clock}, r)
	}
	var presence engine.Presence
	if st.isFar {
		st.far, presence = newFar(st, table, make)
		st.engine = &moody{Broker: st.far}
	} else {
		memory := make(table)
		st.engine, presence = &moody{Broker: memory}, memory
	}
	st.node = &Node{
		UID:      "the-node",
		Settings: SettingsOf(cfg, "test"),
		Broker:   st.engine,
		Presence: presence,
		Lanes:    byHandInOrder{&st.pool},
		Table:    table,
		Users:    hub.NewUsers(),
		Loops:    loops,
		Pool:     &st.pool,
		Fetches:  &st.pool,
		Metrics:  metrics.New(metrics.Config{Loops: len(loops)}),
		Log:      st.log,
		Now:      func() time.Time { return st.wall },
	}
	st.node.Start(rules)
	st.node.seal = inOrder{}
}

// inOrder is a cipher that changes nothing: client ids are in the order of handles then, and so are lists by id.
type inOrder struct{ cipher.Block }

func (inOrder) Encrypt(dst, src []byte) { copy(dst, src) }

func (st *stage) do(line string) {
	word, rest, _ := strings.Cut(line, " ")
	if word == "config" {
		st.start(rest)
		return
	}
	if st.node == nil {
		st.start("")
	}
	switch {
	case word == "open":
		st.open(strings.Fields(rest))
	case word == "wait":
		st.wait(st.duration(rest))
	case word == "jump":
		st.wall = st.wall.Add(st.duration(rest))
	case word == "far":
		st.farAway(rest)
	case word == "engine":
		st.engine.mood = rest
	case word == "api":
		st.api(rest)
	case strings.HasSuffix(word, ">"):
		st.actor(strings.TrimSuffix(word, ">")).say(rest)
	case rest == "close":
		st.actor(word).gone()
	case rest == "pong":
		st.actor(word).session.Pong()
	default:
		st.t.Fatalf("what does this line mean? %q", line)
	}
}

func (st *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		st.t.Fatal(err)
	}
	return d
}

// moody is an engine that can be told to fail.
type moody struct {
	engine.Broker
	mood string
}

func (m *moody) fault() error {
	switch m.mood {
	case "broken":
		return errors.New("the engine is broken")
	case "full":
		return engine.ErrOverloaded
	case "panicking":
		panic(errSim)
	}
	return nil
}

func (m *moody) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	if err := m.fault(); err != nil {
		return engine.PublishResult{}, err
	}
	return m.Broker.Publish(ctx, channel, p, o)
}

func (m *moody) History(ctx context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	if err := m.fault(); err != nil {
		return nil, codec.StreamPosition{}, err
	}
	return m.Broker.History(ctx, channel, f)
}

func (m *moody) PublishJoin(ctx context.Context, channel string, info *codec.ClientInfo) error {
	if err := m.fault(); err != nil {
		return err
	}
	return m.Broker.PublishJoin(ctx, channel, info)
}

func (m *moody) PublishLeave(ctx context.Context, channel string, info *codec.ClientInfo) error {
	if err := m.fault(); err != nil {
		return err
	}
	return m.Broker.PublishLeave(ctx, channel, info)
}

func (st *stage) actor(name string) *actor {
	a := st.actors[name]
	if a == nil {
		st.t.Fatalf("%s has not been opened", name)
	}
	return a
}

// turn lets the loop work until it has nothing left to do.
func (st *stage) turn() {
	for range 10 {
		st.pool.run()
		st.node.Loops[0].Turn(st.now)
		for _, name := range st.order {
			if a := st.actors[name]; a.owes {
				a.owes = false
				a.say("{}")
			}
		}
	}
}

func (st *stage) wait(d time.Duration) {
	for end := st.now.After(d); st.now < end; {
		st.now++
		st.wall = st.wall.Add(loop.TickPeriod)
		if st.now%loop.Time(time.Second/loop.TickPeriod) == 0 {
			st.check.step(context.Background(), st.node)
		}
		st.turn()
	}
}

// apiWords are what the server API can be told; what gets the rest of the line.
var apiWords = map[string]func(st *stage, rest string){
	"publish":        (*stage).apiPublish,
	"history_remove": (*stage).apiHistoryRemove,
	"disconnect":     (*stage).apiDisconnect,
	"unsubscribe":    (*stage).apiUnsubscribe,
	"subscribe":      (*stage).apiSubscribe,
	"tagged":         (*stage).apiTagged,
	"version":        (*stage).apiVersion,
	"refresh":        (*stage).apiRefresh,
	"shutdown":       (*stage).apiShutdown,
}

func (st *stage) api(line string) {
	word, rest, _ := strings.Cut(line, " ")
	do := apiWords[word]
	if do == nil {
		st.t.Fatalf("what does this line mean? api %s", line)
	}
	do(st, rest)
}

// apiPublish takes CHANNEL DATA.
func (st *stage) apiPublish(rest string) {
	channel, data, _ := strings.Cut(rest, " ")
	st.publish(channel, strings.ReplaceAll(data, `\n`, "\n"))
}

// apiHistoryRemove takes CHANNEL.
func (st *stage) apiHistoryRemove(channel string) {
	if err := st.node.Broker.RemoveHistory(context.Background(), channel); err != nil {
		st.t.Fatal(err)
	}
}

// apiDisconnect takes USER CODE REASON.
func (st *stage) apiDisconnect(rest string) {
	args := append(strings.SplitN(rest, " ", 3), "", "")
	code, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		st.t.Fatal(err)
	}
	to := st.target(args[0])
	st.orderUser(to.User, Disconnect{Target: to, Disconnect: codec.Disconnect{Code: uint32(code), Reason: args[2]}})
}

// apiUnsubscribe takes USER CHANNEL.
func (st *stage) apiUnsubscribe(rest string) {
	user, channel, _ := strings.Cut(rest, " ")
	to := st.target(user)
	st.orderUser(to.User, Unsubscribe{Target: to, Channel: strings.Trim(channel, "*"), Unsubscribe: codec.UnsubscribeServer})
}

// apiShutdown takes nothing.
func (st *stage) apiShutdown(string) {
	for _, name := range st.order {
		st.node.Loops[0].Order(st.actors[name].handle, codec.DisconnectShutdown)
	}
}

func (st *stage) publish(name, data string) {
	st.publishWith(name, &codec.Publication{Data: []byte(data)}, func(*engine.PublishOptions) {})
}

// target reads USER, USER/NAME or USER!NAME.
func (st *stage) target(text string) (to Target) {
	user, name, one := strings.Cut(text, "/")
	if one {
		return Target{User: user, Client: st.actor(name).session.clientID()}
	}
	user, name, spare := strings.Cut(text, "!")
	if spare {
		return Target{User: user, Whitelist: []string{st.actor(name).session.clientID()}}
	}
	return Target{User: user}
}

func publishOptions(ch channel.Channel) engine.PublishOptions {
	o := ch.Options
	return engine.PublishOptions{HistorySize: o.HistorySize, HistoryTTL: o.HistoryTTL, HistoryMetaTTL: o.HistoryMetaTTL, Delta: o.DeltaPublish}
}

// orderUser leaves an order with each session of a user, wherever it is.
func (st *stage) orderUser(user string, what any) {
	for _, h := range st.node.Users.Sessions(nil, user) {
		st.node.Loops[h.Loop()].Order(h, what)
	}
}

var (
	volatileClient = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	volatileTags   = regexp.MustCompile(`"tags":\{[^}]*\}`)
	volatileEpoch  = regexp.MustCompile(`"epoch":"[^"]+"`)
	volatileSecret = regexp.MustCompile(`"session":"[^"]+"`)
)

// stable replaces what differs from run to run by names in order of appearance.
func (st *stage) stable(line string) string {
	name := func(kind string) func(string) string {
		return func(s string) string {
			if st.known[s] == "" {
				n := 1
				for _, have := range st.known {
					if strings.HasPrefix(have, kind) {
						n++
					}
				}
				st.known[s] = fmt.Sprintf("%s%d", kind, n)
			}
			return st.known[s]
		}
	}
	line = volatileTags.ReplaceAllStringFunc(line, func(tags string) string { // of a map, so in any order
		pairs := strings.Split(tags[len(`"tags":{`):len(tags)-1], ",")
		slices.Sort(pairs)
		return `"tags":{` + strings.Join(pairs, ",") + "}"
	})
	line = volatileSecret.ReplaceAllStringFunc(line, name("session-"))
	line = volatileClient.ReplaceAllStringFunc(line, name("client-"))
	return volatileEpoch.ReplaceAllStringFunc(line, name("epoch-"))
}

// drawFirstPing puts a session's first ping where rnd wants it, so that a seed brings the same run again.
func (st *stage) drawFirstPing(s *Session, rnd *rand.Rand) {
	every := st.node.Settings.PingInterval
	s.beat = st.now.After(every/2 + time.Duration(rnd.Int64N(int64(every/2))))
	s.arm()
}
