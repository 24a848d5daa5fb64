package talk

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// enter opens a client on any transport, and returns the status of the answer and how to go.
func (h *house) enter(t *testing.T, path string) (status int, leave func()) {
	t.Helper()
	if strings.HasSuffix(path, "websocket") {
		conn, resp, err := websocket.DefaultDialer.Dial("ws://"+h.addr+path, nil)
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode, func() {
			if conn != nil {
				conn.Close()
			}
		}
	}
	req, err := http.NewRequest(http.MethodPost, h.url(path), strings.NewReader(connectCommand))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, func() { resp.Body.Close() }
}

var everyPath = []string{"/connection/websocket", "/connection/uni_websocket", httpStream, sse, uniHTTPStream, uniSSE}

// TestLimits: the limits of connections hold for all transports together, and requests without a stream do not count.
func TestLimits(t *testing.T) {
	for _, limit := range []string{"connection_limit", "connection_limit_per_ip"} {
		t.Run(limit, func(t *testing.T) {
			h := open(t, `{"client":{"insecure":true,"`+limit+`":6}}`)
			var leave []func()
			for _, path := range everyPath {
				status, f := h.enter(t, path)
				if status != 101 && status != 200 {
					t.Fatalf("%s: status %d", path, status)
				}
				leave = append(leave, f)
			}
			for _, path := range everyPath {
				if status, f := h.enter(t, path); status != 503 {
					t.Errorf("%s: status %d over the limit", path, status)
					f()
				}
			}
			for range 10 {
				if resp, _ := h.ask(t, "POST", emulation, `{"node":"x"}`); resp.StatusCode != 404 {
					t.Errorf("emulation: %s", resp.Status)
				}
			}
			for i, path := range everyPath { // each gives its place to another
				leave[i]()
				for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
					status, f := h.enter(t, everyPath[(i+1)%len(everyPath)])
					if status != 503 {
						leave[i] = f
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("%s gave no place back", path)
					}
				}
			}
			for _, f := range leave {
				f()
			}
		})
	}
	t.Run("connection_rate_limit", func(t *testing.T) {
		h := open(t, `{"client":{"insecure":true,"connection_rate_limit":6}}`)
		refused := 0
		for range 2 {
			for _, path := range everyPath {
				status, f := h.enter(t, path)
				defer f()
				if status == 503 {
					refused++
				}
			}
		}
		if refused < 4 { // one place comes back each second
			t.Errorf("%d refused of 12 that came at once", refused)
		}
	})
}

// TestDraining: those who come while the server says goodbye are told so, on each transport in its own way.
func TestDraining(t *testing.T) {
	h := open(t, `{"client":{"insecure":true},"shutdown":{"timeout":"20s"}}`)
	// A client that does not answer the close frame keeps the server until it is not waited for any more.
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+h.addr+"/connection/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(connectCommand)); err != nil {
		t.Fatal(err)
	}
	conn.SetCloseHandler(func(int, string) error { return nil })
	h.stop()
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if !websocket.IsCloseError(err, 3001) {
		t.Fatal(err)
	}
	for path, begin := range map[string]string{
		httpStream:    `{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}` + "\n",
		sse:           "\r\ndata: " + `{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}` + "\n\n",
		uniHTTPStream: `{"disconnect":{"code":3001,"reason":"shutdown"}}` + "\n",
		uniSSE:        "\r\ndata: " + `{"disconnect":{"code":3001,"reason":"shutdown"}}` + "\n\n",
	} {
		req, err := http.NewRequest(http.MethodPost, h.url(path), strings.NewReader(connectCommand))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := new(http.Transport).RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text, err := io.ReadAll(bufio.NewReader(resp.Body))
		if resp.Body.Close(); err != nil || string(text) != begin {
			t.Errorf("%s: %q (%v)", path, text, err)
		}
	}
	for _, path := range everyPath[:2] {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+h.addr+path, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for err == nil {
			_, _, err = c.ReadMessage()
		}
		if c.Close(); !websocket.IsCloseError(err, 3001) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
