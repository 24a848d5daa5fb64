package reactor

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// chunked are bodies, whole and with more behind them, and what becomes of them within a limit of 10 bytes.
var chunkedBodies = []struct {
	name, raw, data string
	err             error // nil: the body ends
	more            bool  // it is good so far, and goes on
	rest            string
}{
	{name: "nothing", raw: "0\r\n\r\n"},
	{name: "one", raw: "3\r\nabc\r\n0\r\n\r\n", data: "abc"},
	{name: "more", raw: "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", data: "abcde", rest: "GET /"},
	{name: "line ends in data", raw: "4\r\n\r\n\r\n\r\n0\r\n\r\n", data: "\r\n\r\n"},
	{name: "hex in either case", raw: "a\r\n0123456789\r\n0\r\n\r\n", data: "0123456789"},
	{name: "HEX", raw: "A\r\n0123456789\r\n0\r\n\r\n", data: "0123456789"},
	{name: "leading zeros", raw: "0000000000000003\r\nabc\r\n000\r\n\r\n", data: "abc"},
	{name: "extension", raw: "3;name=value\r\nabc\r\n0;last\r\n\r\n", data: "abc"},
	{name: "quoted extension", raw: "3; a = \"b;c\"\r\nabc\r\n0\r\n\r\n", data: "abc"},
	{name: "trailers", raw: "1\r\na\r\n0\r\nX-Y: z\r\nEmpty:\r\n\r\nmore", data: "a", rest: "more"},
	{name: "unfinished size", raw: "3", more: true},
	{name: "unfinished data", raw: "3\r\nab", data: "ab", more: true},
	{name: "no end", raw: "1\r\na\r\n", data: "a", more: true},
	{name: "no last line", raw: "0\r\n", more: true},
	{name: "unfinished trailer", raw: "0\r\nX", more: true},

	{name: "one too many", raw: "b\r\n01234567890\r\n0\r\n\r\n", err: errBodySize},
	{name: "one too many together", raw: "6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n", data: "012345", err: errBodySize},
	{name: "huge", raw: "ffffffffffffffff\r\n", err: errBodySize},
	{name: "negative", raw: "8000000000000000\r\n", err: errBodySize},
	{name: "overflow", raw: "10000000000000003\r\nabc\r\n0\r\n\r\n", err: errChunkSize},
	{name: "zeros without end", raw: strings.Repeat("0", 17) + "\r\n", err: errChunkSize},
	{name: "no size", raw: "\r\nabc", err: errChunkSize},
	{name: "only an extension", raw: ";a\r\n", err: errChunkSize},
	{name: "0x", raw: "0x3\r\nabc\r\n", err: errChunkSize},
	{name: "sign", raw: "+3\r\nabc\r\n", err: errChunkSize},
	{name: "minus", raw: "-1\r\n", err: errChunkSize},
	{name: "underscore", raw: "1_0\r\n", err: errChunkSize},
	{name: "space before", raw: " 3\r\nabc\r\n", err: errChunkSize},
	{name: "space and extension", raw: "3 ;a\r\nabc\r\n", err: errChunkSize},
	{name: "space and no extension", raw: "3 \r\nabc\r\n", err: errChunkSize},
	{name: "space inside", raw: "1 0\r\n", err: errChunkSize},
	{name: "bare LF after size", raw: "3\nabc\r\n", err: errChunkLine},
	{name: "bare CR after size", raw: "3\rabc\r\n", err: errChunkLine},
	{name: "bare LF in extension", raw: "3;a\nabc\r\n", err: errChunkLine},
	{name: "bare CR in extension", raw: "3;a\rb\r\nabc\r\n", err: errChunkLine},
	{name: "NUL in extension", raw: "3;\x00\r\nabc\r\n", err: errChunkText},
	{name: "data too long", raw: "3\r\nabcd\r\n", data: "abc", err: errChunkData},
	{name: "data too short", raw: "3\r\nab\r\n0\r\n\r\n", data: "ab\r", err: errChunkData},
	{name: "bare LF after data", raw: "3\r\nabc\n0\r\n\r\n", data: "abc", err: errChunkData},
	{name: "bare CR after data", raw: "3\r\nabc\r0\r\n\r\n", data: "abc", err: errChunkLine},
	{name: "bare LF at the end", raw: "0\r\n\n", err: errChunkLine},
	{name: "bare CR at the end", raw: "0\r\n\rG", err: errChunkLine},
	{name: "bare LF after trailer", raw: "0\r\nX: y\n\r\n", err: errChunkLine},
	{name: "trailer without name", raw: "0\r\n: y\r\n\r\n", err: errChunkField},
	{name: "folded trailer", raw: "0\r\nX: y\r\n z\r\n\r\n", err: errChunkField},
	{name: "space in trailer name", raw: "0\r\nX : y\r\n\r\n", err: errChunkField},
	{name: "trailer without colon", raw: "0\r\nX\r\n\r\n", err: errChunkField},
	{name: "NUL in trailer", raw: "0\r\nX: \x00\r\n\r\n", err: errChunkText},
	{name: "extensions of 1 MB", raw: "3;" + strings.Repeat("x", 1<<20) + "\r\nabc\r\n0\r\n\r\n", err: errChunkExtra},
	{name: "many extensions", raw: strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\na\r\n", 9), data: "aaaa", err: errChunkExtra},
	{name: "spaces of 1 MB", raw: "3;" + strings.Repeat(" ", 1<<20), err: errChunkExtra},
	{name: "trailers of 1 MB", raw: "0\r\n" + strings.Repeat("X: y\r\n", 1<<18) + "\r\n", err: errChunkExtra},
}

// readChunks reads raw in pieces of the given size.
func readChunks(raw string, piece, bodyMax int) (data []byte, used int, done bool, err error) {
	var r chunkReader
	for used < len(raw) && !done && err == nil {
		part := []byte(raw[used:min(used+piece, len(raw))])
		var n int
		data, n, done, err = r.read(data, part, bodyMax)
		if n < len(part) && !done && err == nil {
			return data, used, false, errors.New("input is left over")
		}
		used += n
	}
	return data, used, done, err
}

func TestChunks(t *testing.T) {
	for _, c := range chunkedBodies {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
				data, used, done, err := readChunks(c.raw, piece, 10)
				if err != c.err || done != (c.err == nil && !c.more) {
					t.Fatalf("in pieces of %d: ended %v, error %v", piece, done, err)
				}
				if string(data) != c.data || done && c.raw[used:] != c.rest {
					t.Fatalf("in pieces of %d: %q, and %q is left", piece, data, c.raw[used:])
				}
			}
		})
	}
}

