package auth

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stentor/server/config"
)

// TestFetch: one request for all kinds of keys, and none while they count.
func TestFetch(t *testing.T) {
	s := newIssuer(t)
	var keys []map[string]any
	for alg, p := range pairs() {
		keys = append(keys, jwk(t, p, "kid-"+alg, nil))
	}
	s.publish(t, keys...)
	v := newFetched(t, config.Token{JWKSPublicEndpoint: s.URL + "/jwks.json", HMACSecretKey: secret, ECDSAPublicKey: publicPEM(t, pairs()["ES256"])})
	for alg, p := range pairs() {
		token := signWith(t, p, "kid-"+alg, `{"sub":"42"}`)
		if c, _, err := v.connect(t, token); err != nil || c.User != "42" {
			t.Errorf("%s: %+v, %v", alg, c, err)
		}
		if sub, err := v.Subscribe(signWith(t, p, "kid-"+alg, `{"sub":"42","channel":"a"}`), now); err != nil || sub.Channel != "a" {
			t.Errorf("%s: %+v, %v", alg, sub, err)
		}
	}
	v.time = v.time.Add(KeysTTL - time.Millisecond)
	es := pairs()["ES256"]
	token := signWith(t, es, "kid-ES256", `{"sub":"42"}`)
	if _, fetches, err := v.connect(t, token); fetches || err != nil || s.asked.Load() != 1 {
		t.Errorf("within the hour: %v, %v, %d requests", fetches, err, s.asked.Load())
	}
	v.time = v.time.Add(time.Millisecond)
	if _, fetches, err := v.connect(t, token); !fetches || err != nil || s.asked.Load() != 2 {
		t.Errorf("after the hour: %v, %v, %d requests", fetches, err, s.asked.Load())
	}

	// Keys of the block do not count beside a JWKS.
	_, err := v.Connect(hs256(t, `{"sub":"42"}`), now)
	check(t, err, ErrInvalid, "no key for HS256")
	_, err = v.Connect(signWith(t, es, "", `{"sub":"42"}`), now)
	check(t, err, ErrInvalid, "no kid")
}

