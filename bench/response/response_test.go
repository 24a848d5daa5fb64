package response

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"unsafe"
)

func TestHead(t *testing.T) {
	for _, c := range []struct {
		text string
		want Head
		ok   bool
		bad  bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", Head{Status: 200, Length: 5}, true, false},
		{"HTTP/1.1 200 OK\r\ncontent-length:5\r\nConnection: Close\r\n\r\n", Head{Status: 200, Length: 5, Close: true}, true, false},
		{"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n", Head{Status: 503, Length: -1, Chunked: true}, true, false},
		{"HTTP/1.1 200 OK\r\n\r\n", Head{Status: 200, Length: -1}, true, false},
		{"HTTP/1.0 200 OK\r\n\r\n", Head{Status: 200, Length: -1, Close: true}, true, false},
		{"HTTP/1.1 204\r\n\r\n", Head{Status: 204, Length: -1}, true, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Head{}, false, false},
		{"HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\n", Head{}, false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", Head{}, false, true},
		{"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n", Head{}, false, true},
		{"HTTP/1.1\r\n\r\n", Head{}, false, true},
		{strings.Repeat("x", HeadBytesMax), Head{}, false, true},
	} {
		var h Head
		n, ok, err := h.Parse([]byte(c.text))
		if ok != c.ok || (err != nil) != c.bad || ok && (h != c.want || n != strings.Index(c.text, "\r\n\r\n")+4) {
			t.Errorf("%.40q: %+v %d %v %v", c.text, h, n, ok, err)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Head
		n, ok, err := h.Parse(b)
		if ok && (err != nil || n > len(b) || n > HeadBytesMax || h.Length < -1 || h.Status < 100) {
			t.Fatalf("%+v %d %v", h, n, err)
		}
	})
}

// read takes a body that comes cut at the given places; whole counts the parts that were whole chunks.
func read(o *Body, pieces ...[]byte) (text []byte, whole int, err error) {
	for _, b := range pieces {
		for len(b) > 0 {
			p, n, err := o.Next(b)
			if err != nil {
				return text, whole, err
			}
			text = append(text, p.Data...)
			if p.Whole {
				whole++
			}
			b = b[n:]
		}
	}
	return text, whole, nil
}

const chunked = "5\r\nhello\r\n" + "0c;name=value\r\n, everybody.\r\n" + "0\r\nTrailer: 1\r\n\r\n"

// Wherever it is cut, a body is the same.
func TestBodyAtEveryCut(t *testing.T) {
	for cut := range len(chunked) + 1 {
		var o Body
		text, _, err := read(&o, []byte(chunked[:cut]), []byte(chunked[cut:]))
		if err != nil || string(text) != "hello, everybody." || !o.Ended() {
			t.Fatalf("cut at %d: %q %v %+v", cut, text, err, o)
		}
	}
	var o Body
	if _, whole, _ := read(&o, []byte(chunked)); whole != 2 {
		t.Errorf("%d whole chunks", whole)
	}
	o = Body{}
	if _, whole, _ := read(&o, []byte(chunked[:5]), []byte(chunked[5:])); whole != 1 {
		t.Errorf("%d whole chunks", whole)
	}
}

func TestBodyWithoutCoding(t *testing.T) {
	o := Plain()
	if text, whole, err := read(&o, []byte("5\r\n"), []byte("x")); string(text) != "5\r\nx" || whole != 0 || err != nil || o.Ended() {
		t.Errorf("%q %d %v", text, whole, err)
	}
}

func TestBadBodies(t *testing.T) {
	for text, want := range map[string]error{
		"\r\n":                errSize,
		"x\r\n":               errSize,
		"5x\r\n":              errSize,
		"-5\r\n":              errSize,
		"5\n":                 errSize,
		"80000000\r\n":        errLarge,
		"fffffffffffffff\r\n": errLarge,
		"5\rhello":            errEnd,
		"5\r\nhello!\r\n":     errEnd,
		"5\r\nhello\rx":       errEnd,
		"0\r\n\rx":            errEnd,
		"0\r\n\r\nx":          errAfter,
	} {
		var o Body
		if _, _, err := read(&o, []byte(text)); err != want {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestBodyIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Body{}); size > 8 {
		t.Errorf("%d bytes", size)
	}
}

// FuzzBody holds Body against the reader of net/http: what that reads to its end, Body reads too, whole or cut.
func FuzzBody(f *testing.F) {
	f.Add([]byte(chunked), 7)
	f.Add([]byte("0\r\n\r\n"), 1)
	f.Add([]byte("A\r\n0123456789\r\n1 \r\nx\r\n0\r\n\r\n"), 12)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		var one, two Body
		whole, _, err := read(&one, b)
		halves, _, errHalves := read(&two, b[:cut], b[cut:])
		if err != errHalves || !bytes.Equal(whole, halves) || one != two {
			t.Fatalf("cut at %d: %q %v, whole %q %v", cut, halves, errHalves, whole, err)
		}
		if err != nil || !one.Ended() {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(b)))
		if err == nil && !bytes.Equal(theirs, whole) {
			t.Fatalf("%q, net/http reads %q", whole, theirs)
		}
	})
}
