package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stentor/bench/measure"
	"stentor/bench/publish"
	"stentor/bench/swarm"
)

// carousel publishes numbered, stamped publications into many channels, round by round: each channel gets one in each round, and the
// number of the round is that of the publication.
type carousel struct {
	api        *publish.Client
	channels   []string
	bytes      int
	batch      int // publications in one request
	publishers int // each has channels of its own, so that the order in a channel holds

	mu      sync.Mutex
	done    int // rounds
	answers *measure.Latency
	errors  map[string]int
}

func newCarousel(api *publish.Client, channels []string, bytes, batch, publishers int) *carousel {
	return &carousel{
		api: api, channels: channels, bytes: bytes, batch: batch, publishers: min(publishers, len(channels)),
		answers: measure.NewLatency(), errors: map[string]int{},
	}
}

// rounds is how many rounds of a rate fall into long, at least one.
func (c *carousel) rounds(perSecond float64, long time.Duration) int {
	return bursts(perSecond/float64(len(c.channels)), long)
}

// sent is the number of rounds so far.
func (c *carousel) sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

// run publishes so many rounds, perSecond publications a second in all.
func (c *carousel) run(ctx context.Context, rounds int, perSecond float64) error {
	first := c.sent()
	if first+rounds > measure.NumberMax {
		return fmt.Errorf("more than %d publications into a channel", measure.NumberMax)
	}
	errs := make([]error, c.publishers)
	var all sync.WaitGroup
	for p := range c.publishers {
		part := portion(c.channels, p, c.publishers)
		plan := measure.Every(swarm.Monotonic(), perSecond*float64(len(part))/float64(len(c.channels)))
		all.Go(func() {
			for r := range rounds {
				if errs[p] = c.round(ctx, part, first+r+1, plan, int64(r*len(part))); errs[p] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += rounds
	return errors.Join(errs...)
}

// portion is the k-th of n parts of all, which are of the same length as far as that is possible.
func portion[T any](all []T, k, n int) []T { return all[len(all)*k/n : len(all)*(k+1)/n] }

// round publishes number once into each of the channels. The first of them is the n-th of the plan.
func (c *carousel) round(ctx context.Context, channels []string, number int, plan measure.Schedule, n int64) error {
	for len(channels) > 0 {
		part := channels[:min(len(channels), c.batch)]
		channels = channels[len(part):]
		due := plan.Due(n)
		n += int64(len(part))
		if err := pause(ctx, time.Duration(due-swarm.Monotonic())); err != nil {
			return err
		}
		if err := c.send(ctx, part, number, due); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	return nil
}

// send publishes number into each of the channels with one request.
func (c *carousel) send(ctx context.Context, channels []string, number int, due int64) error {
	data, err := measure.AppendPayload(nil, measure.Stamp{Number: uint32(number), Due: due}, c.bytes)
	if err != nil {
		return err
	}
	if len(channels) == 1 {
		err = c.api.One(ctx, channels[0], data)
	} else {
		list := make([]publish.Publication, len(channels))
		for i, name := range channels {
			list[i] = publish.Publication{Channel: name, Data: data}
		}
		err = c.api.All(ctx, list)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.errors[publish.Kind(err)]++
		return err
	}
	c.answers.Record(time.Duration(swarm.Monotonic() - due))
	return nil
}

// names are all channels of a group.
func names(g *swarm.Group) []string { return channels(g, map[string]struct{}{}) }
