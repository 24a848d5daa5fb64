package pipe

import "stentor/codec"

// queue is the frames that wait for the writer.
type queue struct {
	frames []*codec.Frame
	bytes  int // of their messages
}

func (q *queue) push(f *codec.Frame) {
	q.frames = append(q.frames, f)
	q.bytes += len(f.Messages())
}

// empty takes everything out.
func (q *queue) empty() []*codec.Frame {
	frames := q.frames
	*q = queue{}
	return frames
}

// front takes out the first frames, of limit bytes at the most but one at the least, and says how many bytes they have.
func (q *queue) front(limit int) (frames []*codec.Frame, bytes int) {
	n := 0
	for n < len(q.frames) {
		size := len(q.frames[n].Messages())
		if n > 0 && bytes+size > limit {
			break
		}
		bytes += size
		n++
	}
	frames, q.frames = q.frames[:n:n], q.frames[n:]
	q.bytes -= bytes
	return frames, bytes
}

// dropStale takes out the frames that a later one of their channel follows, if their policy allows that, and appends them to dropped.
func (q *queue) dropStale(dropped []*codec.Frame) ([]*codec.Frame, int) {
	before := len(dropped)
	seen := map[uint32]struct{}{}
	for i := len(q.frames) - 1; i >= 0; i-- {
		f := q.frames[i]
		policy, channel := f.Slow()
		if policy != codec.SlowLatest {
			continue
		}
		if _, later := seen[channel]; later {
			dropped = append(dropped, f)
			q.frames[i] = nil
		}
		seen[channel] = struct{}{}
	}
	q.close()
	return dropped, len(dropped) - before
}

// dropOldest takes out frames that may be dropped, the oldest first, until spare bytes are.
func (q *queue) dropOldest(spare int, dropped []*codec.Frame) []*codec.Frame {
	for i := 0; i < len(q.frames) && spare > 0; i++ {
		if policy, _ := q.frames[i].Slow(); policy == codec.SlowDropOldest {
			spare -= len(q.frames[i].Messages())
			dropped = append(dropped, q.frames[i])
			q.frames[i] = nil
		}
	}
	q.close()
	return dropped
}

// close closes the gaps that dropped frames left.
func (q *queue) close() {
	kept := q.frames[:0]
	q.bytes = 0
	for _, f := range q.frames {
		if f != nil {
			kept = append(kept, f)
			q.bytes += len(f.Messages())
		}
	}
	clear(q.frames[len(kept):])
	q.frames = kept
}

// hold is how much memory one more queue with f holds.
func hold(f *codec.Frame) int64 {
	if f.Hold() {
		return refBytes + int64(len(f.Messages()))
	}
	return refBytes
}

// release is how much memory it is when queues no longer have frames.
func release(frames []*codec.Frame) (bytes int64) {
	for _, f := range frames {
		bytes += refBytes
		if f.Release() {
			bytes += int64(len(f.Messages()))
		}
	}
	return bytes
}
