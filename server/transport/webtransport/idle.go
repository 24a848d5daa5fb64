package webtransport

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// watch ends a connection that has had no request for some time. A stream is none: the library waits without limit for what it begins
// with, and a client that says now and then that it is there keeps a connection of QUIC for as long as it wants.
type watch struct {
	conn    *quic.Conn
	timeout time.Duration
	timer   *time.Timer
	serving atomic.Int32 // requests, those of WebTransport among them
}

// watchKey is where the context of a request has the watch of its connection.
type watchKey struct{}

// watch begins to watch a connection, and makes the context of its requests (http3.Server.ConnContext).
func (s *Server) watch(ctx context.Context, c *quic.Conn) context.Context {
	w := &watch{conn: c, timeout: s.cfg.IdleTimeout}
	w.timer = time.AfterFunc(w.timeout, w.expire)
	context.AfterFunc(c.Context(), func() { w.timer.Stop() })
	return context.WithValue(ctx, watchKey{}, w)
}

func (w *watch) expire() {
	if w.serving.Load() == 0 {
		_ = w.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "idle")
	}
}

// watched tells the watch of each request.
func watched(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		w := r.Context().Value(watchKey{}).(*watch)
		w.serving.Add(1)
		defer func() {
			if w.serving.Add(-1) == 0 && w.conn.Context().Err() == nil {
				w.timer.Reset(w.timeout)
			}
		}()
		next(rw, r)
	}
}
