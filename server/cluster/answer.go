package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// Codes of answers, as the reference has them.
const (
	AnswerInternal  uint32 = 1 // the node failed
	AnswerInvalid   uint32 = 2 // the question makes no sense
	AnswerUnknownOp uint32 = 3 // the node does not know this kind of question
)

// Handler answers questions of one kind. It may wait, until ctx ends. The data of the question is its own. Code 0 is that all went
// well. The bus may deliver a question twice, and then it is asked twice.
type Handler func(ctx context.Context, data []byte) (code uint32, answer []byte)

// lane is where questions of one kind wait, and the workers who answer them: a slow kind does not hold up the others.
type lane struct {
	op      string
	handler Handler
	workers int
	waiting chan question
	counts  *metrics.Survey
}

// question is one of another node.
type question struct {
	from string
	id   uint64
	data []byte
	size int // in the inbox
}

// Handle has h answer questions called op, workers of them at once. It has to come before Run; a name has one handler.
func (n *Node) Handle(op string, workers int, h Handler) {
	if n.lanes[op] != nil {
		panic("cluster: two handlers of " + op)
	}
	n.lanes[op] = &lane{op: op, handler: h, workers: workers, waiting: make(chan question, QuestionsMax), counts: n.cfg.Metrics.Survey(op)}
}

// question leaves a question of another node where it is answered.
func (n *Node) question(from string, r *control.SurveyRequest, size int) {
	l := n.lanes[r.Op]
	if l == nil {
		n.sendLater(from, &control.Command{SurveyResponse: &control.SurveyResponse{Id: r.Id, Code: AnswerUnknownOp}})
		return
	}
	if !n.reserve(size) {
		n.fail(complaintDropped, "uid", from, "op", l.op)
		return
	}
	select {
	case l.waiting <- question{from, r.Id, r.Data, size}:
	default:
		n.release(size)
		n.fail(complaintDropped, "uid", from, "op", l.op)
	}
}

// answer works on the questions of a lane until ctx ends.
func (n *Node) answer(ctx context.Context, l *lane) {
	for {
		select {
		case q := <-l.waiting:
			n.respond(ctx, l, &q)
			n.release(q.size)
		case <-ctx.Done():
			return
		}
	}
}

// respond answers one question. An answer that the bus does not take, perhaps because it is too large for it, becomes a short one, so
// that nobody waits for it.
func (n *Node) respond(ctx context.Context, l *lane, q *question) {
	thinking, cancel := context.WithTimeout(ctx, SurveyTimeout)
	defer cancel()
	a := n.think(thinking, l, q.data)
	r := &control.SurveyResponse{Id: q.id, Code: a.Code, Data: a.Data}
	if err := n.send(ctx, q.from, &control.Command{SurveyResponse: r}); err != nil && len(a.Data) > 0 {
		n.complaints.say(complaintUnanswered, "op", l.op, "uid", q.from, "bytes", len(a.Data), "error", err)
		r.Code, r.Data = AnswerInternal, nil
		_ = n.send(ctx, q.from, &control.Command{SurveyResponse: r}) // nobody is left to tell
	}
}

// think calls the handler.
func (n *Node) think(ctx context.Context, l *lane, data []byte) (a Answer) {
	defer func() {
		if v := recover(); v != nil {
			n.panics.Say(n.cfg.Log, slog.LevelError, "panic in the answer to a question", "op", l.op, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			a = Answer{Code: AnswerInternal}
		}
	}()
	a.Code, a.Data = l.handler(ctx, data)
	return a
}
