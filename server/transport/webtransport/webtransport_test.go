package webtransport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/webtransport-go"

	"stentor/codec"
	"stentor/server/config"
	"stentor/server/pipetest"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
)

func subscribe(channel string) codec.Command {
	return codec.Command{Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: channel}}
}

var connect = codec.Command{Method: codec.MethodConnect}

// TestConversation: commands and publications, in both forms, until the server ends it.
func TestConversation(t *testing.T) {
	for _, form := range []codec.Form{codec.JSON, codec.Protobuf} {
		t.Run(form.String(), func(t *testing.T) {
			h := open(t, pipetest.Config{}, nil)
			all := commandsOf(t, form, connect, subscribe("news"), subscribe("sport"))
			c := h.connect(form, all[:len(all)/2])
			time.Sleep(10 * time.Millisecond) // the rest comes in a packet of its own
			c.say(all[len(all)/2:])
			c.expectConnect()
			c.expect("a subscribe reply", func(r codec.Reply) bool { return r.ID == 2 && r.Subscribe != nil })
			c.expect("a subscribe reply", func(r codec.Reply) bool { return r.ID == 3 && r.Subscribe != nil })
			for n := range 10 {
				h.Publish("news", fmt.Sprint(n))
				c.expectPub(fmt.Sprint(n))
			}
			h.Disconnect(codec.DisconnectForceReconnect)
			c.expectDisconnect(3011)
			if n := h.Ended(3011); n != 1 {
				t.Errorf("%d clients were counted out with 3011", n)
			}
		})
	}
}

// TestPings: a pong that comes keeps the client, one that does not ends it.
func TestPings(t *testing.T) {
	h := open(t, pipetest.Config{Config: func(c *config.Config) {
		c.Client.PingInterval, c.Client.PongTimeout = config.Duration(400*time.Millisecond), config.Duration(200*time.Millisecond)
	}}, nil)
	c := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect))
	if _, err := c.hear(); err != nil {
		t.Fatal(err)
	}
	ping := func(r codec.Reply) bool { return r.ID == 0 && r.Push == nil && r.Connect == nil }
	for range 3 {
		c.expect("a ping", ping)
		c.say("{}\n")
	}
	c.expect("a ping", ping)
	c.expectDisconnect(3012)
}

// TestBadInput ends a client with a word, and nobody else.
func TestBadInput(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	good := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect, subscribe("news")))
	good.expectConnect()
	if _, err := good.hear(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		form codec.Form
		say  string
	}{
		{codec.JSON, "nonsense\n"},
		{codec.JSON, "\n"},
		{codec.JSON, `{"id":1,"subscribe":{"channel":"news"}}` + "\n"},
		{codec.JSON, strings.Repeat("x", 1001)},
		{codec.JSON, "{}" + strings.Repeat(" ", 1000) + "\n"},
		{codec.JSON, strings.Repeat("x", 100_000)},
		{codec.Protobuf, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		{codec.Protobuf, "\xff\xff\xff\xff\x0f"},
		{codec.Protobuf, "\xe9\x07"},
		{codec.Protobuf, "\x03abc"},
		{codec.Protobuf, "\x00"},
	} {
		session, _ := h.dial("?cf_protocol="+tt.form.String(), nil)
		c := h.speak(session, tt.form, "")
		_, _ = c.Write([]byte(tt.say)) // the server may have had enough before all is written
		c.expectDisconnect(3501)
	}
	h.Publish("news", "1")
	good.expectPub("1")
}

// TestEnds: clients go in every way they can.
func TestEnds(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.LingerTimeout = 100 * time.Millisecond })
	for name, end := range map[string]func(c *client){
		"the stream ends":            func(c *client) { c.Close() },
		"the stream is reset":        func(c *client) { c.CancelWrite(1) },
		"nobody reads any more":      func(c *client) { c.CancelRead(1) },
		"the session is closed":      func(c *client) { c.session.CloseWithError(7, "bye") },
		"half a command, then close": func(c *client) { c.say(`{"id":3,`); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect, subscribe("news")))
			c.expectConnect()
			end(c)
			h.Eventually("the client is gone", func() bool { return h.Node.Clients() == 0 && h.Pipes.Conns() == 0 })
		})
	}
}

// TestRefused: with a status, before there is a session.
func TestRefused(t *testing.T) {
	h := open(t, pipetest.Config{Origins: []string{"https://example.com"}, Gate: func(c *gate.Config) { c.ConnectionsMax = 1 }}, nil)
	for origin, status := range map[string]int{"https://evil.example": 403, "https://example.com": 200, "": 200} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		session, got := h.dial("", header)
		if got != status {
			t.Errorf("origin %q: status %d, want %d", origin, got, status)
		}
		if session != nil {
			_ = session.CloseWithError(0, "")
		}
	}
	c := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect))
	c.expectConnect()
	if _, status := h.dial("", nil); status != 503 {
		t.Errorf("status %d over the limit", status)
	}
	if r, _, _ := h.dialer().Dial(t.Context(), "https://"+h.addr+"/other", nil); r == nil || r.StatusCode != 404 {
		t.Errorf("another path: %v", r)
	}
}

