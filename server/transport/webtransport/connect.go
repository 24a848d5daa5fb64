package webtransport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/webtransport-go"

	"stentor/codec"
	"stentor/server/metrics"
	"stentor/server/session"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
)

// request is an HTTP request as the gate asks about it.
type request struct{ *http.Request }

// Header implements gate.Header.
func (r request) Header(name string) string { return r.Request.Header.Get(name) }

// RemoteAddr implements gate.Peer.
func (r request) RemoteAddr() string { return r.Request.RemoteAddr }

// connect serves a request for WebTransport, until its session ends.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Path == "" || r.URL.Path != s.cfg.Path {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !s.cfg.Gate.Allowed(r.Header.Get("Origin")) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	ticket, ok := s.cfg.Gate.Admit(request{r})
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	form := codec.JSON
	if r.URL.Query().Get("cf_protocol") == "protobuf" {
		form = codec.Protobuf
	}
	wish := wish{form: form, user: s.cfg.Gate.User(request{r}), ticket: ticket}
	wt, err := s.wt.Upgrade(w, r)
	if err != nil {
		s.cfg.Log.Debug("a request for WebTransport failed", "error", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	defer wt.CloseWithError(0, "")
	if stream := s.awaitStream(wt); stream != nil && s.cfg.Gate.Holds(ticket) {
		s.speak(wt, stream, wish)
	}
}

// wish is what a request asks for.
type wish struct {
	form   codec.Form
	user   string
	ticket gate.Ticket
}

// awaitStream is the client's stream, nil if it opens none in time.
func (s *Server) awaitStream(wt *webtransport.Session) *webtransport.Stream {
	ctx, cancel := context.WithTimeout(wt.Context(), s.cfg.StreamTimeout)
	defer cancel()
	stream, err := wt.AcceptStream(ctx)
	if err != nil {
		return nil
	}
	return stream
}

// speak speaks the protocol on a stream.
func (s *Server) speak(wt *webtransport.Session, stream *webtransport.Stream, wish wish) {
	conn, err := s.cfg.Pipes.Open(func(c *pipe.Conn) (pipe.Receiver, func()) { return s.enter(c, wish) })
	if err != nil {
		stream.CancelRead(0)
		stream.CancelWrite(0)
		return
	}
	var reader sync.WaitGroup
	heard := make(chan struct{})
	reader.Go(func() {
		defer close(heard)
		s.listen(conn, &commands{from: stream, form: wish.form, limit: s.cfg.MessageBytesMax})
	})
	err = conn.Serve(stream.Context(), &writer{stream: stream}) // which ends, too, when the client asks for nothing more
	if err == nil && stream.Close() == nil {
		// What was written last is lost if the session is closed before the client has read it. A client that has closes its side.
		select {
		case <-heard:
		case <-wt.Context().Done():
		case <-time.After(s.cfg.LingerTimeout):
		}
	}
	// A client that resets its stream because its session has gone may never say the latter. The library's Read waits for that, and only
	// a deadline ends it.
	_ = stream.SetReadDeadline(time.Now())
	reader.Wait()
	stream.CancelRead(0)
	stream.CancelWrite(0)
}

// enter makes a session, on its loop.
func (s *Server) enter(c *pipe.Conn, w wish) (pipe.Receiver, func()) {
	one := session.New(s.cfg.Node, c, c.Handle(), session.Options{
		Form:       w.form,
		Transport:  metrics.WebTransport,
		Version:    session.HTTP3,
		HeaderUser: w.user,
	})
	c.TellBy(one, w.form)
	return s.cfg.Gate.Enter(one, w.ticket), func() {
		if s.cfg.Gate.Draining() {
			one.Order(codec.DisconnectShutdown)
		}
	}
}

// listen hands over what the client sends.
func (s *Server) listen(conn *pipe.Conn, from *commands) {
	for {
		msg, err := from.next()
		if err == errTooLong {
			conn.Receive(nil) // which is no command, either
			msg, err = nil, from.skip()
		}
		if err != nil {
			conn.HangUp(0)
			return
		}
		if len(msg) > 0 && !conn.Receive(msg) {
			_ = from.skip()
			return
		}
	}
}

// writer writes frames to a stream (pipe.Writer).
type writer struct{ stream *webtransport.Stream }

// Write implements pipe.Writer.
func (w *writer) Write(frames []*codec.Frame, until time.Time) error {
	if err := w.stream.SetWriteDeadline(until); err != nil {
		return err
	}
	for _, f := range frames {
		if _, err := w.stream.Write(f.Messages()); err != nil {
			return err
		}
	}
	return nil
}
