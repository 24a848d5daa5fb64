package websocket

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/server/pipetest"
)

// compressing is a house whose endpoint compresses.
func compressing(t testing.TB) *house {
	return open(t, pipetest.Config{}, func(c *Config) { c.Compression = true })
}

// dialGorilla connects another library's client, which counts what comes over the wire.
func (h *house) dialGorilla(subprotocol string) (*websocket.Conn, *http.Response, *counter) {
	h.t.Helper()
	wire := new(counter)
	d := websocket.Dialer{EnableCompression: true, NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		wire.Conn = conn
		return wire, err
	}}
	if subprotocol != "" {
		d.Subprotocols = []string{subprotocol}
	}
	c, resp, err := d.Dial("ws://"+h.Reactor.Addr().String()+"/ws", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(pipetest.WaitMax)); err != nil {
		h.t.Fatal(err)
	}
	return c, resp, wire
}

// counter is a conn that counts what was read.
type counter struct {
	net.Conn
	read int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += n
	return n, err
}

// TestCompression: a client of another library, both ways, in both forms.
func TestCompression(t *testing.T) {
	h := compressing(t)
	for form, subprotocol := range map[codec.Form]string{codec.JSON: "centrifuge-json", codec.Protobuf: "centrifuge-protobuf"} {
		c, resp, wire := h.dialGorilla(subprotocol)
		const want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != want {
			t.Fatalf("extensions %q", got)
		}
		kind := websocket.TextMessage
		if form == codec.Protobuf {
			kind = websocket.BinaryMessage
		}
		channel := "room-" + strings.Repeat("long", 20)
		var msg []byte
		for _, cmd := range []*codec.Command{
			{ID: 1, Method: codec.MethodConnect},
			{ID: 2, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: channel}},
		} {
			var err error
			if msg, err = codec.AppendCommand(msg, form, cmd); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.WriteMessage(kind, msg); err != nil {
			t.Fatal(err)
		}
		if got := hearGorilla(t, c, form, 2); got[0].Connect == nil || got[1].Subscribe == nil {
			t.Fatalf("heard %+v", got)
		}
		for round := range 3 { // no message refers to one before it
			data := `"` + strings.Repeat("news ", 2000+round) + `"`
			before := wire.read
			h.Publish(channel, data)
			if got := hearGorilla(t, c, form, 1); got[0].Push == nil || string(got[0].Push.Pub.Data) != data {
				t.Fatalf("heard %.200v", got)
			}
			if took := wire.read - before; took > len(data)/10 {
				t.Errorf("%d bytes took %d on the wire", len(data), took)
			}
		}
		if err := c.WriteMessage(kind, []byte(strings.Repeat(" ", 100_000))); err != nil { // compressed it is within the limit
			t.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 3501) {
			t.Errorf("ended with %v", err)
		}
	}
}

func hearGorilla(t *testing.T, c *websocket.Conn, f codec.Form, n int) (all []codec.Reply) {
	t.Helper()
	for len(all) < n {
		_, msg, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		for len(msg) > 0 {
			var r codec.Reply
			if msg, err = codec.DecodeReply(f, msg, &r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

// TestCompressionIsAnOffer: without one, and where it is off, frames are plain.
func TestCompressionIsAnOffer(t *testing.T) {
	offer := "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	for name, tt := range map[string]struct {
		h     *house
		offer string
	}{"not offered": {compressing(t), ""}, "turned off": {open(t, pipetest.Config{}, nil), offer}} {
		t.Run(name, func(t *testing.T) {
			c := tt.h.dial(ws.ClientRequest{Header: tt.offer})
			if c.status != 101 {
				t.Fatalf("status %d; a 101 may not name an extension here", c.status)
			}
			c.say(ws.OpText, connectJSON+"\n"+`{"id":2,"subscribe":{"channel":"news"}}`)
			if _, payload, err := c.hear(); err != nil || !strings.HasPrefix(payload, `{"id":1,`) {
				t.Fatalf("heard %q (%v)", payload, err)
			}
			data := `"` + strings.Repeat("news ", 1000) + `"`
			tt.h.Publish("news", data)
			if _, payload, err := c.hear(); err != nil || !strings.Contains(payload, data) {
				t.Errorf("heard %.100q (%v)", payload, err)
			}
		})
	}
}

// TestDeflatedOnce: however many conns take a frame compressed, it is made once, and handing it out allocates nothing.
func TestDeflatedOnce(t *testing.T) {
	buf := append(make([]byte, codec.HeaderRoom), strings.Repeat(`{"push":{"channel":"news"}}`+"\n", 20)...)
	f := codec.NewFrame(codec.JSON, buf)
	one, other := ws.NewDeflater(1, 0), ws.NewDeflater(1, 0)
	first := f.Deflated(one)
	if len(first) >= len(f.WebSocket()) {
		t.Fatal("nothing was compressed")
	}
	if again := f.Deflated(other); &again[0] != &first[0] {
		t.Error("it was compressed again")
	}
	if n := testing.AllocsPerRun(100, func() { f.Deflated(other) }); n > 0 {
		t.Errorf("%v allocations for each conn", n)
	}
	short := codec.NewFrame(codec.JSON, append(make([]byte, codec.HeaderRoom), "{}\n"...))
	for range 2 {
		if got := short.Deflated(one); &got[0] != &short.WebSocket()[0] {
			t.Error("what does not get smaller is not sent as it is")
		}
	}
}
