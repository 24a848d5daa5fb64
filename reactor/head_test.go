package reactor

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// readHead does what receiveHead does with a head that has arrived at once.
func readHead(b []byte, h *Head) (size int, err error) {
	if size, err = headEnd(b, 0); err != nil || size == 0 {
		return size, err
	}
	if err = h.parse(b[:size], 100); err == nil {
		err = h.check()
	}
	return size, err
}

func TestHeadGood(t *testing.T) {
	const raw = "GET /connection/websocket?format=protobuf&x=%zz HTTP/1.1\r\nhost: Example.org:8000\r\nX-Empty:\r\n" +
		"Accept:\t text/html \t\r\nOrigin: https://example.org\r\naccept: */*\r\nX-Latin: caf\xe9\r\n\r\nrest"
	var h Head
	size, err := readHead([]byte(raw), &h)
	if err != nil || size != len(raw)-len("rest") {
		t.Fatalf("size %d, error %v", size, err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"method", h.Method, "GET"},
		{"target", h.Target, "/connection/websocket?format=protobuf&x=%zz"},
		{"path", h.Path, "/connection/websocket"},
		{"query", h.Query, "format=protobuf&x=%zz"},
		{"proto", h.Proto, "HTTP/1.1"},
		{"host", h.Host, "Example.org:8000"},
		{"origin", h.Header("origin"), "https://example.org"},
		{"empty", h.Header("X-Empty"), ""},
		{"first accept", h.Header("ACCEPT"), "text/html"},
		{"joined accept", h.Joined("Accept"), "text/html, */*"},
		{"latin", h.Header("x-latin"), "caf\xe9"},
		{"none", h.Joined("Cookie"), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
	if got := slices.Collect(h.Values("Accept")); !slices.Equal(got, []string{"text/html", "*/*"}) {
		t.Errorf("values of Accept are %q", got)
	}
	names := 0
	for range h.Fields() {
		names++
	}
	if names != 6 || h.hasBody() {
		t.Errorf("%d fields, body %v", names, h.hasBody())
	}
}

// heads are what a request may begin with, and why it is refused, if it is.
var heads = []struct {
	name string
	raw  string
	err  error
}{
	{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", nil},
	{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", nil},
	{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", nil},
	{"options of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", nil},
	{"double slash", "GET //x HTTP/1.1\r\nHost: a\r\n\r\n", nil},
	{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", nil},
	{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", nil},
	{"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", nil},
	{"trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n", nil},

	{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"no version", "GET /\r\nHost: a\r\n\r\n", errRequestLine},
	{"four words", "GET / x HTTP/1.1\r\nHost: a\r\n\r\n", errHTTPVersion},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", errHTTPVersion},
	{"space in front", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"method is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", errRequestLine},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errHTTPVersion},
	{"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", errHTTPVersion},
	{"version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", errHTTPVersion},
	{"space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", errHTTPVersion},
	{"absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"asterisk of GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"tab in the target", "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"bare CR in the target", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"bad escape", "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", errTarget},
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", errHeadLine},
	{"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", errHeadLine},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", errHeadLine},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", errFieldValue},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", errFieldValue},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", errFieldValue},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", errFieldValue},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", errFieldLine},
	{"folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", errFieldFold},
	{"folded with a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb: c\r\n\r\n", errFieldFold},
	{"space first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", errFieldFold},
	{"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", errFieldLine},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", errFieldLine},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", errFieldLine},
	{"non-ASCII name", "GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa9: x\r\n\r\n", errFieldLine},
	{"no host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", errHostCount},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", errHostCount},
	{"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", errHostCount},
	{"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", errHostValue},
	{"host with user info", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", errHostValue},
	{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", errLengthCount},
	{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n", errLengthCount},
	{"length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", errLengthValue},
	{"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", errLengthValue},
	{"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", errLengthValue},
	{"hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", errLengthValue},
	{"empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", errLengthValue},
	{"huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", errLengthValue},
	{"coding and length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", errCodingLength},
	{"coding and length 0", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", errCodingLength},
	{"unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", errCoding},
	{"two codings in one field", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", errCoding},
	{"two coding fields", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errCoding},
	{"coding with a vertical tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", errFieldValue},
	{"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", errCoding},
	{"empty coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", errCoding},
	{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", errCoding},
	{"trailer that is a length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X, content-length\r\n\r\n", errTrailer},
	{"101 fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 100) + "\r\n", errHeadFields},
	{"100 fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 99) + "\r\n", nil},
}

func TestHeadTable(t *testing.T) {
	for _, c := range heads {
		t.Run(c.name, func(t *testing.T) {
			var h Head
			size, err := readHead([]byte(c.raw), &h)
			if err != c.err || err == nil && size != len(c.raw) {
				t.Errorf("size %d of %d, error %v, want %v", size, len(c.raw), err, c.err)
			}
		})
	}
}

// However a head is cut into pieces, its end and its bad lines are found.
func TestHeadEndInPieces(t *testing.T) {
	for _, c := range heads {
		whole, wholeErr := headEnd([]byte(c.raw), 0)
		for step := 1; step <= 3; step++ {
			var size, seen int
			var err error
			for n := step; n <= len(c.raw) && size == 0 && err == nil; n += step {
				size, err = headEnd([]byte(c.raw[:n]), seen)
				seen = n
			}
			if size == 0 && err == nil {
				size, err = headEnd([]byte(c.raw), seen)
			}
			if size != whole || err != wholeErr {
				t.Errorf("%s in steps of %d: %d, %v, want %d, %v", c.name, step, size, err, whole, wholeErr)
			}
		}
	}
}

func TestHeadAllocs(t *testing.T) {
	raw := []byte(upgradeRequest())
	var h Head
	if n := testing.AllocsPerRun(100, func() {
		if _, err := readHead(raw, &h); err != nil {
			t.Fatal(err)
		}
		if _, err := checkUpgrade(&h); err != nil {
			t.Fatal(err)
		}
	}); n != 0 && !raceEnabled {
		t.Errorf("%v allocations to read a head", n)
	}
}

// FuzzHead: what we accept, net/http accepts too, and reads the same in it. Nothing must panic.
func FuzzHead(f *testing.F) {
	for _, c := range heads {
		f.Add([]byte(c.raw))
	}
	f.Add([]byte(upgradeRequest()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h Head
		size, err := readHead(raw, &h)
		if err != nil || size == 0 {
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw[:size])))
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", raw[:size], err)
		}
		if req.Method != h.Method || req.RequestURI != h.Target || req.Host != h.Host || req.Proto != h.Proto {
			t.Errorf("net/http reads %q %q %q %q in %q", req.Method, req.RequestURI, req.Host, req.Proto, raw[:size])
		}
		if h.hasBody() != (req.ContentLength != 0) {
			t.Errorf("body %v, but net/http reads a length of %d in %q", h.hasBody(), req.ContentLength, raw[:size])
		}
		if length := max(req.ContentLength, 0); h.length != length || h.chunked != (req.ContentLength < 0) {
			t.Errorf("length %d, chunked %v, but net/http reads %d in %q", h.length, h.chunked, req.ContentLength, raw[:size])
		}
		for name := range h.Fields() {
			// net/http takes the host out of the headers, and the length and coding where it has understood them.
			switch http.CanonicalHeaderKey(name) {
			case "Host", "Transfer-Encoding", "Trailer":
			default:
				if got := req.Header.Get(name); got != h.Header(name) {
					t.Errorf("%q is %q, but net/http reads %q in %q", name, h.Header(name), got, raw[:size])
				}
			}
		}
	})
}

func BenchmarkHead(b *testing.B) {
	raw := []byte(upgradeRequest())
	var h Head
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readHead(raw, &h); err != nil {
			b.Fatal(err)
		}
		if _, err := checkUpgrade(&h); err != nil {
			b.Fatal(err)
		}
	}
}
