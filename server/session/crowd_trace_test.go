package session

import (
	"context"
	"log/slog"
	"testing"
)

// crowdTrace is what two runs of a seed have in common.
type crowdTrace struct {
	Connects, Recovered, Lost, Delivered, Ends        int
	Patches, Withheld, Cached, Moves, Given, Unplaced int
	Loose, Lists, Panics, Listens, Posts              int
	Hash                                              uint64
}

// note folds numbers into the trace.
func (x *crowdTrace) note(numbers ...int) {
	for _, n := range numbers {
		x.Hash = (x.Hash ^ uint64(n)) * 1099511628211
	}
}

// counts are what must not be 0 in a crowd.
func (x *crowdTrace) counts() []*int {
	return []*int{&x.Connects, &x.Recovered, &x.Lost, &x.Delivered, &x.Ends, &x.Patches, &x.Withheld, &x.Cached, &x.Moves, &x.Given,
		&x.Unplaced, &x.Loose, &x.Lists, &x.Panics, &x.Listens, &x.Posts}
}

func (x *crowdTrace) add(y crowdTrace) {
	for i, n := range y.counts() {
		*x.counts()[i] += *n
	}
}

// checkBusy: a crowd where something never happens has tested nothing of it.
func (x *crowdTrace) checkBusy(t *testing.T) {
	for _, n := range x.counts() {
		if *n == 0 {
			t.Errorf("something that the crowd is about has not happened: %+v", *x)
			return
		}
	}
}

// alarm is a log in which nothing may be an error, but the panics that were asked for.
type alarm struct {
	slog.Handler
	crowd *crowd
}

func (alarm) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (a alarm) Handle(_ context.Context, r slog.Record) error {
	asked := false
	r.Attrs(func(x slog.Attr) bool {
		asked = asked || x.Key == "panic" && x.Value.String() == errSim.Error()
		return true
	})
	if !asked {
		a.crowd.fault("the log says: %s", r.Message)
	}
	return nil
}
