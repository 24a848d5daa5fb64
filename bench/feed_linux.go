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

// feed publishes numbered, stamped publications into one channel.
type feed struct {
	api     *publish.Client
	channel string
	bytes   int
	burst   int // publications at once
	by      BurstBy

	mu      sync.Mutex
	last    int // number of the newest publication
	answers *measure.Latency
	errors  map[string]int
}

func newFeed(api *publish.Client, channel string, bytes, burst int, by BurstBy) *feed {
	return &feed{api: api, channel: channel, bytes: bytes, burst: burst, by: by, answers: measure.NewLatency(), errors: map[string]int{}}
}

// payloads stamps the next burst.
func (f *feed) payloads(due int64) ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last+f.burst > measure.NumberMax {
		return nil, fmt.Errorf("more than %d publications", measure.NumberMax)
	}
	list := make([][]byte, f.burst)
	for i := range list {
		f.last++
		var err error
		if list[i], err = measure.AppendPayload(make([]byte, 0, f.bytes), measure.Stamp{Number: uint32(f.last), Due: due}, f.bytes); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// send publishes one burst that was due at due. It returns when the API has answered.
func (f *feed) send(ctx context.Context, due int64) error {
	list, err := f.payloads(due)
	if err != nil {
		return err
	}
	switch {
	case len(list) == 1:
		err = f.api.One(ctx, f.channel, list[0])
	case f.by == Together:
		err = f.api.Together(ctx, f.channel, list)
	default:
		err = f.api.Batch(ctx, f.channel, list)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.errors[publish.Kind(err)]++
		return err
	}
	f.answers.Record(time.Duration(swarm.Monotonic() - due))
	return nil
}

// sent is the number of publications so far.
func (f *feed) sent() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// onSchedule sends perSecond bursts a second until most of them are sent (0: no such limit) or ctx ends, which is no error.
func (f *feed) onSchedule(ctx context.Context, perSecond float64, most int) error {
	plan := measure.Every(swarm.Monotonic(), perSecond)
	for n := int64(0); most == 0 || n < int64(most); n++ {
		due := plan.Due(n)
		if pause(ctx, time.Duration(due-swarm.Monotonic())) != nil {
			return nil
		}
		if err := f.send(ctx, due); err != nil {
			return unlessOver(ctx, err)
		}
	}
	return nil
}

// asAcknowledged sends from so many publishers at once, each as soon as the API has answered the burst before, until most bursts are
// sent (0: no such limit) or ctx ends. With tolerant, errors of the API are counted only.
func (f *feed) asAcknowledged(ctx context.Context, publishers, most int, tolerant bool) error {
	errs := make([]error, publishers)
	var all sync.WaitGroup
	for p := range publishers {
		share := 0
		if most > 0 {
			share = most*(p+1)/publishers - most*p/publishers
		}
		all.Go(func() {
			for n := 0; (most == 0 || n < share) && ctx.Err() == nil; n++ {
				err := f.send(ctx, swarm.Monotonic())
				if err != nil && !tolerant {
					errs[p] = unlessOver(ctx, err)
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// unlessOver is err, but nil if it comes from ctx having ended.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("publishing: %w", err)
}
