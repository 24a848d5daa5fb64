package reactor

import (
	"net"
	"net/netip"
	"slices"

	"github.com/panjf2000/gnet/v2"

	"stentor/reactor/proxyproto"
)

// A conn from a balancer that is trusted (Config.ProxyTrusted) begins with a PROXY header, which tells whose conn it is. It comes before
// everything else, before TLS, too. Such a conn that begins with anything else is closed: nobody could tell whose it is. A header on
// any other conn is what it looks like there, a bad request. What is told is kept beside the conns, so that the others pay nothing for it.

// trusts reports that a conn that was just accepted is from a balancer.
func (d *driver) trusts(gc gnet.Conn) bool {
	if len(d.cfg.ProxyTrusted) == 0 {
		return false
	}
	peer, ok := gc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := peer.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(d.cfg.ProxyTrusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// receiveProxyHeader reports that the header has been read and the conn is as any other.
func (c *Conn) receiveProxyHeader() bool {
	d := c.driver
	n := min(c.arrived(), proxyproto.HeaderBytesMax)
	if n == 0 {
		return false
	}
	client, size, err := proxyproto.Parse(c.peek(n))
	switch {
	case err != nil:
		d.stats.badProxyHeaders.Add(1)
		c.hangUp()
		return false
	case size == 0:
		c.hold(n)
		return false
	}
	c.hold(0)
	c.discard(size)
	c.tell(client)
	c.state = d.firstState(c.gc) // its deadline is the one that there was
	return true
}

// proxyTimeout ends a conn whose header has taken too long. A balancer that only looks whether we listen is no news.
func (c *Conn) proxyTimeout() {
	if c.arrived() > 0 {
		c.driver.stats.badProxyHeaders.Add(1)
	}
	c.hangUp()
}

// tell notes whose conn it is.
func (c *Conn) tell(client netip.AddrPort) {
	if client.IsValid() {
		c.driver.clients[c] = client
	}
}

// told is whose conn it is, if a balancer has told; not valid otherwise.
func (c *Conn) told() netip.AddrPort { return c.driver.clients[c] }
