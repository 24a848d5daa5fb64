package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Recover measures what it takes when all clients drop, miss publications and come back for them.
type Recover struct {
	Target       Target
	Clients      int
	PerChannel   int
	Channel      string
	PayloadBytes int
	Seen         int // publications per channel before the drop
	Missed       int // while all are away
	During       int // while they come back
	Away         time.Duration
	Rounds       int
	Pipeline     swarm.Pipeline
	Publishers   int
	Batch        int
	Drain        time.Duration
}

// DefaultRecover is 4,000 clients, ten to a channel.
func DefaultRecover() Recover {
	o := Recover{
		Target: DefaultTarget(), Clients: 4000, PerChannel: 10, Channel: "recover:{n}", PayloadBytes: 100, Seen: 3, Missed: 10, During: 2,
		Away: 500 * time.Millisecond, Rounds: 3, Pipeline: swarm.Commands, Publishers: 4, Batch: 20, Drain: 10 * time.Second,
	}
	o.Target.ConnectRate = 0
	return o
}

const recoverLong = `Subscribe clients to recoverable channels, end all their conns at once, publish while they are away, and let all come back at once with the
offset and epoch that they have seen, while more is published. Measured are the time from dialing until a client has its subscription
back and the server's CPU per client. The run fails if a client could not recover, or anything is missing, comes twice or out of order.

The namespace of the channels must keep history and allow recovery: history_size and history_ttl for at least --missed + --during
publications, and force_recovery.`

const recoverExample = `  # 10,000 clients, ten missed publications each, five times
  stentor bench recover --api-key KEY --pid $(pgrep -xo stentor) --clients 10000 --missed 10 --rounds 5`

func recoverScenario() *scenario {
	o := DefaultRecover()
	return &scenario{
		name: "recover", short: "all clients drop, miss publications and come back for them", long: recoverLong, example: recoverExample,
		target: &o.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Clients, o.check() },
	}
}

func (o *Recover) flags(f *pflag.FlagSet) {
	f.IntVar(&o.Clients, "clients", o.Clients, "number of clients")
	f.IntVar(&o.PerChannel, "per-channel", o.PerChannel, "clients per channel")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number, {user} the client's user")
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of a publication")
	f.IntVar(&o.Seen, "seen", o.Seen, "publications into each channel before the clients drop")
	f.IntVar(&o.Missed, "missed", o.Missed, "publications into each channel while they are away")
	f.IntVar(&o.During, "during", o.During, "publications into each channel while they come back")
	f.DurationVar(&o.Away, "away", o.Away, "how long they stay away besides")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "how often they drop")
	f.StringVar((*string)(&o.Pipeline), "pipeline", string(o.Pipeline), "what a client sends without waiting for answers: none, commands, all")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, "publishers at the same time, each with channels of its own")
	f.IntVar(&o.Batch, "batch", o.Batch, "publications in one request")
	f.DurationVar(&o.Drain, "drain", o.Drain, "how long to wait for what is still on its way")
}

func (o *Recover) check() error {
	if err := checkClients("clients", o.Clients); err != nil {
		return err
	}
	switch {
	case o.PerChannel < 1:
		return errors.New("--per-channel must be at least 1")
	case o.Seen < 1 || o.Missed < 0 || o.During < 0:
		return errors.New("--seen must be at least 1, --missed and --during not below 0")
	case o.Away < 0:
		return errors.New("--away must not be below 0")
	case o.Rounds < 1:
		return errors.New("--rounds must be at least 1")
	case o.PayloadBytes < measure.PayloadBytesMin:
		return fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	}
	return checkRequests(o.Publishers, o.Batch)
}

// recoverRun is one run of Recover.
type recoverRun struct {
	*rig
	options *Recover
	fleet   *fleet.Fleet
	group   string
	feed    *carousel
	opening *measure.Latency
	// By round: seconds until all were back, server CPU per client.
	took, cpu []float64
}

// recoverRate paces publications where no figure hangs on it: as fast as the API answers.
const recoverRate = 1e6

func (o *Recover) run(ctx context.Context, rig *rig) error {
	r := &recoverRun{rig: rig, options: o, opening: measure.NewLatency()}
	var err error
	if r.fleet, err = rig.fleet(o.Clients, o.Target.Workers); err != nil {
		return err
	}
	g := o.Target.group(rig.place, clientsGroup, swarm.Subscriber, o.Clients)
	g.Channels, g.PerChannel, g.Subscribed, g.Recover, g.Pipeline = o.Channel, o.PerChannel, 1, true, o.Pipeline
	r.group = g.Name
	if _, err := rig.open(ctx, r.fleet, g); err != nil {
		return err
	}
	r.feed = newCarousel(rig.api, names(&g), o.PayloadBytes, o.Batch, o.Publishers)
	for n := range o.Rounds {
		rig.phase(0, "round %d of %d", n+1, o.Rounds)
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// round lets all clients drop and come back.
func (r *recoverRun) round(ctx context.Context) error {
	o := r.options
	if err := r.feed.run(ctx, o.Seen, recoverRate); err != nil {
		return err
	}
	if _, err := r.fleet.Await(ctx, r.group, o.Drain, r.feed.sent()); err != nil {
		return err
	}
	if err := r.fleet.Leave(ctx, r.group); err != nil {
		return err
	}
	if err := r.feed.run(ctx, o.Missed, recoverRate); err != nil {
		return err
	}
	if err := pause(ctx, o.Away); err != nil {
		return err
	}
	if _, err := r.fleet.Stats(ctx, true, r.group); err != nil { // the openings of this round alone
		return err
	}
	var opened swarm.Opened
	span, err := r.measured(ctx, func() (err error) {
		published := make(chan error, 1)
		go func() { published <- r.feed.run(ctx, o.During, recoverRate) }()
		opened, err = r.fleet.Back(ctx, r.group)
		return errors.Join(err, <-published)
	})
	if err != nil {
		return err
	}
	if _, err := r.fleet.Await(ctx, r.group, o.Drain, r.feed.sent()); err != nil {
		return err
	}
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return err
	}
	r.judge(span, st.Opening.Percentiles().P99)
	r.opening.Merge(st.Opening)
	r.took, r.cpu = append(r.took, float64(opened.Took)), append(r.cpu, per(float64(span.Server), float64(o.Clients)))
	return nil
}

// finish writes the figures.
func (r *recoverRun) finish(ctx context.Context) error {
	res := &r.result
	st, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	t, err := r.fleet.Tally(ctx, r.group, r.feed.sent())
	if err != nil {
		return err
	}
	res.Add("clients", float64(r.options.Clients), result.Number, result.Neither)
	res.AddSpread("all back after", r.took, result.Nanoseconds, result.Less)
	if r.server != nil {
		res.AddSpread("server CPU per client", r.cpu, result.Nanoseconds, result.Less)
	}
	res.Add("recovered publications", float64(st.Recovered), result.Number, result.Neither)
	res.Add("clients that could not recover", float64(st.Lost), result.Number, result.Less)
	addTally(res, t, st.Late)
	res.AddLatency("dialing to live again", r.opening)
	res.AddLatency("API answer", r.feed.answers)
	res.AddCount("API errors", r.feed.errors)
	r.counts(st)
	switch {
	case len(st.Faults) > 0:
		return fmt.Errorf("the server did what it should not: %v", st.Faults)
	case st.Lost > 0:
		return fmt.Errorf("%d times a client could not recover: is the history of the channels long enough for %d publications?", st.Lost, r.options.Missed+r.options.During)
	}
	return loss(t, st.Late)
}
