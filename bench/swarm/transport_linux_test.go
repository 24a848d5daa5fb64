package swarm

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stentor/bench/benchtest"
	"stentor/bench/measure"
	"stentor/codec"
	"stentor/codec/ws"
)

// over makes a group speak a transport, with TLS if the server does.
func over(g Group, server *benchtest.Server, transport Transport, secured bool) Group {
	g.Transport, g.Path = transport, transport.Path()
	if secured {
		g.TLS = &TLS{ServerName: benchtest.ServerName, CA: server.CA()}
	}
	return g
}

// forms are the encodings of a transport.
func forms(t Transport) []bool {
	if t.Binary() {
		return []bool{false, true}
	}
	return []bool{false}
}

// Over each transport, plain and with TLS, wherever its bytes are cut: tokens, subscriptions, publications, pings and pongs, and the reason
// of the end.
func TestTransports(t *testing.T) {
	for _, transport := range Transports {
		for _, protobuf := range forms(transport) {
			for _, secured := range []bool{false, true} {
				for _, chop := range []int{0, 7} {
					t.Run(fmt.Sprintf("%s protobuf=%v TLS=%v chop=%d", transport, protobuf, secured, chop), func(t *testing.T) {
						server := benchtest.Start(benchtest.Config{Protobuf: protobuf, ChopBytes: chop, Secret: "s3cret", PingEvery: time.Millisecond, TLS: secured})
						defer server.Close()
						g := over(like(server, Subscriber, 20), server, transport, secured)
						g.Protobuf, g.TokenSecret, g.Channels, g.Subscribed = protobuf, "s3cret", "news-{s}", 3
						conversation(t, run(t), server, g)
					})
				}
			}
		}
	}
}

// conversation is what the clients of g, with three channels news-{s}, and their server have to say to each other.
func conversation(t *testing.T, r running, server *benchtest.Server, g Group) {
	if o := r.open(g); o.Err() != nil || o.Live != g.Count {
		t.Fatalf("%+v", o)
	}
	if users := server.Users(); len(users) != g.Count {
		t.Errorf("users %v", users)
	}
	const publications = 30
	for n := range uint32(publications) {
		server.Publish("news-1", payload(t, n+1))
	}
	if !r.await("g", uint64(g.Count)*publications) {
		t.Fatalf("not all arrived: %+v", r.stats("g"))
	}
	st := r.until("g", func(st Stats) bool { return st.Pings > 0 })
	if st.Live != g.Count || st.Duplicates != 0 || st.Late != 0 || len(st.Faults) != 0 || len(st.Closes) != 0 || st.Frames == 0 {
		t.Errorf("%+v", st)
	}
	if ta := r.tally("g", publications); ta != (Tally{}) {
		t.Errorf("%+v", ta)
	}
	for server.Pongs() == 0 && !g.uni() {
		if r.ctx.Err() != nil {
			t.Fatal("no ping was answered")
		}
	}
	if g.TLS != nil && (st.Records == 0 || sumOf(st.Secured) < g.Count) || g.TLS == nil && st.Records != 0 {
		t.Errorf("%d records, handshakes %v", st.Records, st.Secured)
	}
	server.Kick(3008, "slow")
	st = r.until("g", func(st Stats) bool { return st.Live == 0 })
	if st.Closes["3008 slow"] != g.Count {
		t.Errorf("closes %v", st.Closes)
	}
	r.on(func() error { return r.Close("g") })
	r.on(func() error {
		if len(r.halves) > 0 || len(r.unsent) > 0 {
			return fmt.Errorf("left over: %d halves, %d unsent", len(r.halves), len(r.unsent))
		}
		return nil
	})
}

func sumOf(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// What emulated clients ask goes by POST, and is answered on the stream; a conn that the server ends with requests on it costs none.
func TestRequestersByPost(t *testing.T) {
	for _, transport := range []Transport{HTTPStream, SSE} {
		for _, protobuf := range forms(transport) {
			for _, secured := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s protobuf=%v TLS=%v", transport, protobuf, secured), func(t *testing.T) {
					server := benchtest.Start(benchtest.Config{ChopBytes: 5, TLS: secured, Hang: 23})
					defer server.Close()
					r := run(t)
					g := over(like(server, Requester, 7), server, transport, secured)
					g.Subscribed, g.Request, g.Channels, g.Protobuf = 1, Presence, `own-{n} "quoted"`, protobuf
					g.Pipeline = Nothing // the subscription is asked for by POST too
					if o := r.open(g); o.Err() != nil {
						t.Fatal(o.Err())
					}
					r.on(func() error { return r.Ask("g", 2000) })
					r.until("g", func(st Stats) bool { return st.Replies > 100 })
					done := make(chan struct{})
					r.on(func() error { return r.Hush("g", testPatience, func() { close(done) }) })
					<-done
					if st := r.stats("g"); st.Unanswered != 0 || len(st.Faults) != 0 || st.Live != 7 || st.Posts < st.Replies {
						t.Errorf("%+v", st)
					}
				})
			}
		}
	}
}

