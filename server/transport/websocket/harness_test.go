package websocket

import (
	"bufio"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec/ws"
	"stentor/codec/ws/wstest"
	"stentor/reactor"
	"stentor/server/pipetest"
)

// house is a node with an endpoint on its loops, at /ws.
type house struct {
	*pipetest.House
	t testing.TB
}

// open runs a house until the end of the test.
func open(t testing.TB, c pipetest.Config, change func(*Config)) *house {
	t.Helper()
	c.Route = func(h *pipetest.House) func(*reactor.Head) reactor.Verdict {
		cfg := Config{Node: h.Node, Gate: h.Gate}
		if change != nil {
			change(&cfg)
		}
		return New(cfg).Route
	}
	return &house{pipetest.Open(t, c), t}
}

// inside is how many clients are counted.
func (h *house) inside() int {
	clients, _ := h.Gate.Open()
	return clients
}

// clock goes on only when it is told to.
type clock struct{ atomic.Int64 } // nanoseconds

func (c *clock) now() time.Time { return time.Unix(1_700_000_000, c.Load()) }

func (c *clock) pass(d time.Duration) { c.Add(int64(d)) }

// client is the test's end of a socket.
type client struct {
	net.Conn
	t        testing.TB
	in       *bufio.Reader
	status   int // of the refusal, or 101
	protocol string
}

// dial sends an upgrade request and reads the answer.
func (h *house) dial(request ws.ClientRequest) *client {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.Reactor.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(pipetest.WaitMax)); err != nil {
		h.t.Fatal(err)
	}
	if request.Target == "" {
		request.Target = "/ws"
	}
	request.Host, request.Key = "localhost", ws.NewKey()
	if _, err := conn.Write(request.Append(nil)); err != nil {
		h.t.Fatal(err)
	}
	c := &client{Conn: conn, t: h.t, in: bufio.NewReader(conn)}
	c.readHead(request.Key)
	return c
}

func (c *client) readHead(key string) {
	c.t.Helper()
	var head []byte
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			c.t.Fatalf("read a response: %v, after %q", err, head)
		}
		head = append(head, b)
		protocol, _, ok, err := ws.ParseUpgradeResponse(head, key)
		if refusal, isRefusal := err.(*ws.HandshakeError); isRefusal {
			c.status = refusal.Status
			return
		}
		if ok {
			c.status, c.protocol = 101, protocol
			return
		}
	}
}

// say sends one data frame.
func (c *client) say(op ws.OpCode, payload string) {
	c.t.Helper()
	if _, err := c.Write(ws.AppendClientFrame(nil, op, true, [4]byte{1, 2, 3, 4}, []byte(payload))); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads one frame.
func (c *client) hear() (op ws.OpCode, payload string, err error) { return wstest.ReadFrame(c.in) }

// expectClose reads the next frame, which must be a close frame.
func (c *client) expectClose(code uint16, reason string) {
	c.t.Helper()
	op, got, err := c.hear()
	if err != nil || op != ws.OpClose {
		c.t.Fatalf("heard %v %.100q (%v), want close %d", op, got, err, code)
	}
	gotCode, gotReason, err := ws.ParseClose([]byte(got))
	if err != nil || gotCode != code || gotReason != reason {
		c.t.Fatalf("closed with %d %q (%v), want %d %q", gotCode, gotReason, err, code, reason)
	}
}
