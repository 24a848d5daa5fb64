package swarm

import (
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"stentor/bench/measure"
	"stentor/codec/ws"
)

// state is how far a client has come.
type state uint8

const (
	stateClosed      state = iota
	stateDialing           // connect(2) has not answered
	stateSecuring          // the TLS handshake is under way
	stateUpgrading         // the request head is sent
	stateRequesting        // an HTTP request with the first commands is sent
	stateConnecting        // the connect command is sent
	stateSubscribing       // a subscribe command is sent
	stateLive
	stateDraining // live, but what comes is not ws frames: read and dropped
	stateParting  // secure, and done with once it has a session ticket
)

var stateNames = [...]string{
	stateClosed: "nothing", stateDialing: "a TCP conn", stateSecuring: "the TLS handshake", stateUpgrading: "the answer to the upgrade",
	stateRequesting: "the head of the response", stateConnecting: "the connect reply", stateSubscribing: "the subscribe reply", stateLive: "publications", stateDraining: "the close",
	stateParting: "a session ticket",
}

// live is true at the end of the way.
func (s state) live() bool { return s == stateLive || s == stateDraining }

// String says what a client in this state waits for.
func (s state) String() string { return stateNames[s] }

// conn is one client: 56 bytes, however much it receives. Those that not every client needs are in lists of the group: stream, secure,
// streamPlace.
type conn struct {
	fd         int32 // −1: closed
	state      state
	subscribed uint8  // subscriptions so far
	pongs      bool   // the server wants its pings answered
	half       bool   // Swarm.halves has bytes of it
	unsent     bool   // Swarm.unsent has bytes of it
	counted    bool   // in Opened
	node       uint16 // in group.nodes: where the session of an emulated client is
	since      uint32 // when it was dialed, in sinceUnit from the group's birth
	reader     ws.Reader
	window     measure.Window
}

// sinceUnit keeps the moment of dialing in four bytes: they last for half a day.
const sinceUnit = 10 * time.Microsecond

const (
	interestDial = unix.EPOLLOUT
	interestRead = unix.EPOLLIN | unix.EPOLLRDHUP
)

// dial opens the socket of client i and starts to connect it.
func (g *group) dial(i int32) {
	c := &g.conns[i]
	fd, err := unix.Socket(g.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.drop(i, 0, "socket: "+remedy(err))
		return
	}
	c.fd, c.state, c.since = int32(fd), stateDialing, uint32((g.swarm.now()-g.born)/int64(sinceUnit))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // a client's small frames must not wait for each other
	if g.cfg.ReceiveBytes > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, g.cfg.ReceiveBytes)
	}
	if g.source.IsValid() {
		// The port is chosen when the conn's other end is known: the same port then serves for several source addresses.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, g.sourceOf(i)); err != nil {
			g.drop(i, 0, "bind to a source address: "+remedy(err))
			return
		}
	}
	err = unix.Connect(fd, g.server)
	if err != nil && err != unix.EINPROGRESS {
		g.drop(i, 0, "connect: "+remedy(err))
		return
	}
	interest := uint32(interestRead)
	if err != nil {
		interest = interestDial
	}
	if addErr := g.swarm.poll.add(fd, g.number, i, interest); addErr != nil {
		g.drop(i, 0, "epoll: "+addErr.Error())
		return
	}
	if err == nil {
		g.connected(i)
	}
}

// connected goes on once client i has TCP.
func (g *group) connected(i int32) {
	if g.secures != nil {
		g.secure(i)
		return
	}
	g.enter(i, g.role.connected(i))
}

// enter moves client i to the state that its role has chosen, unless it was dropped meanwhile.
func (g *group) enter(i int32, s state) {
	c := &g.conns[i]
	if c.fd < 0 {
		return
	}
	c.state = s
	if s.live() {
		g.stats.Opening.Record(time.Duration(g.swarm.now()-g.born) - time.Duration(c.since)*sinceUnit)
		g.ready(i)
	}
}

// event is what epoll says about client i.
func (g *group) event(i int32, events uint32) {
	c := &g.conns[i]
	if c.state == stateDialing {
		if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			g.drop(i, 0, "connect: "+remedy(unix.Errno(code)))
			return
		}
		if err := g.swarm.poll.change(int(c.fd), g.number, i, interestRead); err != nil {
			g.drop(i, 0, "epoll: "+err.Error())
			return
		}
		g.connected(i)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		g.flush(i)
	}
	if c.fd >= 0 && events&^unix.EPOLLOUT != 0 {
		g.read(i)
	}
}

// read takes what has arrived, once: epoll is level-triggered and says so again if there is more.
func (g *group) read(i int32) {
	if g.secures != nil {
		g.readSecure(i)
		return
	}
	if n := g.fetch(i, g.swarm.buf); n > 0 {
		g.arrived(i, g.swarm.buf[:n])
	}
}

