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
	buf := make([]byte, codec.HeaderRoom, codec.HeaderRoom+pushRoom+e.size())
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

// pushRoom is a guess at what a push needs beside what size counts, in bytes; a wrong one costs a copy.
const pushRoom = 96

// size is how many bytes of others' the event holds.
func (e *event) size() int {
	p := e.pub
	n := len(e.channel) + len(p.Data) + len(p.PrevData)
	if i := p.Info; i != nil {
		n += infoBytes + len(i.User) + len(i.ConnInfo) + len(i.ChanInfo)
	}
	for k, v := range p.Tags {
		n += len(k) + len(v)
	}
	return n
}

// infoBytes is what a publisher's info takes besides what it contains, as text: the client's id and the names of fields.
const infoBytes = 36 + 60

// cost is what the event weighs in a mailbox, in bytes.
func (e *event) cost() int { return e.size() + eventBytes }

// eventBytes is the size of event and publication themselves, roughly.
const eventBytes = 256

// batch is a run of publications that one walk hands out, and the markers that stood among them: a marker comes back when the
// walk is over, so that those who publish what they are subscribed to do not keep publications apart.
type batch struct {
	events   []*event
	bytes    int // that the events weigh
	markers  []*marker
	answered int // markers that are back
	joined   [codec.NumForms]*codec.Frame

	// first and last are the offsets of the publications that have one, 0 if none has. contiguous tells that each has the offset
	// after the one before it and all share one epoch, so that whoever stands right before first may take the joined frame.
	first, last uint64
	epoch       uint64
	contiguous  bool
}

// Limits of one batch: what meets in a turn goes out as one write.
const (
	batchBytesMax = 64 << 10
	batchItemsMax = 128
)

// reset empties b and keeps nothing alive.
func (b *batch) reset() {
	clear(b.events)
	clear(b.markers)
	*b = batch{events: b.events[:0], markers: b.markers[:0]}
}

// take moves items from the front of queue into b, as many as fit but at least one, and returns how many.
func (b *batch) take(queue []item) (n int) {
	b.reset()
	for n < len(queue) && n < batchItemsMax {
		if e := queue[n].event; e != nil {
			cost := e.cost()
			if b.bytes+cost > batchBytesMax && len(b.events) > 0 {
				break
			}
			b.bytes += cost
			b.events = append(b.events, e)
		} else {
			b.markers = append(b.markers, queue[n].marker)
		}
		queue[n] = item{}
		n++
	}
	b.survey()
	return n
}

func (b *batch) survey() {
	b.contiguous = true
	for _, e := range b.events {
		offset := e.pub.Offset
		switch {
		case offset == 0:
		case b.first == 0:
			b.first, b.last, b.epoch = offset, offset, e.epoch
		case offset == b.last+1 && e.epoch == b.epoch:
			b.last = offset
		default:
			b.contiguous = false
			return
		}
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
