package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stentor/bench/bare"
	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// restBeforeReading lets the threads of a process go to sleep: the kernel adds up a running thread's CPU time once per tick of the
// scheduler only (10 ms at most).
const restBeforeReading = 20 * time.Millisecond

// comparison is a fan-out beside floors.
type comparison struct {
	*fanoutRun
	template []byte // the server's ws frame of one publication
	floors   []*fanoutFloor
}

// fanoutFloor is one way of writing. Two of them may be of one process and its receivers.
type fanoutFloor struct {
	name      string
	via       bare.Via
	process   *bare.Floor
	receivers *receivers
}

// receivers are the clients of one floor process.
type receivers struct {
	group   string
	written int // publications so far
	waits   int // writes that found a socket full
}

// againstFloors lets the server and the floors take turns with receivers of the same workers.
func (r *fanoutRun) againstFloors(ctx context.Context) error {
	o := r.options
	size := o.Burst
	if size == 1 {
		size = floorBurst
	}
	c, err := r.compare(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	names := []string{"server"}
	for _, f := range c.floors {
		names = append(names, f.name)
	}
	alone, burst := newSides(names...), newSides(names...)
	for round := range o.Floor.Rounds {
		r.phase(0, "round %d of %d", round+1, o.Floor.Rounds)
		if err := c.round(ctx, round, alone, o.Floor.RoundPublications, 1); err != nil {
			return err
		}
		if err := c.round(ctx, round, burst, o.Floor.RoundBursts, size); err != nil {
			return err
		}
	}
	alone.fill(&r.result, "alone", "delivery")
	burst.fill(&r.result, fmt.Sprintf("burst of %d", size), "delivery")
	c.notes()
	if err := r.tally(ctx, false); err != nil {
		return err
	}
	return errors.Join(
		overBudget(&r.result, "alone: server / "+string(bare.Write), o.Floor.RatioMax),
		overBudget(&r.result, fmt.Sprintf("burst of %d: server / %s", size, bare.Write), o.Floor.BurstMax),
		overBudget(&r.result, "alone: server / "+programName, o.Floor.ProgramMax),
	)
}

// notes tell how the floors fared.
func (c *comparison) notes() {
	r := &c.result
	r.Notes = append(r.Notes, fmt.Sprintf("%d subscribers, ws frames of %d bytes, %d thread(s) per floor", c.options.Subscribers, len(c.template), c.options.Floor.Threads))
	seen := map[*receivers]bool{}
	for _, f := range c.floors {
		if f.receivers.waits > 0 && !seen[f.receivers] {
			r.Notes = append(r.Notes, fmt.Sprintf("%s found a socket full %d times: the receivers did not keep up", f.name, f.receivers.waits))
		}
		seen[f.receivers] = true
	}
}

// compare warms the server up, takes one of its frames as the template of the floors, and opens their receivers.
func (r *fanoutRun) compare(ctx context.Context) (*comparison, error) {
	r.feed.burst = 1
	for range 3 {
		if err := r.burst(ctx); err != nil {
			return nil, err
		}
	}
	st, err := r.fleet.Stats(ctx, true, r.group)
	if err != nil {
		return nil, err
	}
	if len(st.Sample) == 0 {
		return nil, fmt.Errorf("no subscriber got a ws frame, or a chunk of a response, with exactly one publication")
	}
	c := &comparison{fanoutRun: r, template: st.Sample}
	if err := c.start(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// start runs the floors and warms them up.
func (c *comparison) start(ctx context.Context) error {
	o := c.options
	own, err := bare.Start(ctx, c.Bare, o.Floor.Threads)
	if err != nil {
		return err
	}
	to := &receivers{group: "receivers"}
	c.floors = append(c.floors, &fanoutFloor{string(bare.Write), bare.Write, own, to})
	if err := c.receive(ctx, own, to); err != nil {
		return err
	}
	if refusal := bare.UringRefusal(); refusal == nil {
		c.floors = append(c.floors, &fanoutFloor{string(bare.Uring), bare.Uring, own, to})
	} else {
		c.result.Notes = append(c.result.Notes, "no floor through an io_uring: "+refusal.Error())
	}
	if o.Floor.Program != "" {
		program, err := bare.Start(ctx, o.Floor.program(), o.Floor.Threads)
		if err != nil {
			return fmt.Errorf("--floor-program: %w", err)
		}
		to := &receivers{group: "receivers of the program"}
		c.floors = append(c.floors, &fanoutFloor{programName, bare.Write, program, to})
		if err := c.receive(ctx, program, to); err != nil {
			return err
		}
	}
	for _, f := range c.floors {
		if err := c.send(ctx, f, 1); err != nil {
			return err
		}
	}
	return nil
}

// receive opens the receivers of a floor.
func (c *comparison) receive(ctx context.Context, f *bare.Floor, to *receivers) error {
	o := c.options
	g := o.Target.group(c.place, to.group, swarm.Receiver, o.Subscribers)
	g.Addr, g.Source, g.TLS = f.Addr, "127.0.0.2", nil
	accepted := make(chan error, 1)
	go func() {
		accepted <- f.Accept(ctx, o.Subscribers, 2*o.Target.Patience+time.Duration(o.Subscribers)*time.Millisecond)
	}()
	if _, err := c.open(ctx, c.fleet, g); err != nil {
		return err
	}
	return <-accepted
}

func (c *comparison) close() {
	for i, f := range c.floors {
		if i == 0 || c.floors[i-1].process != f.process {
			f.process.Close()
		}
	}
}

// round measures all sides, each with times bursts of size publications. The side that begins changes from round to round, so that
// a drift of the machine favours none.
func (c *comparison) round(ctx context.Context, round int, s *sides, times, size int) error {
	deliveries := float64(times * size * c.options.Subscribers)
	for k := range s.names {
		side := (k + round) % len(s.names)
		cpu, work := c.cpu, func() error { c.feed.burst = size; return c.burst(ctx) }
		if side > 0 {
			f := c.floors[side-1]
			cpu, work = f.process.CPU, func() error { return c.send(ctx, f, size) }
		}
		used, err := used(ctx, cpu, func() error { return repeat(times, work) })
		if err != nil {
			return err
		}
		s.add(side, float64(used)/deliveries)
	}
	return nil
}

// send lets a floor write size publications, one after the other, and waits until all receivers have them.
func (c *comparison) send(ctx context.Context, f *fanoutFloor, size int) error {
	frames := make([][]byte, size)
	due := swarm.Monotonic()
	for i := range frames {
		f.receivers.written++
		frames[i] = append([]byte(nil), c.template...)
		if err := measure.Restamp(frames[i], measure.Stamp{Number: uint32(f.receivers.written), Due: due}); err != nil {
			return err
		}
	}
	sent, err := f.process.Send(ctx, f.via, frames...)
	if err != nil {
		return err
	}
	f.receivers.waits += sent.Waits
	all, err := c.fleet.Await(ctx, f.receivers.group, c.options.Drain, f.receivers.written)
	if err == nil && !all {
		err = fmt.Errorf("not every receiver has what %s wrote after %v", f.name, c.options.Drain)
	}
	return err
}

// used is the CPU time, read by cpu, that a process uses during work.
func used(ctx context.Context, cpu func() (time.Duration, error), work func() error) (time.Duration, error) {
	spent, err := usedEach(ctx, work, cpu)
	if err != nil {
		return 0, err
	}
	return spent[0], nil
}

// usedEach is used for several processes.
func usedEach(ctx context.Context, work func() error, cpus ...func() (time.Duration, error)) ([]time.Duration, error) {
	before, err := readRested(ctx, cpus)
	if err != nil {
		return nil, err
	}
	if err := work(); err != nil {
		return nil, err
	}
	spent, err := readRested(ctx, cpus)
	for i := range spent {
		spent[i] -= before[i]
	}
	return spent, err
}

// readRested reads CPU times after a rest.
func readRested(ctx context.Context, cpus []func() (time.Duration, error)) (all []time.Duration, err error) {
	if err := pause(ctx, restBeforeReading); err != nil {
		return nil, err
	}
	for _, cpu := range cpus {
		now, err := cpu()
		if err != nil {
			return nil, err
		}
		all = append(all, now)
	}
	return all, nil
}

func repeat(times int, f func() error) error {
	for range times {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
