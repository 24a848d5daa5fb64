package server

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server/certs/certtest"
	"stentor/server/config"
)

// TestPortsAreOpenedAtTheStart: a port that is taken is known before anything runs, with the option that names it.
func TestPortsAreOpenedAtTheStart(t *testing.T) {
	pair := certtest.New(t).Issue(t, certtest.Leaf{})
	for _, tt := range []struct {
		network, want string
		change        func(c *config.Config, port int)
	}{
		{"tcp", "uni_grpc.port: ", func(c *config.Config, port int) { c.UniGRPC.Enabled, c.UniGRPC.Port = true, port }},
		{"udp", "http_server.http3.enabled: ", func(c *config.Config, port int) {
			c.HTTPServer.TLS.Enabled, c.HTTPServer.TLS.CertPEM, c.HTTPServer.TLS.KeyPEM = true, config.PEMData(pair.CertFile), config.PEMData(pair.KeyFile)
			c.HTTPServer.HTTP3.Enabled, c.HTTPServer.Port = true, port
		}},
	} {
		cfg := config.Default()
		cfg.HTTPServer.Address, cfg.HTTPServer.Port = "127.0.0.1", 0
		cfg.UniGRPC.Address = "127.0.0.1"
		tt.change(cfg, take(t, tt.network))
		_, err := New(Options{
			Config: cfg,
			Log:    slog.New(slog.DiscardHandler),
			OpenEngine: func(n engine.Node, _ string) (Engines, error) {
				e := memengine.New(memengine.Config{}, n)
				return Engines{Broker: e, Presence: e}, nil
			},
		})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || !strings.Contains(err.Error(), "stop what listens there") {
			t.Errorf("%s: %v", tt.network, err)
		}
	}
}

// take takes a free port until the end of the test.
func take(t *testing.T, network string) (port int) {
	t.Helper()
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
