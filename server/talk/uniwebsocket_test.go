package talk

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// listener is a client of uni_websocket that sees each frame.
type listener struct {
	t     *testing.T
	conn  *websocket.Conn
	pings int
}

// listens connects one. What it has to say goes into the query, or into its first message.
func (h *house) listens(t *testing.T, connect string, inQuery bool) *listener {
	t.Helper()
	target := "ws://" + h.addr + "/connection/uni_websocket"
	if inQuery {
		target += "?cf_connect=" + url.QueryEscape(connect)
	}
	d := websocket.Dialer{EnableCompression: true}
	conn, _, err := d.Dial(target, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, conn: conn}
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { l.pings++; return pong(data) })
	if !inQuery {
		l.say(connect)
	}
	return l
}

func (l *listener) say(text string) {
	l.t.Helper()
	if err := l.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		l.t.Fatal(err)
	}
}

// frame reads one frame and expects it to begin so.
func (l *listener) frame(begin string) string {
	l.t.Helper()
	kind, text, err := l.conn.ReadMessage()
	if err != nil || kind != websocket.TextMessage || !strings.HasPrefix(string(text), begin) {
		l.t.Fatalf("%q (%v), want %s…", text, err, begin)
	}
	return string(text)
}

// TestUniWebSocketFrames: each push has a frame of its own, unless they may be joined.
func TestUniWebSocketFrames(t *testing.T) {
	for _, tt := range []struct{ name, options string }{
		{"apart", `{}`}, {"joined", `{"join_push_messages":true}`},
		{"apart, compressed", `{"compression":true}`}, {"joined, compressed", `{"compression":true,"join_push_messages":true}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, `{"uni_websocket":`+tt.options+`}`)
			l := h.listens(t, `{"token":"`+sign(t, "42", `channels=["a","b"]`)+`"}`, strings.Contains(tt.name, "compressed"))
			l.frame(`{"connect":{"client":`)
			long := strings.Repeat("long ", 100)
			body := `{"channel":"a","data":"` + long + `"}`
			h.call("batch", `{"commands":[{"publish":`+body+`},{"publish":`+body+`},{"publish":`+body+`}]}`)
			pushes := 0
			for frames := 0; pushes < 3; frames++ {
				frame := l.frame(`{"channel":"a","pub":{"data":"long `)
				n := strings.Count(frame, `"pub"`)
				if pushes += n; n > 1 && !strings.Contains(tt.name, "joined") || n != strings.Count(frame, "\n")+1 {
					t.Errorf("%d pushes in a frame", n)
				}
			}
			l.say("what a client has to say that only listens is nothing")
			l.say(`{"id":1,"subscribe":{"channel":"c"}}`)
			h.publish("a", `1`)
			l.frame(`{"channel":"a","pub":{"data":1}}`)
		})
	}
}

// TestUniWebSocketEnds: a push and a close frame say why it ends, as far as they are wanted.
func TestUniWebSocketEnds(t *testing.T) {
	for _, tt := range []struct {
		options     string
		push, frame bool
	}{
		{`{}`, true, true},
		{`{"disable_disconnect_push":true}`, false, true},
		{`{"disable_closing_handshake":true}`, true, false},
		{`{"disable_disconnect_push":true,"disable_closing_handshake":true}`, false, false},
	} {
		t.Run(tt.options, func(t *testing.T) {
			h := open(t, `{"uni_websocket":`+tt.options+`}`)
			for _, inQuery := range []bool{false, true} {
				l := h.listens(t, `{"token":"`+sign(t, "42")+`"}`, inQuery)
				l.frame(`{"connect":`)
				h.call("disconnect", `{"user":"42"}`)
				l.ends(3503, "force disconnect", tt.push, tt.frame)
				l = h.listens(t, `{"token":"nonsense"}`, inQuery)
				l.ends(3500, "invalid token", tt.push, tt.frame)
				l = h.listens(t, `nonsense`, inQuery)
				l.ends(3501, "bad request", tt.push, tt.frame)
			}
		})
	}
}

func (l *listener) ends(code int, reason string, push, frame bool) {
	l.t.Helper()
	if push {
		l.frame(`{"disconnect":{"code":`)
	}
	_, text, err := l.conn.ReadMessage()
	closed, told := err.(*websocket.CloseError)
	switch {
	case len(text) > 0:
		l.t.Errorf("%q behind the end", text)
	case !frame && told && closed.Code != websocket.CloseAbnormalClosure:
		l.t.Errorf("a close frame: %v", closed)
	case frame && (!told || closed.Code != code || closed.Text != reason):
		l.t.Errorf("ended with %v, want close %d", err, code)
	}
	l.conn.Close()
}

// TestUniWebSocketSlow: a push and a close frame say it also where it is the loop that ends a client, which takes no more.
func TestUniWebSocketSlow(t *testing.T) {
	for _, options := range []string{`{}`, `{"disable_disconnect_push":true}`} {
		h := open(t, `{"uni_websocket":`+options+`,"client":{"insecure":true}}`)
		l := h.listens(t, `{"subs":{"slow":{}}}`, false)
		l.frame(`{"connect":`)
		data := `"` + strings.Repeat("x", 100_000) + `"`
		for i := 0; h.clients() > 0; i++ {
			if i > 1000 {
				t.Fatal("never too slow")
			}
			h.publish("slow", data)
		}
		last, text, err := []byte(nil), []byte(nil), error(nil)
		for err == nil {
			last = text
			_, text, err = l.conn.ReadMessage()
		}
		if told := string(last) == `{"disconnect":{"code":3008,"reason":"slow"}}`; told != (options == `{}`) {
			t.Errorf("%s: the last push is %.100s", options, last)
		}
		if !websocket.IsCloseError(err, 3008) {
			t.Errorf("%s: ended with %v", options, err)
		}
	}
}

// TestUniWebSocketPings: there are pings for the client's code and pings of WebSocket. Who does not answer those is gone.
func TestUniWebSocketPings(t *testing.T) {
	h := open(t, `{"client":{"ping_interval":"1s","pong_timeout":"500ms"}}`)
	l := h.listens(t, `{"token":"`+sign(t, "42")+`"}`, false)
	if text := l.frame(`{"connect":`); !strings.Contains(text, `"ping":1`) || strings.Contains(text, "pong") {
		t.Errorf("%s", text)
	}
	for range 2 {
		if text := l.frame(`{}`); text != "{}" {
			t.Errorf("%s", text)
		}
	}
	if l.pings < 1 {
		t.Error("there is no ping of WebSocket beside that of the protocol")
	}
	l.conn.SetPingHandler(func(string) error { return nil })
	for {
		_, text, err := l.conn.ReadMessage()
		if websocket.IsCloseError(err, 3012) {
			return
		}
		if err != nil || !bytes.Equal(text, []byte("{}")) && !strings.HasPrefix(string(text), `{"disconnect":{"code":3012`) {
			t.Fatalf("%q (%v), want close 3012", text, err)
		}
	}
}