func TestAppendChunk(t *testing.T) {
	for _, size := range []int{0, 1, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 1 << 20} {
		data := bytes.Repeat([]byte("x"), size)
		raw := string(AppendChunk(nil, data)) + string(lastChunk)
		if size > 0 && raw[0] == '0' {
			t.Errorf("%d bytes: the chunk begins with %q", size, raw[:4])
		}
		got, used, done, err := readChunks(raw, 1<<30, size)
		if !bytes.Equal(got, data) || used != len(raw) || !done || err != nil {
			t.Errorf("%d bytes: %d came back, ended %v, %v", size, len(got), done, err)
		}
	}
}

func TestChunksAllocate(t *testing.T) {
	raw := []byte("3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n")
	body := make([]byte, 0, 10)
	if n := testing.AllocsPerRun(100, func() {
		var r chunkReader
		if _, _, done, err := r.read(body, raw, 10); !done || err != nil {
			t.Fatal(done, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzChunks: the pieces make no difference, and what we take for a body net/http takes for the same one.
func FuzzChunks(f *testing.F) {
	for _, c := range chunkedBodies {
		if len(c.raw) < 1<<10 {
			f.Add(c.raw, uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, raw string, piece uint8) {
		const bodyMax = 1 << 10
		data, used, done, err := readChunks(raw, 1<<30, bodyMax)
		again, usedAgain, doneAgain, errAgain := readChunks(raw, int(piece)+1, bodyMax)
		if !bytes.Equal(data, again) || used != usedAgain || done != doneAgain || err != errAgain {
			t.Fatalf("whole: %q %d %v %v, in pieces of %d: %q %d %v %v", data, used, done, err, piece+1, again, usedAgain, doneAgain, errAgain)
		}
		if len(data) > bodyMax {
			t.Fatalf("%d bytes of data", len(data))
		}
		if !done {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(raw)))
		if err != nil || !bytes.Equal(theirs, data) {
			t.Fatalf("we read %q, net/http %q (%v)", data, theirs, err)
		}
		if !strings.HasSuffix(raw[:used], "\r\n") {
			t.Fatalf("the body ends with %q", raw[:used])
		}
	})
}
