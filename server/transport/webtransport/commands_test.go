package webtransport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"stentor/codec"
)

func TestCommands(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		name string
		form codec.Form
		in   string
		want string
		err  error
	}{
		{"nothing", codec.JSON, "", "", io.EOF},
		{"one line", codec.JSON, "{}\n", "{}\n", io.EOF},
		{"lines and a half", codec.JSON, "{}\n{1}\n{", "{}\n{1}\n", io.EOF},
		{"just long enough", codec.JSON, long + "\n", long + "\n", io.EOF},
		{"too long", codec.JSON, "{}\n" + long + "x\n{}\n", "{}\n", errTooLong},
		{"too long without an end", codec.JSON, long + "x", "", errTooLong},
		{"messages and a half", codec.Protobuf, "\x01a\x02bc\x05d", "\x01a\x02bc", io.EOF},
		{"empty message", codec.Protobuf, "\x00\x00", "\x00\x00", io.EOF},
		{"just long enough", codec.Protobuf, "\x64" + long, "\x64" + long, io.EOF},
		{"too long", codec.Protobuf, "\x01a\x65", "\x01a", errTooLong},
		{"longer than can be", codec.Protobuf, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "", errTooLong},
	} {
		for name, from := range map[string]io.Reader{
			"at once":      strings.NewReader(tt.in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
		} {
			t.Run(tt.form.String()+"/"+tt.name+"/"+name, func(t *testing.T) {
				got, err := readAll(t, &commands{from: from, form: tt.form, limit: 100})
				if got != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%q and %v, want %q and %v", got, err, tt.want, tt.err)
				}
			})
		}
	}
}

func readAll(t *testing.T, c *commands) (all string, err error) {
	for {
		msg, err := c.next()
		if err != nil {
			return all, err
		}
		if len(msg) == 0 {
			t.Fatal("nothing, without an error")
		}
		if most := max(readBytesMin, 4*c.limit); cap(c.buf) > most {
			t.Fatalf("room for %d bytes with a limit of %d", cap(c.buf), c.limit)
		}
		all += string(msg)
	}
}

// FuzzCommands: however a stream is cut into reads, what comes out is whole commands, the same ones, and none that is too long.
func FuzzCommands(f *testing.F) {
	f.Add([]byte("{}\n{\"id\":1}\n"), uint8(3), false)
	f.Add([]byte("\x01a\x02bc\x64"), uint8(1), true)
	f.Fuzz(func(t *testing.T, in []byte, cut uint8, protobuf bool) {
		form := codec.JSON
		if protobuf {
			form = codec.Protobuf
		}
		whole, err1 := readAll(t, &commands{from: bytes.NewReader(in), form: form, limit: 100})
		parts, err2 := readAll(t, &commands{from: &pieces{in, 1 + int(cut)}, form: form, limit: 100})
		if whole != parts || err1 != err2 {
			t.Fatalf("%q (%v) at once, %q (%v) in parts", whole, err1, parts, err2)
		}
		if !strings.HasPrefix(string(in), parts) {
			t.Fatalf("%q of %q", parts, in)
		}
		for rest := parts; len(rest) > 0; {
			size, head := strings.IndexByte(rest, '\n'), 1
			if protobuf {
				n, h := binary.Uvarint([]byte(rest))
				size, head = int(n), h
			}
			if size < 0 || size > 100 || size+head > len(rest) {
				t.Fatalf("%q is no command, or too long", rest)
			}
			rest = rest[size+head:]
		}
	})
}

// pieces is a reader that gives so much at a time.
type pieces struct {
	rest []byte
	size int
}

func (s *pieces) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.rest[:min(s.size, len(s.rest))])
	s.rest = s.rest[n:]
	return n, nil
}
