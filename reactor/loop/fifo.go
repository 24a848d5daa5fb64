package loop

// fifo is a queue of one goroutine. Its zero value is empty. Storage is reused, and dropped when a burst made it large.
type fifo[T any] struct {
	items []T
	head  int
}

// fifoKeptMax is the largest storage, in items, that an emptied queue keeps.
const fifoKeptMax = 8192

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(x T) {
	if q.head > 0 && len(q.items) == cap(q.items) && q.head >= len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, x)
}

func (q *fifo[T]) pop() (x T, ok bool) {
	if q.head == len(q.items) {
		return x, false
	}
	var none T
	x, q.items[q.head] = q.items[q.head], none // a popped slot keeps nothing alive
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > fifoKeptMax {
			q.items = nil
		}
	}
	return x, true
}
