package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/bare"
	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Connect measures what it costs to get connected, all at once.
type Connect struct {
	Target        Target
	Clients       int
	Subscriptions int
	PerChannel    int
	Channel       string
	Pipeline      swarm.Pipeline
	Settle        time.Duration // between rounds
	Floor         Floor
}

// DefaultConnect is a storm of 4,000 clients.
func DefaultConnect() Connect {
	o := Connect{
		Target: DefaultTarget(), Clients: 4000, Subscriptions: 1, PerChannel: 10, Channel: "connect-{n}-{s}", Pipeline: swarm.Commands,
		Settle: time.Second, Floor: DefaultFloor(),
	}
	o.Target.ConnectRate, o.Floor.Rounds = 0, 5
	return o
}

const connectLong = `Connect all clients at once, or at --connect-rate, let them go, and do it again. Measured are the time from dialing until a client is
connected and subscribed, connects per second, and the server's CPU per connect.

--pipeline says what a client sends before it has heard an answer: none; commands, that is connect and all subscribes in one ws frame
after the upgrade; or all, that frame right behind the request head. With --token-hmac-secret each client has a token of its own.

--floor compares with a process that does nothing but accept, read the request head and write the 101. Both take turns.`

const connectExample = `  # 10,000 clients with tokens, connect and subscribe in one ws frame, against the bare upgrade
  stentor bench connect --pid $(pgrep -xo stentor) --token-hmac-secret SECRET --clients 10000 --floor --rounds 9 --max-ratio 1.6`

func connectScenario() *scenario {
	o := DefaultConnect()
	return o.scenario()
}

func (o *Connect) scenario() *scenario {
	return &scenario{
		name: "connect", short: "storms of connects", long: connectLong, example: connectExample, target: &o.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.Clients, o.check() },
	}
}

func (o *Connect) flags(f *pflag.FlagSet) {
	f.IntVar(&o.Clients, "clients", o.Clients, "number of clients")
	f.IntVar(&o.Subscriptions, "subscriptions", o.Subscriptions, "subscriptions per client; 0: none")
	f.IntVar(&o.PerChannel, "per-channel", o.PerChannel, "clients per channel")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number, {user} the client's user, {s} the number of the subscription")
	f.StringVar((*string)(&o.Pipeline), "pipeline", string(o.Pipeline), "what a client sends without waiting for answers: none, commands, all")
	f.DurationVar(&o.Settle, "settle", o.Settle, "between two rounds, for the server to clean up")
	o.Floor.commonFlags(f, "accept, upgrade and nothing else")
	o.Floor.programFlags(f)
	f.Float64Var(&o.Floor.RatioMax, "max-ratio", 0, "fail above this median ratio to the floor; 0: no gate")
}

func (o *Connect) check() error {
	if err := checkClients("clients", o.Clients); err != nil {
		return err
	}
	switch {
	case o.Subscriptions < 0 || o.Subscriptions > swarm.SubscriptionsMax:
		return fmt.Errorf("--subscriptions must be from 0 to %d", swarm.SubscriptionsMax)
	case o.PerChannel < 1:
		return errors.New("--per-channel must be at least 1")
	case o.Settle < 0:
		return errors.New("--settle must not be below 0")
	case o.Floor.On && o.Target.transport() != swarm.WebSocket:
		return errors.New("the floor of connect upgrades to a WebSocket: leave out --floor, or take --transport websocket")
	}
	return o.Floor.check(&o.Target)
}

// connectRun is one run of Connect.
type connectRun struct {
	*rig
	options *Connect
	fleet   *fleet.Fleet
	floors  []upgradeFloor
	opening *measure.Latency
	rates   []float64
	secured map[string]int
}

// upgradeFloor is a process that upgrades.
type upgradeFloor struct {
	name    string
	process *bare.Floor
}

