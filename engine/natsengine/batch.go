package natsengine

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"stentor/engine"
)

// batch is what is published with one flush.
type batch struct {
	parcels []parcel
	bytes   int
	done    chan struct{} // closed when the flush has ended, and errors are set
}

// parcel is one message to be published.
type parcel struct {
	subject string
	payload []byte
	err     error
}

// parcelCost is what a parcel weighs besides its payload: itself and whoever waits for it.
const parcelCost = 4096

// BatchBytesMax bounds what waits to be published.
const BatchBytesMax = 64 << 20

// add puts p into the next batch, and says where.
func (l *link) add(p parcel) (*batch, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil, 0, engine.ErrUnreachable
	}
	if l.next == nil {
		l.next = &batch{parcels: make([]parcel, 0, max(l.size, 1)), done: make(chan struct{})}
	}
	b := l.next
	if b.bytes > BatchBytesMax {
		return nil, 0, engine.ErrOverloaded
	}
	b.parcels = append(b.parcels, p)
	b.bytes += parcelCost + len(p.payload)
	return b, len(b.parcels) - 1, nil
}

// take is the batch of all that was added so far; nil if there is nothing.
func (l *link) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.next
	if l.next = nil; b != nil {
		l.size = len(b.parcels)
	}
	return b
}

// write puts the messages of b on their way.
func (l *link) write(b *batch) {
	for i := range b.parcels {
		p := &b.parcels[i]
		p.err = l.send(p.subject, p.payload)
		p.payload = nil
	}
}

// finish tells those who wait. With err nothing is known of any message that was written.
func (b *batch) finish(refused map[string]error, err error) {
	for i := range b.parcels {
		if p := &b.parcels[i]; p.err == nil {
			if p.err = err; err == nil {
				p.err = refused[p.subject]
			}
		}
	}
	close(b.done)
}

// send puts a message on its way.
func (l *link) send(subject string, payload []byte) error {
	switch err := l.nc.Publish(subject, payload); {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("natsengine: %d bytes for %s are more than NATS takes; raise max_payload of the NATS server (%d): %w",
			len(payload), subject, l.nc.MaxPayload(), err)
	case errors.Is(err, nats.ErrBadSubject):
		return err
	default:
		return fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
	}
}
