package reactor

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stentor/reactor/loop"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorArgument {
		serveFloor()
	}
	goleak.VerifyTestMain(m,
		// gnet's worker pool belongs to the process.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

func TestEcho(t *testing.T) {
	r := start(t, Config{Loops: 2}, upgradeTo(echo))
	c := dialWS(t, r)
	c.say(text("hello"))
	c.expect("hello")
	c.say(text("a") + text("b") + text(""))
	c.expect("a")
	c.expect("b")
	c.expect("")
	c.say(clientClose(1000, "bye"))
	c.expectClose(1000, "")
	c.expectEnd()
}

// Every loop has a bell of its own and turns, and conns spread over all of them.
func TestLoopsTurnAndConnsSpread(t *testing.T) {
	const loops, clients = 4, 1200
	r := start(t, Config{Loops: loops}, upgradeTo(echo))
	seen := map[string]bool{}
	for id := range loops {
		var name string
		onLoop(r, id, func() { name = *goroutineName() })
		seen[name] = true
	}
	if len(seen) != loops {
		t.Fatalf("%d goroutines turn %d loops", len(seen), loops)
	}
	for range clients {
		dial(t, r)
	}
	eventually(t, "all accepted", func() bool { return r.Stats().Conns == clients })
	for id, l := range r.Stats().Loops {
		// Even within four standard deviations of a fair hash (58 around 300).
		if l.Conns < clients/loops-60 || l.Conns > clients/loops+60 {
			t.Errorf("loop %d has %d of %d conns", id, l.Conns, clients)
		}
	}
}

// The ticker moves every loop's time, whether anything happens there or not.
func TestTicker(t *testing.T) {
	r := start(t, Config{Loops: 2}, upgradeTo(echo))
	times := func() (now [2]loop.Time) {
		for id := range now {
			onLoop(r, id, func() { now[id] = r.Loops()[id].Now() })
		}
		return now
	}
	first := times()
	eventually(t, "time goes on", func() bool { now := times(); return now[0] >= first[0]+3 && now[1] >= first[1]+3 })
}

// A client over MaxConns is refused; nobody else is, and a place that becomes free can be taken.
func TestMaxConns(t *testing.T) {
	r := start(t, Config{Loops: 2, MaxConns: 10}, upgradeTo(echo))
	var in []*client
	for range 10 {
		in = append(in, dialWS(t, r))
	}
	for range 5 {
		c := dialRaw(t, r)
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
			t.Fatalf("the eleventh hears %q", head)
		}
		c.Close()
	}
	if s := r.Stats(); s.RefusedConns != 5 || s.Conns != 10 || s.ConnsMax != 10 {
		t.Errorf("refused %d, conns %d of %d", s.RefusedConns, s.Conns, s.ConnsMax)
	}
	for _, c := range in {
		c.say(text("x"))
		c.expect("x")
	}
	in[0].Close()
	eventually(t, "a place is free", func() bool { return r.Stats().Conns == 9 })
	c := dialWS(t, r)
	c.say(text("x"))
	c.expect("x")
}

// By default as many clients are let in as descriptors are left, less the reserve.
func TestMaxConnsFromDescriptors(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	r := start(t, Config{}, upgradeTo(echo))
	most := int(limit.Max) - DescriptorsKept
	if got := r.Stats().ConnsMax; got > most || got < most-200 {
		t.Errorf("%d conns for %d descriptors", got, limit.Max)
	}
}

func TestSecondInstanceFails(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	second, err := New(Config{Addr: r.Addr().String()}, upgradeTo(echo))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Run: %v", err)
	}
	if err := second.Run(); err == nil {
		t.Error("a second Run succeeds")
	}
}

