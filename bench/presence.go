package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/fleet"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Presence measures joins, leaves and questions about presence.
type Presence struct {
	Target   Target
	Channels int
	Channel  string
	Watchers int // per channel: subscribed, told of joins and leaves
	Movers   int // per channel: subscribe and unsubscribe in turn
	Readers  int // per channel: subscribed, ask for presence
	MoveRate float64
	ReadRate float64 // per reader
	Stats    bool    // ask for the numbers only
	Settle   time.Duration
	Phase    time.Duration
	Drain    time.Duration
}

// DefaultPresence is 100 channels with 16 clients each.
func DefaultPresence() Presence {
	return Presence{
		Target: DefaultTarget(), Channels: 100, Channel: "presence:{n}", Watchers: 10, Movers: 4, Readers: 2, MoveRate: 2, ReadRate: 2,
		Settle: time.Second, Phase: 10 * time.Second, Drain: 10 * time.Second,
	}
}

const presenceLong = `In each of many channels, let some clients watch joins and leaves, some subscribe and unsubscribe in turn, and some ask who is there.
Measured are the latencies of those requests and the server's CPU. The run fails unless every watcher is told of every join and leave
once.

The namespace of the channels needs presence, join_leave and allow_presence_for_client.`

const presenceExample = `  # 100 channels, 800 joins and leaves a second, each to ten watchers
  stentor bench presence --pid $(pgrep -xo stentor) --token-hmac-secret SECRET`

func presenceScenario() *scenario {
	o := DefaultPresence()
	return &scenario{
		name: "presence", short: "joins, leaves and questions about presence", long: presenceLong, example: presenceExample, target: &o.Target, requests: true,
		flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Channels * (o.Watchers + o.Movers + o.Readers), o.check() },
	}
}

func (o *Presence) flags(f *pflag.FlagSet) {
	f.IntVar(&o.Channels, "channels", o.Channels, "number of channels")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number")
	f.IntVar(&o.Watchers, "watchers", o.Watchers, "clients per channel that are told of joins and leaves")
	f.IntVar(&o.Movers, "movers", o.Movers, "clients per channel that subscribe and unsubscribe in turn")
	f.IntVar(&o.Readers, "readers", o.Readers, "clients per channel that ask for presence")
	f.Float64Var(&o.MoveRate, "move-rate", o.MoveRate, "requests per second of a mover")
	f.Float64Var(&o.ReadRate, "read-rate", o.ReadRate, "requests per second of a reader")
	f.BoolVar(&o.Stats, "stats", o.Stats, "ask for presence_stats instead of presence")
	f.DurationVar(&o.Settle, "settle", o.Settle, "wait for the joins of all these clients themselves")
	f.DurationVar(&o.Phase, "phase", o.Phase, "how long to move and ask")
	f.DurationVar(&o.Drain, "drain", o.Drain, "how long to wait for what is still on its way")
}

func (o *Presence) check() error {
	for flag, n := range map[string]int{"channels": o.Channels, "watchers": o.Watchers, "movers": o.Movers, "readers": o.Readers} {
		if err := checkClients(flag, n); err != nil {
			return err
		}
	}
	switch {
	case o.Channels > clientsMax/(o.Watchers+o.Movers+o.Readers):
		return fmt.Errorf("more than %d clients", clientsMax)
	case o.MoveRate <= 0 || o.ReadRate <= 0:
		return errors.New("--move-rate and --read-rate must be above 0")
	case o.Phase <= 0 || o.Settle < 0:
		return errors.New("--phase must be above 0, --settle not below")
	}
	return nil
}

// groups describes the three kinds of clients.
func (o *Presence) groups(p place) (watchers, movers, readers swarm.Group) {
	first := 0
	group := func(name string, role swarm.Role, each int) swarm.Group {
		g := o.Target.group(p, name, role, o.Channels*each)
		g.First, g.Channels, g.PerChannel = first, o.Channel, each
		// Numbers of channels count from the group's own beginning, numbers of users go on.
		g.Base = first
		first += g.Count
		return g
	}
	watchers = group("watchers", swarm.Subscriber, o.Watchers)
	watchers.Subscribed, watchers.JoinLeave = 1, true
	movers = group("movers", swarm.Requester, o.Movers)
	movers.Request = swarm.Subscribe
	readers = group("readers", swarm.Requester, o.Readers)
	readers.Subscribed, readers.Request = 1, swarm.Presence
	if o.Stats {
		readers.Request = swarm.PresenceStats
	}
	return watchers, movers, readers
}

// presenceRun is one run of Presence.
type presenceRun struct {
	*rig
	options                   *Presence
	watching, asking          *fleet.Fleet
	watchers, movers, readers swarm.Group
}

