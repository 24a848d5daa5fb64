package swarm

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"stentor/bench/response"
)

// postLine is one kept-alive conn to the emulation endpoint. It is dialed when there is something to say, and again when the server has
// closed it: requests that were not answered are then sent once more.
type postLine struct {
	posts  *posts
	number int
	fd     int32 // −1: closed
	state  state // dialing, securing, live
	secure *secure

	queue [][]byte // requests that are not answered
	sent  int      // so many of them are on their way
	ahead int      // with so many bytes
	out   []byte   // what the socket has not taken
	in    []byte   // half an answer
	skip  int64    // bytes of an answer's body that are to come
	tries int      // conns in a row on which nothing was answered
}

// flush sends as many requests as may be on their way.
func (l *postLine) flush() {
	if len(l.queue) == 0 || l.fd < 0 && !l.dial() || l.state != stateLive {
		return
	}
	var all []byte
	most := postsAhead
	if l.tries > 0 {
		most = 1 // a server that ends a conn with unread requests on it takes answers along that were on their way
	}
	for l.sent < min(len(l.queue), most) {
		request := l.queue[l.sent]
		if l.sent > 0 && l.ahead+len(request) > postsAheadBytes {
			break
		}
		all = append(all, request...)
		l.sent++
		l.ahead += len(request)
	}
	switch {
	case len(all) == 0:
		return
	case l.secure == nil:
		l.put(all)
		return
	}
	if _, err := l.secure.conn.Write(all); err != nil {
		l.broken("TLS: " + err.Error())
	}
}

// dial is false if the line cannot be opened; its requests are lost then.
func (l *postLine) dial() bool {
	g := l.posts.group
	fd, err := unix.Socket(g.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.give("socket: " + remedy(err))
		return false
	}
	l.fd, l.state = int32(fd), stateDialing
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if g.source.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, g.sourceOf(int32(l.number))); err != nil {
			l.give("bind to a source address: " + remedy(err))
			return false
		}
	}
	if err := unix.Connect(fd, g.server); err != nil && err != unix.EINPROGRESS {
		l.give("connect: " + remedy(err))
		return false
	}
	if err := g.swarm.poll.add(fd, g.number, l.place(), interestDial); err != nil {
		l.give("epoll: " + err.Error())
		return false
	}
	return true
}

// place tells a line's events from those of clients.
func (l *postLine) place() int32 { return int32(len(l.posts.group.conns) + l.number) }

func (l *postLine) event(events uint32) {
	if l.fd < 0 {
		return
	}
	if l.state == stateDialing {
		l.connected()
		return
	}
	if events&unix.EPOLLOUT != 0 {
		rest := l.out
		l.out = nil
		l.watch(interestRead)
		l.put(rest)
	}
	if l.fd >= 0 && events&^unix.EPOLLOUT != 0 {
		l.read()
	}
	l.posts.group.due = 0 // room for more
}

func (l *postLine) connected() {
	g := l.posts.group
	if code, err := unix.GetsockoptInt(int(l.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		l.give("connect: " + remedy(unix.Errno(code)))
		return
	}
	if g.tls == nil {
		l.watch(interestRead)
		l.open()
		return
	}
	l.state = stateSecuring
	_ = g.swarm.poll.remove(int(l.fd))
	var e *secure
	e = g.swarm.shake(l.fd, g.tls, g.cfg.Patience, func(b []byte) {
		if l.secure == e {
			l.put(b)
		}
	}, func(err error) {
		switch {
		case l.secure != e:
		case err != nil:
			l.give("TLS handshake: " + handshakeHint(err))
		default:
			if err := g.swarm.poll.add(int(l.fd), g.number, l.place(), interestRead); err != nil {
				l.give("epoll: " + err.Error())
				return
			}
			l.open()
		}
	})
	l.secure = e
}

// open lets requests out.
func (l *postLine) open() {
	l.state = stateLive
	l.posts.group.due = 0
}

func (l *postLine) watch(interest uint32) {
	if err := l.posts.group.swarm.poll.change(int(l.fd), l.posts.group.number, l.place(), interest); err != nil {
		l.give("epoll: " + err.Error())
	}
}

// put hands b to the socket.
func (l *postLine) put(b []byte) {
	if l.fd < 0 {
		return
	}
	if len(l.out) > 0 {
		l.out = append(l.out, b...)
		return
	}
	n, errno := rawWrite(l.fd, b)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		n, errno = 0, 0
	}
	if errno != 0 || n == len(b) {
		return // a conn that takes nothing any more says so to epoll too
	}
	l.out = append([]byte(nil), b[n:]...)
	l.watch(interestRead | unix.EPOLLOUT)
}

func (l *postLine) read() {
	g := l.posts.group
	s := g.swarm
	n, errno := rawRead(l.fd, s.buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		l.broken(errno.Error())
		return
	case n == 0:
		l.broken("closed")
		return
	}
	g.stats.Bytes += uint64(n)
	e := l.secure
	if e == nil {
		l.take(s.buf[:n])
		return
	}
	e.wire.in = append([]byte(nil), s.buf[:n]...)
	for l.secure == e {
		n, err := e.conn.Read(s.buf)
		if n > 0 {
			l.take(s.buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, errAgain):
			return
		case l.secure != e:
		case errors.Is(err, io.EOF):
			l.broken("closed")
		default:
			l.broken("TLS: " + err.Error())
		}
	}
}

// take goes through answers.
func (l *postLine) take(b []byte) {
	if len(l.in) > 0 {
		b = append(l.in, b...)
		l.in = nil
	}
	for len(b) > 0 && l.fd >= 0 {
		if l.skip > 0 {
			n := min(l.skip, int64(len(b)))
			l.skip -= n
			b = b[n:]
			continue
		}
		var h response.Head
		n, ok, err := h.Parse(b)
		switch {
		case err != nil:
			l.give(err.Error())
			return
		case !ok:
			l.in = append([]byte(nil), b...)
			return
		case l.sent == 0:
			l.give("an answer to no request")
			return
		}
		b = b[n:]
		l.sent--
		l.ahead -= len(l.queue[0])
		l.forget()
		l.tries = 0
		l.posts.answered(h.Status)
		switch {
		case h.Bodiless():
		case h.Length >= 0:
			l.skip = h.Length
		default:
			h.Close = true // whatever the body is, it is not worth following
		}
		if h.Close {
			l.broken("closed")
		}
	}
}

// broken ends the conn; what was not answered goes out on the next, unless that has come to nothing several times.
func (l *postLine) broken(why string) {
	l.posts.group.stats.Reposted += uint64(l.sent)
	l.hangUp()
	if len(l.queue) == 0 {
		return
	}
	if l.tries++; l.tries >= postTries {
		l.give(why + " without an answer")
	}
	l.posts.group.due = 0
}

// give drops the requests that wait, and the conn.
func (l *postLine) give(why string) {
	l.posts.group.fault("emulation: " + why)
	l.hangUp()
	l.queue, l.tries = nil, 0
}

func (l *postLine) hangUp() {
	if l.fd < 0 {
		return
	}
	if l.secure != nil {
		l.secure.drop(l.fd)
	}
	_ = unix.Close(int(l.fd))
	l.fd, l.state, l.secure, l.sent, l.ahead, l.out, l.in, l.skip = -1, stateClosed, nil, 0, 0, nil, nil, 0
}
