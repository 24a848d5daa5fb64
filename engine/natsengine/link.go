package natsengine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"stentor/engine"
)

// A server that says nothing for SilenceMax, although it is asked every pingInterval, is given up. The library's own count of answers
// that are missing would not do: they come behind everything else that waits, and while we take no more there are none.
const (
	pingInterval = time.Second
	SilenceMax   = 3 * time.Second
)

// link is one connection, from its start to its end.
type link struct {
	nc    *nats.Conn
	ended chan struct{} // closed when the connection has

	mu       sync.Mutex
	next     *batch // for the next round; nil if there is nothing
	size     int    // of the last one
	over     bool
	refusals refusals
	seen     error         // the last error that the server told of
	told     chan struct{} // closed at the next one

	bus bool // subscribed to; only Run touches it
}

// refusals are what the server's permissions and limits did not allow, by subject.
type refusals struct {
	subscribe, publish map[string]error
	full               error // a limit on subscriptions: it is not said which ones
}

// end closes the connection and tells those who wait.
func (l *link) end() {
	l.nc.Close()
	l.mu.Lock()
	l.over = true
	b := l.next
	l.mu.Unlock()
	if b != nil {
		b.finish(nil, engine.ErrUnreachable)
	}
}

// errorWaitMax bounds how long a flush waits for the library to tell of an error that it has seen.
const errorWaitMax = time.Second

// sameErrorWait is for an error that is always the same value, so that it may have been told of before.
const sameErrorWait = 20 * time.Millisecond

// flush waits until the server has dealt with everything written so far, and returns what it refused since the last flush. It answers in
// order, so its refusals are here before its PONG; only the library tells of them later, on a goroutine of its own.
func (l *link) flush(limit time.Duration) (refusals, error) {
	if err := l.nc.FlushTimeout(limit); err != nil {
		return refusals{}, fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
	}
	if last := l.nc.LastError(); last != nil {
		l.awaitError(last)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.refusals
	l.refusals = refusals{}
	return r, nil
}

// awaitError waits until the library has told of err, and so of all before it.
func (l *link) awaitError(err error) {
	if errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
		time.Sleep(sameErrorWait)
	}
	patience := time.NewTimer(errorWaitMax)
	defer patience.Stop()
	for {
		l.mu.Lock()
		seen, told := l.seen == err, l.told
		l.mu.Unlock()
		if seen {
			return
		}
		select {
		case <-told:
		case <-patience.C:
			return
		}
	}
}

// refusedSubject finds what a refusal is about. The server's text is all there is.
var refusedSubject = regexp.MustCompile(`(?i)for (subscription|publish) to "(\S+)"`)

// refusalsMax bounds the refusals between two flushes. Of more than that some are logged alone.
const refusalsMax = 2 * ordersPerRound

// heard takes an error that the server told of.
func (l *link) heard(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.refusals
	if errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
		r.full = err
	}
	if m := refusedSubject.FindStringSubmatch(err.Error()); m != nil && errors.Is(err, nats.ErrPermissionViolation) {
		list := &r.publish
		if strings.EqualFold(m[1], "subscription") {
			list = &r.subscribe
		}
		if *list == nil {
			*list = make(map[string]error)
		}
		if len(*list) < refusalsMax {
			(*list)[m[2]] = err
		}
	}
	l.seen = err
	close(l.told)
	l.told = make(chan struct{})
}

// connect opens a connection to one of the servers. It takes up to twice DialTimeout for each of them.
func (e *Engine) connect(ctx context.Context) (*link, error) {
	l := &link{ended: make(chan struct{}), told: make(chan struct{})}
	d := &dialer{ctx: ctx, limit: e.cfg.DialTimeout, intake: &e.intake}
	nc, err := nats.Options{
		Servers:        e.servers,
		Name:           e.cfg.Name,
		TLSConfig:      e.cfg.TLS,
		Secure:         e.cfg.TLS != nil,
		Timeout:        e.cfg.DialTimeout,
		FlusherTimeout: e.cfg.WriteTimeout,
		PingInterval:   pingInterval,
		MaxPingsOut:    math.MaxInt32,
		SkipHostLookup: true, // the dialer does it, within its time
		CustomDialer:   d,
		ClosedCB:       func(*nats.Conn) { close(l.ended) },
		AsyncErrorCB:   func(_ *nats.Conn, s *nats.Subscription, err error) { e.heard(l, s, err) },
	}.Connect()
	if err != nil {
		if errors.Is(err, nats.ErrNoServers) && d.err != nil {
			err = d.err // which says why
		}
		return nil, err
	}
	d.last.stop() // from here on it is for serve to end it
	d.last.watch()
	l.nc = nc
	return l, nil
}

// heard takes an error that is about a part of the connection.
func (e *Engine) heard(l *link, s *nats.Subscription, err error) {
	l.heard(err)
	if errors.Is(err, nats.ErrSlowConsumer) { // only the bus has a queue that can be full
		e.stats.slow.Add(1)
		if e.quiet.now() {
			e.log.Warn("control messages of other nodes come faster than they can be handled; some are lost", "subject", s.Subject)
		}
		return
	}
	e.stats.refused.Add(1)
	if e.quiet.now() {
		e.log.Error("NATS refuses something; look at the permissions and limits of its account", "error", err)
	}
}

// servers takes a list of URLs apart and checks them. Errors do not tell what may be a password.
func servers(list string) ([]string, error) {
	var servers []string
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		whole := one
		if !strings.Contains(one, "://") {
			whole = "nats://" + one
		}
		u, err := url.Parse(whole)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("broker.nats.url = %q: not an address; write nats://host:4222 or tls://host:4222, several with commas between", redacted(one))
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return nil, fmt.Errorf("broker.nats.url = %q: unknown scheme %s; use nats:// or tls://", redacted(one), u.Scheme)
		}
		servers = append(servers, one)
	}
	if len(servers) == 0 {
		return nil, errors.New("broker.nats.url is empty; write for example nats://localhost:4222")
	}
	return servers, nil
}