// TestFull: a client that there is no place for any more hears nothing but the end.
func TestFull(t *testing.T) {
	h := open(t, pipetest.Config{Pipes: func(c *pipe.Config) { c.ConnsMax = 1 }}, nil)
	a := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect))
	a.expectConnect()
	session, _ := h.dial("", nil)
	h.expectNothing(session)
}

// TestLimitLater: sessions that were there before others took the last place do not pass the limit when they begin to speak.
func TestLimitLater(t *testing.T) {
	for name, limit := range map[string]func(*gate.Config){
		"of all":        func(c *gate.Config) { c.ConnectionsMax = 1 },
		"of an address": func(c *gate.Config) { c.PerAddressMax = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, pipetest.Config{Gate: limit}, nil)
			first, status1 := h.dial("", nil)
			second, status2 := h.dial("", nil)
			if status1 != 200 || status2 != 200 {
				t.Fatalf("statuses %d and %d", status1, status2)
			}
			h.speak(first, codec.JSON, commandsOf(t, codec.JSON, connect)).expectConnect()
			h.expectNothing(second)
			if _, byLimit, byAddress := h.Gate.Refused(); byLimit+byAddress != 1 {
				t.Errorf("%d and %d are counted as refused", byLimit, byAddress)
			}
		})
	}
}

// TestNoStream: a session without a stream does not last.
func TestNoStream(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.StreamTimeout = 100 * time.Millisecond })
	session, _ := h.dial("", nil)
	select {
	case <-session.Context().Done():
	case <-time.After(pipetest.WaitMax):
		t.Error("the session goes on")
	}
}

// TestDraining: newcomers are sent away.
func TestDraining(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	h.Draining.Store(true)
	h.connect(codec.JSON, "").expectDisconnect(3001)
}

// TestStop: clients that are there are gone, in whatever they were about.
func TestStop(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	speaking := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect))
	speaking.expectConnect()
	silent, _ := h.dial("", nil)
	half := h.connect(codec.JSON, `{"id":1,`)
	h.Eventually("two are there", func() bool { return h.Pipes.Conns() == 2 })
	h.server.Stop()
	for _, s := range []*webtransport.Session{speaking.session, silent, half.session} {
		select {
		case <-s.Context().Done():
		case <-time.After(pipetest.WaitMax):
			t.Error("a session goes on")
		}
	}
	h.Eventually("all are gone", func() bool { return h.Pipes.Conns() == 0 && h.server.Conns() == 0 })
}

// TestSlow: a client that does not read is ended, and nobody else has to wait for it.
func TestSlow(t *testing.T) {
	h := open(t, pipetest.Config{Pipes: func(c *pipe.Config) {
		c.QueueBytesMax, c.WriteTimeout, c.CloseTimeout = 64<<10, 300*time.Millisecond, 300*time.Millisecond
	}}, nil)
	all := commandsOf(t, codec.JSON, connect, subscribe("news"))
	good, slow := h.connect(codec.JSON, all), h.connect(codec.JSON, all)
	good.expectConnect()
	slow.expectConnect()
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			if _, err := good.hear(); err != nil {
				return
			}
		}
	})
	data := `"` + strings.Repeat("x", 20_000) + `"`
	h.Eventually("the slow one is gone", func() bool {
		h.Publish("news", data)
		return h.Node.Clients() == 1
	})
	if s := h.Reactor.Stats(); s.Slow+s.WriteErrors != 1 {
		t.Errorf("%d slow clients are counted and %d write errors", s.Slow, s.WriteErrors)
	}
	_ = good.session.CloseWithError(0, "")
	reading.Wait()
}

// TestUnread: what a client sends besides its stream is not read, and is bounded: it does not keep the client from being served.
func TestUnread(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	c := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect, subscribe("news")))
	c.expectConnect()
	c.expect("a subscribe reply", func(r codec.Reply) bool { return r.Subscribe != nil })
	for range 1000 {
		_ = c.session.SendDatagram(make([]byte, 1000))
	}
	streams := 0
	for ; streams < 2*streamsMax; streams++ {
		s, err := c.session.OpenStream()
		if err != nil {
			break
		}
		if _, err := s.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	uni := 0
	for ; uni < 2*uniStreamsMax; uni++ {
		s, err := c.session.OpenUniStream()
		if err != nil {
			break
		}
		if _, err := s.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if streams > streamsMax || uni > uniStreamsMax {
		t.Errorf("%d streams, and %d one way", streams, uni)
	}
	if h.Node.Clients() != 1 || h.Pipes.Conns() != 1 {
		t.Errorf("%d clients on %d pipes", h.Node.Clients(), h.Pipes.Conns())
	}
	h.Publish("news", "1")
	c.expectPub("1")
}

// TestFlood: a client that sends more than it is answered is slowed down, and ended when it does not read.
func TestFlood(t *testing.T) {
	h := open(t, pipetest.Config{Pipes: func(c *pipe.Config) {
		c.QueueBytesMax, c.WriteTimeout, c.CloseTimeout = 32<<10, 300*time.Millisecond, 300*time.Millisecond
	}}, nil)
	c := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect))
	c.expectConnect()
	flood := []byte(strings.Repeat(`{"id":7,"rpc":{"method":"nothing"}}`+"\n", 100))
	_ = c.SetWriteDeadline(time.Now().Add(pipetest.WaitMax))
	for {
		if _, err := c.Write(flood); err != nil {
			break
		}
	}
	h.Eventually("it is gone", func() bool { return h.Node.Clients() == 0 })
}