func TestKeyFitsToken(t *testing.T) {
	s := newIssuer(t)
	all := pairs()
	s.publish(t,
		jwk(t, all["RS256"], "any", nil), jwk(t, all["RS256"], "rs512", map[string]any{"alg": "RS512"}), jwk(t, all["RS256"], "ps256", map[string]any{"alg": "PS256"}),
		jwk(t, all["RS256"], "enc", map[string]any{"use": "enc"}), jwk(t, all["ES256"], "es", nil), jwk(t, all["EdDSA"], "ed", nil),
		jwk(t, all["RS256"], "../../etc/passwd", nil), jwk(t, all["RS256"], "' OR 1=1 --", nil))
	v := newFetched(t, config.Token{JWKSPublicEndpoint: s.URL})
	signed := func(alg, kid, header string) string {
		return encode(t, fmt.Sprintf(`{"alg":%q,"kid":%q}`, header, kid), `{"sub":"42"}`, all[alg].method, all[alg].private)
	}
	for _, test := range []struct{ name, token, reason string }{
		{"any", signed("RS384", "any", "RS384"), ""},
		{"its alg", signed("RS512", "rs512", "RS512"), ""},
		{"another alg", signed("RS256", "rs512", "RS256"), `is for "RS512" and not for RS256`},
		{"an alg that is not known", signed("RS256", "ps256", "RS256"), `is for "PS256"`},
		{"for encryption", signed("RS256", "enc", "RS256"), "is not for signatures"},
		{"ES256 with the kid of RSA", signed("ES256", "any", "ES256"), "none for ES256 with its kid"},
		{"RS256 with the kid of ECDSA", signed("RS256", "es", "RS256"), "none for RS256"},
		{"ES384 with the kid of P-256", signed("ES384", "es", "ES384"), "none for ES384"},
		{"EdDSA with the kid of ECDSA", signed("EdDSA", "es", "EdDSA"), "none for EdDSA"},
		{"ES256 with the kid of Ed25519", signed("ES256", "ed", "ES256"), "none for ES256"},
		{"EdDSA header on ES256", signed("ES256", "ed", "EdDSA"), "does not match the key"},
		{"unknown kid", signed("RS256", "nobody", "RS256"), "none for RS256"},
		{"kid with a path, known", signed("RS256", "../../etc/passwd", "RS256"), ""},
		{"kid with a path", signed("RS256", "../../../etc/passwd", "RS256"), "none for RS256"},
		{"kid with SQL, known", signed("RS256", "' OR 1=1 --", "RS256"), ""},
		{"kid with SQL", signed("RS256", "' OR 2=2 --", "RS256"), "none for RS256"},
		{"kid in another case", signed("RS256", "ANY", "RS256"), "none for RS256"},
		{"HS256 with the kid of RSA", encode(t, `{"alg":"HS256","kid":"any"}`, `{}`, algorithms["HS256"].method, []byte(publicPEM(t, all["RS256"]))), "no key for HS256"},
		{"none", encode(t, `{"alg":"none","kid":"any"}`, `{}`, nil, nil), "never accepted"},
		{"key in the header", encode(t, `{"alg":"RS256","kid":"nobody","jwk":`+jwkText(t, all["RS256"])+`,"jku":"`+s.URL+`/jku","x5u":"`+s.URL+`/x5u"}`, `{}`,
			all["RS256"].method, all["RS256"].private), "none for RS256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := v.connect(t, test.token)
			if test.reason == "" && err != nil {
				t.Fatal(err)
			}
			if test.reason != "" {
				check(t, err, ErrInvalid, test.reason)
			}
		})
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestKeyRotation: a new kid is asked for, an old key that is gone counts until its hour is over.
func TestKeyRotation(t *testing.T) {
	s := newIssuer(t)
	a, b := pairs()["ES256"], pairs()["EdDSA"]
	s.publish(t, jwk(t, a, "a", nil))
	v := newFetched(t, config.Token{JWKSPublicEndpoint: s.URL})
	tokenA, tokenB := signWith(t, a, "a", `{"sub":"a"}`), signWith(t, b, "b", `{"sub":"b"}`)
	if _, _, err := v.connect(t, tokenA); err != nil {
		t.Fatal(err)
	}
	s.publish(t, jwk(t, b, "b", nil))
	_, fetches, err := v.connect(t, tokenB)
	if fetches {
		t.Error("asked again at once")
	}
	check(t, err, ErrInvalid, `none for EdDSA with its kid, "b"`)
	v.time = v.time.Add(AskInterval)
	if _, fetches, err := v.connect(t, tokenB); !fetches || err != nil {
		t.Errorf("a new key: %v, %v", fetches, err)
	}
	// The document is the truth: what is not in it any more does not count, remembered signature or not.
	_, _, err = v.connect(t, tokenA)
	check(t, err, ErrInvalid, `none for ES256 with its kid, "a"`)

	// The same kid with another key: the old signature is not taken for one of the new key.
	s.publish(t, jwk(t, a, "b", nil), jwk(t, b, "c", nil))
	v.time = v.time.Add(KeysTTL)
	_, _, err = v.connect(t, tokenB)
	check(t, err, ErrInvalid, "none for EdDSA")
	if n := s.asked.Load(); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestInventedKids: tokens whose kids nobody knows cannot make the server ask more than once in an interval, nor keep good
// tokens out.
func TestInventedKids(t *testing.T) {
	s := newIssuer(t)
	p := pairs()["EdDSA"]
	s.publish(t, jwk(t, p, "a", nil))
	v := newFetched(t, config.Token{JWKSPublicEndpoint: s.URL})
	good := signWith(t, p, "a", `{"sub":"42"}`)
	const intervals = 3
	for i := range intervals {
		for j := range 1000 {
			_, _, err := v.connect(t, signWith(t, p, fmt.Sprint(i, "-", j), `{"sub":"42"}`))
			check(t, err, ErrInvalid, "none for EdDSA")
		}
		if _, err := v.Connect(good, now); err != nil {
			t.Errorf("a good token: %v", err)
		}
		v.time = v.time.Add(AskInterval)
	}
	if n := s.asked.Load(); n != intervals {
		t.Errorf("%d requests", n)
	}
	if len(v.store.documents) != 1 || len(v.store.documents[s.URL].keys) != 1 {
		t.Errorf("remembered: %+v", v.store.documents)
	}
}

// TestFetchesAreShared lets many wait for one request.
func TestFetchesAreShared(t *testing.T) {
	s := newIssuer(t)
	p := pairs()["EdDSA"]
	document := jwks(t, jwk(t, p, "a", nil))
	release := make(chan struct{})
	s.serve(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write([]byte(document))
	})
	v := patient(verifier(t, config.Token{JWKSPublicEndpoint: s.URL}, false))
	token := signWith(t, p, "a", `{"sub":"42"}`)
	var pending *Pending
	if _, err := v.Connect(token, now); !errors.As(err, &pending) {
		t.Fatal(err)
	}
	// Who gives up early does not end the request for the others.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pending.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a waiter that left: %v", err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := v.ConnectWait(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	all.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if sub, err := v.SubscribeWait(t.Context(), signWith(t, p, "a", `{"channel":"x"}`)); err != nil || sub.Channel != "x" {
		t.Errorf("%+v, %v", sub, err)
	}
}

