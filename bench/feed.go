package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	failed  int // publications in bursts that the API answered with an error
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
		f.failed += len(list)
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

// accepted is how many of them the API took.
func (f *feed) accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last - f.failed
}

// onSchedule sends perSecond bursts a second, most of them in all.
func (f *feed) onSchedule(ctx context.Context, perSecond float64, most int) error {
	plan := measure.Every(swarm.Monotonic(), perSecond)
	for n := range int64(most) {
		due := plan.Due(n)
		if err := pause(ctx, time.Duration(due-swarm.Monotonic())); err != nil {
			return err
		}
		if err := f.send(ctx, due); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	return nil
}

// onSchedules shares perSecond bursts a second out to so many publishers, for so long. Errors of the API are counted only.
func (f *feed) onSchedules(ctx context.Context, publishers int, perSecond float64, long time.Duration) error {
	each := perSecond / float64(publishers)
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			plan := measure.Every(swarm.Monotonic(), each)
			for n := range int64(bursts(each, long)) {
				due := plan.Due(n)
				if pause(ctx, time.Duration(due-swarm.Monotonic())) != nil {
					return
				}
				_ = f.send(ctx, due) // counted
			}
		})
	}
	all.Wait()
	return ctx.Err()
}

// bursts is how many bursts of a schedule fall into long, at least one.
func bursts(perSecond float64, long time.Duration) int {
	return max(1, int(perSecond*long.Seconds()+0.5))
}

// limit ends publishing that follows no schedule: after so many bursts, or, if that is 0, at a moment. What has been sent by then is
// waited for: a request that is given up may have been obeyed or not.
type limit struct {
	bursts int
	until  time.Time
}

func (l limit) passed(n int) bool {
	if l.bursts > 0 {
		return n >= l.bursts
	}
	return !time.Now().Before(l.until)
}

// asAcknowledged sends from so many publishers at once, each as soon as the API has answered the burst before, until the limit has
// passed. With tolerant, errors of the API are counted only.
func (f *feed) asAcknowledged(ctx context.Context, publishers int, l limit, tolerant bool) error {
	errs := make([]error, publishers)
	var all sync.WaitGroup
	var next atomic.Int64
	for p := range publishers {
		all.Go(func() {
			for !l.passed(int(next.Add(1)-1)) && ctx.Err() == nil {
				if err := f.send(ctx, swarm.Monotonic()); err != nil && !tolerant {
					errs[p] = fmt.Errorf("publishing: %w", err)
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}
