package api

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Batch runs several commands, in order unless they may run in parallel.
func (a *API) Batch(ctx context.Context, req *BatchRequest) (res *BatchResponse, err *Error) {
	defer a.done(methodBatch, a.now(), &err)
	if len(req.Commands) > CommandsMax {
		return nil, a.bad(methodBatch, "too many commands", "commands", len(req.Commands), "limit", CommandsMax)
	}
	replies := make([]Reply, len(req.Commands))
	a.spread(len(replies), req.Parallel, func(i int) {
		replies[i] = a.command(ctx, req.Commands[i])
	})
	return &BatchResponse{Replies: replies}, nil
}

// command runs the first request that c carries.
func (a *API) command(ctx context.Context, c *Command) (r Reply) {
	switch {
	case c == nil:
		a.counts.Error(methodUnknown, ErrorBadRequest.Code)
		r.Error = ErrorBadRequest
	case c.Publish != nil:
		r.Publish, r.Error = a.Publish(ctx, c.Publish)
	case c.Broadcast != nil:
		r.Broadcast, r.Error = a.Broadcast(ctx, c.Broadcast)
	case c.Subscribe != nil:
		r.Error = a.absent(methodSubscribe, c.Subscribe.Channel)
	case c.Unsubscribe != nil:
		r.Unsubscribe, r.Error = a.Unsubscribe(ctx, c.Unsubscribe)
	case c.Disconnect != nil:
		r.Disconnect, r.Error = a.Disconnect(ctx, c.Disconnect)
	case c.History != nil:
		r.Error = a.absent(methodHistory, c.History.Channel)
	case c.HistoryRemove != nil:
		r.Error = a.absent(methodHistoryRemove, c.HistoryRemove.Channel)
	case c.Presence != nil:
		r.Error = a.absent(methodPresence, c.Presence.Channel)
	case c.PresenceStats != nil:
		r.Error = a.absent(methodPresenceStats, c.PresenceStats.Channel)
	case c.Info != nil:
		r.Info, r.Error = a.Info(ctx, c.Info)
	case c.RPC != nil:
		r.RPC, r.Error = a.RPC(ctx, c.RPC)
	case c.Refresh != nil:
		r.Error = a.absent(methodRefresh, "")
	case c.Channels != nil:
		r.Channels, r.Error = a.Channels(ctx, c.Channels)
	case c.MapPublish != nil:
		r.Error = a.absent(methodMapPublish, c.MapPublish.Channel)
	case c.MapRemove != nil:
		r.Error = a.absent(methodMapRemove, c.MapRemove.Channel)
	case c.MapReadState != nil:
		r.Error = a.absent(methodMapReadState, c.MapReadState.Channel)
	case c.MapReadStream != nil:
		r.Error = a.absent(methodMapReadStream, c.MapReadStream.Channel)
	case c.MapStats != nil:
		r.Error = a.absent(methodMapStats, c.MapStats.Channel)
	case c.MapClear != nil:
		r.Error = a.absent(methodMapClear, c.MapClear.Channel)
	case c.SharedPollPublish != nil:
		r.Error = a.absent(methodSharedPollPublish, c.SharedPollPublish.Channel)
	default:
		a.counts.Error(methodUnknown, ErrorNotFound.Code)
		r.Error = ErrorNotFound
	}
	return r
}

// spread calls do for 0 to n-1: in order, or in parallel by up to ParallelMax goroutines, of which the caller is one. Helpers are
// limited for all requests together; when there are none the caller does it alone, so that nested calls cannot wait for each
// other. A panic of a helper becomes one of the caller.
func (a *API) spread(n int, parallel bool, do func(i int)) {
	if !parallel {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var helpers sync.WaitGroup
	var failed atomic.Pointer[string]
	for range min(n, ParallelMax) - 1 {
		select {
		case a.helpers <- struct{}{}:
		default:
			continue // all helpers are busy elsewhere
		}
		helpers.Add(1)
		go func() {
			defer func() {
				if v := recover(); v != nil {
					text := fmt.Sprintf("%v\n%s", v, debug.Stack())
					failed.Store(&text)
				}
				<-a.helpers
				helpers.Done()
			}()
			work()
		}()
	}
	func() {
		defer helpers.Wait() // also when work panics: helpers still write to what the caller owns
		work()
	}()
	if text := failed.Load(); text != nil {
		panic("api: in a helper: " + *text)
	}
}