func TestFetchFails(t *testing.T) {
	p := pairs()["EdDSA"]
	target := newIssuer(t)
	target.publish(t, jwk(t, p, "a", nil))
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	tests := []struct {
		name     string
		answer   http.HandlerFunc
		reason   string
		requests int64
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusFound) }, "it redirects (status 302)", 1},
		{"redirect to itself", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/x", http.StatusPermanentRedirect)
		}, "it redirects (status 308)", 1},
		{"not found", text(404, "x"), "status 404", 1},
		{"another success", text(203, jwks(t, jwk(t, p, "a", nil))), "status 203", 1},
		{"server error", text(500, "x"), "status 500", 3},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", 3},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"keys":[`))
		}, "breaks off", 3},
		{"not JSON", text(200, "<html>"), "not a JSON object", 1},
		{"no keys", text(200, `{"keys":[]}`), "has no keys", 1},
		{"too long", text(200, strings.Repeat(" ", DocumentBytesMax)+jwks(t, jwk(t, p, "a", nil))), "longer than 262144 bytes", 1},
		{"a bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 4<<20))
			_ = z.Close()
		}, "longer than 262144 bytes", 1},
		{"endless head", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "header", 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newIssuer(t)
			s.Config.ErrorLog = nil
			s.serve(test.answer)
			v := newFetched(t, config.Token{JWKSPublicEndpoint: strings.Replace(s.URL, "http://", "http://user:s3cret@", 1) + "/keys?token=s3cret"})
			token := signWith(t, p, "a", `{"sub":"42"}`)
			for range 3 { // at once, it is not asked again
				_, _, err := v.connect(t, token)
				check(t, err, ErrInvalid, test.reason)
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("a secret of the address is told: %v", err)
				}
			}
			if n := s.asked.Load(); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
			// It mends.
			s.publish(t, jwk(t, p, "a", nil))
			v.time = v.time.Add(AskInterval)
			if _, fetches, err := v.connect(t, token); !fetches || err != nil {
				t.Errorf("later: %v, %v", fetches, err)
			}
			// Keys that are here count on while the endpoint fails again, until their hour is over.
			s.serve(test.answer)
			_, _, err := v.connect(t, signWith(t, p, "b", `{}`))
			check(t, err, ErrInvalid, "")
			if _, fetches, err := v.connect(t, token); fetches || err != nil {
				t.Errorf("a key that is here: %v, %v", fetches, err)
			}
			v.time = v.time.Add(KeysTTL)
			_, _, err = v.connect(t, token)
			check(t, err, ErrInvalid, test.reason)
		})
	}
	if n := target.asked.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// TestFetchSlow: an endpoint that does not answer is given up, and the token is refused.
func TestFetchSlow(t *testing.T) {
	p := pairs()["EdDSA"]
	s := newIssuer(t)
	s.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	v := verifier(t, config.Token{JWKSPublicEndpoint: s.URL}, false)
	if v.store.client.Timeout != RequestTimeout {
		t.Errorf("a request may take %v", v.store.client.Timeout)
	}
	v.store.client.Timeout = 50 * time.Millisecond
	_, err := v.ConnectWait(t.Context(), signWith(t, p, "a", `{}`))
	check(t, err, ErrInvalid, s.URL+" gives no keys")
	if n := s.asked.Load(); n != 1+RequestRetries {
		t.Errorf("%d requests", n)
	}
}