// fetch reads from client i's socket; 0: there is nothing to act on.
func (g *group) fetch(i int32, into []byte) int {
	c := &g.conns[i]
	n, errno := rawRead(c.fd, into)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0
	case errno != 0:
		g.drop(i, 0, "read: "+errno.Error()+" while waiting for "+c.state.String())
		return 0
	case n == 0:
		g.drop(i, 0, "closed without a close frame while waiting for "+c.state.String())
		return 0
	}
	g.stats.Bytes += uint64(n)
	return n
}

// arrived acts on what the server has said to client i.
func (g *group) arrived(i int32, data []byte) {
	s, c, at := g.swarm, &g.conns[i], place{g.number, i}
	if g.streams != nil && c.state != stateRequesting {
		if c.state != stateDraining && c.state != stateParting {
			g.stream(i, data)
		}
		return
	}
	if c.half {
		data = append(s.halves[at], data...)
		delete(s.halves, at)
		c.half = false
	}
	rest := g.take(i, data)
	if len(rest) > 0 && c.fd >= 0 {
		s.halves[at] = append([]byte(nil), rest...)
		c.half = true
	}
}

// write sends b to client i's server.
func (g *group) write(i int32, b []byte) {
	if g.secures == nil {
		g.put(i, b)
		return
	}
	if e := g.secures[i]; e != nil {
		if _, err := e.conn.Write(b); err != nil && g.secures[i] == e {
			g.drop(i, 0, "TLS: "+err.Error())
		}
	}
}

// put hands b to client i's socket, now or when it has room again.
func (g *group) put(i int32, b []byte) {
	c, at := &g.conns[i], place{g.number, i}
	if c.fd < 0 {
		return
	}
	if c.unsent {
		g.swarm.unsent[at] = append(g.swarm.unsent[at], b...)
		return
	}
	n, errno := rawWrite(c.fd, b)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		n, errno = 0, 0
	}
	if errno != 0 || n == len(b) {
		// A conn that takes nothing any more says so to epoll too; what it has received before, a close frame perhaps, is read first.
		return
	}
	g.swarm.unsent[at] = append([]byte(nil), b[n:]...)
	c.unsent = true
	if err := g.swarm.poll.change(int(c.fd), g.number, i, interestRead|unix.EPOLLOUT); err != nil {
		g.drop(i, 0, "epoll: "+err.Error())
	}
}

// flush sends what a full socket did not take.
func (g *group) flush(i int32) {
	c, at := &g.conns[i], place{g.number, i}
	if !c.unsent {
		return
	}
	b := g.swarm.unsent[at]
	delete(g.swarm.unsent, at)
	c.unsent = false
	if err := g.swarm.poll.change(int(c.fd), g.number, i, interestRead); err != nil {
		g.drop(i, 0, "epoll: "+err.Error())
		return
	}
	g.put(i, b)
}

// drop ends client i's conn and counts why: code is that of a close frame, 0 if there was none.
func (g *group) drop(i int32, code uint16, why string) {
	if code != 0 {
		why = strconv.Itoa(int(code)) + " " + why
	}
	wasLive := g.conns[i].counted
	g.hangUp(i)
	if wasLive {
		g.stats.Closes = addCounts(g.stats.Closes, map[string]int{why: 1})
		g.leave(i)
	}
	g.failed(i, why)
}

// hangUp closes the descriptor of client i, if it has one, and forgets what belonged to it.
func (g *group) hangUp(i int32) {
	c := &g.conns[i]
	if c.fd < 0 {
		return
	}
	if g.secures != nil {
		g.expose(i)
	}
	_ = unix.Close(int(c.fd))
	c.reader.Release()
	if c.half {
		delete(g.swarm.halves, place{g.number, i})
	}
	if c.unsent {
		delete(g.swarm.unsent, place{g.number, i})
	}
	*c = conn{fd: -1, counted: c.counted, reader: ws.Reader{Peer: ws.FromServer}, window: c.window}
}

// handshakeFailure adds the usual cause to what the server answered to an upgrade.
func handshakeFailure(err error) string {
	hint := ""
	if refused, ok := err.(*ws.HandshakeError); ok {
		switch refused.Status {
		case 403:
			hint = ": give an --origin that client.allowed_origins lets in, or none"
		case 404:
			hint = ": is the path of --target the server's WebSocket path?"
		case 503:
			hint = ": the server is full or shuts down (its connection limits, its descriptor limit)"
		}
	}
	return fmt.Sprintf("upgrade: %v%s", err, hint)
}

// rawRead and rawWrite serve non-blocking sockets only: a system call that cannot block need not be announced to Go's scheduler.
func rawRead(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func rawWrite(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
