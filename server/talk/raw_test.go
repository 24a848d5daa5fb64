package talk

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw opens a socket and says what a client without a library would.
func (h *house) raw(t *testing.T, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestHTTP10: a client that does not know chunks gets its stream without them.
func TestHTTP10(t *testing.T) {
	h := open(t, `{"client":{"insecure":true}}`)
	for request, want := range map[string]string{
		"GET " + uniSSE + " HTTP/1.0\r\n\r\n": "\r\ndata: {\"connect\":{",
		fmt.Sprintf("POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", httpStream, len(connectCommand), connectCommand): `{"id":1,"connect":{`,
	} {
		conn := h.raw(t, request)
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 200 || len(resp.TransferEncoding) > 0 || resp.ContentLength >= 0 {
			t.Fatalf("%+v (%v)", resp, err)
		}
		begin := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, begin); err != nil || string(begin) != want {
			t.Errorf("%q (%v)", begin, err)
		}
		h.call("disconnect", `{"user":""}`)
		rest, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(rest), `"disconnect":{"code":3503,`) {
			t.Errorf("%q (%v)", rest, err)
		}
		conn.Close()
	}
}

// TestSlow: who does not take what it is owed is told so behind the message that has begun, and then the stream ends as it should.
func TestSlow(t *testing.T) {
	h := open(t, `{"client":{"insecure":true}}`)
	for path, farewell := range map[string]string{
		httpStream:    `{"push":{"disconnect":{"code":3008,"reason":"slow"}}}` + "\n",
		sse:           "data: " + `{"push":{"disconnect":{"code":3008,"reason":"slow"}}}` + "\n\n",
		uniHTTPStream: `{"disconnect":{"code":3008,"reason":"slow"}}` + "\n",
		uniSSE:        "data: " + `{"disconnect":{"code":3008,"reason":"slow"}}` + "\n\n",
	} {
		channel := "slow" + strings.ReplaceAll(path, "/", "-")
		body := `{"id":1,"connect":{"subs":{"` + channel + `":{}}}}`
		if strings.Contains(path, "uni") {
			body = `{"subs":{"` + channel + `":{}}}`
		}
		conn := h.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
		resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%+v (%v)", resp, err)
		}
		in := bufio.NewReader(resp.Body)
		for line := ""; !strings.Contains(line, `"connect":{`); {
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		data := `"` + strings.Repeat("x", 100_000) + `"`
		for i := 0; h.clients() > 0; i++ {
			if i > 1000 {
				t.Fatalf("%s: never too slow", path)
			}
			h.publish(channel, data)
		}
		all, err := io.ReadAll(in)
		if err != nil || !bytes.HasSuffix(all, []byte(farewell)) {
			t.Errorf("%s: %d bytes that end with %q (%v)", path, len(all), all[max(0, len(all)-100):], err)
		}
		if n := bytes.Count(all, []byte(`"pub"`)); n == 0 || bytes.Count(all, []byte(data)) != n {
			t.Errorf("%s: %d publications, not all of them whole", path, n)
		}
		conn.Close()
	}
}
