package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stentor/codec"
)

// smuggled is a request that must never be carried out: it stands where only a server that reads the request before it in another
// way than everyone else would see a request.
var smuggled = post("/api/publish", `{"channel":"smuggled","data":"yes"}`)

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s", path, apiKey, len(body), body)
}

// chunked is a request of the API whose body is the rest of the text.
const chunked = "POST /api/info HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + apiKey + "\r\nTransfer-Encoding: chunked\r\n"

// badHead is a request that the server must not carry out, and nothing behind it.
type badHead struct{ name, request string }

// badHeads makes them; a variable of this size would hide what the server keeps.
func badHeads() []badHead {
	return []badHead{
		{"request line of 1 MB", "GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"10,000 headers", "GET /health HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 10_000) + "\r\n"},
		{"header of 64 KB", "GET /health HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"},
		{"NUL in the target", "GET /health\x00 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"NUL in a name", "GET /health HTTP/1.1\r\nHost: a\r\nX\x00Y: z\r\n\r\n"},
		{"NUL in a value", "GET /health HTTP/1.1\r\nHost: a\r\nX: y\x00z\r\n\r\n"},
		{"bare CR in the request line", "GET /health\rHTTP/1.1\r\nHost: a\r\n\r\n"},
		{"bare CR in a value", "GET /health HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n"},
		{"bare LF after the request line", "GET /health HTTP/1.1\nHost: a\r\n\r\n"},
		{"bare LF after a header", "GET /health HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"},
		{"bare LF at the end", "GET /health HTTP/1.1\r\nHost: a\r\n\n"},
		{"obs-fold", "GET /health HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"},
		{"obs-fold before the first header", "GET /health HTTP/1.1\r\n Host: a\r\n\r\n"},
		{"space before the colon", "GET /health HTTP/1.1\r\nHost : a\r\n\r\n"},
		{"duplicate Host", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
		{"no Host", "GET /health HTTP/1.1\r\n\r\n"},
		{"absolute form", "GET http://b/health HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"chunked and a length", "POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"length and chunked", "POST /api/info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
		{"two lengths", "POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 500\r\n\r\n"},
		{"two equal lengths", "POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"},
		{"list of lengths", "POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\n{}"},
		{"signed length", "POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}"},
		{"xchunked", "POST /api/info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
		{"chunked behind a control character", "POST /api/info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"},
		{"chunked twice", "POST /api/info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
		{"chunked in two headers", "POST /api/info HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
		{"chunked in HTTP/1.0", "POST /api/info HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"chunk size over 64 bits", chunked + "\r\n10000000000000002\r\n{}\r\n0\r\n\r\n"},
		{"negative chunk size", chunked + "\r\n-2\r\n{}\r\n0\r\n\r\n"},
		{"chunk size that is no number", chunked + "\r\n0x2\r\n{}\r\n0\r\n\r\n"},
		{"chunk longer than its size", chunked + "\r\n2\r\n{}xx\r\n0\r\n\r\n"},
		{"chunk size that ends with a bare LF", chunked + "\r\n2\n{}\r\n0\r\n\r\n"},
		{"chunk extension of 1 MB", chunked + "\r\n2;x=" + strings.Repeat("x", 1<<20) + "\r\n{}\r\n0\r\n\r\n"},
		{"chunk extensions of 1 MB in small chunks", chunked + "\r\n" + strings.Repeat("1;x="+strings.Repeat("x", 500)+"\r\n \r\n", 2000) + "0\r\n\r\n"},
		{"announced trailer that is a length", chunked + "Trailer: Content-Length\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 500\r\n\r\n"},
		{"trailers of 1 MB", chunked + "\r\n2\r\n{}\r\n0\r\n" + strings.Repeat("X: y\r\n", 175_000) + "\r\n"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		{"unknown version", "GET /health HTTP/1.2\r\nHost: a\r\n\r\n"},
		{"words without end", strings.Repeat("x", 1<<20)},
	}
}

// readByAll are those of badHeads that RFC 9112 lets a server read, in one way only. Net/http does.
var readByAll = []string{"bare LF after the request line", "bare LF after a header", "bare LF at the end", "obs-fold",
	"absolute form", "two equal lengths", "unknown version"}

// TestMalformedHeads is group 3: one response, 400, and the end; never two requests out of one.
func TestMalformedHeads(t *testing.T) {
	s := attack(t, common)
	victim := joined(t, common, codec.JSON, "smuggled")
	for _, test := range badHeads() {
		s.row(test.name, func(t *testing.T) {
			all := answers(t, test.request+smuggled)
			if len(all) != 1 || all[0].StatusCode != 400 {
				t.Errorf("answered %s, want one 400", statuses(all))
			}
		})
	}
	// The same on a connection that net/http has, because its first request was a good one.
	for _, test := range badHeads() {
		s.row("kept alive/"+test.name, func(t *testing.T) {
			if slices.Contains(readByAll, test.name) {
				if all := answers(t, healthRequest+test.request+healthRequest); len(all) != 3 {
					t.Errorf("three requests are answered %s", statuses(all))
				}
				return
			}
			all := answers(t, healthRequest+test.request+smuggled)
			if len(all) == 0 || all[0].StatusCode != 200 || len(all) > 2 || len(all) == 2 && all[1].StatusCode < 400 {
				t.Errorf("answered %s, want 200 and one refusal", statuses(all))
			}
		})
	}
	if err := common.publish("smuggled", `"no"`); err != nil {
		t.Fatal(err)
	}
	victim.expectPush("smuggled", `"no"`)
}

// answers says all that is in requests at once, ends the sending side and reads every response until the server ends.
func answers(t *testing.T, requests string) (all []*http.Response) {
	t.Helper()
	c := dial(t, common)
	said := make(chan struct{})
	go func() {
		defer close(said)
		if c.trySay(requests) == nil { // it may be refused in the middle
			_ = c.Conn.(*net.TCPConn).CloseWrite()
		}
	}()
	defer func() { c.Close(); <-said }()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			all = append(all, resp)
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatalf("the connection does not end after %s", statuses(all))
		case err != nil:
			return all
		}
	}
}

func statuses(all []*http.Response) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%d ", r.StatusCode)
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}
