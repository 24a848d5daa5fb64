package bare

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"stentor/bench/pipe"
)

// The words between the benchmark and its floor.
const (
	opListen = "listen" // listenBody → string: the address
	opAccept = "accept" // acceptBody → nothing, once so many are there
	opSend   = "send"   // sendBody → Sent
	opEcho   = "echo"   // Echo → nothing, once all is done
)

type (
	listenBody struct {
		Threads int `json:"threads"`
	}
	acceptBody struct {
		Conns    int           `json:"conns"`
		Upgrade  bool          `json:"upgrade,omitempty"`
		Patience time.Duration `json:"patience"`
	}
	sendBody struct {
		Via    Via      `json:"via"`
		Frames [][]byte `json:"frames"`
	}
)

// Child is what a floor does. It is asked one thing at a time.
type Child interface {
	// Listen drops all conns and listens on a free port of 127.0.0.1.
	Listen(threads int) (addr string, err error)
	// Accept returns when so many conns are there, and upgraded if they are to be.
	Accept(conns int, upgrade bool, patience time.Duration) error
	// Send writes each frame to every conn.
	Send(via Via, frames [][]byte) (Sent, error)
	// Echo pings.
	Echo(e Echo) error
}

// Serve lets c do what comes over in, until in ends.
func Serve(in io.Reader, out io.Writer, c Child) error {
	return pipe.Serve(in, out, func(op string, body json.RawMessage, reply pipe.Reply) {
		reply(obey(c, op, body))
	})
}

func obey(c Child, op string, body json.RawMessage) (any, error) {
	switch op {
	case opListen:
		return with(body, func(b listenBody) (any, error) { return c.Listen(b.Threads) })
	case opAccept:
		return with(body, func(b acceptBody) (any, error) { return nil, c.Accept(b.Conns, b.Upgrade, b.Patience) })
	case opSend:
		return with(body, func(b sendBody) (any, error) { return c.Send(b.Via, b.Frames) })
	case opEcho:
		return with(body, func(e Echo) (any, error) { return nil, c.Echo(e) })
	}
	return nil, fmt.Errorf("unknown word %q", op)
}

// with decodes the body for f.
func with[T any](body json.RawMessage, f func(T) (any, error)) (any, error) {
	var b T
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	return f(b)
}
