package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/bare"
	"stentor/bench/fleet"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Pinged measures what pings and pongs of quiet clients cost.
type Pinged struct {
	Target  Target
	Clients int
	Window  time.Duration // of each measurement
	Settle  time.Duration
	Tick    time.Duration // of the floor
	Floor   Floor
	CPUMax  time.Duration // gate: server CPU per client and second; 0: none
}

// DefaultPinged is 4,000 clients for the length of a usual ping interval.
func DefaultPinged() Pinged {
	o := Pinged{Target: DefaultTarget(), Clients: 4000, Window: 25 * time.Second, Settle: 5 * time.Second, Tick: time.Second, Floor: DefaultFloor()}
	o.Floor.Rounds = 3
	return o
}

const pingLong = `Connect clients that do nothing but answer pings, and measure the server's CPU per client and second (--server, --pid), once with and
once without what the empty server needs, and per ping. How often the server pings is its own matter (client.ping_interval); --window
must not be shorter, and should be a whole number of such intervals.

--floor compares with a process that does nothing but write as many pings over the same time to as many sockets and read the pongs, with
those that fall due within a --tick written together. Both take turns.`

const pingExample = `  # 16,000 clients over whole ping intervals, against the bare reads and writes
  stentor bench ping --pid $(pgrep -xo stentor) --clients 8000 --window 25s --floor --max-ratio 1.3`

func pingScenario() *scenario {
	o := DefaultPinged()
	return o.scenario()
}

func (o *Pinged) scenario() *scenario {
	return &scenario{
		name: "ping", short: "CPU of idle clients that answer pings", long: pingLong, example: pingExample, target: &o.Target, flags: o.flags,
		run:  o.run,
		plan: func() (int, error) { return o.Clients, o.check() },
	}
}

func (o *Pinged) flags(f *pflag.FlagSet) {
	f.IntVar(&o.Clients, "clients", o.Clients, "number of clients")
	f.DurationVar(&o.Window, "window", o.Window, "length of each measurement")
	f.DurationVar(&o.Settle, "settle", o.Settle, "wait after the last connect")
	f.DurationVar(&o.Tick, "tick", o.Tick, "pings of the floor that fall due within this are written together")
	o.Floor.commonFlags(f, "the same pings and pongs")
	f.Float64Var(&o.Floor.RatioMax, "max-ratio", 0, "fail above this median ratio to the floor; 0: no gate")
	f.DurationVar(&o.CPUMax, "max-cpu", 0, "fail above this much server CPU per client and second; 0: no gate")
}

func (o *Pinged) check() error {
	if err := checkClients("clients", o.Clients); err != nil {
		return err
	}
	switch {
	case !o.Target.watched():
		return errors.New("ping measures the CPU of the server: give --server or --pid (pgrep -xo stentor)")
	case o.Window <= 0 || o.Tick <= 0:
		return errors.New("--window and --tick must be above 0")
	case o.Settle < 0:
		return errors.New("--settle must not be below 0")
	case o.Floor.On && o.Target.transport() != swarm.WebSocket:
		return errors.New("the floor of ping speaks ws frames: leave out --floor, or take --transport websocket")
	}
	return o.Floor.check(&o.Target)
}

// pingRun is one run of Pinged.
type pingRun struct {
	*rig
	options *Pinged
	fleet   *fleet.Fleet
	group   string
	floor   *bare.Floor // nil without --floor
	empty   float64     // cores of the server without clients
	// By round: CPU in nanoseconds per client and second, with and without the empty server's share, and per ping.
	whole, above, perPing []float64
	sides                 *sides
	pings                 uint64
}

