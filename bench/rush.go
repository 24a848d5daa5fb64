package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/measure"
	"stentor/bench/publish"
	"stentor/bench/swarm"
)

// Rush is publishing as fast as the HTTP API answers, by turns.
type Rush struct {
	PayloadBytes int
	Publishers   int
	Batch        int           // publications in one request
	Phase        time.Duration // of one turn
	Rounds       int           // of all turns
}

// flags has the names of what takes turns, and what --batch is for.
func (o *Rush) flags(f *pflag.FlagSet, turn, batch string) {
	f.IntVar(&o.PayloadBytes, "payload", o.PayloadBytes, "bytes of a publication")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, "publishers at the same time")
	f.IntVar(&o.Batch, "batch", o.Batch, batch)
	f.DurationVar(&o.Phase, "phase", o.Phase, "how long each "+turn+" is measured in each round")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of all "+turn+"s")
}

func (o *Rush) check() error {
	switch {
	case o.PayloadBytes < measure.PayloadBytesMin:
		return fmt.Errorf("--payload must be at least %d", measure.PayloadBytesMin)
	case o.Publishers < 1 || o.Publishers > publish.ConnsMax:
		return fmt.Errorf("--publishers must be from 1 to %d", publish.ConnsMax)
	case o.Batch < 1 || o.Batch > batchMax:
		return fmt.Errorf("--batch must be from 1 to %d", batchMax)
	case o.Phase <= 0 || o.Rounds < 1:
		return errors.New("--phase and --rounds must be above 0")
	}
	return nil
}

// callers are conns to the HTTP API of a node, each with one request at a time.
type callers []*publish.Line

func newCallers(n *node, count int) (callers, error) {
	c := make(callers, count)
	for p := range c {
		var err error
		if c[p], err = publish.NewLine(n.place.api, n.target.APIKey, n.place.trust); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// open connects all of them. Otherwise each does with its first request.
func (c callers) open(ctx context.Context) error {
	for _, l := range c {
		if err := l.Open(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c callers) close() {
	for _, l := range c {
		l.Close()
	}
}

// answered is what requests came to.
type answered struct {
	requests int
	took     time.Duration // until the last answer
	latency  *measure.Latency
}

// nextRequest makes a caller's next request, which begins at a moment of swarm.Monotonic. It is called for one request of a caller at a
// time.
type nextRequest func(caller int, begun int64) (method string, body []byte, err error)

// call sends requests for so long, each as soon as the caller's one before has been answered. What has been sent by then is waited for.
// An error ends the caller that it happens to.
func (c callers) call(ctx context.Context, long time.Duration, next nextRequest) (a answered, err error) {
	parts, errs := make([]answered, len(c)), make([]error, len(c))
	start := swarm.Monotonic()
	var all sync.WaitGroup
	for p := range c {
		all.Go(func() { parts[p], errs[p] = c.one(ctx, p, start+int64(long), next) })
	}
	all.Wait()
	a = answered{took: time.Duration(swarm.Monotonic() - start), latency: measure.NewLatency()}
	for _, part := range parts {
		a.requests += part.requests
		a.latency.Merge(part.latency)
	}
	return a, firstOf(errs)
}

// firstOf is the first error: callers who fail at the same time tend to do so for the same reason.
func firstOf(errs []error) error {
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	return fmt.Errorf("%d publishers failed, the first: %w", len(failed), failed[0])
}

// one is one caller until a moment.
func (c callers) one(ctx context.Context, p int, until int64, next nextRequest) (a answered, err error) {
	a.latency = measure.NewLatency()
	for begun := swarm.Monotonic(); begun < until && ctx.Err() == nil; a.requests++ {
		method, body, err := next(p, begun)
		if err != nil {
			return a, err
		}
		if err := c[p].Call(ctx, method, body); err != nil {
			return a, err
		}
		now := swarm.Monotonic()
		a.latency.Record(time.Duration(now - begun))
		begun = now
	}
	return a, context.Cause(ctx)
}
