package bare

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/io_uring.h: what golang.org/x/sys/unix does not name.
const (
	ringOpSend      = 26 // IORING_OP_SEND
	ringOffSQ       = 0
	ringOffSQEs     = 0x10000000
	ringEnterEvents = 1 // IORING_ENTER_GETEVENTS
	ringSingleMmap  = 1 // IORING_FEAT_SINGLE_MMAP
	ringEntries     = 1024
	entryBytes      = 64
	resultBytes     = 16
)

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq, cq                                                                 ringOffsets
}

// ringOffsets is struct io_sqring_offsets and struct io_cqring_offsets, which differ in the order of their middle: the submission
// ring has its array at the seventh place, the completion ring its results at the sixth.
type ringOffsets struct {
	head, tail, mask, entries, fifth, results, array, resv uint32
	userAddr                                               uint64
}

// ringEntry is struct io_uring_sqe, as far as a send needs it.
type ringEntry struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, msgFlags uint32
	userData      uint64
	_             [3]uint64
}

// ringResult is struct io_uring_cqe.
type ringResult struct {
	userData uint64
	res      int32
	flags    uint32
}

// ring is an io_uring that one thread submits sends to.
type ring struct {
	fd      int
	rings   []byte
	memory  []byte
	entries []ringEntry
	mask    uint32

	sqTail, cqHead, cqTail *uint32
	array                  []uint32
	results                []ringResult
	cqMask                 uint32
}

var (
	_ [entryBytes]byte  = [unsafe.Sizeof(ringEntry{})]byte{}
	_ [resultBytes]byte = [unsafe.Sizeof(ringResult{})]byte{}
)

// UringRefusal says why the kernel refuses an io_uring; nil if it does not.
func UringRefusal() error {
	r, err := newRing()
	if err != nil {
		return err
	}
	r.close()
	return nil
}

func newRing() (*ring, error) {
	var p ringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w: the kernel does not allow an io_uring here (see kernel.io_uring_disabled)", errno)
	}
	r := &ring{fd: int(fd)}
	if p.features&ringSingleMmap == 0 {
		r.close()
		return nil, fmt.Errorf("io_uring: this kernel is too old: it has no common mapping of both rings")
	}
	size := max(p.sq.array+p.sqEntries*4, p.cq.results+p.cqEntries*resultBytes)
	var err error
	if r.rings, err = unix.Mmap(r.fd, ringOffSQ, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err == nil {
		r.memory, err = unix.Mmap(r.fd, ringOffSQEs, int(p.sqEntries*entryBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	}
	if err != nil {
		r.close()
		return nil, fmt.Errorf("io_uring: mmap: %w", err)
	}
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[at])) }
	r.entries = unsafe.Slice((*ringEntry)(unsafe.Pointer(&r.memory[0])), p.sqEntries)
	r.sqTail, r.mask = word(p.sq.tail), *word(p.sq.mask)
	r.array = unsafe.Slice(word(p.sq.array), p.sqEntries)
	r.cqHead, r.cqTail, r.cqMask = word(p.cq.head), word(p.cq.tail), *word(p.cq.mask)
	r.results = unsafe.Slice((*ringResult)(unsafe.Pointer(&r.rings[p.cq.results])), p.cqEntries)
	return r, nil
}

func (r *ring) close() {
	for _, m := range [][]byte{r.rings, r.memory} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	_ = unix.Close(r.fd)
}

// send submits one send of frame to each of fds, at most as many as the ring has entries, and waits for all results. done is called
// with each of them: the index in fds, and bytes or a negative errno.
func (r *ring) send(fds []int32, frame []byte, done func(i int, res int32)) error {
	tail := *r.sqTail // only we write it
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(frame))))
	for i, fd := range fds {
		slot := (tail + uint32(i)) & r.mask
		r.entries[slot] = ringEntry{
			opcode: ringOpSend, fd: fd, addr: at, len: uint32(len(frame)), msgFlags: unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL, userData: uint64(i),
		}
		r.array[slot] = slot
	}
	atomic.StoreUint32(r.sqTail, tail+uint32(len(fds)))
	defer runtime.KeepAlive(frame)
	for submitted, seen := 0, 0; seen < len(fds); {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(len(fds)-submitted), uintptr(len(fds)-seen), ringEnterEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("bare writer: io_uring_enter: %w", errno)
		}
		if errno == 0 {
			submitted += int(n)
		}
		seen += r.reap(done)
	}
	return nil
}

// reap takes the results that are there.
func (r *ring) reap(done func(i int, res int32)) (n int) {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	for ; head != tail; head++ {
		c := r.results[head&r.cqMask]
		done(int(c.userData), c.res)
		n++
	}
	atomic.StoreUint32(r.cqHead, head)
	return n
}

func (t *thread) openRing() (err error) {
	if t.ring == nil {
		t.ring, err = newRing()
	}
	return err
}

func (t *thread) closeRing() {
	if t.ring != nil {
		t.ring.close()
	}
}

// submit is loop through the ring.
func (t *thread) submit(frame []byte) (err error) {
	for part := t.sockets; len(part) > 0; {
		now := part[:min(len(part), ringEntries)]
		part = part[len(now):]
		sendErr := t.ring.send(now, frame, func(i int, res int32) {
			if int(res) == len(frame) || err != nil {
				return
			}
			errno := unix.Errno(0)
			if res < 0 {
				errno, res = unix.Errno(-res), 0
			}
			err = t.insist(now[i], frame[res:], errno)
		})
		if sendErr != nil {
			return sendErr
		}
		if err != nil {
			return err
		}
	}
	t.sent.Writes += len(t.sockets)
	return nil
}
