package server

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server/certs/certtest"
	"stentor/server/config"
)

// TestPortsThatCannotBeHad: the server does not start, and says which option to change.
func TestPortsThatCannotBeHad(t *testing.T) {
	pair := certtest.New(t).Issue(t, certtest.Leaf{})
	secure := func(c *config.Config) {
		c.HTTPServer.TLS.Enabled, c.HTTPServer.TLS.CertPEM, c.HTTPServer.TLS.KeyPEM = true, config.PEMData(pair.CertFile), config.PEMData(pair.KeyFile)
	}
	const taken, elsewhere = "stop what listens there", "choose an address of this machine"
	const nobodys = "192.0.2.1" // RFC 5737
	for _, tt := range []struct {
		network, want, remedy string
		change                func(c *config.Config, port int)
	}{
		{"tcp", "http_server.port: listen tcp", taken, func(c *config.Config, port int) { c.HTTPServer.Port = port }},
		{"tcp", "http_server.tls_port: listen tcp", taken, func(c *config.Config, port int) { secure(c); c.HTTPServer.TLSPort = port }},
		{"tcp", "http_server.internal_port: listen tcp", taken, func(c *config.Config, port int) { c.HTTPServer.InternalPort = strconv.Itoa(port) }},
		{"tcp", "http_server.tls_autocert.http_addr: listen tcp", taken, func(c *config.Config, port int) {
			a := &c.HTTPServer.TLSAutocert
			a.Enabled, a.HostWhitelist, a.HTTP, a.HTTPAddr = true, []string{"a.example.com"}, true, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}},
		{"tcp", "uni_grpc.port: listen tcp", taken, func(c *config.Config, port int) { c.UniGRPC.Enabled, c.UniGRPC.Port = true, port }},
		{"udp", "http_server.http3.enabled: listen udp", taken, func(c *config.Config, port int) {
			secure(c)
			c.HTTPServer.HTTP3.Enabled, c.HTTPServer.Port = true, port
		}},
		{"", "http_server.address: listen tcp", elsewhere, func(c *config.Config, _ int) { c.HTTPServer.Address = nobodys }},
		{"", "http_server.address: listen tcp", elsewhere, func(c *config.Config, _ int) { c.HTTPServer.Address = "no such host" }},
		{"", "http_server.internal_address: listen tcp", elsewhere, func(c *config.Config, _ int) {
			c.HTTPServer.InternalPort, c.HTTPServer.InternalAddress = "0", nobodys
		}},
		{"", "uni_grpc.address: listen tcp", elsewhere, func(c *config.Config, _ int) { c.UniGRPC.Enabled, c.UniGRPC.Address = true, nobodys }},
	} {
		cfg := config.Default()
		cfg.HTTPServer.Address, cfg.HTTPServer.Port = "127.0.0.1", 0
		cfg.UniGRPC.Address = "127.0.0.1"
		tt.change(cfg, take(t, tt.network))
		s, err := New(Options{
			Config: cfg,
			Log:    slog.New(slog.DiscardHandler),
			OpenEngine: func(n engine.Node, _ string) (Engines, error) {
				e := memengine.New(memengine.Config{}, n)
				return Engines{Broker: e, Presence: e}, nil
			},
		})
		if err == nil { // the reactor listens when it runs
			err = s.Run(t.Context())
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.remedy) {
			t.Errorf("%s: %v", tt.want, err)
		}
	}
}

// TestRefusedPlaces: what the system says decides which option is named, and the remedy.
func TestRefusedPlaces(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "listen", Net: "tcp", Addr: at, Err: os.NewSyscallError("bind", syscall.EACCES)},
			"uni_grpc.port: listen tcp 127.0.0.1:443: bind: permission denied; choose a port above 1023, or give the program the capability CAP_NET_BIND_SERVICE"},
		{&net.OpError{Op: "listen", Net: "tcp", Addr: at, Err: os.NewSyscallError("socket", syscall.EMFILE)},
			"uni_grpc.port: listen tcp 127.0.0.1:443: socket: too many open files"},
		{&net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: os.NewSyscallError("connect", syscall.EACCES)},
			"dial tcp 127.0.0.1:443: connect: permission denied"},
		{errors.New("another one"), "another one"},
	} {
		if got := placeGRPC.refused(tt.err).Error(); got != tt.want {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
}

// take takes a free port until the end of the test; 0 if there is no network.
func take(t *testing.T, network string) (port int) {
	t.Helper()
	if network == "" {
		return 0
	}
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.LocalAddr().(*net.UDPAddr).Port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}
