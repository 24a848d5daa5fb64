package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"stentor/server/config"
)

// Times and limits of fetching keys.
const (
	// KeysTTL is how long the keys of a document count.
	KeysTTL = time.Hour
	// AskInterval is the shortest time from the end of one fetch of an endpoint to the next one, however many tokens name keys
	// that it does not have, and whether it answers or not.
	AskInterval = 5 * time.Second
	// RequestTimeout bounds one request, and RequestRetries is how often one that failed is repeated.
	RequestTimeout = time.Second
	RequestRetries = 2
	// retryPause is the time between two of them.
	retryPause = 50 * time.Millisecond
	// FetchesMax is how many endpoints are asked at once; others wait for their turn, as long as a fetch may take.
	FetchesMax = 64
	// fetchTime bounds a fetch with all its requests, and FetchTimeMax one that had to wait for its turn.
	fetchTime    = (RequestRetries+1)*RequestTimeout + RequestRetries*retryPause
	FetchTimeMax = 2 * fetchTime
)

// keyStore has the keys that come from jwks_public_endpoint, by endpoint and kid. A kid alone says nothing: two issuers may
// use the same. Loops ask it with find, which never waits; fetch is for others.
type keyStore struct {
	option string // for reasons
	client *http.Client
	clock  func() time.Time // of ages; not that of tokens, which may be set
	turns  chan struct{}    // one for each fetch under way

	mu        sync.Mutex
	documents map[string]*document // by endpoint
}

// document is what is known of one endpoint. The store's lock guards it.
type document struct {
	keys   map[keyID]webKey // of the last fetch that went well
	until  time.Time        // when they end
	asked  time.Time        // when the last fetch ended; zero: never
	err    error            // of the last fetch
	flight chan struct{}    // closed when the fetch under way ends; nil: none is
}

// newKeyStore returns an empty store. Requests follow no redirects, so that they end where the configuration says, and use no
// proxy of the environment. A connection serves one of them: an hour is too long to keep it.
func newKeyStore(option string) *keyStore {
	return &keyStore{
		option: option,
		client: &http.Client{
			Timeout:       RequestTimeout,
			Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		clock:     time.Now,
		turns:     make(chan struct{}, FetchesMax),
		documents: map[string]*document{},
	}
}

// find returns the key of endpoint that a signature names. The error is a *Pending if the endpoint has to be asked for it.
func (s *keyStore) find(endpoint string, sig *signature) (key, error) {
	id := keyID{sig.kid, sig.alg.kind}
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.documents[endpoint]
	if d != nil && now.Before(d.until) {
		if k, ok := d.keys[id]; ok {
			return k.key, k.check(sig)
		}
	}
	if d == nil || d.flight != nil || !d.fresh(now) {
		return key{}, &Pending{s, endpoint}
	}
	if d.err != nil {
		return key{}, invalid(fmt.Sprintf("its key is to come from %s, but %v", s.option, d.err))
	}
	return key{}, invalid(fmt.Sprintf("the keys of %s have none for %s with its kid, %q", shownEndpoint(endpoint), sig.alg.name, clip(sig.kid)))
}

// fresh reports that the endpoint was asked so lately that it is not asked again.
func (d *document) fresh(now time.Time) bool {
	return !d.asked.IsZero() && now.Sub(d.asked) < AskInterval
}

// check reports a key that does not fit a signature, although its kid and its kind do.
func (k *webKey) check(s *signature) error {
	switch {
	case k.flaw != "":
		return invalid(fmt.Sprintf("its key %q cannot be used: it %s", clip(s.kid), k.flaw))
	case k.alg != "" && k.alg != s.alg.name:
		return invalid(fmt.Sprintf("its key %q is for %q and not for %s", clip(s.kid), clip(k.alg), s.alg.name))
	}
	return nil
}

// fetch gets the keys of endpoint, or waits for whoever is getting them.
func (s *keyStore) fetch(ctx context.Context, endpoint string) error {
	s.mu.Lock()
	d := s.document(endpoint)
	if d.flight == nil {
		if d.fresh(s.clock()) {
			defer s.mu.Unlock()
			return d.err
		}
		d.flight = make(chan struct{})
		// On a goroutine of its own, since the one that came first may leave first.
		go s.fly(endpoint, d)
	}
	flight := d.flight
	s.mu.Unlock()

	select {
	case <-flight:
		s.mu.Lock()
		defer s.mu.Unlock()
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// document returns what is known of endpoint, and makes room for it if it is new. With a safe template there always is room.
func (s *keyStore) document(endpoint string) *document {
	if d := s.documents[endpoint]; d != nil {
		return d
	}
	if len(s.documents) >= config.JWKSEndpointsMax {
		oldest, at := "", time.Time{}
		for e, d := range s.documents {
			if d.flight == nil && (oldest == "" || d.asked.Before(at)) {
				oldest, at = e, d.asked
			}
		}
		delete(s.documents, oldest)
	}
	d := new(document)
	s.documents[endpoint] = d
	return d
}

// fly is one fetch, from its turn to its end.
func (s *keyStore) fly(endpoint string, d *document) {
	keys, err := s.takeTurn(endpoint)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	d.asked, d.err = now, err
	if err == nil {
		d.keys, d.until = keys, now.Add(KeysTTL)
	}
	close(d.flight)
	d.flight = nil
}

func (s *keyStore) takeTurn(endpoint string) (map[keyID]webKey, error) {
	wait := time.NewTimer(fetchTime)
	defer wait.Stop()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
		return s.load(endpoint)
	case <-wait.C:
		return nil, fmt.Errorf("too many other endpoints are slow (%d at once)", FetchesMax)
	}
}

// load requests a document, again if the reason may pass, and reads it.
func (s *keyStore) load(endpoint string) (keys map[keyID]webKey, err error) {
	var document []byte
	for try := 0; try <= RequestRetries; try++ {
		if try > 0 {
			time.Sleep(retryPause)
		}
		var again bool
		if document, again, err = s.request(endpoint); !again {
			break
		}
	}
	if err == nil {
		keys, err = parseKeys(document)
	}
	if err != nil {
		return nil, fmt.Errorf("%s gives no keys: %w", shownEndpoint(endpoint), err)
	}
	return keys, nil
}

// request gets a document once. again reports that another request may go better.
func (s *keyStore) request(endpoint string) (document []byte, again bool, err error) {
	r, err := http.NewRequest(http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, false, errors.New("it is not an address")
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := s.client.Do(r)
	if err != nil {
		var told *url.Error // repeats the address, with what is secret in it
		if errors.As(err, &told) {
			err = told.Err
		}
		return nil, true, err
	}
	defer answer.Body.Close()
	switch status := answer.StatusCode; {
	case status >= 300 && status < 400:
		return nil, false, fmt.Errorf("it redirects (status %d), which is not followed", status)
	case status != http.StatusOK:
		return nil, status >= 500, fmt.Errorf("it answers with status %d", status)
	}
	document, err = io.ReadAll(io.LimitReader(answer.Body, DocumentBytesMax+1))
	switch {
	case err != nil:
		return nil, true, fmt.Errorf("its answer breaks off: %w", err)
	case len(document) > DocumentBytesMax:
		return nil, false, fmt.Errorf("its answer is longer than %d bytes", DocumentBytesMax)
	}
	return document, false, nil
}

// shownEndpoint returns the part of an address that may be logged.
func shownEndpoint(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "the endpoint"
	}
	return u.Scheme + "://" + u.Host + clip(u.Path)
}
