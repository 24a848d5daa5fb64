package swarm

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"stentor/bench/benchtest"
	"stentor/bench/measure"
	"stentor/codec"
	"stentor/codec/ws"
)

const testPatience = 20 * time.Second

// running turns a swarm until the test ends.
type running struct {
	*Swarm
	t   *testing.T
	ctx context.Context
}

func run(t *testing.T) running {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	done := make(chan error, 1)
	go func() { done <- s.Run() }()
	t.Cleanup(func() {
		cancel()
		s.Stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return running{s, t, ctx}
}

// on runs f on the swarm's goroutine.
func (r running) on(f func() error) {
	r.t.Helper()
	done := make(chan error)
	r.Do(func() { done <- f() })
	if err := <-done; err != nil {
		r.t.Fatal(err)
	}
}

func (r running) open(g Group) Opened {
	r.t.Helper()
	opened := make(chan Opened, 1)
	r.on(func() error { return r.Open(g, func(o Opened) { opened <- o }) })
	return <-opened
}

func (r running) await(name string, n uint64) bool {
	r.t.Helper()
	reached := make(chan bool, 1)
	r.on(func() error { return r.Await(name, n, testPatience, func(ok bool) { reached <- ok }) })
	return <-reached
}

func (r running) stats(name string) (st Stats) {
	r.t.Helper()
	r.on(func() (err error) {
		st, err = r.Stats(name, true)
		return err
	})
	return st
}

func (r running) tally(name string, last uint32) (ta Tally) {
	r.t.Helper()
	r.on(func() (err error) {
		ta, err = r.Tally(name, int(last))
		return err
	})
	return ta
}

// until polls the group's stats.
func (r running) until(name string, ok func(Stats) bool) Stats {
	r.t.Helper()
	for {
		st := r.stats(name)
		if ok(st) {
			return st
		}
		if r.ctx.Err() != nil {
			r.t.Fatalf("it never came: %+v", st)
		}
	}
}

func like(server *benchtest.Server, role Role, count int) Group {
	return likeAt(server.Addr(), role, count)
}

func likeAt(addr string, role Role, count int) Group {
	return Group{
		Name: "g", Role: role, Count: count, Addr: addr, Host: "test", Path: "/connection/websocket",
		Source: "127.0.0.2", SourceCount: 3, InFlightMax: 10, Patience: testPatience,
		Users: "user-{n}", Channels: "news", PerChannel: 1, Subscribed: 1,
	}
}

func payload(t *testing.T, number uint32) []byte {
	t.Helper()
	b, err := measure.AppendPayload(nil, measure.Stamp{Number: number, Due: Monotonic()}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSubscribers(t *testing.T) {
	for _, protobuf := range []bool{false, true} {
		for _, chop := range []int{0, 1, 7} {
			t.Run(fmt.Sprintf("protobuf=%v chop=%d", protobuf, chop), func(t *testing.T) {
				server := benchtest.Start(benchtest.Config{Protobuf: protobuf, ChopBytes: chop, Secret: "s3cret", PingEvery: time.Millisecond})
				defer server.Close()
				r := run(t)
				g := like(server, Subscriber, 20)
				g.Protobuf, g.TokenSecret = protobuf, "s3cret"
				if o := r.open(g); o.Err() != nil || o.Live != 20 {
					t.Fatalf("%+v", o)
				}
				if users := server.Users(); len(users) != 20 || users["user-0"] != 1 || users["user-19"] != 1 {
					t.Errorf("users %v", users)
				}
				const publications = 30
				for n := range uint32(publications) {
					server.Publish("news", payload(t, n+1))
				}
				if !r.await("g", 20*publications) {
					t.Fatalf("not all arrived: %+v", r.stats("g"))
				}
				st := r.until("g", func(st Stats) bool { return st.Pings > 0 })
				if st.Live != 20 || st.Duplicates != 0 || st.Late != 0 || len(st.Faults) != 0 || len(st.Closes) != 0 {
					t.Errorf("%+v", st)
				}
				if ta := r.tally("g", publications); ta != (Tally{}) {
					t.Errorf("%+v", ta)
				}
				if stamp, ok := measure.FindStamp(st.Sample); !ok || stamp.Number != 1 {
					t.Errorf("sample %q", st.Sample)
				}
				for server.Pongs() == 0 {
					if r.ctx.Err() != nil {
						t.Fatal("no ping was answered")
					}
				}
			})
		}
	}
}

func TestLossesAndDuplicates(t *testing.T) {
	server := benchtest.Start(benchtest.Config{LoseEvery: 5, TwiceAt: 3})
	defer server.Close()
	r := run(t)
	if o := r.open(like(server, Subscriber, 4)); o.Err() != nil {
		t.Fatal(o.Err())
	}
	for n := range uint32(10) {
		server.Publish("news", payload(t, n+1))
	}
	if !r.await("g", 38) {
		t.Fatalf("%+v", r.stats("g"))
	}
	if ta, want := r.tally("g", 10), (Tally{Missing: 2, MissingClients: 1, MissingWorst: 2, Duplicate: 4, DupClients: 4}); ta != want {
		t.Errorf("%+v, want %+v", ta, want)
	}
	server.Kick(3008, "slow")
	st := r.until("g", func(st Stats) bool { return st.Live == 0 })
	if st.Closes["3008 slow"] != 4 {
		t.Errorf("closes %v", st.Closes)
	}
	if ta := r.tally("g", 10); ta.Gone != 4 || ta.GoneMissing != 2 || ta.Missing != 0 {
		t.Errorf("%+v", ta)
	}
}

func TestSubscribersComeBack(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	g := like(server, Subscriber, 12)
	g.ComeBack, g.ConnectRate = true, 1000
	if o := r.open(g); o.Err() != nil {
		t.Fatal(o.Err())
	}
	server.Kick(3008, "slow")
	r.until("g", func(st Stats) bool { return st.Reopened == 12 && st.Live == 12 && st.Closes["3008 slow"] == 12 })
	server.Publish("news", payload(t, 1))
	if !r.await("g", 12) {
		t.Fatalf("%+v", r.stats("g"))
	}
}

func TestManySubscriptionsPerClient(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	g := like(server, Subscriber, 4)
	g.First, g.Channels, g.PerChannel, g.Subscribed = 100, "c-{n}-{s}", 2, 3
	if o := r.open(g); o.Err() != nil {
		t.Fatal(o.Err())
	}
	server.Publish("c-50-0", payload(t, 1)) // clients 100 and 101
	server.Publish("c-51-2", payload(t, 1)) // clients 102 and 103
	if !r.await("g", 4) {
		t.Fatalf("%+v", r.stats("g"))
	}
}

func TestOpenFailures(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed.Close()
	server := benchtest.Start(benchtest.Config{Secret: "s3cret", Deny: "forbidden"})
	defer server.Close()
	for _, c := range []struct {
		name  string
		edit  func(*Group)
		error string
	}{
		{"nobody listens", func(g *Group) { g.Addr = closed.Addr().String() }, "does the server listen there"},
		{"nobody answers", func(g *Group) { g.Addr, g.Patience = silent.Addr().String(), 50*time.Millisecond }, "waiting for the answer to the upgrade"},
		{"wrong path", func(g *Group) { g.Path = "/other" }, "the path of --target"},
		{"wrong secret", func(g *Group) { g.TokenSecret = "other" }, "3500 invalid token: --token-hmac-secret"},
		{"no right to subscribe", func(g *Group) { g.TokenSecret, g.Channels = "s3cret", "forbidden" }, "103 permission denied: the channel's namespace"},
		{"foreign source address", func(g *Group) { g.Source = "192.0.2.1" }, "bind to a source address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t)
			g := like(server, Subscriber, 30)
			g.TokenSecret = "s3cret"
			c.edit(&g)
			o := r.open(g)
			if err := o.Err(); err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("error %v", err)
			}
			r.on(func() error { return r.Close("g") })
		})
	}
	r := run(t)
	for _, edit := range []func(*Group){
		func(g *Group) { g.Role = "dancer" },
		func(g *Group) { g.Addr = "nowhere" },
		func(g *Group) { g.Source = "nowhere" },
		func(g *Group) { g.Source = "::1" },
		func(g *Group) { g.Count = 0 },
		func(g *Group) { g.Subscribed = 2 },
		func(g *Group) { g.Subscribed, g.Channels = SubscriptionsMax+1, "{s}" },
	} {
		g := like(server, Subscriber, 1)
		edit(&g)
		r.on(func() error {
			if err := r.Open(g, func(Opened) {}); err == nil {
				return fmt.Errorf("%+v was taken", g)
			}
			return nil
		})
	}
}

func TestRequesters(t *testing.T) {
	for _, kind := range []Request{Subscribe, Unsubscribe, Publish, Ping} {
		t.Run(string(kind), func(t *testing.T) {
			server := benchtest.Start(benchtest.Config{ChopBytes: 5})
			defer server.Close()
			r := run(t)
			g := like(server, Requester, 7)
			g.Subscribed, g.Request, g.Channels = 0, kind, "own-{n}"
			if o := r.open(g); o.Err() != nil {
				t.Fatal(o.Err())
			}
			// Two series: ids and turns go on from one to the next.
			for range 2 {
				before := r.stats("g").Replies
				r.on(func() error { return r.Ask("g", 2000) })
				r.until("g", func(st Stats) bool { return st.Replies > before+50 })
				done := make(chan struct{})
				r.on(func() error { return r.Hush("g", testPatience, func() { close(done) }) })
				<-done
			}
			st := r.stats("g")
			if st.Unanswered != 0 || len(st.Faults) != 0 || st.Live != 7 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestRequestersWithoutAnswer(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	g := like(server, Requester, 3)
	g.Subscribed, g.Request = 0, Unsubscribe
	if o := r.open(g); o.Err() != nil {
		t.Fatal(o.Err())
	}
	server.Kick(3012, "no pong")
	r.until("g", func(st Stats) bool { return st.Live == 0 })
	r.on(func() error { return r.Ask("g", 10000) })
	r.on(func() error { return nil })
	done := make(chan struct{})
	r.on(func() error { return r.Hush("g", time.Millisecond, func() { close(done) }) })
	<-done
	st := r.stats("g")
	if st.Replies != 0 || st.Unanswered == 0 || uint64(st.Latency.Count()) != st.Unanswered {
		t.Errorf("%+v, %d latencies", st, st.Latency.Count())
	}
	r.on(func() error {
		if r.Hush("g", 0, func() {}) == nil || r.Ask("x", 1) == nil || r.Ask("g", 0) == nil {
			return fmt.Errorf("nonsense was taken")
		}
		return nil
	})
}

func TestReceivers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	push, err := codec.AppendPublication(nil, codec.JSON, "news", &codec.Publication{Data: payload(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	frame := ws.AppendFrame(nil, ws.OpText, push[:len(push)-1])
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			_, _ = c.Write(frame[:20])
			_, _ = c.Write(frame[20:])
		}
	}()
	r := run(t)
	g := likeAt(listener.Addr().String(), Receiver, 6)
	if o := r.open(g); o.Err() != nil || !r.await("g", 6) {
		t.Fatalf("%+v", o)
	}
}

// Whatever place a stream of bytes is cut at, the client goes the same way. The server's side is written by hand here, and the
// client's socket is one end of a pair.
func TestEveryCut(t *testing.T) {
	for _, c := range []struct {
		form     codec.Form
		pipeline Pipeline
	}{{codec.JSON, Nothing}, {codec.Protobuf, Nothing}, {codec.JSON, Commands}, {codec.Protobuf, Everything}} {
		form := c.form
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer s.poll.close()
		cfg := Group{
			Name: "g", Role: Subscriber, Count: 1, Addr: "127.0.0.1:1", Protobuf: form == codec.Protobuf, SourceCount: 1, InFlightMax: 1,
			Patience: time.Second, PerChannel: 1, Subscribed: 1, Channels: "news", Pipeline: c.pipeline,
		}
		g, err := newGroup(s, cfg, func(Opened) {})
		if err != nil {
			t.Fatal(err)
		}
		stream := serverStream(t, form, g.words.key)
		for cut := range len(stream) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			g.conns[0] = conn{fd: int32(pair[0]), state: stateUpgrading, reader: ws.Reader{Peer: ws.FromServer}}
			g.stats = Stats{Latency: measure.NewLatency(), Opening: measure.NewLatency()}
			if err := s.poll.add(pair[0], 0, 0, interestRead); err != nil {
				t.Fatal(err)
			}
			for _, part := range [][]byte{stream[:cut], stream[cut:]} {
				if len(part) == 0 {
					continue
				}
				if _, err := unix.Write(pair[1], part); err != nil {
					t.Fatal(err)
				}
				g.read(0)
			}
			if g.stats.Deliveries != 3 || g.stats.Frames != 2 || g.stats.Pings != 1 || len(g.stats.Faults) != 0 || g.stats.Closes["3001 shutdown"] != 1 {
				t.Fatalf("%v cut at %d of %d: %+v", form, cut, len(stream), g.stats)
			}
			unix.Close(pair[1])
			if len(s.halves) != 0 || len(s.unsent) != 0 || g.conns[0].fd != -1 {
				t.Fatalf("%v cut at %d: leftovers", form, cut)
			}
		}
	}
}

// serverStream is a whole conn as a server says it: upgrade, replies, a ping, three publications of which two share a frame and one
// comes in fragments, a close.
func serverStream(t *testing.T, form codec.Form, key string) []byte {
	t.Helper()
	var stream []byte
	op := ws.OpText
	if form == codec.Protobuf {
		op = ws.OpBinary
	}
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	trim := func(b []byte) []byte {
		if form == codec.JSON {
			return b[:len(b)-1]
		}
		return b
	}
	stream = ws.AppendUpgradeResponse(stream, key, "", "")
	stream = ws.AppendFrame(stream, op, trim(must(codec.AppendReply(nil, form, &codec.Reply{ID: 1, Connect: &codec.ConnectResult{Ping: 25, Pong: true}}))))
	stream = ws.AppendFrame(stream, op, trim(must(codec.AppendReply(nil, form, &codec.Reply{ID: 2, Subscribe: &codec.SubscribeResult{}}))))
	stream = ws.AppendFrame(stream, op, trim(codec.AppendPing(nil, form)))
	var two []byte
	for n := range uint32(2) {
		two = must(codec.AppendPublication(two, form, "news", &codec.Publication{Data: payload(t, n+1)}))
	}
	stream = ws.AppendFrame(stream, op, trim(two))
	third := trim(must(codec.AppendPublication(nil, form, "news", &codec.Publication{Data: payload(t, 3)})))
	stream = append(ws.AppendHeader(stream, op, false, 10), third[:10]...)
	stream = append(ws.AppendHeader(stream, ws.OpContinuation, true, len(third)-10), third[10:]...)
	stream = ws.AppendFrame(stream, ws.OpPing, []byte("hello"))
	return ws.AppendClose(stream, 3001, "shutdown")
}

func TestSourceAddresses(t *testing.T) {
	for _, c := range []struct {
		addr, source string
		count        int
		want         []string // of clients 0, 1, 2, …
	}{
		{"127.0.0.1:80", "127.0.0.254", 3, []string{"127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.0.254"}},
		{"[::1]:80", "fd00::1", 2, []string{"fd00::1", "fd00::2", "fd00::1"}},
	} {
		g := group{cfg: Group{Addr: c.addr, Source: c.source, SourceCount: c.count}}
		if err := g.address(); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			var got netip.Addr
			switch sa := g.sourceOf(int32(i)).(type) {
			case *unix.SockaddrInet4:
				got = netip.AddrFrom4(sa.Addr)
			case *unix.SockaddrInet6:
				got = netip.AddrFrom16(sa.Addr)
			}
			if got.String() != want {
				t.Errorf("client %d to %s calls from %s, want %s", i, c.addr, got, want)
			}
		}
	}
}

func TestConnIsSmall(t *testing.T) {
	var c conn
	if size := unsafe.Sizeof(c); size > 64 {
		t.Errorf("a conn has %d bytes", size)
	}
}
