package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"stentor/bench/bare"
	process "stentor/bench/pipe"
	"stentor/codec/ws"
)

// The test binary is also a floor for the load generator: gnet without anything of ours, which no other package may import.
//
//	go test -c -o reactor.test ./reactor
//	stentor bench fanout  … --floor --floor-program './reactor.test gnet-floor'
//	stentor bench connect … --floor --floor-program './reactor.test gnet-floor'
const floorArgument = "gnet-floor"

// serveFloor does what the load generator asks for, and never returns.
func serveFloor() {
	if err := bare.Serve(os.Stdin, os.Stdout, &gnetFloor{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// gnetFloor writes with gnet.Conn.Write and upgrades in OnTraffic.
type gnetFloor struct {
	gnet.BuiltinEventEngine
	engine  gnet.Engine
	booted  chan struct{}
	stopped chan error

	opened, upgraded atomic.Int64

	mu    sync.Mutex
	conns map[gnet.EventLoop][]gnet.Conn
}

// gnetFloorTimeout is how long the engine may take to start and to stop.
const gnetFloorTimeout = 10 * time.Second

func (f *gnetFloor) Listen(threads int) (string, error) {
	if f.stopped != nil {
		ctx, cancel := context.WithTimeout(context.Background(), gnetFloorTimeout)
		defer cancel()
		if err := f.engine.Stop(ctx); err != nil {
			return "", err
		}
		<-f.stopped
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	l.Close()
	f.booted, f.stopped, f.conns = make(chan struct{}), make(chan error, 1), map[gnet.EventLoop][]gnet.Conn{}
	f.opened.Store(0)
	f.upgraded.Store(0)
	log := &gnetLog{log: slog.New(slog.DiscardHandler)} // gnet's own writes to standard output, where the answers go
	go func() {
		f.stopped <- gnet.Run(f, "tcp://"+addr, gnet.WithOptions(gnet.Options{ReusePort: true, ReuseAddr: true, NumEventLoop: threads, Logger: log}))
	}()
	select {
	case <-f.booted:
		return addr, nil
	case err := <-f.stopped:
		return "", errors.Join(errors.New("gnet ended"), err)
	case <-time.After(gnetFloorTimeout):
		return "", errors.New("gnet did not start")
	}
}

func (f *gnetFloor) OnBoot(e gnet.Engine) gnet.Action {
	f.engine = e
	close(f.booted)
	return gnet.None
}

func (f *gnetFloor) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	f.mu.Lock()
	f.conns[c.EventLoop()] = append(f.conns[c.EventLoop()], c)
	f.mu.Unlock()
	f.opened.Add(1)
	return nil, gnet.None
}

// OnTraffic answers whatever comes as a request for an upgrade.
func (f *gnetFloor) OnTraffic(c gnet.Conn) gnet.Action {
	head, _ := c.Peek(-1)
	key, ok := bare.FindKey(head)
	if !ok {
		return gnet.None
	}
	_, _ = c.Discard(len(head))
	_, _ = c.Write(ws.AppendUpgradeResponse(nil, key, "", ""))
	f.upgraded.Add(1)
	return gnet.None
}

func (f *gnetFloor) Accept(conns int, upgrade bool, patience time.Duration) error {
	count := &f.opened
	if upgrade {
		count = &f.upgraded
	}
	for give := time.Now().Add(patience); count.Load() < int64(conns); {
		if time.Now().After(give) {
			return fmt.Errorf("gnet: %d of %d clients after %v", count.Load(), conns, patience)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Send lets each loop write to its own conns.
func (f *gnetFloor) Send(via bare.Via, frames [][]byte) (bare.Sent, error) {
	if via != bare.Write {
		return bare.Sent{}, fmt.Errorf("gnet does not write through %s", via)
	}
	done := make(chan error, len(f.conns))
	sent := bare.Sent{}
	for loop, conns := range f.conns {
		sent.Writes += len(conns) * len(frames)
		err := loop.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			var failed error
			for _, frame := range frames {
				for _, c := range conns {
					if _, err := c.Write(frame); err != nil {
						failed = err
					}
				}
			}
			done <- failed
			return nil
		}))
		if err != nil {
			return sent, err
		}
	}
	var failed error
	for range f.conns {
		failed = errors.Join(failed, <-done)
	}
	return sent, failed
}

func (f *gnetFloor) Echo(bare.Echo) error { return errors.New("gnet is no floor for pings") }

// The floor does what it says: upgrades, and one write for each frame and conn.
func TestGnetFloor(t *testing.T) {
	self, err := process.Self(floorArgument)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f, err := bare.Start(ctx, self, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 { // Listen forgets what was before
		if err := f.Listen(ctx); err != nil {
			t.Fatal(err)
		}
		const clients = 5
		var conns []net.Conn
		request := ws.ClientRequest{Host: "test", Target: "/", Key: ws.NewKey()}
		for range clients {
			c, err := net.Dial("tcp", f.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write(request.Append(nil)); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		if err := f.Upgrade(ctx, clients, gnetFloorTimeout); err != nil {
			t.Fatal(err)
		}
		sent, err := f.Send(ctx, bare.Write, []byte("one"), []byte("two"))
		if err != nil || sent.Writes != 2*clients {
			t.Fatalf("%+v %v", sent, err)
		}
		for _, c := range conns {
			if text := readUpTo(t, c, "onetwo"); text == "" {
				t.Error("a client did not get both frames")
			}
		}
	}
}

// readUpTo reads until what has come ends with want.
func readUpTo(t *testing.T, c net.Conn, want string) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(gnetFloorTimeout))
	var all []byte
	piece := make([]byte, 1024)
	for {
		n, err := c.Read(piece)
		if err != nil {
			return ""
		}
		if all = append(all, piece[:n]...); len(all) >= len(want) && string(all[len(all)-len(want):]) == want {
			return string(all)
		}
	}
}
