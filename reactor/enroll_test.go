package reactor

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/panjf2000/gnet/v2"
)

// lossyLoop is one of gnet's loops whose epoll takes no more sockets: gnet closes such a one and reports nothing.
type lossyLoop struct{ gnet.EventLoop }

func (lossyLoop) Enroll(_ context.Context, conn net.Conn) (<-chan gnet.RegisteredResult, error) {
	_ = conn.Close()
	result := make(chan gnet.RegisteredResult, 1)
	result <- gnet.RegisteredResult{}
	close(result)
	return result, nil
}

// A conn that gnet loses on its way to a loop is counted no longer.
func TestEnrolledAndLost(t *testing.T) {
	r, l := startLogged(t, Config{TLS: serverTLS(func(c *tls.Config) { c.NextProtos = nil })}, upgradeTo(echo))
	serveHTTP(t, r, r.AdoptHandler(http.HandlerFunc(describe)))
	kept := dialTLS(t, r, clientTLS(0))
	kept.say("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	kept.answer("GET")
	onLoop(r, 0, func() { r.drivers[0].gl = lossyLoop{r.drivers[0].gl} })
	kept.say(upgradeRequest())
	kept.expectEnd()
	dialTLS(t, r, clientTLS(0)).expectEnd()
	eventually(t, "nothing is counted any more", func() bool {
		s := r.Stats()
		return s.HandshakesDone == 2 && s.HTTPConns == 0 && s.Conns == 0 && s.TLS12+s.TLS13 == 0
	})
	if n := strings.Count(l.String(), "could not be moved"); n != 2 {
		t.Errorf("logged %s", l.String())
	}
}

// A socket that has been reset has no peer any more, which gnet does not expect.
func TestEnrollAfterReset(t *testing.T) {
	r := start(t, Config{}, upgradeTo(echo))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	_ = client.(*net.TCPConn).SetLinger(0)
	_ = client.Close()
	if _, err := accepted.Read(make([]byte, 1)); err == nil {
		t.Fatal("not reset")
	}
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil || conn.RemoteAddr() != nil {
		t.Fatalf("%v, peer %v", err, conn.RemoteAddr())
	}
	before := openDescriptors()
	if err := r.enrollOn(r.drivers[0], conn, &adoption{}); err == nil {
		t.Error("enrolled")
	}
	eventually(t, "its descriptor is closed", func() bool { return openDescriptors() == before-1 })
}
