package hub

import (
	"errors"
	"sync/atomic"

	"stentor/codec"
)

// event is one publication on its way to the loops. It is shared by all of them and never reused, so that one that arrives late
// is harmless.
type event struct {
	table   *Table
	channel string
	pub     *codec.Publication
	epoch   uint64 // hashed, see Table.epoch
	frames  [codec.NumForms]atomic.Pointer[codec.Frame]
}

// unencodable stands for the frame of a publication that has no form: its payload is not JSON and the subscriber reads JSON.
var unencodable = new(codec.Frame)

// frame encodes the push at most once per form; two loops that need it at the same moment may both do it, and one result stays.
func (e *event) frame(f codec.Form) *codec.Frame {
	if have := e.frames[f].Load(); have != nil {
		return have
	}
	buf := make([]byte, codec.HeaderRoom, codec.HeaderRoom+len(e.channel)+len(e.pub.Data)+pushRoom)
	made := unencodable
	if buf, err := codec.AppendPublication(buf, f, e.channel, e.pub); err == nil {
		made = codec.NewFrame(f, buf)
	} else if !errors.Is(err, codec.ErrNotJSON) {
		panic(err) // the encoder has no other error
	}
	if e.frames[f].CompareAndSwap(nil, made) {
		return made
	}
	return e.frames[f].Load()
}

// pushRoom is a guess at what a push needs beside channel and data, in bytes; a wrong one costs a copy.
const pushRoom = 64

// cost is what the event weighs in a mailbox, in bytes.
func (e *event) cost() int { return len(e.channel) + len(e.pub.Data) + eventBytes }

// eventBytes is the size of event and publication themselves, roughly.
const eventBytes = 256

// batch is a run of publications that one walk hands out.
type batch struct {
	events []*event
	joined [codec.NumForms]*codec.Frame

	// first and last are offsets; contiguous tells that every event has the offset after the one before it and all share one
	// epoch, so that whoever stands right before first may take the joined frame.
	first, last uint64
	epoch       uint64
	contiguous  bool
}

// Limits of one batch: what meets in a turn goes out as one write.
const (
	batchBytesMax  = 64 << 10
	batchEventsMax = 128
)

// take moves events from the front of queue into b, as many as fit but at least one, and returns how many.
func (b *batch) take(queue []item) (n int) {
	b.events, b.joined = b.events[:0], [codec.NumForms]*codec.Frame{}
	bytes := 0
	for n < len(queue) && queue[n].event != nil && n < batchEventsMax {
		e := queue[n].event
		if bytes += e.cost(); bytes > batchBytesMax && n > 0 {
			break
		}
		b.events = append(b.events, e)
		queue[n] = item{}
		n++
	}
	b.survey()
	return n
}

func (b *batch) survey() {
	head := b.events[0]
	b.first, b.last, b.epoch = head.pub.Offset, head.pub.Offset, head.epoch
	b.contiguous = b.first > 0
	for _, e := range b.events[1:] {
		if e.pub.Offset != b.last+1 || e.epoch != b.epoch {
			b.contiguous = false
		}
		b.last = e.pub.Offset
	}
}

// frame is all of the batch in form f, or unencodable if any part is.
func (b *batch) frame(f codec.Form) *codec.Frame {
	if b.joined[f] == nil {
		b.joined[f] = joinEvents(b.events, f)
	}
	return b.joined[f]
}

func joinEvents(events []*event, f codec.Form) *codec.Frame {
	if len(events) == 1 {
		return events[0].frame(f)
	}
	frames := make([]*codec.Frame, len(events))
	for i, e := range events {
		if frames[i] = e.frame(f); frames[i] == unencodable {
			return unencodable
		}
	}
	return codec.JoinFrames(frames)
}
