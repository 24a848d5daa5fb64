package policy

import (
	"strings"

	"stentor/codec"
	"stentor/server/config"
)

// rpc is what the configuration says about the rpc command.
type rpc struct {
	ping     string // the method that is answered here; empty if there is none
	proxied  bool   // some methods are to be answered by the backend
	without  bool   // those without a namespace are
	byName   map[string]bool
	boundary string
}

func newRPC(c *config.RPC) rpc {
	r := rpc{without: c.WithoutNamespace.ProxyEnabled, boundary: c.NamespaceBoundary, byName: make(map[string]bool, len(c.Namespaces))}
	if c.Ping.Enabled {
		r.ping = c.Ping.Method
	}
	r.proxied = r.without
	for _, ns := range c.Namespaces {
		r.byName[ns.Name] = ns.ProxyEnabled
		r.proxied = r.proxied || ns.ProxyEnabled
	}
	return r
}

// RPC decides on an rpc command by the protocol's table of commands. Without an error the answer is empty: only the ping method has
// one here, because no backend is asked yet.
func (p *Policy) RPC(method string) error {
	r := &p.rpc
	switch {
	case r.ping != "" && method == r.ping:
		return nil
	case r.ping == "" && !r.proxied:
		return codec.ErrorNotAvailable
	case !r.proxied:
		return codec.ErrorMethodNotFound
	}
	name, _, found := strings.Cut(method, r.boundary)
	if _, known := r.byName[name]; found && r.boundary != "" && !known {
		return codec.ErrorMethodNotFound
	}
	return codec.ErrorNotAvailable
}
