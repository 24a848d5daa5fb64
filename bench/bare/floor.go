package bare

import (
	"context"
	"time"

	"stentor/bench/pipe"
	"stentor/bench/probe"
)

// Via is how a floor writes.
type Via string

const (
	Write Via = "write(2)" // one system call for each socket and frame
	Uring Via = "io_uring" // many sends for one system call
)

// ThreadsMax is the number of threads that one floor may have.
const ThreadsMax = 256

// Sent is what one Send did.
type Sent struct {
	Writes int `json:"writes"`
	// Waits counts writes that found a socket full and had to wait: a sign that the receivers do not keep up.
	Waits int `json:"waits"`
}

// Echo is a number of pings, spread evenly over the conns and over a span of time.
type Echo struct {
	Ping      []byte        `json:"ping"` // the whole ws frame
	PongBytes int           `json:"pong_bytes"`
	Pings     int           `json:"pings"`
	Span      time.Duration `json:"span"`
	Tick      time.Duration `json:"tick"` // those due within a tick are written together
}

// Floor is a yardstick in a process of its own. Make it with Start.
type Floor struct {
	child   *pipe.Child
	process probe.Process
	threads int
	// Addr is where it listens.
	Addr string
}

// Start runs a floor that shares its sockets out to so many threads.
func Start(ctx context.Context, c pipe.Command, threads int) (*Floor, error) {
	child, err := pipe.Start(c)
	if err != nil {
		return nil, err
	}
	f := &Floor{child: child, threads: threads}
	if err = f.Listen(ctx); err == nil {
		f.process, err = probe.Open(child.PID())
	}
	if err != nil {
		child.Close()
		return nil, err
	}
	return f, nil
}

// Listen drops all conns and listens anew, at another address.
func (f *Floor) Listen(ctx context.Context) error {
	return f.child.Call(ctx, opListen, listenBody{Threads: f.threads}, &f.Addr)
}

// Accept waits until conns receivers are connected.
func (f *Floor) Accept(ctx context.Context, conns int, patience time.Duration) error {
	return f.child.Call(ctx, opAccept, acceptBody{Conns: conns, Patience: patience}, nil)
}

// Upgrade waits until conns clients are connected and upgraded.
func (f *Floor) Upgrade(ctx context.Context, conns int, patience time.Duration) error {
	return f.child.Call(ctx, opAccept, acceptBody{Conns: conns, Upgrade: true, Patience: patience}, nil)
}

// Send writes each frame to every receiver and returns when all is with the kernel.
func (f *Floor) Send(ctx context.Context, via Via, frames ...[]byte) (Sent, error) {
	var s Sent
	err := f.child.Call(ctx, opSend, sendBody{Via: via, Frames: frames}, &s)
	return s, err
}

// Echo pings and returns when all pongs are there.
func (f *Floor) Echo(ctx context.Context, e Echo) error {
	return f.child.Call(ctx, opEcho, e, nil)
}

// CPU is the CPU time that the floor has used.
func (f *Floor) CPU() (time.Duration, error) { return f.process.CPU() }

// Close ends the process.
func (f *Floor) Close() { f.child.Close() }