func TestAddresses(t *testing.T) {
	for _, addr := range []string{":0", "127.0.0.1:0", "localhost:0", "[::1]:0"} {
		if ln, err := net.Listen("tcp", addr); err != nil {
			t.Logf("this system cannot listen on %s: %v", addr, err)
			continue
		} else {
			ln.Close()
		}
		r := start(t, Config{Addr: addr}, upgradeTo(echo))
		c := dialWS(t, r)
		c.say(text("x"))
		c.expect("x")
	}
	for _, addr := range []string{"no port", "127.0.0.1:99999"} {
		r, err := New(Config{Addr: addr}, upgradeTo(echo))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(); err == nil {
			t.Errorf("listens on %q", addr)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "address"},
		{Config{Addr: ":0", Loops: 65}, "65 loops"},
		{Config{Addr: ":0", QueueBytesMax: -1}, "QueueBytesMax"},
		{Config{Addr: ":0", HeadTimeout: -1}, "HeadTimeout"},
	} {
		if _, err := New(c.cfg, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

func TestStopClosesAll(t *testing.T) {
	var closed atomic.Int32
	r, err := New(Config{Addr: "127.0.0.1:0", Loops: 2}, upgradeTo(func() *pipe {
		return &pipe{onClosed: func(*pipe) { closed.Add(1) }}
	}))
	if err != nil {
		t.Fatal(err)
	}
	var run sync.WaitGroup
	run.Go(func() {
		if err := r.Run(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	<-r.Ready()
	for range 10 {
		dialWS(t, r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitMax)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	run.Wait()
	if n := closed.Load(); n != 10 {
		t.Errorf("%d of 10 receivers were told", n)
	}
	for _, l := range r.Loops() {
		l.Tick() // a late ring is harmless
	}
	if err := r.Stop(ctx); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestStopBeforeRun(t *testing.T) {
	r, err := New(Config{Addr: "127.0.0.1:0"}, upgradeTo(echo))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := r.Run(); err != nil {
		t.Errorf("Run after Stop: %v", err)
	}
}

// When gnet ends by itself, as it does when accept fails, Run says so: the process must not go on without its port.
func TestUnaskedEnd(t *testing.T) {
	r, err := New(Config{Addr: "127.0.0.1:0"}, upgradeTo(echo))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run() }()
	<-r.Ready()
	fd := listenerOf(t, r)
	if err := syscall.Shutdown(fd, syscall.SHUT_RDWR); err != nil { // accept now fails with EINVAL
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "gnet stopped by itself") || !strings.Contains(err.Error(), "Accept") {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(waitMax):
		t.Fatal("Run goes on")
	}
}

// listenerOf finds the descriptor of the reactor's listening socket.
func listenerOf(t *testing.T, r *Reactor) int {
	t.Helper()
	port := r.Addr().(*net.TCPAddr).Port
	for fd := 3; fd < 1000; fd++ {
		listening, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil || listening == 0 {
			continue
		}
		if sa, err := syscall.Getsockname(fd); err == nil {
			if sa, ok := sa.(*syscall.SockaddrInet4); ok && sa.Port == port {
				return fd
			}
		}
	}
	t.Fatal("no listener")
	return 0
}

// Loops that nobody waits for sleep through the ticks; a deadline wakes the one that has it.
func TestIdleLoopsSleep(t *testing.T) {
	router, ch := conns(func() *pipe {
		return &pipe{onExpire: func(p *pipe, _ loop.Time) { p.send("expired") }}
	})
	r := start(t, Config{Loops: 2}, router)
	turns := func() (n uint64) {
		for _, l := range r.Stats().Loops {
			counts, _ := l.Lag.Read()
			for _, c := range counts {
				n += c
			}
		}
		return n
	}
	before := turns()
	time.Sleep(5 * loop.TickPeriod)
	if n := turns() - before; n > 0 {
		t.Errorf("%d turns of loops without conns", n)
	}
	c, s := opened(t, r, ch)
	onLoop(r, s.Loop().ID(), func() { s.Arm(s.Loop().Now().After(2 * loop.TickPeriod)) })
	c.expect("expired")
}
