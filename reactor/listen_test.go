package reactor

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"
)

func dialAt(t *testing.T, addr net.Addr) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, t, newReader(conn)}
}

// TLS may have a port of its own: then one port speaks TLS alone, and the other plain text alone.
func TestTLSPort(t *testing.T) {
	secure := serverTLS()
	secure.Addr = "127.0.0.1:0"
	r := start(t, Config{TLS: secure, Loops: 2}, upgradeTo(echo))
	if r.TLSAddr() == nil || r.TLSAddr().String() == r.Addr().String() {
		t.Fatalf("TLS at %v, plain text at %v", r.TLSAddr(), r.Addr())
	}
	for range 8 { // on either loop
		plain := dialRaw(t, r)
		plain.say(upgradeRequest())
		plain.upgraded()
		plain.say(text("plain"))
		plain.expect("plain")
		c := dialAt(t, r.TLSAddr())
		c.Conn = tls.Client(c.Conn, clientTLS(0))
		c.in = newReader(c.Conn)
		c.say(upgradeRequest())
		c.upgraded()
		c.say(text("secret"))
		c.expect("secret")
	}
	wrong := dialAt(t, r.TLSAddr())
	wrong.say(upgradeRequest())
	if head := wrong.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
		t.Errorf("plain text on the port of TLS is answered with %q", head)
	}
	wrong = dialRaw(t, r)
	wrong.say("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	if head := wrong.head(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
		t.Errorf("TLS on the port of plain text is answered with %q", head)
	}
}

func TestSameAddressTwice(t *testing.T) {
	free := start(t, Config{}, upgradeTo(echo)).Addr().String() // taken, so that nothing else gets it
	secure := serverTLS()
	secure.Addr = free
	r, err := New(Config{Addr: "127.0.0.1:0", TLS: secure}, upgradeTo(echo))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a port that is taken: %v", err)
	}
}

// Conns are told apart by their port, so that another host is not enough.
func TestPortTwice(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "0.0.0.0"} {
		secure := serverTLS()
		secure.Addr = net.JoinHostPort(host, port)
		r, err := New(Config{Addr: net.JoinHostPort("127.0.0.1", port), TLS: secure}, upgradeTo(echo))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			select {
			case <-r.Ready():
				_ = r.Stop(t.Context())
			case <-r.Done():
			}
		}()
		if err := r.Run(); err == nil || !strings.Contains(err.Error(), "is to be listened on twice") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
