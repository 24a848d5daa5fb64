package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"time"

	"stentor/reactor"
)

// The protocols of a port that speaks TLS, the preferred one first (ALPN).
var webProtocols = []string{"h2", "http/1.1"}

// protocols are those of net/http's servers. HTTP/2 is spoken to who asks for it in a TLS handshake.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	return p
}

// Limits of HTTP/2. What a client can make us hold is streams × their window; a hundred requests at a time are what browsers send. Go's
// server itself ends connections that reset streams faster than they are served, or send headers without end.
const (
	streamsMax        = 128
	streamWindowBytes = 64 << 10
	connWindowBytes   = 1 << 20
	frameBytesMax     = 16 << 10
	http2PingInterval = 30 * time.Second // without a frame from the client for so long, it is asked whether it is there
	http2PingTimeout  = 15 * time.Second
	http2StuckTimeout = 10 * time.Second // a client that takes nothing for so long is gone
	headerTableBytes  = 4 << 10
)

func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          streamsMax,
		MaxReceiveBufferPerStream:     streamWindowBytes,
		MaxReceiveBufferPerConnection: connWindowBytes,
		MaxReadFrameSize:              frameBytesMax,
		MaxDecoderHeaderTableSize:     headerTableBytes,
		MaxEncoderHeaderTableSize:     headerTableBytes,
		SendPingTimeout:               http2PingInterval,
		PingTimeout:                   http2PingTimeout,
		WriteByteTimeout:              http2StuckTimeout,
	}
}

// externalTLS is for the port of the reactor; nil if that speaks plain text.
func (s *Server) externalTLS() *reactor.TLS {
	if s.certs.External == nil {
		return nil
	}
	c, h := s.certs.External.Config(webProtocols...), &s.cfg.HTTPServer
	t := &reactor.TLS{Config: func() *tls.Config { return c }, PlainToo: h.TLSOptional}
	if h.TLSPort > 0 {
		t.Addr = net.JoinHostPort(h.Address, strconv.Itoa(h.TLSPort))
	}
	return t
}

// serveInternal serves the internal port, by TLS if it has certificates.
func (s *Server) serveInternal() error {
	if s.certs.Internal == nil {
		return s.internal.Serve(s.internalListener)
	}
	s.internal.TLSConfig = s.certs.Internal.Config(webProtocols...)
	return s.internal.ServeTLS(s.internalListener, "", "")
}

// listenForChallenges opens the port on which an ACME authority asks who we are by HTTP, if it is to.
func (s *Server) listenForChallenges() error {
	c := &s.cfg.HTTPServer.TLSAutocert
	if s.certs.Authority == nil || !c.HTTP {
		return nil
	}
	l, err := net.Listen("tcp", c.HTTPAddr)
	if err != nil {
		return placeChallenges.refused(err)
	}
	s.challengesListener = &bounded{Listener: l, most: challengeConnsMax, free: freeConns, sockets: s.reactor.Guests(), log: s.log,
		text: "connections of http_server.tls_autocert.http_addr are cut off because there are too many; if the ACME authority does not get through, " +
			"keep others away from that port"}
	s.challenges = s.httpServer(s.certs.Authority.HTTPHandler())
	return nil
}

// runAuthority gets certificates from the ACME authority, once clients and the authority can reach us.
func (s *Server) runAuthority(ctx context.Context, run func(name string, f func() error)) {
	a := s.certs.Authority
	if a == nil {
		return
	}
	if s.challenges != nil {
		run("http for the ACME authority", func() error { return s.challenges.Serve(s.challengesListener) })
	}
	run("the ACME authority", func() error {
		select {
		case <-s.Ready():
			return a.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	})
}
