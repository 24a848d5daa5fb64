package bare

import (
	"context"
	"time"

	"stentor/bench/pipe"
	"stentor/bench/probe"
)

// The words between the benchmark and its bare writer.
const (
	opListen = "listen" // listenBody → string: the address
	opAccept = "accept" // acceptBody → nothing, once so many are there
	opSend   = "send"   // sendBody → sent
)

type (
	listenBody struct {
		Threads int `json:"threads"`
	}
	acceptBody struct {
		Conns    int           `json:"conns"`
		Patience time.Duration `json:"patience"`
	}
	sendBody struct {
		Frames [][]byte `json:"frames"`
	}
)

// Sent is what one Send did.
type Sent struct {
	Writes int `json:"writes"`
	// Waits counts writes that found a socket full and had to wait: a sign that the receivers do not keep up.
	Waits int `json:"waits"`
}

// Writer is a bare writer in a process of its own. Make it with Start.
type Writer struct {
	child   *pipe.Child
	process probe.Process
	// Addr is where it listens.
	Addr string
}

// Start runs a writer that shares its sockets out to so many threads.
func Start(ctx context.Context, c pipe.Command, threads int) (*Writer, error) {
	child, err := pipe.Start(c)
	if err != nil {
		return nil, err
	}
	w := &Writer{child: child}
	if err = child.Call(ctx, opListen, listenBody{Threads: threads}, &w.Addr); err == nil {
		w.process, err = probe.Open(child.PID())
	}
	if err != nil {
		child.Close()
		return nil, err
	}
	return w, nil
}

// Accept waits until conns receivers are connected.
func (w *Writer) Accept(ctx context.Context, conns int, patience time.Duration) error {
	return w.child.Call(ctx, opAccept, acceptBody{Conns: conns, Patience: patience}, nil)
}

// Send writes each frame to every receiver, one write(2) for each of them, and returns when all is with the kernel.
func (w *Writer) Send(ctx context.Context, frames ...[]byte) (Sent, error) {
	var s Sent
	err := w.child.Call(ctx, opSend, sendBody{Frames: frames}, &s)
	return s, err
}

// CPU is the CPU time that the writer has used.
func (w *Writer) CPU() (time.Duration, error) { return w.process.CPU() }

// Close ends the process.
func (w *Writer) Close() { w.child.Close() }
