package bench

import (
	"context"
	"fmt"
	"time"

	"stentor/bench/bare"
	"stentor/bench/measure"
	"stentor/bench/swarm"
)

// restBeforeReading lets the threads of a process go to sleep: the kernel adds up a running thread's CPU time once per tick of the
// scheduler only (10 ms at most).
const restBeforeReading = 20 * time.Millisecond

// comparison is a fan-out beside a bare loop of write(2).
type comparison struct {
	*fanoutRun
	writer    *bare.Writer
	receivers string // group
	template  []byte // the server's ws frame of one publication
	written   int    // publications that the bare loop has written
}

// burst publishes once and waits until all subscribers have it.
func (r *fanoutRun) burst(ctx context.Context) error {
	if err := r.feed.send(ctx, swarm.Monotonic()); err != nil {
		return err
	}
	all, err := r.fleet.Await(ctx, r.group, r.feed.sent(), r.options.Drain)
	if err == nil && !all {
		err = fmt.Errorf("not every subscriber has publication %d after %v: see the server's log, or run without --against-bare for the losses", r.feed.sent(), r.options.Drain)
	}
	return err
}

// againstBare lets the server and a bare loop take turns with the same receivers.
func (r *fanoutRun) againstBare(ctx context.Context) error {
	o, start := r.options, time.Now()
	size := o.Burst
	if size == 1 {
		size = againstBurst
	}
	c, err := r.compare(ctx)
	if err != nil {
		return err
	}
	defer c.writer.Close()
	report := &BareReport{Subscribers: o.Subscribers, FrameBytes: len(c.template), Threads: o.BareThreads, BurstSize: size}
	for round := range o.Rounds {
		for _, part := range []struct {
			side        *BareSide
			times, size int
		}{{&report.Alone, o.RoundPublications, 1}, {&report.Burst, o.RoundBursts, size}} {
			if err := c.round(ctx, part.side, part.times, part.size, round%2 == 1); err != nil {
				return err
			}
		}
		a, b := &report.Alone, &report.Burst
		r.logf("round %d: alone %.0f against %.0f ns, burst %.0f against %.0f ns per delivery", round+1,
			a.Server[round], a.Bare[round], b.Server[round], b.Bare[round])
	}
	report.Alone.finish()
	report.Burst.finish()
	report.Took = time.Since(start)
	if err := r.print(report); err != nil {
		return err
	}
	tally, err := r.fleet.Tally(ctx, r.group, r.feed.sent())
	if err != nil {
		return err
	}
	if err := loss(tally); err != nil {
		return err
	}
	return report.gate(o)
}

// compare warms the server up, takes one of its frames as the template of the bare loop, and opens the receivers of that.
func (r *fanoutRun) compare(ctx context.Context) (*comparison, error) {
	o := r.options
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
		return nil, fmt.Errorf("no subscriber got a ws frame with exactly one publication")
	}
	c := &comparison{fanoutRun: r, receivers: "receivers", template: st.Sample}
	if c.writer, err = bare.Start(ctx, r.Bare, o.BareThreads); err != nil {
		return nil, err
	}
	g := o.Target.group(r.place, c.receivers, swarm.Receiver, o.Subscribers)
	g.Addr, g.Source = c.writer.Addr, "127.0.0.2"
	accepted := make(chan error, 1)
	go func() {
		accepted <- c.writer.Accept(ctx, o.Subscribers, 2*o.Target.Patience+time.Duration(o.Subscribers)*time.Millisecond)
	}()
	r.logf("opening %d receivers of the bare loop", o.Subscribers)
	_, err = r.fleet.Open(ctx, g)
	if err == nil {
		err = <-accepted
	}
	if err == nil {
		_, err = c.send(ctx, 1) // warm
	}
	if err != nil {
		c.writer.Close()
		return nil, err
	}
	return c, nil
}

// round measures both sides, each with times bursts of size publications. The side that begins changes from round to round, so that
// a drift of the machine favours neither.
func (c *comparison) round(ctx context.Context, side *BareSide, times, size int, bareFirst bool) error {
	deliveries := float64(times * size * c.options.Subscribers)
	server := func() error {
		c.feed.burst = size
		before, err := c.fleet.Stats(ctx, false, c.group)
		if err != nil {
			return err
		}
		cpu, err := spent(ctx, c.cpu, func() error { return repeat(times, func() error { return c.burst(ctx) }) })
		if err != nil {
			return err
		}
		after, err := c.fleet.Stats(ctx, false, c.group)
		side.Server = append(side.Server, float64(cpu)/deliveries)
		side.PerFrame = float64(after.Deliveries-before.Deliveries) / float64(max(1, after.Frames-before.Frames))
		return err
	}
	loop := func() error {
		cpu, err := spent(ctx, c.writer.CPU, func() error {
			return repeat(times, func() error {
				waits, err := c.send(ctx, size)
				side.Waits += waits
				return err
			})
		})
		side.Bare = append(side.Bare, float64(cpu)/deliveries)
		return err
	}
	if bareFirst {
		server, loop = loop, server
	}
	if err := server(); err != nil {
		return err
	}
	return loop()
}

// send lets the bare loop write size publications, one after the other, and waits until all receivers have them.
func (c *comparison) send(ctx context.Context, size int) (waits int, err error) {
	frames := make([][]byte, size)
	due := swarm.Monotonic()
	for i := range frames {
		c.written++
		frames[i] = append([]byte(nil), c.template...)
		if err := measure.Restamp(frames[i], measure.Stamp{Number: uint32(c.written), Due: due}); err != nil {
			return 0, err
		}
	}
	sent, err := c.writer.Send(ctx, frames...)
	if err != nil {
		return 0, err
	}
	all, err := c.fleet.Await(ctx, c.receivers, c.written, c.options.Drain)
	if err == nil && !all {
		err = fmt.Errorf("not every receiver has what the bare loop wrote after %v", c.options.Drain)
	}
	return sent.Waits, err
}

// spent is the CPU time, read by cpu, that a process uses during work.
func spent(ctx context.Context, cpu func() (time.Duration, error), work func() error) (time.Duration, error) {
	if err := pause(ctx, restBeforeReading); err != nil {
		return 0, err
	}
	before, err := cpu()
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	if err := pause(ctx, restBeforeReading); err != nil {
		return 0, err
	}
	after, err := cpu()
	return after - before, err
}

func repeat(times int, f func() error) error {
	for range times {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
