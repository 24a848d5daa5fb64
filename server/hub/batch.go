package hub

import "stentor/codec"

// batch is a run of publications, joins and leaves that one walk hands out, and the markers that stood among them: a marker comes
// back when the walk is over, so that those who publish what they are subscribed to do not keep publications apart.
type batch struct {
	events       []*event
	publications int    // of the events
	dropped      int    // joins and leaves that were for those who have left
	opening      *event // the first publication, or nil
	closing      *event // the last publication, or nil
	bytes        int    // that the events weigh, and what was dropped
	markers      []*marker
	answered     int // markers that are back
	frames       [numVariants]*codec.Frame
	ready        [plainVariants]*codec.Frame // of frames, what plain members are sent

	asking *asking // nil until a filter was asked, for the first time
	due    int     // visits that filters took

	// first and last are the offsets of the publications that have one, 0 if none has. contiguous tells that each has the offset
	// after the one before it and all share one epoch, so that whoever stands right before first may take the joined frame.
	first, last uint64
	epoch       uint64
	contiguous  bool
}

// variant is what members get of a batch: its form, whether joins and leaves are in it, and how payloads are written.
type variant uint8

const (
	withJoins variant = codec.NumAllForms << iota // the bits below it are the form
	inDeltas                                      // payloads as a chain of deltas that begins in full
	inPatches                                     // the same, and its first may be a patch, too; excludes inDeltas

	numVariants = 3 * inDeltas // all three ways to write payloads

	plainVariants = inDeltas
)

// form of a variant.
func (v variant) form() codec.Form { return codec.Form(v % codec.NumAllForms) }

// Limits of one batch: what meets in a turn goes out as one write.
const (
	batchBytesMax = 64 << 10
	batchItemsMax = 128
)

// reset empties b and keeps nothing alive.
func (b *batch) reset() {
	if b.asking != nil {
		b.asking.forget()
	}
	clear(b.events)
	clear(b.markers)
	*b = batch{events: b.events[:0], markers: b.markers[:0], asking: b.asking}
}

// take moves items from the front of queue into b, which is empty, as many as fit but at least one, and returns how many. So many fences
// are under way; joins and leaves before them are dropped. passed is how many of them were met.
func (b *batch) take(queue []item, fences int) (n, passed int) {
	for n < len(queue) && n < batchItemsMax {
		if e := queue[n].event; e != nil {
			cost := e.cost()
			if b.bytes+cost > batchBytesMax && b.bytes > 0 {
				break
			}
			b.bytes += cost
			if e.pub == nil && passed < fences {
				b.dropped++
			} else {
				b.events = append(b.events, e)
			}
		} else if m := queue[n].marker; m.fence {
			passed++
		} else {
			b.markers = append(b.markers, m)
		}
		queue[n] = item{}
		n++
	}
	b.survey()
	return n, passed
}

func (b *batch) survey() {
	b.contiguous = true
	for _, e := range b.events {
		if e.pub == nil {
			continue
		}
		b.publications++
		if b.closing = e; b.opening == nil {
			b.opening = e
		}
		offset := e.pub.Offset
		switch {
		case offset == 0 || !b.contiguous:
		case b.first == 0:
			b.first, b.last, b.epoch = offset, offset, e.epoch
		case offset == b.last+1 && e.epoch == b.epoch:
			b.last = offset
		default:
			b.contiguous = false
		}
	}
}

// frame is all of the batch that a member of variant v wants, unencodable if any part of that is, or nothing.
func (b *batch) frame(v variant) *codec.Frame {
	if b.frames[v] == nil {
		b.frames[v] = b.join(v, nil)
		if f := b.frames[v]; v < plainVariants && f != unencodable && f != nothing {
			b.ready[v] = f
		}
	}
	return b.frames[v]
}

// join makes one frame of the events, of publications only those in chosen unless that is nil.
func (b *batch) join(v variant, chosen *mask) *codec.Frame {
	if v&withJoins != 0 && chosen == nil && b.publications == len(b.events) {
		return b.frame(v &^ withJoins)
	}
	var room [8]*codec.Frame
	frames := room[:0]
	var before *event // the publication that a member of this variant got last, if it was in this batch
	for i, e := range b.events {
		if e.pub == nil && v&withJoins == 0 || e.pub != nil && chosen != nil && !chosen.has(i) {
			continue
		}
		x := encoding(v.form())
		if e.pub != nil && v >= inDeltas {
			x = e.inChain(v.form(), before == nil && v >= inPatches || e.follows(before))
			before = e
		}
		f := e.frame(x)
		if f == unencodable {
			return unencodable
		}
		frames = append(frames, f)
	}
	if len(frames) == 0 {
		return nothing
	}
	joined := codec.JoinFrames(frames)
	if len(frames) > 1 && !joined.Mixed() { // joins and leaves are never dropped
		first := b.events[0]
		joined.SetSlow(first.slow, first.number) // one channel, so one policy, but for the moment of a reload
	}
	return joined
}