func (o *Connect) run(ctx context.Context, rig *rig) error {
	r := &connectRun{rig: rig, options: o, opening: measure.NewLatency()}
	var err error
	if r.fleet, err = rig.fleet(o.Clients, o.Target.Workers); err != nil {
		return err
	}
	defer r.closeFloors()
	if err := r.startFloors(ctx); err != nil {
		return err
	}
	names := []string{"server"}
	for _, f := range r.floors {
		names = append(names, f.name)
	}
	s := newSides(names...)
	for round := range o.Floor.Rounds {
		rig.phase(0, "round %d of %d", round+1, o.Floor.Rounds)
		for k := range names {
			if err := r.side(ctx, s, (k+round)%len(names)); err != nil {
				return err
			}
			if err := pause(ctx, o.Settle); err != nil {
				return err
			}
		}
	}
	return r.fill(s)
}

// fill writes the figures.
func (r *connectRun) fill(s *sides) error {
	res, o := &r.result, r.options
	res.Add("clients", float64(o.Clients), result.Number, result.Neither)
	res.AddSpread("connects per second", r.rates, result.PerSecond, result.More)
	if r.server != nil {
		res.AddSpread("server CPU per connect", s.of[0], result.Nanoseconds, result.Less)
	}
	res.AddLatency("dialing to live", r.opening)
	res.AddCount("TLS handshakes of a round", r.secured)
	if len(r.floors) == 0 {
		return nil
	}
	s.fill(res, "connect", "client")
	return errors.Join(
		overBudget(res, "connect: server / "+r.floors[0].name, o.Floor.RatioMax), overBudget(res, "connect: server / "+programName, o.Floor.ProgramMax),
	)
}

func (r *connectRun) startFloors(ctx context.Context) error {
	if !r.options.Floor.On {
		return nil
	}
	own, err := bare.Start(ctx, r.Bare, 1)
	if err != nil {
		return err
	}
	r.floors = append(r.floors, upgradeFloor{"bare upgrade", own})
	if r.options.Floor.Program == "" {
		return nil
	}
	program, err := bare.Start(ctx, r.options.Floor.program(), r.options.Floor.Threads)
	if err != nil {
		return fmt.Errorf("--floor-program: %w", err)
	}
	r.floors = append(r.floors, upgradeFloor{programName, program})
	return nil
}

func (r *connectRun) closeFloors() {
	for _, f := range r.floors {
		f.process.Close()
	}
}

// side lets all clients connect to one side and go again.
func (r *connectRun) side(ctx context.Context, s *sides, side int) error {
	cpu, connect := r.rig.cpu, r.toServer
	if side > 0 {
		f := r.floors[side-1].process
		cpu, connect = f.CPU, func(ctx context.Context) error { return r.toFloor(ctx, f) }
	}
	spent, err := used(ctx, cpu, func() error { return connect(ctx) })
	if err != nil {
		return err
	}
	s.add(side, float64(spent)/float64(r.options.Clients))
	return r.fleet.Shut(ctx, clientsGroup)
}

// clientsGroup is the clients, whomever they connect to.
const clientsGroup = "clients"

func (r *connectRun) toServer(ctx context.Context) error {
	o := r.options
	g := o.Target.group(r.place, clientsGroup, swarm.Subscriber, o.Clients)
	g.Channels, g.PerChannel, g.Subscribed, g.Pipeline = o.Channel, o.PerChannel, o.Subscriptions, o.Pipeline
	var opened swarm.Opened
	span, err := r.measured(ctx, func() (err error) {
		opened, err = r.fleet.Open(ctx, g)
		return err
	})
	if err != nil {
		return err
	}
	st, err := r.fleet.Stats(ctx, true, g.Name)
	if err != nil {
		return err
	}
	r.judge(span, st.Opening.Percentiles().P99)
	r.opening.Merge(st.Opening)
	r.secured = st.Secured
	r.rates = append(r.rates, per(float64(opened.Live), opened.Took.Seconds()))
	return nil
}

func (r *connectRun) toFloor(ctx context.Context, f *bare.Floor) error {
	if err := f.Listen(ctx); err != nil {
		return err
	}
	o := r.options
	g := o.Target.group(r.place, clientsGroup, swarm.Upgrader, o.Clients)
	g.Addr, g.Source, g.TLS = f.Addr, "127.0.0.2", nil
	upgraded := make(chan error, 1)
	go func() {
		upgraded <- f.Upgrade(ctx, o.Clients, o.Target.Patience+time.Duration(o.Clients)*time.Millisecond)
	}()
	if _, err := r.fleet.Open(ctx, g); err != nil {
		return err
	}
	return <-upgraded
}