// TestConns: connections over the limit are refused, and their places come free.
func TestConns(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.ConnsMax = 2 })
	ctx, cancel := context.WithTimeout(t.Context(), pipetest.WaitMax)
	defer cancel()
	dial := func() (*quic.Conn, error) { return quic.DialAddr(ctx, h.addr, h.client, &quic.Config{}) }
	a, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	b, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := dial(); err == nil {
		t.Errorf("a third connection: %v", c.RemoteAddr())
	}
	if h.server.Refused() == 0 {
		t.Error("nobody was counted as refused")
	}
	_ = a.CloseWithError(0, "")
	h.Eventually("a place comes free", func() bool { return h.server.Conns() < 2 })
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	_ = b.CloseWithError(0, "")
	_ = c.CloseWithError(0, "")
	h.Eventually("all places are free", func() bool { return h.server.Conns() == 0 })
}

// TestIdle: a connection without a request does not last, though its client keeps it alive and has begun streams. One with a request
// does.
func TestIdle(t *testing.T) {
	h := open(t, pipetest.Config{}, func(c *Config) { c.IdleTimeout = 2 * time.Second })
	busy := h.connect(codec.JSON, commandsOf(t, codec.JSON, connect))
	busy.expectConnect()
	ctx, cancel := context.WithTimeout(t.Context(), pipetest.WaitMax)
	defer cancel()
	all := map[string]*quic.Conn{}
	for name, begin := range map[string]string{
		"nothing":                   "",
		"one byte":                  "\x01",
		"half a head":               "\x01\x40\x64half",
		"half a stream's beginning": "\x40\x41",
		"a stream of no session":    "\x40\x41\x04hello",
		"a frame of no meaning":     "\x40\x21\x01x",
	} {
		c, err := quic.DialAddr(ctx, h.addr, h.client, h.quic())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			stream, err := c.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			if begin == "" {
				continue
			}
			if _, err := stream.Write([]byte(begin)); err != nil {
				t.Fatal(err)
			}
		}
		all[name] = c
	}
	for name, c := range all {
		select {
		case <-c.Context().Done():
		case <-ctx.Done():
			t.Errorf("%s: the connection goes on", name)
		}
		_ = c.CloseWithError(0, "")
	}
	busy.say(`{"id":2,"rpc":{}}` + "\n") // it has been there for longer than all of them
	busy.expect("an answer", func(r codec.Reply) bool { return r.ID == 2 })
}

// TestPackets: what is not QUIC, or only begins, takes nothing for long.
func TestPackets(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	u, err := net.Dial("udp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for n := range 2000 {
		_, _ = u.Write([]byte(strings.Repeat(string(rune(n%256)), 1+n%1400)))
	}
	if n := h.server.Conns(); n != 0 {
		t.Errorf("%d connections", n)
	}
	if s, err := h.get("/page"); s != "HTTP/3.0 /page" {
		t.Errorf("%q (%v)", s, err)
	}
}

// TestAnnounce: answers over TLS tell that there is HTTP/3.
func TestAnnounce(t *testing.T) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, secure := range []bool{true, false} {
		s := httptest.NewUnstartedServer(Announce(443, nothing))
		want := ""
		if s.Start(); secure {
			s.Close()
			s = httptest.NewTLSServer(Announce(443, nothing))
			want = `h3=":443"; ma=86400`
		}
		r, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if got := r.Header.Get("Alt-Svc"); got != want {
			t.Errorf("secure %v: %q", secure, got)
		}
		s.Close()
	}
}

// TestMany: what clients cost, and that all of them get everything in order.
func TestMany(t *testing.T) {
	h := open(t, pipetest.Config{}, nil)
	const clients, messages = 100, 10
	before := pipetest.Measure()
	var all []*client
	for range clients {
		all = append(all, h.connect(codec.JSON, commandsOf(t, codec.JSON, connect, subscribe("news"))))
	}
	for _, c := range all {
		c.expectConnect()
		c.expect("a subscribe reply", func(r codec.Reply) bool { return r.Subscribe != nil })
	}
	t.Logf("a client with a connection of its own, both ends together: %s", pipetest.Measure().Each(clients, before))
	for n := range messages {
		h.Publish("news", fmt.Sprint(n))
	}
	var reading sync.WaitGroup
	for _, c := range all {
		reading.Go(func() {
			for n := range messages {
				r, err := c.hear()
				if err != nil || r.Push == nil || r.Push.Pub == nil || string(r.Push.Pub.Data) != fmt.Sprint(n) {
					t.Errorf("%+v (%v), want %d", r, err, n)
					return
				}
			}
			_ = c.session.CloseWithError(0, "")
		})
	}
	reading.Wait()
}
