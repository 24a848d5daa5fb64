package reactor

import "unsafe"

// ref is a frame that waits for its socket: shared bytes and how many of them are already on their way. 16 bytes, as there may
// be one per frame and slow client. Of a frame that may be dropped nothing is on its way yet, so that it has room for its fate.
type ref struct {
	p    *byte
	size uint32
	at   uint32 // bytes that are on their way, less than 2^31; or a fate
}

// refBytes is what a queued reference costs by itself.
const refBytes = int64(unsafe.Sizeof(ref{}))

// fate is that of the frame, and begun how many of its bytes are on their way: one of them is 0.
func (r ref) fate() fate {
	if f := fate(r.at); f&fateDroppable != 0 {
		return f
	}
	return 0
}

func (r ref) begun() uint32 {
	if r.fate() != 0 {
		return 0
	}
	return r.at
}

func (r ref) bytes() []byte { return unsafe.Slice(r.p, r.size)[r.begun():] }

// queue is what a conn owes beyond a single frame. It is shared by turns: a conn has one only while it owes something.
type queue struct {
	refs  []ref
	head  int
	bytes int // in refs, not consumed

	out  int    // in gnet's outbound buffer, when last looked at
	pong []byte // the newest pong that waits; those before it need no answer any more (RFC 6455 section 5.5.3)
}

func (q *queue) empty() bool { return q.head == len(q.refs) }

func (q *queue) push(r ref) {
	if q.head > 0 && len(q.refs) == cap(q.refs) && q.head >= len(q.refs)/2 {
		n := copy(q.refs, q.refs[q.head:])
		clear(q.refs[n:])
		q.refs, q.head = q.refs[:n], 0
	}
	q.refs = append(q.refs, r)
	q.bytes += int(r.size - r.begun())
}

// gather appends the next bytes to iov, limit of them at most.
func (q *queue) gather(iov [][]byte, limit int) [][]byte {
	for _, r := range q.refs[q.head:] {
		b := r.bytes()
		if len(b) > limit {
			if len(iov) == 0 {
				iov = append(iov, b[:limit])
			}
			break
		}
		iov = append(iov, b)
		if limit -= len(b); limit == 0 {
			break
		}
	}
	return iov
}

// consume takes n bytes off the front. done is called for each frame that is finished with, unless it is nil.
func (q *queue) consume(n int, done *account) {
	q.bytes -= n
	for n > 0 {
		r := &q.refs[q.head]
		left := int(r.size - r.begun())
		if n < left {
			r.at = r.begun() + uint32(n)
			return
		}
		n -= left
		done.unref(*r)
		*r = ref{} // what has been sent is kept alive no longer
		q.head++
	}
}

// keepStarted drops all frames but the one of which the peer has seen a part.
func (q *queue) keepStarted(done *account) {
	from := q.head
	if from < len(q.refs) && q.refs[from].begun() > 0 {
		from++
	}
	for i := from; i < len(q.refs); i++ {
		q.bytes -= int(q.refs[i].size)
		done.unref(q.refs[i])
	}
	clear(q.refs[from:])
	q.refs = q.refs[:from]
	q.pong = nil
}

// Limits of what a driver keeps of queues that are not in use.
const (
	queuesKeptMax    = 256
	queueRefsKeptMax = 64
)

// queues are the unused queues of a driver.
type queues []*queue

func (s *queues) get() *queue {
	n := len(*s) - 1
	if n < 0 {
		return new(queue)
	}
	q := (*s)[n]
	(*s)[n] = nil
	*s = (*s)[:n]
	return q
}

// put takes back a queue whose refs have been consumed or accounted for.
func (s *queues) put(q *queue) {
	if len(*s) == queuesKeptMax || cap(q.refs) > queueRefsKeptMax {
		return
	}
	clear(q.refs)
	*q = queue{refs: q.refs[:0]}
	*s = append(*s, q)
}