// Clients of all transports come back for what they missed. Without a token, unidirectional ones ask for their channels.
func TestRecoveryOverTransports(t *testing.T) {
	for _, transport := range Transports {
		t.Run(string(transport), func(t *testing.T) {
			server := benchtest.Start(benchtest.Config{History: 10})
			defer server.Close()
			r := run(t)
			g := over(like(server, Subscriber, 5), server, transport, false)
			g.Recover = true
			if o := r.open(g); o.Err() != nil {
				t.Fatal(o.Err())
			}
			server.Publish("news", payload(t, 1))
			r.await("g", 5)
			r.on(func() error { return r.Leave("g") })
			for n := range uint32(3) {
				server.Publish("news", payload(t, n+2))
			}
			back := make(chan Opened, 1)
			r.on(func() error { return r.Return("g", func(o Opened) { back <- o }) })
			if o := <-back; o.Err() != nil || o.Live != 5 {
				t.Fatalf("%+v", o)
			}
			if !r.await("g", 20) {
				t.Errorf("%+v", r.stats("g"))
			}
			if st := r.stats("g"); st.Recovered != 15 || st.Lost != 0 || st.Duplicates != 0 || len(st.Closes) != 0 || len(st.Faults) != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestSlowOverHTTP(t *testing.T) {
	server := benchtest.Start(benchtest.Config{HeadMax: 20 * time.Millisecond})
	defer server.Close()
	for _, role := range []Role{SlowHead, SlowFrame} {
		r := run(t)
		g := over(like(server, role, 5), server, SSE, false)
		g.TricklePause, g.ComeBack = time.Millisecond, true
		if o := r.open(g); o.Err() != nil || o.Live != 5 {
			t.Fatalf("%+v", o)
		}
		r.until("g", func(st Stats) bool { return len(st.Closes) > 0 && st.Reopened > 0 })
	}
}

// Whatever place a response is cut at, the client goes the same way.
func TestEveryCutOfAResponse(t *testing.T) {
	for _, c := range []struct {
		transport Transport
		form      codec.Form
	}{{HTTPStream, codec.JSON}, {HTTPStream, codec.Protobuf}, {SSE, codec.JSON}, {UniSSE, codec.JSON}, {UniHTTPStream, codec.JSON}} {
		s, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer s.poll.close()
		cfg := Group{
			Name: "g", Role: Subscriber, Count: 1, Addr: "127.0.0.1:1", Protobuf: c.form == codec.Protobuf, SourceCount: 1, InFlightMax: 1,
			Patience: time.Second, PerChannel: 1, Subscribed: 1, Channels: "news", Transport: c.transport,
		}
		g, err := newGroup(s, cfg, func(Opened) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, chunked := range []bool{true, false} {
			said := wholeResponse(t, c.transport, c.form, chunked)
			for cut := 0; cut < len(said); cut++ {
				if !chunked && cut%7 != 0 { // the coding is what cuts are for
					continue
				}
				cutResponse(t, s, g, said[:cut], said[cut:])
				if g.stats.Deliveries != 3 || g.stats.Pings != 1 || len(g.stats.Faults) != 0 || g.stats.Closes["3001 shutdown"] != 1 {
					t.Fatalf("%v cut at %d of %d: %+v", c, cut, len(said), g.stats)
				}
				if len(s.halves) != 0 || g.conns[0].fd != -1 {
					t.Fatalf("%v cut at %d: leftovers", c, cut)
				}
			}
		}
	}
}

// cutResponse lets the one client of a group read a response in parts.
func cutResponse(t *testing.T, s *Swarm, g *group, parts ...[]byte) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	g.conns[0] = conn{fd: int32(pair[0]), state: stateRequesting, reader: ws.Reader{Peer: ws.FromServer}, counted: true}
	g.stats = Stats{Latency: measure.NewLatency(), Opening: measure.NewLatency()}
	if err := s.poll.add(pair[0], 0, 0, interestRead); err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if len(part) == 0 || g.conns[0].fd < 0 {
			continue
		}
		if _, err := unix.Write(pair[1], part); err != nil {
			t.Fatal(err)
		}
		g.read(0)
	}
}

// wholeResponse is a whole conn as a server says it: the head, replies, a ping, three publications of which two share a chunk, a disconnect.
func wholeResponse(t *testing.T, transport Transport, form codec.Form, chunked bool) []byte {
	t.Helper()
	said := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	if chunked {
		said += "Transfer-Encoding: chunked\r\n"
	}
	said += "\r\n"
	message := func(b []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if transport.Uni() && strings.HasPrefix(text, `{"push":`) {
			text = text[len(`{"push":`):len(text)-2] + "\n"
		}
		if transport == SSE || transport == UniSSE {
			text = ": a comment\ndata: " + text + "\n"
		}
		return text
	}
	chunk := func(messages ...string) {
		all := strings.Join(messages, "")
		if chunked {
			all = fmt.Sprintf("%x;x=y\r\n%s\r\n", len(all), all)
		}
		said += all
	}
	publication := func(n uint32) string {
		return message(codec.AppendPublication(nil, form, "news", &codec.Publication{Data: payload(t, n)}))
	}
	if transport == SSE {
		chunk("\r\n")
	}
	if transport.Uni() {
		chunk(message(codec.AppendPush(nil, form, &codec.Push{Connect: &codec.Connect{Client: "c", Subs: map[string]*codec.SubscribeResult{"news": {}}}})))
	} else {
		session := "0123abcd-0000-4000-8000-00000000000f"
		chunk(message(codec.AppendReply(nil, form, &codec.Reply{ID: 1, Connect: &codec.ConnectResult{Ping: 25, Pong: true, Session: session, Node: "n"}})))
		chunk(message(codec.AppendReply(nil, form, &codec.Reply{ID: 2, Subscribe: &codec.SubscribeResult{}})))
	}
	chunk(message(codec.AppendPing(nil, form), nil))
	chunk(publication(1), publication(2))
	chunk(publication(3))
	chunk(message(codec.AppendPush(nil, form, &codec.Push{Disconnect: &codec.DisconnectPush{Code: 3001, Reason: "shutdown"}})))
	if chunked {
		said += "0\r\n\r\n"
	}
	return []byte(said)
}

// A server that does what it should not is named.
func TestBadResponses(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer s.poll.close()
	cfg := likeAt("127.0.0.1:1", Subscriber, 1)
	cfg.Transport = HTTPStream
	g, err := newGroup(s, cfg, func(Opened) {})
	if err != nil {
		t.Fatal(err)
	}
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for said, why := range map[string]string{
		"HTTP/1.1 404 Not Found\r\n\r\n":                   "request: the server answers 404: is --transport enabled",
		"SSH-2.0-OpenSSH\r\n\r\n":                          "request: an answer that is not an HTTP/1 response",
		head + "0\r\n\r\n":                                 "the response ended while waiting for the connect reply",
		head + "x\r\n":                                     "not the body of a response: a chunk whose size",
		head + "2\r\n{]\r\n1\r\n\n\r\n":                    "an undecodable message",
		head + "1c\r\n{\"id\":1,\"connect\":{\"a\":12}}\n": "connect: the reply has no session and node",
	} {
		cutResponse(t, s, g, []byte(said))
		if len(g.stats.Closes) != 1 || !strings.HasPrefix(keyOf(g.stats.Closes), why) {
			t.Errorf("%q: %v", said, g.stats.Closes)
		}
	}
}

func keyOf(m map[string]int) string {
	for k := range m {
		return k
	}
	return ""
}

func TestTLSFailures(t *testing.T) {
	plain := benchtest.Start(benchtest.Config{})
	defer plain.Close()
	secured := benchtest.Start(benchtest.Config{TLS: true})
	defer secured.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, c := range []struct {
		name, addr string
		tls        TLS
		error      string
	}{
		{"no TLS there", plain.Addr(), TLS{Insecure: true}, "does the server speak TLS on this port?"},
		{"unknown authority", secured.Addr(), TLS{ServerName: benchtest.ServerName}, "give the --ca"},
		{"another name", secured.Addr(), TLS{ServerName: "other.test", CA: secured.CA()}, "give the --ca"},
		{"silence", silent.Addr().String(), TLS{Insecure: true}, "waiting for the TLS handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t)
			g := likeAt(c.addr, Subscriber, 3)
			g.TLS = &c.tls
			if c.name == "silence" {
				g.Patience = 50 * time.Millisecond
			}
			o := r.open(g)
			if err := o.Err(); err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("error %v", err)
			}
			r.on(func() error { return r.Close("g") })
		})
	}
	for _, version := range []string{"1.2", "1.3"} {
		r := run(t)
		g := over(like(secured, Subscriber, 2), secured, WebSocket, true)
		g.TLS.Version = version
		if o := r.open(g); o.Err() != nil {
			t.Fatal(o.Err())
		}
		if st := r.stats("g"); !strings.HasPrefix(keyOf(st.Secured), "TLS "+version) {
			t.Errorf("%v", st.Secured)
		}
	}
}

// Clients that come back resume their sessions if they are told to.
func TestResumption(t *testing.T) {
	server := benchtest.Start(benchtest.Config{TLS: true})
	defer server.Close()
	for _, resume := range []bool{false, true} {
		r := run(t)
		g := over(like(server, Subscriber, 3), server, WebSocket, true)
		g.TLS.Resume, g.InFlightMax = resume, 1
		if o := r.open(g); o.Err() != nil {
			t.Fatal(o.Err())
		}
		resumed := 0
		for text, n := range r.stats("g").Secured {
			if strings.HasSuffix(text, "resumed") {
				resumed += n
			}
		}
		if resume != (resumed > 0) {
			t.Errorf("resume=%v: %d", resume, resumed)
		}
	}
}

func TestHandshakers(t *testing.T) {
	server := benchtest.Start(benchtest.Config{TLS: true})
	r := run(t)
	g := over(like(server, Handshaker, 8), server, WebSocket, true)
	if o := r.open(g); o.Err() != nil || o.Live != 0 {
		t.Fatalf("%+v", o)
	}
	r.on(func() error { return r.Shake("g", 500) })
	st := r.until("g", func(st Stats) bool { return st.Shaken > 50 })
	r.on(func() error { return r.Shake("g", 0) })
	if len(st.Closes) != 0 || sumOf(st.Secured) != int(st.Shaken) {
		t.Errorf("%+v", st)
	}
	r.on(func() error {
		if r.Shake("x", 1) == nil || r.Shake("g", -1) == nil {
			return fmt.Errorf("nonsense was taken")
		}
		return nil
	})
	again := over(like(server, Handshaker, 8), server, WebSocket, true)
	again.Name, again.TLS.Resume = "again", true
	r.open(again)
	r.on(func() error { return r.Shake("again", 500) })
	r.until("again", func(st Stats) bool {
		for text, n := range st.Secured {
			if strings.HasSuffix(text, "resumed") && n > 20 {
				return true
			}
		}
		return false
	})
	r.on(func() error { return r.Close("again") })
	// A server that goes is counted.
	server.Close()
	r.on(func() error { return r.Shake("g", 500) })
	r.until("g", func(st Stats) bool { return len(st.Closes) > 0 })
}

// A swarm that ends in the middle of handshakes waits for none of them.
func TestEndWhileShaking(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run() }()
	g := likeAt(silent.Addr().String(), Subscriber, 5)
	g.TLS = &TLS{Insecure: true}
	opened := make(chan Opened, 1)
	s.Do(func() { _ = s.Open(g, func(o Opened) { opened <- o }) })
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	defer cancel()
	for running := 0; running < 5 && ctx.Err() == nil; {
		asked := make(chan int)
		s.Do(func() { asked <- s.shakes.running })
		running = <-asked
	}
	s.Do(func() { _ = s.Close("g") })
	if o := <-opened; o.Errors["closed by the generator"] != 1 {
		t.Errorf("%+v", o)
	}
	for running := 5; running > 0; {
		if ctx.Err() != nil {
			t.Fatalf("%d handshakes go on", running)
		}
		asked := make(chan int)
		s.Do(func() { asked <- s.shakes.running })
		running = <-asked
	}
	s.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTransportChecks(t *testing.T) {
	for _, edit := range []func(*Group){
		func(g *Group) { g.Role, g.Transport = Requester, UniSSE },
		func(g *Group) { g.Role, g.Transport, g.Request = Requester, SSE, Ping },
		func(g *Group) { g.Transport, g.Protobuf = SSE, true },
		func(g *Group) { g.Role, g.Transport = Upgrader, HTTPStream },
		func(g *Group) { g.Role = Handshaker },
	} {
		g := likeAt("127.0.0.1:1", Subscriber, 1)
		edit(&g)
		if g.Check() == nil {
			t.Errorf("%+v was taken", g)
		}
	}
	if _, err := ParseTransport("pigeon"); err == nil {
		t.Error("a pigeon was taken")
	}
	for _, text := range []string{"0123abcd-0000-4000-8000-00000000000f", "0123abcd000040008000ffffffffffff"} {
		if s, dashes, ok := parseSession(text); !ok || string(s.append(nil, dashes)) != text {
			t.Errorf("%s: %v %v", text, s, ok)
		}
	}
	for _, text := range []string{"", "x", "0123ABCD-0000-4000-8000-00000000000f", "0123abcd+0000-4000-8000-00000000000f", strings.Repeat("x", 36)} {
		if _, _, ok := parseSession(text); ok {
			t.Errorf("%q was packed", text)
		}
	}
}
