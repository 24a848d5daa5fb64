package reactor

// Drop is what may become of a frame at a client that does not take what it is owed. Write is for frames that must not be dropped.
type Drop uint8

const (
	DropNever  Drop = iota // the conn is closed with Config.Slow
	DropOldest             // frames of this kind go, the oldest first, until there is room
	DropStale              // a frame of this kind goes when a later one of the same channel waits
)

// fate is a Drop with its channel in 32 bits. The highest tells it from the number of bytes that stands in its place in a ref.
type fate uint32

const (
	fateDroppable fate = 1 << 31
	fateStale     fate = 1 << 30 // DropStale
	fateChannel   fate = 1<<30 - 1
)

func (d Drop) fate(channel uint32) fate {
	switch d {
	case DropOldest:
		return fateDroppable
	case DropStale:
		return fateDroppable | fateStale | fate(channel)&fateChannel
	default:
		return 0
	}
}

// WriteDroppable is Write of a frame that may be dropped later, or at once, where Write would close the conn. channel counts for
// DropStale only; of its bits the lower 30 are looked at. The result is true also for a frame that was dropped.
func (c *Conn) WriteDroppable(b []byte, d Drop, channel uint32) bool {
	return c.write(b, d.fate(channel))
}

// dropBacklog makes room in a queue that has passed limit, in bytes: first what is stale, then the oldest. A conn whose queue stays
// over the limit, or from which not even a quarter of the limit can be taken, is slow with what must not be dropped: false. The
// quarter makes a look through the whole queue rare.
func (c *Conn) dropBacklog(limit int) bool {
	d, q := c.driver, c.ensureQueue()
	before, most := c.owed(), limit*3/4
	stale := q.markStale(d.seen)
	clear(d.seen)
	oldest := q.markOldest(before - most)
	q.removeMarked(c.queueAccount())
	d.stats.droppedStale.Add(uint64(stale))
	d.stats.droppedOldest.Add(uint64(oldest))
	owed := c.owed()
	return owed <= most || owed <= limit && before-owed >= limit-most
}

// fateMarked stands for frames that are about to be removed. No Drop has it: without fateStale there is no channel.
const fateMarked = fateDroppable | 1

// markStale marks the frames that a later one of their channel follows. seen must be empty.
func (q *queue) markStale(seen map[fate]struct{}) (marked int) {
	for i := len(q.refs) - 1; i >= q.head; i-- {
		f := q.refs[i].fate()
		if f&fateStale == 0 {
			continue
		}
		if _, later := seen[f]; later {
			q.refs[i].at = uint32(fateMarked)
			marked++
		}
		seen[f] = struct{}{}
	}
	return marked
}

// markOldest marks frames from the front until, with those that are marked already, spare bytes are.
func (q *queue) markOldest(spare int) (marked int) {
	for _, r := range q.refs[q.head:] {
		if r.fate() == fateMarked {
			spare -= int(r.size)
		}
	}
	for i := q.head; i < len(q.refs) && spare > 0; i++ {
		if r := &q.refs[i]; r.fate() == fateDroppable {
			r.at = uint32(fateMarked)
			spare -= int(r.size)
			marked++
		}
	}
	return marked
}

// removeMarked closes the gaps. done is told of each frame, unless it is nil.
func (q *queue) removeMarked(done *account) {
	kept := q.refs[:q.head]
	for _, r := range q.refs[q.head:] {
		if r.fate() != fateMarked {
			kept = append(kept, r)
			continue
		}
		q.bytes -= int(r.size)
		done.unref(r)
	}
	clear(q.refs[len(kept):])
	q.refs = kept
}
