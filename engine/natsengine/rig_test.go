package natsengine_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/natsengine"
)

// node is an engine at work with a recorder.
type node struct {
	*natsengine.Engine
	*enginetest.Recorder
	t *testing.T
}

// start runs an engine until the test ends.
func start(t *testing.T, cfg natsengine.Config) *node {
	t.Helper()
	r := enginetest.NewRecorder()
	return startWith(t, cfg, r, r)
}

// startWith is start with another node than the recorder.
func startWith(t *testing.T, cfg natsengine.Config, n engine.Node, r *enginetest.Recorder) *node {
	t.Helper()
	e := open(t, cfg, n)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(enginetest.Patience):
			t.Error("Run goes on although its context has ended")
		}
	})
	return &node{e, r, t}
}

// subscribe subscribes and waits until all is said.
func (n *node) subscribe(channels ...string) {
	n.t.Helper()
	for _, ch := range channels {
		n.Subscribe(ch)
	}
	for _, ch := range channels {
		if err := n.WaitSubscribed(n.t, ch); err != nil {
			n.t.Fatalf("subscribe %s: %v", ch, err)
		}
	}
}

func (n *node) publish(channel, data string) error {
	_, err := n.Publish(context.Background(), channel, &codec.Publication{Data: []byte(data)}, engine.PublishOptions{})
	return err
}

func (n *node) mustPublish(channel, data string) {
	n.t.Helper()
	if err := n.publish(channel, data); err != nil {
		n.t.Fatalf("publish %s to %s: %v", data, channel, err)
	}
}

// heard is the data of all publications of channel so far.
func (n *node) heard(channel string) string {
	return text(n.Of(channel))
}

// expect waits for as many publications as want has words, and compares.
func (n *node) expect(channel, want string) {
	n.t.Helper()
	if got := text(n.Wait(n.t, channel, len(strings.Fields(want)))); got != want {
		n.t.Errorf("%s: delivered %q, want %q", channel, got, want)
	}
}

func text(ds []enginetest.Delivery) string {
	var words []string
	for _, d := range ds {
		switch {
		case d.Join != nil:
			words = append(words, "+"+d.Join.Client)
		case d.Leave != nil:
			words = append(words, "-"+d.Leave.Client)
		case d.Publication.Channel != "":
			words = append(words, d.Publication.Channel+"="+string(d.Publication.Data))
		default:
			words = append(words, string(d.Publication.Data))
		}
	}
	return strings.Join(words, " ")
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(enginetest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: still not so after %v", what, enginetest.Patience)
		}
	}
}

// wire lies between an engine and a server: it can be cut, and counts the pings that pass.
type wire struct {
	listener net.Listener
	to       string
	pings    atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newWire(t *testing.T, url string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: strings.TrimPrefix(url, "nats://"), conns: make(map[net.Conn]bool)}
	var pipes sync.WaitGroup
	pipes.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", w.to)
			if err != nil {
				near.Close()
				continue
			}
			w.mu.Lock()
			w.conns[near], w.conns[far] = true, true
			w.mu.Unlock()
			pipes.Go(func() { w.pipe(far, near, &w.pings) })
			pipes.Go(func() { w.pipe(near, far, new(atomic.Int64)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		pipes.Wait()
	})
	return w
}

func (w *wire) url() string { return fmt.Sprintf("nats://%s", w.listener.Addr()) }

func (w *wire) pipe(to, from net.Conn, pings *atomic.Int64) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		pings.Add(int64(bytes.Count(buf[:n], []byte("PING\r\n"))))
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// cut ends all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		conn.Close()
		delete(w.conns, conn)
	}
}
