// Package webtransport is the WebTransport mouth of the client protocol, over HTTP/3 (spec: client-protocol, section 1.5). It is
// experimental, as the draft that it follows is, and off unless asked for.
//
//	UDP ──► quic-go ──► HTTP/3 ──► CONNECT ──► the client's bidirectional stream ──┬── reader: commands ──► pipe ──► session
//	                       │                                                      └── writer: frames  ◄── pipe ◄──┘
//	                       └── any other request ──► Config.Handler
//
// A client opens one stream and speaks the protocol on it: lines of JSON, or Protobuf messages with their lengths. Its other streams
// and its datagrams are never read; HTTP/3 lets nobody do without the latter.
//
// QUIC is all in this process, so that everything strangers can have of it is bounded here: connections and handshakes, streams of a
// connection, what may be sent before it is read, how long anything may take. From many handshakes at once on, addresses are verified
// before anything is kept for them; quic-go never sends more than three times what it got before that.
package webtransport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"stentor/server/session"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
)

// Limits of a connection.
const (
	handshakeTimeout = 5 * time.Second
	headerBytesMax   = 16 << 10
	streamsMax       = 100 // at once, requests and those of WebTransport
	uniStreamsMax    = 8   // HTTP/3 needs three
	streamWindow     = 64 << 10
	streamWindowMax  = 256 << 10
	connWindow       = 128 << 10
	connWindowMax    = 1 << 20
	reorderTimeout   = 5 * time.Second // until a stream's session is known
)

// Limits of all connections.
const (
	connsMaxDefault = 4096
	// handshakesTrusted is how many connections may be in their handshake before clients have to show that their address is theirs.
	handshakesTrusted = 64
)

// Time limits of requests that are not WebTransport; they are those of HTTP/1.1. What streams sets its own.
const (
	readTimeout  = 30 * time.Second
	writeTimeout = 10 * time.Second
)

const (
	idleTimeoutDefault   = 60 * time.Second // longer than the interval of pings
	streamTimeoutDefault = 10 * time.Second
	lingerTimeoutDefault = 2 * time.Second
)

// Config is what a Server needs.
type Config struct {
	Node    *session.Node
	Pipes   *pipe.Pipes
	Gate    *gate.Gate
	Path    string       // of WebTransport; empty for none
	Handler http.Handler // of all other requests
	TLS     *tls.Config

	MessageBytesMax int           // of one command
	ConnsMax        int           // of QUIC; 4096 if 0
	IdleTimeout     time.Duration // without a packet, or without a request; 60 s if 0
	StreamTimeout   time.Duration // for the client to open its stream; 10 s if 0
	LingerTimeout   time.Duration // for the client to read its last message; 2 s if 0

	Log *slog.Logger
}

// Server serves HTTP/3. Make it with New.
type Server struct {
	cfg Config
	wt  webtransport.Server

	ctx   context.Context // ends with Stop
	end   context.CancelFunc
	conns sync.WaitGroup

	begun, established atomic.Int64 // connections that there are, and those whose handshake is over
	refused            atomic.Uint64
}

// New makes a server, which serves nobody before Serve.
func New(cfg Config) *Server {
	cfg.ConnsMax = cmp.Or(cfg.ConnsMax, connsMaxDefault)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, idleTimeoutDefault)
	cfg.StreamTimeout = cmp.Or(cfg.StreamTimeout, streamTimeoutDefault)
	cfg.LingerTimeout = cmp.Or(cfg.LingerTimeout, lingerTimeoutDefault)
	s := &Server{cfg: cfg}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.wt = webtransport.Server{
		H3: &http3.Server{
			Handler:        watched(s.serve),
			ConnContext:    s.watch,
			MaxHeaderBytes: headerBytesMax,
			Logger:         slog.New(slog.DiscardHandler),
		},
		ReorderingTimeout: reorderTimeout,
		CheckOrigin:       func(*http.Request) bool { return true }, // the gate does
	}
	return s
}

// Serve serves what comes to socket until Stop. The socket stays the caller's.
func (s *Server) Serve(socket net.PacketConn) error {
	transport := &quic.Transport{
		Conn:                socket,
		ConnContext:         s.begin,
		VerifySourceAddress: func(net.Addr) bool { return s.begun.Load()-s.established.Load() > handshakesTrusted },
	}
	defer transport.Close()
	l, err := transport.Listen(http3.ConfigureTLSConfig(s.cfg.TLS), &quic.Config{
		HandshakeIdleTimeout:             handshakeTimeout,
		MaxIdleTimeout:                   s.cfg.IdleTimeout,
		MaxIncomingStreams:               streamsMax,
		MaxIncomingUniStreams:            uniStreamsMax,
		InitialStreamReceiveWindow:       streamWindow,
		MaxStreamReceiveWindow:           streamWindowMax,
		InitialConnectionReceiveWindow:   connWindow,
		MaxConnectionReceiveWindow:       connWindowMax,
		EnableDatagrams:                  true, // WebTransport is not without
		EnableStreamResetPartialDelivery: true, // nor without this
	})
	if err != nil {
		return err
	}
	defer s.conns.Wait()
	defer l.Close()
	for {
		c, err := l.Accept(s.ctx)
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		s.conns.Go(func() { s.serveConn(c) })
	}
}

// errFull is why a connection is refused.
var errFull = errors.New("too many connections")

// begin counts a connection from its first packet to its end, and refuses too many.
func (s *Server) begin(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if s.begun.Add(1) > int64(s.cfg.ConnsMax) {
		s.begun.Add(-1)
		s.refused.Add(1)
		return nil, errFull
	}
	context.AfterFunc(ctx, func() { s.begun.Add(-1) })
	return ctx, nil
}

func (s *Server) serveConn(c *quic.Conn) {
	s.established.Add(1)
	defer s.established.Add(-1)
	if err := s.wt.ServeQUICConn(c); err != nil {
		s.cfg.Log.Debug("a QUIC connection ended", "error", err)
		_ = c.CloseWithError(0, "")
	}
	<-c.Context().Done()
}

// Conns is how many connections of QUIC there are, and Refused how many there were too many.
func (s *Server) Conns() int      { return int(s.begun.Load()) }
func (s *Server) Refused() uint64 { return s.refused.Load() }

// Stop ends all connections, and Serve.
func (s *Server) Stop() {
	_ = s.wt.Close()
	s.end()
}

// announced is how long browsers may remember that there is HTTP/3, in seconds.
const announced = 24 * 3600

// Announce has the answers of next say that the same is there over HTTP/3, on a UDP port (RFC 7838).
func Announce(port int, next http.Handler) http.Handler {
	service := `h3=":` + strconv.Itoa(port) + `"; ma=` + strconv.Itoa(announced)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && r.ProtoMajor < 3 {
			w.Header().Set("Alt-Svc", service)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		s.connect(w, r)
		return
	}
	now, c := time.Now(), http.NewResponseController(w)
	_ = c.SetReadDeadline(now.Add(readTimeout))
	_ = c.SetWriteDeadline(now.Add(writeTimeout))
	s.cfg.Handler.ServeHTTP(w, r)
}
