package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// secure checks who speaks TLS, and with what. Whether certificates can be read is seen when they are.
func (p *checker) secure() {
	c := p.cfg
	h := &c.HTTPServer
	p.certificate("http_server.tls", &h.TLS)
	if h.InternalPort != "" {
		p.certificate("http_server.internal_tls", &h.InternalTLS)
	}
	if c.UniGRPC.Enabled {
		p.certificate("uni_grpc.tls", &c.UniGRPC.TLS)
	}
	if c.GRPCAPI.Enabled {
		p.certificate("grpc_api.tls", &c.GRPCAPI.TLS)
	}
	p.autocert()
	if h.H2CExternal && (h.InternalPort == "" || h.Secure()) {
		p.fail("http_server.h2c_external", "true", "needs http_server.internal_port and no TLS", "set the one and turn off the other")
	}
	if h.HTTP3.Enabled && !h.Secure() {
		p.fail("http_server.http3.enabled", "true", "HTTP/3 needs TLS", "set http_server.tls.enabled and its certificate")
	}
	if c.WebTransport.Enabled && !h.HTTP3.Enabled {
		p.fail("webtransport.enabled", "true", "WebTransport needs HTTP/3", "set http_server.http3.enabled")
	}
	if h.TLSPort > 0 && (h.TLSPort == h.Port || strconv.Itoa(h.TLSPort) == h.InternalPort) {
		p.fail("http_server.tls_port", strconv.Itoa(h.TLSPort), "is another port's number, too", "choose a port of its own, or leave it out for TLS on http_server.port")
	}
	if h.InternalPort == strconv.Itoa(h.Port) && h.sameAddress() {
		p.fail("http_server.internal_port", h.InternalPort, "is http_server.port, too", "choose another one, or leave it out: then there is one port for everything")
	}
	for _, trusted := range h.ProxyProtocol.Trusted {
		if _, err := network(trusted); err != nil {
			p.fail("http_server.proxy_protocol.trusted", trusted, "neither an address nor a network", "write for example 10.0.0.7, 10.0.0.0/8 or fd00::/8")
		}
	}
}

// sameAddress reports that both listeners want the same address, or that one wants all of them.
func (h *HTTPServer) sameAddress() bool {
	return h.Address == "" || h.InternalAddress == "" || h.Address == h.InternalAddress
}

// certificate checks a block of a port that speaks TLS.
func (p *checker) certificate(path string, t *TLSConfig) {
	if !t.Enabled {
		return
	}
	for _, o := range []struct {
		name  string
		value PEMData
	}{{".cert_pem", t.CertPEM}, {".key_pem", t.KeyPEM}} {
		if o.value == "" {
			p.fail(path+o.name, "", "is missing while "+path+".enabled is true", "name the file, or put its PEM text or the base64 of that here")
		}
	}
}

func (p *checker) autocert() {
	a := &p.cfg.HTTPServer.TLSAutocert
	if !a.Enabled {
		return
	}
	const path = "http_server.tls_autocert"
	if p.cfg.HTTPServer.TLS.Enabled {
		p.fail(path+".enabled", "true", "is set together with http_server.tls.enabled", "keep the one that your certificate comes from")
	}
	if len(a.HostWhitelist) == 0 {
		p.fail(path+".host_whitelist", "", "is empty while "+path+".enabled is true", "list the names that clients connect to; certificates are ordered for these only")
	}
	for _, name := range a.HostWhitelist {
		switch _, err := netip.ParseAddr(name); {
		case strings.Contains(name, "*"):
			p.fail(path+".host_whitelist", name, "wildcards need a challenge over DNS, which there is not", "list the names one by one")
		case err == nil || !strings.Contains(strings.Trim(name, "."), ".") || strings.ContainsAny(name, ":/"):
			p.fail(path+".host_whitelist", name, "not the full name of a host", "write for example ws.example.com")
		}
	}
	if a.HTTP && !isListenAddress(a.HTTPAddr) {
		p.fail(path+".http_addr", a.HTTPAddr, "not an address to listen on", "write for example :80 or 192.0.2.1:80")
	}
	if u, err := url.Parse(a.DirectoryURL); a.DirectoryURL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		p.fail(path+".directory_url", a.DirectoryURL, "not an address that begins with https://", "ask your authority, or leave it empty for Let's Encrypt")
	}
}

// isListenAddress reports that s is a host, which may be empty, and a port.
func isListenAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// network is an address, or all addresses that begin like one.
func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return n.Masked(), nil
}

// Networks are the balancers that are trusted.
func (c *ProxyProtocol) Networks() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range c.Trusted {
		if n, err := network(s); err == nil { // Load has refused others
			list = append(list, n)
		}
	}
	return list
}

// unusedCertificates are given to ports that do not speak TLS.
func (c *Config) unusedCertificates() (list []Warning) {
	for _, b := range []struct {
		path  string
		block *TLSConfig
		on    bool // there is such a port
	}{
		{"http_server.tls", &c.HTTPServer.TLS, true},
		{"http_server.internal_tls", &c.HTTPServer.InternalTLS, c.HTTPServer.InternalPort != ""},
		{"uni_grpc.tls", &c.UniGRPC.TLS, c.UniGRPC.Enabled},
	} {
		if b.on && b.block.CertPEM != "" && !b.block.Enabled {
			list = append(list, Warning{Topic: Advice, Path: b.path + ".cert_pem", Text: b.path + ".cert_pem has no effect without " + b.path + ".enabled"})
		}
	}
	return list
}

// advice is what is allowed and hardly meant.
func (h *HTTPServer) advice() (list []Warning) {
	say := func(path, text string) { list = append(list, Warning{Topic: Advice, Path: path, Text: text}) }
	if h.TLSAutocert.Enabled && h.TLSAutocert.CacheDir == "" {
		say("http_server.tls_autocert.cache_dir", "http_server.tls_autocert.cache_dir is empty: every start orders new certificates, "+
			"and authorities allow only a few a week for the same names")
	}
	if h.InternalTLS.Enabled && h.InternalPort == "" {
		say("http_server.internal_tls.enabled", "http_server.internal_tls.enabled has no effect without http_server.internal_port")
	}
	if h.TLSExternal && !h.Secure() {
		say("http_server.tls_external", "http_server.tls_external has no effect without http_server.tls.enabled or http_server.tls_autocert.enabled")
	}
	switch {
	case h.TLSOptional && !h.Secure():
		say("http_server.tls_optional", "http_server.tls_optional has no effect without http_server.tls.enabled or http_server.tls_autocert.enabled")
	case h.TLSOptional && h.TLSPort > 0:
		say("http_server.tls_optional", "http_server.tls_optional and http_server.tls_port are both set: both ports take plain connections, and one of them TLS")
	case h.TLSPort > 0 && !h.Secure():
		say("http_server.tls_port", "http_server.tls_port has no effect without http_server.tls.enabled or http_server.tls_autocert.enabled")
	}
	for _, n := range h.ProxyProtocol.Networks() {
		if n.Bits() == 0 {
			say("http_server.proxy_protocol.trusted", "http_server.proxy_protocol.trusted holds "+n.String()+": whoever can connect chooses the address that is believed")
		}
	}
	return list
}
