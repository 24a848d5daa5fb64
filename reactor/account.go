package reactor

import "sync/atomic"

// account is the memory that unsent and incomplete messages hold on one loop: gnet's copies, incomplete input, a reference per
// queued frame and client, and each queued frame once however many wait for it.
//
// A nil account counts nothing: that of a conn whose frames are only noted and go out at the end of the turn.
type account struct {
	frames map[*byte]uint32 // references to each queued frame, by its first byte
	bytes  int64
	told   int64         // how much of bytes is in total
	total  *atomic.Int64 // of all loops
}

func (a *account) init(r *Reactor) {
	a.frames = map[*byte]uint32{}
	a.total = &r.owed
}

func (a *account) add(bytes int) { a.bytes += int64(bytes) }

func (a *account) ref(r ref) {
	if a == nil {
		return
	}
	a.bytes += refBytes
	n := a.frames[r.p]
	if n == 0 {
		a.bytes += int64(r.size)
	}
	a.frames[r.p] = n + 1
}

func (a *account) unref(r ref) {
	if a == nil {
		return
	}
	a.bytes -= refBytes
	if n := a.frames[r.p]; n > 1 {
		a.frames[r.p] = n - 1
		return
	}
	a.bytes -= int64(r.size)
	delete(a.frames, r.p)
}

// settle tells the total and returns it, 0 if this loop's share has not changed.
func (a *account) settle() (total int64) {
	if a.bytes == a.told {
		return 0
	}
	total = a.total.Add(a.bytes - a.told)
	a.told = a.bytes
	return total
}

// bufferBytes estimates what gnet holds to buffer n bytes: its ring buffers grow from 1 KiB.
func bufferBytes(n int) int {
	const step = 1 << 10
	return (n + step - 1) &^ (step - 1)
}