// TestFetchTurns: when as many endpoints as may be asked at once do not answer, others wait no longer than for one of them.
func TestFetchTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newKeyStore("client.token.jwks_public_endpoint")
		for range FetchesMax {
			s.turns <- struct{}{}
		}
		start := time.Now()
		err := s.fetch(t.Context(), "http://127.0.0.1:1")
		if err == nil || !strings.Contains(err.Error(), "64 at once") {
			t.Error(err)
		}
		if took := time.Since(start); took != fetchTime || took > FetchTimeMax {
			t.Errorf("waited %v", took)
		}
		_, err = s.find("http://127.0.0.1:1", &signature{alg: algorithms["ES256"], kid: "k"})
		check(t, err, ErrInvalid, "64 at once")
		time.Sleep(AskInterval)
		if _, err = s.find("http://127.0.0.1:1", &signature{alg: algorithms["ES256"], kid: "k"}); !IsPending(err) {
			t.Error(err)
		}
	})
}

// TestFetchRefused: nobody listens.
func TestFetchRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	v := verifier(t, config.Token{JWKSPublicEndpoint: "http://" + l.Addr().String()}, false)
	_, err = v.ConnectWait(t.Context(), signWith(t, pairs()["EdDSA"], "a", `{}`))
	check(t, err, ErrInvalid, "refused")
}

