package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stentor/server/config"
)

// issuer is a JWKS server on the loopback that counts what it is asked.
type issuer struct {
	*httptest.Server
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t testing.TB) *issuer {
	s := new(issuer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// serve changes the answer.
func (s *issuer) serve(f http.HandlerFunc) { s.answer.Store(&f) }

// publish changes the answer to a document of keys.
func (s *issuer) publish(t testing.TB, keys ...map[string]any) {
	document := jwks(t, keys...)
	s.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(document)) })
}

// patient returns v with a client that waits for a busy machine; what has to time out does so by itself.
func patient(v *Verifier) *Verifier {
	v.store.client.Timeout = time.Minute
	return v
}

// fetched is a verifier with a JWKS whose clock the test sets.
type fetched struct {
	*Verifier
	time time.Time
}

func newFetched(t testing.TB, c config.Token) *fetched {
	f := &fetched{patient(verifier(t, c, false)), time.Now()}
	f.store.clock = func() time.Time { return f.time }
	return f
}

// connect is Connect, with one fetch if it is needed; fetches says whether it was.
func (f *fetched) connect(t testing.TB, token string) (c ConnectClaims, fetches bool, err error) {
	t.Helper()
	c, err = f.Connect(token, now)
	var p *Pending
	if !errors.As(err, &p) {
		return c, false, err
	}
	if errors.Is(err, ErrInvalid) || IsExpired(err) || !IsPending(fmt.Errorf("wrapped: %w", err)) || !strings.Contains(err.Error(), "jwks_public_endpoint") {
		t.Errorf("pending: %v", err)
	}
	fetchErr := p.Fetch(t.Context())
	c, err = f.Connect(token, now)
	if IsPending(err) {
		t.Errorf("still pending after a fetch: %v", fetchErr)
	}
	if fetchErr != nil && !errors.Is(err, ErrInvalid) {
		t.Errorf("the fetch failed, %v, but the token: %v", fetchErr, err)
	}
	return c, true, err
}