func (o *Pinged) run(ctx context.Context, rig *rig) error {
	r := &pingRun{rig: rig, options: o, sides: newSides("server", "bare pings")}
	conns := o.Clients
	if o.Floor.On {
		conns *= 2
	}
	var err error
	if r.fleet, err = rig.fleet(conns, o.Target.Workers); err != nil {
		return err
	}
	rig.phase(o.Window, "the server without clients, for %v", o.Window)
	span, err := rig.measured(ctx, func() error { return pause(ctx, o.Window) })
	if err != nil {
		return err
	}
	r.empty = span.serverCores()
	g := o.Target.group(rig.place, clientsGroup, swarm.Subscriber, o.Clients)
	r.group = g.Name
	if _, err := rig.open(ctx, r.fleet, g); err != nil {
		return err
	}
	if err := r.checkWindow(ctx); err != nil {
		return err
	}
	if o.Floor.On {
		if err := r.startFloor(ctx); err != nil {
			return err
		}
		defer r.floor.Close()
	}
	if err := pause(ctx, o.Settle); err != nil {
		return err
	}
	for n := range o.Floor.Rounds {
		rig.phase(o.Window, "round %d of %d", n+1, o.Floor.Rounds)
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// checkWindow compares --window with the interval that the server told the clients. In a shorter one some rounds have many pings and
// some none, as clients that came together are pinged together; only whole intervals have one ping of each client.
func (r *pingRun) checkWindow(ctx context.Context) error {
	st, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	window, interval := r.options.Window, st.PingInterval
	switch {
	case interval == 0:
	case window < interval:
		return fmt.Errorf("--window %v is shorter than the server's ping interval, %v: rounds would have any number of pings, or none; "+
			"take --window %v, or run the server with a shorter client.ping_interval", window, interval, interval)
	case window%interval != 0:
		r.result.Notes = append(r.result.Notes, fmt.Sprintf("--window %v is not a whole number of the server's ping intervals of %v: "+
			"rounds differ in pings, so that only the figures per ping compare", window, interval))
	}
	return nil
}

// startFloor opens the clients of the floor.
func (r *pingRun) startFloor(ctx context.Context) error {
	o := r.options
	var err error
	if r.floor, err = bare.Start(ctx, r.Bare, 1); err != nil {
		return err
	}
	g := o.Target.group(r.place, "clients of the floor", swarm.Upgrader, o.Clients)
	g.Addr, g.Source, g.TLS = r.floor.Addr, "127.0.0.2", nil
	upgraded := make(chan error, 1)
	go func() {
		upgraded <- r.floor.Upgrade(ctx, o.Clients, 2*o.Target.Patience+time.Duration(o.Clients)*time.Millisecond)
	}()
	if _, err := r.open(ctx, r.fleet, g); err != nil {
		return err
	}
	return <-upgraded
}

// round measures the server for a window, then the floor with as many pings.
func (r *pingRun) round(ctx context.Context) error {
	o := r.options
	before, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	span, err := r.measured(ctx, func() error { return pause(ctx, o.Window) })
	if err != nil {
		return err
	}
	after, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	pings := after.Pings - before.Pings
	if pings == 0 {
		return fmt.Errorf("no ping came within %v: take a --window longer than the server's client.ping_interval", o.Window)
	}
	r.pings += pings
	cpu := float64(span.Server)
	above := max(0, cpu-r.empty*float64(span.Took))
	clientSeconds := float64(o.Clients) * span.Took.Seconds()
	r.whole, r.above = append(r.whole, cpu/clientSeconds), append(r.above, above/clientSeconds)
	r.perPing = append(r.perPing, above/float64(pings))
	if r.floor == nil {
		return nil
	}
	r.sides.add(0, above/float64(pings))
	e := bare.Echo{Ping: swarm.PingFrame(o.Target.Protobuf), PongBytes: swarm.PongBytes(o.Target.Protobuf), Pings: int(pings), Span: o.Window, Tick: min(o.Tick, o.Window)}
	spent, err := used(ctx, r.floor.CPU, func() error { return r.floor.Echo(ctx, e) })
	r.sides.add(1, float64(spent)/float64(pings))
	return err
}

// finish writes the figures.
func (r *pingRun) finish(ctx context.Context) error {
	res, o := &r.result, r.options
	res.Add("clients", float64(o.Clients), result.Number, result.Neither)
	res.Add("pings per second", per(float64(r.pings), o.Window.Seconds()*float64(o.Floor.Rounds)), result.PerSecond, result.Neither)
	res.AddSpread("server CPU per client and second", r.whole, result.Nanoseconds, result.Less)
	res.AddSpread("the same above the empty server", r.above, result.Nanoseconds, result.Less)
	res.AddSpread("server CPU per ping above the empty server", r.perPing, result.Nanoseconds, result.Less)
	res.Add("empty server CPU", r.empty, result.Cores, result.Less)
	st, err := r.fleet.Stats(ctx, false, r.group)
	if err != nil {
		return err
	}
	r.counts(st)
	if r.floor != nil {
		r.sides.fill(res, "ping", "ping")
	}
	if len(st.Closes) > 0 {
		return fmt.Errorf("%d of %d clients lost their conn", sum(st.Closes), o.Clients)
	}
	if m, _ := res.Metric("server CPU per client and second"); o.CPUMax > 0 && m.Value > float64(o.CPUMax) {
		return fmt.Errorf("over budget: server CPU per client and second: %v, the most is %v", time.Duration(m.Value), o.CPUMax)
	}
	return overBudget(res, "ping: server / bare pings", o.Floor.RatioMax)
}
