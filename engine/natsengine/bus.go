package natsengine

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"stentor/engine"
)

// busQueueItemsMax bounds the control messages that wait. What comes beyond is dropped: the next one mends it.
const busQueueItemsMax = 4096

// bus is what comes from other nodes.
type bus struct {
	queue chan *nats.Msg

	mu     sync.Mutex
	node   string
	handle func(message []byte) // nil before Listen
}

// Listen implements engine.Bus.
func (e *Engine) Listen(node string, handle func(message []byte)) {
	e.bus.mu.Lock()
	e.bus.node, e.bus.handle = node, handle
	e.bus.mu.Unlock()
	e.kick()
}

func (b *bus) listening() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.handle != nil
}

// run hands messages on until ctx ends.
func (b *bus) run(ctx context.Context) {
	for {
		select {
		case m := <-b.queue:
			b.mu.Lock()
			handle := b.handle
			b.mu.Unlock()
			handle(m.Data)
		case <-ctx.Done():
			return
		}
	}
}

// subscribeBus subscribes to what is for all nodes and for this one, if somebody listens.
func (e *Engine) subscribeBus(l *link) error {
	if !e.bus.listening() {
		return nil
	}
	for _, subject := range []string{e.controlSubject(), e.nodeSubject(e.bus.node)} {
		if _, err := l.nc.ChanSubscribe(subject, e.bus.queue); err != nil {
			return fmt.Errorf("subject %s: %w", subject, err)
		}
	}
	l.bus = true
	return nil
}

func (e *Engine) controlSubject() string { return e.cfg.Prefix + ".control" }

func (e *Engine) nodeSubject(node string) string { return e.cfg.Prefix + ".node." + node }

// Broadcast implements engine.Bus.
func (e *Engine) Broadcast(ctx context.Context, message []byte) error {
	return e.send(ctx, e.controlSubject(), message)
}

// Send implements engine.Bus.
func (e *Engine) Send(ctx context.Context, node string, message []byte) error {
	subject := e.nodeSubject(node)
	if err := checkSubject(subject); err != nil || strings.ContainsAny(node, "*>") {
		return fmt.Errorf("natsengine: the name of a node, %.100q, cannot be part of a NATS subject", node)
	}
	return e.send(ctx, subject, message)
}

func (e *Engine) send(ctx context.Context, subject string, message []byte) error {
	l, err := e.linked(ctx)
	if err != nil {
		return err
	}
	return l.send(subject, message)
}

var _ engine.Bus = (*Engine)(nil)
