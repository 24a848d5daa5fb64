package server

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"stentor/server/config"
)

// place is where something listens: the options that say so.
type place struct{ port, address string }

var (
	placeExternal   = place{"http_server.port", "http_server.address"}
	placeSecure     = place{"http_server.tls_port", "http_server.address"}
	placeInternal   = place{"http_server.internal_port", "http_server.internal_address"}
	placeHTTP3      = place{"http_server.http3.enabled", "http_server.address"}
	placeChallenges = place{"http_server.tls_autocert.http_addr", "http_server.tls_autocert.http_addr"}
	placeGRPC       = place{"uni_grpc.port", "uni_grpc.address"}
)

// refused is the error of a place that cannot be had: the option, what the system says, and what to do. Errors of other kinds stay as they are.
func (p place) refused(err error) error {
	listen, ok := errors.AsType[*net.OpError](err) // without the names of those who passed it on
	if !ok || listen.Op != "listen" {
		return err
	}
	system, ok := errors.AsType[syscall.Errno](err)
	switch {
	case system == syscall.EADDRINUSE:
		return fmt.Errorf("%s: %w; choose another port, or stop what listens there", p.port, listen)
	case system == syscall.EACCES:
		return fmt.Errorf("%s: %w; choose a port above 1023, or give the program the capability CAP_NET_BIND_SERVICE", p.port, listen)
	case !ok || system == syscall.EADDRNOTAVAIL || system == syscall.EAFNOSUPPORT: // no such name, or no such address here
		return fmt.Errorf("%s: %w; choose an address of this machine, or leave it empty for all", p.address, listen)
	}
	return fmt.Errorf("%s: %w", p.port, listen)
}

// placeOf finds the place of the reactor that an error of listening is about.
func placeOf(h *config.HTTPServer, err error) place {
	listen, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return placeExternal
	}
	if at, ok := listen.Addr.(*net.TCPAddr); ok && h.Secure() && h.TLSPort > 0 && at.Port == h.TLSPort {
		return placeSecure
	}
	return placeExternal
}
