package reactor

import (
	"io"
	"net"
	"runtime"
	"testing"
	"weak"
)

// lookingConn is a socket that looks at what its wire has while it waits for the client.
type lookingConn struct {
	net.Conn
	look func()
}

func (c lookingConn) Read([]byte) (int, error) {
	c.look()
	return 0, io.EOF
}

// A handshake that waits for its client does not keep the hello, which may be 17 KB.
func TestWireForgetsTheHello(t *testing.T) {
	for _, rest := range []string{"", "\x16\x03"} {
		looked := false
		w := &wire{raw: append(inRecords(bigHello(16000), 16000), rest...)}
		hello := weak.Make(&w.raw[0])
		w.conn = lookingConn{look: func() {
			looked = true
			runtime.GC()
			if hello.Value() != nil {
				t.Error("the hello is kept")
			}
			if string(w.raw) != rest {
				t.Errorf("it has %q, want %q", w.raw, rest)
			}
		}}
		_, err := io.Copy(io.Discard, w)
		if want := map[bool]error{true: nil, false: io.ErrUnexpectedEOF}[rest == ""]; err != want || !looked {
			t.Errorf("behind %q: %v, looked %v", rest, err, looked)
		}
	}
}
