package natsengine

import (
	"strings"
	"sync"
)

// orders are subscriptions to begin or end, the last word for each channel.
type orders struct {
	mu    sync.Mutex
	list  []*order // oldest first
	index map[string]*order
}

type order struct {
	channel   string
	subscribe bool // or unsubscribe
	calls     int  // of Subscribe, each of which gets an answer
}

func (q *orders) add(channel string, subscribe bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.index[channel]
	if o == nil {
		o = &order{channel: strings.Clone(channel)}
		if q.index == nil {
			q.index = make(map[string]*order)
		}
		q.index[o.channel] = o
		q.list = append(q.list, o)
	}
	o.subscribe = subscribe
	if subscribe {
		o.calls++
	}
}

// take takes up to n orders, and reports whether there are more.
func (q *orders) take(n int) (taken []*order, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.list))
	taken, q.list = q.list[:n:n], q.list[n:]
	for _, o := range taken {
		delete(q.index, o.channel)
	}
	if len(q.list) == 0 {
		q.list, q.index = nil, nil
	}
	return taken, len(q.list) > 0
}
