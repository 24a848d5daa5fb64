package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"stentor/server/cluster/control"
)

// Answer is what a node says to a question. Code 0 is that it could answer.
type Answer struct {
	Code uint32
	Data []byte
}

// asked is the questions of this node that are not answered yet.
type asked struct {
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*inquiry // by id
}

// inquiry is one of them. Its fields are guarded by asked.mu until done is closed and it is taken out of the table.
type inquiry struct {
	silent  map[string]struct{} // nodes that have not answered
	answers map[string]Answer   // by node
	bytes   int                 // of the answers
	fault   error
	done    chan struct{} // closed when there is nothing to wait for
}

func newAsked() asked { return asked{waiting: make(map[uint64]*inquiry)} }

// add begins to wait for answers of nodes. It reports false if too many questions are waiting.
func (a *asked) add(nodes []string) (id uint64, q *inquiry, ok bool) {
	q = &inquiry{
		silent:  make(map[string]struct{}, len(nodes)),
		answers: make(map[string]Answer, len(nodes)),
		done:    make(chan struct{}),
	}
	for _, uid := range nodes {
		q.silent[uid] = struct{}{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= AsksMax {
		return 0, nil, false
	}
	a.next++
	a.waiting[a.next] = q
	return a.next, q, true
}

// remove ends the waiting. From now on the inquiry is the caller's.
func (a *asked) remove(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// answered takes an answer. One that is late, comes twice or was not asked for is nobody's.
func (a *asked) answered(uid string, r *control.SurveyResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.waiting[r.Id]
	if q == nil {
		return
	}
	if _, expected := q.silent[uid]; !expected || q.fault != nil {
		return
	}
	if q.bytes += len(r.Data); q.bytes > AnswersBytesMax {
		q.fault = ErrTooLarge
		q.answers = nil
		close(q.done)
		return
	}
	q.answers[uid] = Answer{Code: r.Code, Data: r.Data}
	q.release(uid)
}

// echoed takes a question that came back to the node that has asked it.
func (a *asked) echoed(own string, id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.waiting[id]; q != nil {
		q.release(own)
	}
}

// departed stops waiting for the answers of a node that is no more.
func (a *asked) departed(uid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.waiting {
		q.release(uid)
	}
}

// release stops waiting for a node.
func (q *inquiry) release(uid string) {
	if _, expected := q.silent[uid]; !expected || q.fault != nil {
		return
	}
	delete(q.silent, uid)
	if len(q.silent) == 0 {
		close(q.done)
	}
}

// Ask asks one node and waits for its answer, for SurveyTimeout at most. A node that is not there, or goes meanwhile, is
// ErrUnknownNode. This node is asked directly.
func (n *Node) Ask(ctx context.Context, uid, op string, data []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, SurveyTimeout)
	defer cancel()
	l := n.lanes[op]
	if l == nil {
		return Answer{}, fmt.Errorf("%w: nobody here answers %q", ErrRefused, op)
	}
	if uid == n.cfg.UID {
		return n.think(ctx, l, data), nil
	}
	if !n.registry.has(uid) {
		return Answer{}, ErrUnknownNode // nobody on the bus is bothered with what a stranger has made up
	}
	answers, err := n.inquire(ctx, l, []string{uid}, data, func(ctx context.Context, c *control.Command) error { return n.send(ctx, uid, c) })
	if err != nil {
		return Answer{}, err
	}
	answer, ok := answers[uid]
	if !ok {
		return Answer{}, ErrUnknownNode
	}
	return answer, nil
}

// survey asks all other nodes and waits for their answers until ctx ends. When some of them are missing by then, there are those of
// the others and an error. Nodes that go meanwhile are not missed. If this node cannot reach the others, it does not know who they
// are: that is an error, too. So it waits for its own question as well: to one who hears nothing it seems that everybody has gone.
func (n *Node) survey(ctx context.Context, op string, data []byte) (map[string]Answer, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	return n.inquire(ctx, n.lanes[op], append(n.registry.names(), n.cfg.UID), data, n.broadcast)
}

// inquire sends a question and waits for the answers of nodes.
func (n *Node) inquire(
	ctx context.Context, l *lane, nodes []string, data []byte, send func(context.Context, *control.Command) error,
) (map[string]Answer, error) {
	began := time.Now()
	defer func() { l.counts.Took(time.Since(began)) }()
	id, q, ok := n.asked.add(nodes)
	if !ok {
		return nil, ErrBusy
	}
	for _, uid := range nodes { // who went before the question was there is not told of
		if uid != n.cfg.UID && !n.registry.has(uid) {
			n.asked.departed(uid)
		}
	}
	err := send(ctx, &control.Command{SurveyRequest: &control.SurveyRequest{Id: id, Op: l.op, Data: data}})
	if err == nil {
		select {
		case <-q.done:
		case <-ctx.Done():
		}
	}
	n.asked.remove(id)
	switch {
	case err != nil:
		return nil, err
	case q.fault != nil:
		return nil, q.fault
	case len(q.silent) == 0:
		return q.answers, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return q.answers, ctx.Err()
	}
	return q.answers, fmt.Errorf("%w: nothing from %s", ErrUnanswered, strings.Join(slices.Sorted(maps.Keys(q.silent)), ", "))
}
