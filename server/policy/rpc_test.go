package policy

import (
	"testing"

	"stentor/codec"
	"stentor/server/config"
)

// TestRPC plays the row of rpc (spec: client-protocol, section 11).
func TestRPC(t *testing.T) {
	ping := func(c *config.RPC) { c.Ping.Enabled = true }
	without := func(c *config.RPC) { c.WithoutNamespace.ProxyEnabled = true }
	chat := func(c *config.RPC) {
		c.Namespaces = []config.RPCNamespace{{Name: "chat", RPCOptions: config.RPCOptions{ProxyEnabled: true}}, {Name: "mail"}}
	}
	for _, tt := range []struct {
		name    string
		options []func(*config.RPC)
		method  string
		want    error
	}{
		{"nothing configured", nil, "ping", codec.ErrorNotAvailable},
		{"ping", []func(*config.RPC){ping}, "ping", nil},
		{"only ping", []func(*config.RPC){ping}, "other", codec.ErrorMethodNotFound},
		{"only ping, no method", []func(*config.RPC){ping}, "", codec.ErrorMethodNotFound},
		{"a proxy that is not built", []func(*config.RPC){without}, "other", codec.ErrorNotAvailable},
		{"ping beside a proxy", []func(*config.RPC){ping, without}, "ping", nil},
		{"unknown namespace", []func(*config.RPC){chat}, "what:x", codec.ErrorMethodNotFound},
		{"namespace with a proxy that is not built", []func(*config.RPC){chat}, "chat:x", codec.ErrorNotAvailable},
		{"namespace without a proxy", []func(*config.RPC){chat}, "mail:x", codec.ErrorNotAvailable},
		{"no namespace and no proxy", []func(*config.RPC){chat}, "x", codec.ErrorNotAvailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			for _, set := range tt.options {
				set(&cfg.RPC)
			}
			if got := newPolicy(t, cfg, nil).RPC(tt.method); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