// TestTenants: two issuers with the same kid, each with a document of its own (CVE-2026-49998).
func TestTenants(t *testing.T) {
	s := newIssuer(t)
	a, b := pairs()["ES256"], pairs()["ES384"]
	otherA := pairs()["EdDSA"]
	documents := map[string]string{"/one/jwks.json": jwks(t, jwk(t, a, "k", nil), jwk(t, otherA, "only-one", nil)), "/two/jwks.json": jwks(t, jwk(t, b, "k", nil))}
	s.serve(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(documents[r.URL.Path])) })
	v := newFetched(t, config.Token{JWKSPublicEndpoint: s.URL + "/{{tenant}}/jwks.json", IssuerRegex: "^https://auth/(?P<tenant>one|two)$"})
	claims := func(tenant string) string { return `{"sub":"42","iss":"https://auth/` + tenant + `"}` }

	if _, _, err := v.connect(t, signWith(t, a, "k", claims("one"))); err != nil {
		t.Errorf("one: %v", err)
	}
	if _, _, err := v.connect(t, signWith(t, b, "k", claims("two"))); err != nil {
		t.Errorf("two: %v", err)
	}
	// The key of one does not sign for two, under either kid.
	_, _, err := v.connect(t, signWith(t, a, "k", claims("two")))
	check(t, err, ErrInvalid, "none for ES256")
	_, _, err = v.connect(t, signWith(t, otherA, "only-one", claims("two")))
	check(t, err, ErrInvalid, "none for EdDSA")
	if _, _, err := v.connect(t, signWith(t, otherA, "only-one", claims("one"))); err != nil {
		t.Errorf("the other key of one: %v", err)
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestTenantsOfAudience: of several audiences the one that matches names the endpoint.
func TestTenantsOfAudience(t *testing.T) {
	s := newIssuer(t)
	p := pairs()["EdDSA"]
	document := jwks(t, jwk(t, p, "k", nil))
	var path atomic.Value
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.URL.Path)
		_, _ = w.Write([]byte(document))
	})
	v := newFetched(t, config.Token{JWKSPublicEndpoint: s.URL + "/{{app}}", AudienceRegex: "^app:(?P<app>web|tv)$", Issuer: "me"})
	if _, _, err := v.connect(t, signWith(t, p, "k", `{"iss":"me","aud":["account","app:tv","app:web"]}`)); err != nil || path.Load() != "/tv" {
		t.Errorf("%v, %v", err, path.Load())
	}
	_, _, err := v.connect(t, signWith(t, p, "k", `{"iss":"me","aud":["account","app:x"]}`))
	check(t, err, ErrInvalid, "audience_regex")
	_, _, err = v.connect(t, signWith(t, p, "k", `{"iss":"you","aud":"app:web"}`))
	check(t, err, ErrInvalid, "client.token.issuer")
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestNoRequestForStrangers: whoever is not of an issuer and audience that are allowed causes no request, and nobody causes one
// to another address (CVE-2026-32301).
func TestNoRequestForStrangers(t *testing.T) {
	s := newIssuer(t)
	p := pairs()["EdDSA"]
	s.publish(t, jwk(t, p, "k", nil))
	host := strings.TrimPrefix(s.URL, "http://")
	fixed := config.Token{JWKSPublicEndpoint: s.URL, Issuer: "me", Audience: "edge"}
	open := config.Token{JWKSPublicEndpoint: s.URL + "/{{tenant}}", IssuerRegex: "^i:(?P<tenant>.*)$", InsecureSkipJWKSEndpointSafetyCheck: true}
	anyHost := config.Token{JWKSPublicEndpoint: "http://{{host}}/", IssuerRegex: "^i:(?P<host>.*)$", InsecureSkipJWKSEndpointSafetyCheck: true}
	good := `{"iss":"me","aud":"edge"}`
	tests := []struct {
		name   string
		config config.Token
		token  string
		reason string
	}{
		{"no issuer", fixed, signWith(t, p, "k", `{"aud":"edge"}`), "issuer"},
		{"another issuer", fixed, signWith(t, p, "k", `{"iss":"you","aud":"edge"}`), "issuer"},
		{"another audience", fixed, signWith(t, p, "k", `{"iss":"me","aud":"other"}`), "audience"},
		{"issuer twice", fixed, signWith(t, p, "k", `{"iss":"me","iss":"me","aud":"edge"}`), "twice"},
		{"claims that cannot be read", fixed, signWith(t, p, "k", `{"iss":"me","aud":"edge","exp":"x"}`), "claim exp"},
		{"no kid", fixed, signWith(t, p, "", good), "no kid"},
		{"empty kid", fixed, encode(t, `{"alg":"EdDSA","kid":""}`, good, p.method, p.private), "no kid"},
		{"long kid", fixed, signWith(t, p, strings.Repeat("k", KeyIDBytesMax+1), good), "kid"},
		{"unknown algorithm", fixed, encode(t, `{"alg":"ES256K","kid":"k"}`, good, p.method, p.private), "unknown algorithm"},
		{"HMAC", fixed, encode(t, `{"alg":"HS256","kid":"k"}`, good, algorithms["HS256"].method, []byte("x")), "no key for HS256"},
		{"none", fixed, encode(t, `{"alg":"none","kid":"k"}`, good, nil, nil), "never accepted"},
		{"crit", fixed, encode(t, `{"alg":"EdDSA","kid":"k","crit":["b64"],"b64":false}`, good, p.method, p.private), "crit"},
		{"a megabyte", fixed, signWith(t, p, "k", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`), "longer than"},
		{"another path", open, signWith(t, p, "k", `{"iss":"i:a/../../x"}`), "{{tenant}}"},
		{"up", open, signWith(t, p, "k", `{"iss":"i:.."}`), "{{tenant}}"},
		{"nothing", open, signWith(t, p, "k", `{"iss":"i:"}`), "{{tenant}}"},
		{"a query", open, signWith(t, p, "k", `{"iss":"i:a?x=y"}`), "{{tenant}}"},
		{"encoded", open, signWith(t, p, "k", `{"iss":"i:%2e%2e"}`), "{{tenant}}"},
		{"a host with a port", anyHost, signWith(t, p, "k", `{"iss":"i:`+host+`"}`), "{{host}}"},
		{"a host with a user", anyHost, signWith(t, p, "k", `{"iss":"i:x@`+host+`"}`), "{{host}}"},
		{"a host and a path", anyHost, signWith(t, p, "k", `{"iss":"i:evil.example/x"}`), "{{host}}"},
		{"an IPv6 address", anyHost, signWith(t, p, "k", `{"iss":"i:[::1]"}`), "{{host}}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := verifier(t, test.config, false).Connect(test.token, now)
			check(t, err, ErrInvalid, test.reason)
		})
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	// Signatures that are not checked need no keys.
	if _, err := verifier(t, fixed, true).Connect(signWith(t, p, "k", good), now); err != nil {
		t.Errorf("skipped: %v", err)
	}
}

// TestEndpointsBound: strangers that choose endpoints, with the safety check off, do not fill the memory.
func TestEndpointsBound(t *testing.T) {
	s := newKeyStore("client.token.jwks_public_endpoint")
	start := time.Now()
	for i := range config.JWKSEndpointsMax {
		s.document(fmt.Sprint(i)).asked = start.Add(time.Duration(i))
	}
	s.document("0").flight = make(chan struct{}) // under way: it stays
	s.document("another")
	if len(s.documents) != config.JWKSEndpointsMax || s.documents["0"] == nil || s.documents["1"] != nil || s.documents["2"] == nil {
		t.Errorf("%d documents", len(s.documents))
	}
}
