package stream

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"strings"
	"sync/atomic"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/session"
)

// EmulationOp is what nodes call the question that carries commands to the node of their session.
const EmulationOp = "centrifuge_emulation"

// Codes of answers to it, as the reference has them. The client is told of neither.
const (
	answerMalformed uint32 = 1
	answerNoSession uint32 = 2
)

// ErrNoNode says that a node is not there.
var ErrNoNode = errors.New("no such node")

// Limits of commands on their way to other nodes. A node that does not answer holds them for as long as the cluster waits for it.
const (
	// PassingMax is how many requests are under way.
	PassingMax = 16 << 10
	// PassingBytesMax is how large they are together.
	PassingBytesMax = 32 << 20
)

// OthersConfig is what Others need.
type OthersConfig struct {
	// Ask gives a question to another node and waits until that has answered, whatever it says. It waits no longer than a request may
	// take. The error is ErrNoNode if there is no such node.
	Ask   func(ctx context.Context, node string, data []byte) error
	Lanes Lanes
}

// Lanes do work off the loops, what has the same key in order.
type Lanes interface {
	// Do returns at once; false means that there is too much work already.
	Do(key uint64, work func()) bool
}

var _ Lanes = (*loop.Lanes)(nil)

// Others passes commands on to other nodes, those of a session in their order. Any goroutine may use it.
type Others struct {
	cfg   OthersConfig
	seed  maphash.Seed
	count atomic.Int64
	bytes atomic.Int64
}

// NewOthers makes one.
func NewOthers(cfg OthersConfig) *Others { return &Others{cfg: cfg, seed: maphash.MakeSeed()} }

// pass asks the node that m is for, which came in the encoding of f, and tells answered what came of it: a status. It reports false, and
// does nothing, when too much is under way.
func (o *Others) pass(f codec.Form, m *codec.EmulationRequest, answered func(status int)) bool {
	node := strings.Clone(m.Node) // what is in m dies
	data := codec.AppendPassedEmulationRequest(nil, f, m)
	if !o.take(len(data)) {
		return false
	}
	ok := o.cfg.Lanes.Do(maphash.String(o.seed, m.Session), func() {
		status := http.StatusInternalServerError
		defer func() { // also if that panics: somebody waits
			o.give(len(data))
			answered(status)
		}()
		status = statusOf(o.cfg.Ask(context.Background(), node, data))
	})
	if !ok {
		o.give(len(data))
	}
	return ok
}

func (o *Others) take(size int) bool {
	count, bytes := o.count.Add(1), o.bytes.Add(int64(size))
	if count <= PassingMax && bytes <= PassingBytesMax {
		return true
	}
	o.give(size)
	return false
}

func (o *Others) give(size int) {
	o.count.Add(-1)
	o.bytes.Add(-int64(size))
}

func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusNoContent
	case errors.Is(err, ErrNoNode):
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// AnswerOther takes commands that another node has passed on to a session of n, and answers its question.
func AnswerOther(n *session.Node, data []byte) (code uint32) {
	var m codec.EmulationRequest
	if codec.DecodeEmulationRequest(codec.Protobuf, data, &m) != nil {
		return answerMalformed
	}
	if !n.EmulatePassed(m.Session, m.Data) {
		return answerNoSession
	}
	return 0
}
