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
	var answered atomic.Int64 // bytes, about
	a.spread(len(replies), req.Parallel, func(i int) {
		if answered.Load() > int64(a.responseBytesMax) {
			a.counts.Error(methodUnknown, ErrorBadRequest.Code)
			replies[i].Error = ErrorBadRequest
			return
		}
		replies[i] = a.command(ctx, req.Commands[i])
		answered.Add(int64(replies[i].size()))
	})
	if answered.Load() > int64(a.responseBytesMax) {
		_ = a.bad(methodBatch, "the results are too large; the commands after them were not run", "limit", a.responseBytesMax)
	}
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
		r.Subscribe, r.Error = a.Subscribe(ctx, c.Subscribe)
	case c.Unsubscribe != nil:
		r.Unsubscribe, r.Error = a.Unsubscribe(ctx, c.Unsubscribe)
	case c.Disconnect != nil:
		r.Disconnect, r.Error = a.Disconnect(ctx, c.Disconnect)
	case c.History != nil:
		r.History, r.Error = a.History(ctx, c.History)
	case c.HistoryRemove != nil:
		r.HistoryRemove, r.Error = a.HistoryRemove(ctx, c.HistoryRemove)
	case c.Presence != nil:
		r.Presence, r.Error = a.Presence(ctx, c.Presence)
	case c.PresenceStats != nil:
		r.PresenceStats, r.Error = a.PresenceStats(ctx, c.PresenceStats)
	case c.Info != nil:
		r.Info, r.Error = a.Info(ctx, c.Info)
	case c.RPC != nil:
		r.RPC, r.Error = a.RPC(ctx, c.RPC)
	case c.Refresh != nil:
		r.Refresh, r.Error = a.Refresh(ctx, c.Refresh)
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

// size is about how many bytes the reply takes, as far as that is in the hands of others.
func (r *Reply) size() (n int) {
	switch {
	case r.History != nil:
		for i := range r.History.Publications {
			n += r.History.Publications[i].size()
		}
	case r.Presence != nil:
		for _, info := range r.Presence.Presence {
			n += info.size()
		}
	case r.Channels != nil:
		for name := range r.Channels.Channels {
			n += entryBytes + len(name)
		}
	}
	return n
}

// entryBytes is what an entry of a list or map takes besides what is in it.
const entryBytes = 64

func (p *Publication) size() int {
	n := entryBytes + len(p.Data) + len(p.B64Data)
	for k, v := range p.Tags {
		n += len(k) + len(v)
	}
	if p.Info != nil {
		n += p.Info.size()
	}
	return n
}

func (c *ClientInfo) size() int {
	return entryBytes + len(c.User) + 2*len(c.Client) + len(c.ConnInfo) + len(c.B64ConnInfo) + len(c.ChanInfo) + len(c.B64ChanInfo)
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
