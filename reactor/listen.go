package reactor

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/panjf2000/gnet/v2"
)

// listening is an address that is listened on.
type listening struct{ net.Addr }

// isOf reports that a client's conn, accepted by gnet, came to the address's port.
func (l listening) isOf(gc gnet.Conn) bool {
	here := listening{gc.LocalAddr()}.port()
	return here != 0 && here == l.port()
}

func (l listening) port() int {
	if tcp, ok := l.Addr.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// probeAll makes sure that all addresses can be had. It returns them in gnet's form.
func (r *Reactor) probeAll() (addresses []string, err error) {
	var address string
	if r.addr, address, err = tryListen(r.cfg.Addr); err != nil {
		return nil, err
	}
	addresses = append(addresses, address)
	if r.cfg.TLS != nil && r.cfg.TLS.Addr != "" {
		if r.tlsAddr, address, err = tryListen(r.cfg.TLS.Addr); err != nil {
			return nil, err
		}
		if r.addr.port() == r.tlsAddr.port() { // conns are told apart by it
			return nil, fmt.Errorf("reactor: port %d is to be listened on twice, with and without TLS; choose another one", r.addr.port())
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// tryListen binds the address once without SO_REUSEPORT: gnet's own listeners would silently share the port with another
// instance. It also resolves names, port 0 and the lack of IPv6. It returns the address in gnet's form, too.
func tryListen(wanted string) (l listening, address string, err error) {
	ln, err := net.Listen("tcp", wanted)
	if err != nil {
		return l, "", fmt.Errorf("reactor: %w", err)
	}
	l.Addr = ln.Addr()
	if err := ln.Close(); err != nil {
		return l, "", fmt.Errorf("reactor: %w", err)
	}
	addr, err := netip.ParseAddrPort(l.String())
	if err != nil {
		return l, "", fmt.Errorf("reactor: %w", err)
	}
	switch {
	case addr.Addr().Is4():
		return l, "tcp4://" + l.String(), nil
	case addr.Addr().IsUnspecified():
		// gnet shuts IPv4 out of a listener on [::]. One without a host takes both, as net.Listen did.
		return l, fmt.Sprintf("tcp://:%d", addr.Port()), nil
	}
	return l, "tcp://" + l.String(), nil
}

// Addr is the address that is listened on. It is nil before Ready.
func (r *Reactor) Addr() net.Addr { return r.onceReady(&r.addr) }

// TLSAddr is the address of TLS.Addr. It is nil before Ready, and if there is none.
func (r *Reactor) TLSAddr() net.Addr { return r.onceReady(&r.tlsAddr) }

func (r *Reactor) onceReady(l *listening) net.Addr {
	select {
	case <-r.ready:
		return l.Addr
	default:
		return nil
	}
}