func (o *Presence) run(ctx context.Context, rig *rig) error {
	r := &presenceRun{rig: rig, options: o}
	r.watchers, r.movers, r.readers = o.groups(rig.place)
	var err error
	if r.watching, err = rig.fleet(r.watchers.Count, o.Target.Workers); err != nil {
		return err
	}
	if r.asking, err = rig.fleet(r.movers.Count+r.readers.Count, 0); err != nil {
		return err
	}
	if _, err := rig.open(ctx, r.watching, r.watchers); err != nil {
		return err
	}
	for _, g := range []swarm.Group{r.movers, r.readers} {
		if _, err := rig.open(ctx, r.asking, g); err != nil {
			return err
		}
	}
	if err := pause(ctx, o.Settle); err != nil {
		return err
	}
	before, err := r.watching.Stats(ctx, true, r.watchers.Name)
	if err != nil {
		return err
	}
	rig.phase(o.Phase, "moving and asking in %d channels", o.Channels)
	span, err := rig.measured(ctx, func() error { return r.ask(ctx) })
	if err != nil {
		return err
	}
	return r.finish(ctx, span, before)
}

// ask lets movers and readers go for a phase.
func (r *presenceRun) ask(ctx context.Context) error {
	o := r.options
	if err := r.asking.Ask(ctx, r.movers.Name, o.MoveRate*float64(r.movers.Count)); err != nil {
		return err
	}
	if err := r.asking.Ask(ctx, r.readers.Name, o.ReadRate*float64(r.readers.Count)); err != nil {
		return err
	}
	if err := pause(ctx, o.Phase); err != nil {
		return err
	}
	if err := r.asking.Hush(ctx, r.movers.Name, answerPatience); err != nil {
		return err
	}
	return r.asking.Hush(ctx, r.readers.Name, answerPatience)
}

// askWatchersEvery is how often the watchers are asked whether they have been told of all.
const askWatchersEvery = 50 * time.Millisecond

// told waits until the watchers have been told of so many joins and leaves, or for the drain.
func (r *presenceRun) told(ctx context.Context, joins, leaves uint64) (swarm.Stats, error) {
	give := time.Now().Add(r.options.Drain)
	for {
		st, err := r.watching.Stats(ctx, false, r.watchers.Name)
		if err != nil || st.Joins >= joins && st.Leaves >= leaves || time.Now().After(give) {
			return st, err
		}
		if err := pause(ctx, askWatchersEvery); err != nil {
			return st, err
		}
	}
}

// finish compares what moved with what the watchers were told.
func (r *presenceRun) finish(ctx context.Context, s span, before swarm.Stats) error {
	moved, err := r.asking.Stats(ctx, true, r.movers.Name)
	if err != nil {
		return err
	}
	read, err := r.asking.Stats(ctx, true, r.readers.Name)
	if err != nil {
		return err
	}
	each := uint64(r.options.Watchers)
	watched, err := r.told(ctx, before.Joins+each*moved.Subscribed, before.Leaves+each*moved.Unsubscribed)
	if err != nil {
		return err
	}
	joins, leaves := watched.Joins-before.Joins, watched.Leaves-before.Leaves
	res := &r.result
	res.Add("subscribes", float64(moved.Subscribed), result.Number, result.Neither)
	res.Add("unsubscribes", float64(moved.Unsubscribed), result.Number, result.Neither)
	res.Add("joins that watchers were told of", float64(joins), result.Number, result.Neither)
	res.Add("leaves that watchers were told of", float64(leaves), result.Number, result.Neither)
	res.Add("questions about presence", float64(read.Replies), result.Number, result.Neither)
	res.Add("unanswered requests", float64(moved.Unanswered+read.Unanswered), result.Number, result.Less)
	if s.Server > 0 {
		res.Add("server CPU", s.serverCores(), result.Cores, result.Less)
	}
	res.Add("generator CPU", share(s.Generator, s.Took), result.Cores, result.Neither)
	res.AddLatency("subscribe, unsubscribe", moved.Latency)
	res.AddLatency(string(r.readers.Request), read.Latency)
	r.judge(s, moved.Latency.Percentiles().P99)
	all := watched
	all.Merge(moved)
	all.Merge(read)
	r.counts(all)
	return r.check(all, joins, leaves, moved)
}

func (r *presenceRun) check(all swarm.Stats, joins, leaves uint64, moved swarm.Stats) error {
	each := uint64(r.options.Watchers)
	switch {
	case len(all.Faults) > 0:
		return fmt.Errorf("the server did what it should not: %v", all.Faults)
	case len(all.Closes) > 0:
		return fmt.Errorf("%d clients lost their conn", sum(all.Closes))
	case joins != each*moved.Subscribed || leaves != each*moved.Unsubscribed:
		return fmt.Errorf("watchers were told of %d joins and %d leaves, of %d and %d: has the namespace join_leave?", joins, leaves, each*moved.Subscribed, each*moved.Unsubscribed)
	}
	return nil
}
