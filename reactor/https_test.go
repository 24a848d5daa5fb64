package reactor

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// httpsClient speaks to r, by HTTP/2 if it may.
func httpsClient(t *testing.T, config *tls.Config, h2 bool) *http.Client {
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetHTTP2(h2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: waitMax}
}

func describe(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	version, host := "plain", ""
	if req.TLS != nil {
		version, host = tls.VersionName(req.TLS.Version), req.TLS.ServerName
	}
	fmt.Fprintf(w, "%s %s %d %v by %s, %s %s", req.Method, req.URL, len(body), err, req.Proto, version, host)
}

// What speaks HTTP/2 goes to net/http right after the handshake, what speaks HTTP/1.1 after its head; net/http knows the TLS.
func TestTLSHandOff(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", h2), func(t *testing.T) {
			overBoth(t, func(t *testing.T, version uint16) {
				r := start(t, Config{TLS: serverTLS(), Loops: 2}, upgradeTo(echo))
				serveHTTP(t, r, http.HandlerFunc(describe))
				c := httpsClient(t, clientTLS(version), h2)
				proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]
				for _, n := range []int{0, 1, 300 << 10, 3 << 20} {
					res, err := c.Post("https://"+r.Addr().String()+"/api?a=b", "text/plain", strings.NewReader(strings.Repeat("x", n)))
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					want := fmt.Sprintf("POST /api?a=b %d <nil> by %s, %s localhost", n, proto, tls.VersionName(version))
					if string(body) != want || err != nil {
						t.Errorf("%q, %v, want %q", body, err, want)
					}
				}
				if s := r.Stats(); s.HandedOff != 1 || s.HTTPConns != 1 || s.Conns != 1 || s.TLS12+s.TLS13 != 1 {
					t.Errorf("handed off %d, HTTP conns %d, conns %d, TLS %d", s.HandedOff, s.HTTPConns, s.Conns, s.TLS12+s.TLS13)
				}
				c.CloseIdleConnections()
				eventually(t, "its places are free again", func() bool {
					s := r.Stats()
					return s.HTTPConns == 0 && s.Conns == 0 && s.TLS12+s.TLS13 == 0
				})
			})
		})
	}
}

// A response of net/http ends with close_notify.
func TestTLSHandOffEnds(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	serveHTTP(t, r, http.HandlerFunc(describe))
	c := dialTLS(t, r, clientTLS(tls.VersionTLS13))
	c.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	c.head()
	if _, err := io.ReadAll(c.in); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}

// Over HTTPConnsMax HTTP/1.1 is told so, and HTTP/2 closed.
func TestTLSHTTPConnsMax(t *testing.T) {
	r := start(t, Config{TLS: serverTLS(), HTTPConnsMax: 1}, upgradeTo(echo))
	serveHTTP(t, r, http.NotFoundHandler())
	first := dialTLS(t, r, clientTLS(0))
	first.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	first.head()
	second := dialTLS(t, r, clientTLS(0))
	second.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if head := second.head(); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
		t.Errorf("answered with %q", head)
	}
	second.Close()
	h2 := clientTLS(0)
	h2.NextProtos = []string{"h2"}
	dialTLS(t, r, h2).expectEnd()
	eventually(t, "counted", func() bool { s := r.Stats(); return s.RefusedHTTP == 2 && s.Conns == 1 && s.TLS12+s.TLS13 == 1 })
}

// Nobody serves HTTP: what is queued ends, what comes is refused.
func TestTLSHandOffAfterListenerClosed(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	h2 := clientTLS(0)
	h2.NextProtos = []string{"h2"}
	queued, too := dialTLS(t, r, h2), dialTLS(t, r, clientTLS(0))
	too.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "handed off", func() bool { return r.Stats().HandedOff == 2 })
	if err := r.HTTPListener().Close(); err != nil {
		t.Fatal(err)
	}
	queued.expectEnd()
	too.expectEnd()
	dialTLS(t, r, h2).expectEnd()
	c := dialTLS(t, r, clientTLS(0))
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
		t.Errorf("answered with %q", head)
	}
	c.Close()
	eventually(t, "nothing is counted any more", func() bool {
		s := r.Stats()
		return s.HTTPConns == 0 && s.Conns == 0 && s.TLS12+s.TLS13 == 0
	})
}

// A conn that does not get to net/http after all, for lack of descriptors, gives its places back.
func TestTLSHandOffFails(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	serveHTTP(t, r, http.NotFoundHandler())
	w := new(wire)
	w.count(&r.stats, tls13)
	r.conns.Add(1)
	r.http.conns.Add(1)
	if !r.http.push(handedOff{fd: -1, secured: tls.Server(w, r.cfg.TLS.Config())}) {
		t.Fatal("not taken")
	}
	eventually(t, "nothing is counted any more", func() bool {
		s := r.Stats()
		return s.HTTPConns == 0 && s.Conns == 0 && s.TLS13 == 0
	})
}

// An upgrade on a kept-alive conn of net/http comes back to a loop with its TLS, and with whatever has come of its records.
func TestTLSAdopt(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		secure := false
		to := upgradeTo(echo)
		r := start(t, Config{Loops: 2, TLS: serverTLS()}, routes(func(h *Head) Verdict {
			secure = secure || h.Path == "/ws" && h.Secure()
			return to(h)
		}))
		serveHTTP(t, r, r.AdoptHandler(http.HandlerFunc(describe)))
		for i := range 4 {
			c, cut := dialSplit(t, r, clientTLS(version), 0)
			c.say("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
			res, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(res.Body); !strings.HasPrefix(string(body), "GET /first 0 <nil> by HTTP/1.1, TLS") {
				t.Fatalf("body %q", body)
			}
			// More than net/http reads at once, in one record and in many pieces.
			long := strings.Repeat("y", 14<<10)
			half := text("half")
			cut.piece.Store(int64(i % 2 * 500))
			if i < 2 {
				c.say(upgradeRequest() + text("one") + text(long) + half[:3])
			} else {
				c.say(upgradeRequest())
				c.say(text("one"))
				c.say(text(long) + half[:3])
			}
			cut.piece.Store(0)
			c.upgraded()
			c.expect("one")
			c.expect(long)
			c.say(half[3:])
			c.expect("half")
			c.say(text("last"))
			c.expect("last")
			if s := r.Stats(); s.Adopted != uint64(i+1) || s.HTTPConns != 0 || s.Conns != i+1 || s.WebSockets != i+1 || s.TLS12+s.TLS13 != i+1 {
				t.Fatalf("adopted %d, HTTP conns %d, conns %d, WebSockets %d, TLS %d", s.Adopted, s.HTTPConns, s.Conns, s.WebSockets, s.TLS12+s.TLS13)
			}
		}
		if !secure {
			t.Error("the router does not see the TLS")
		}
	})
}

// Much that came while net/http had the conn is no reason to end it on a loop, where records without data are counted.
func TestTLSAdoptAfterMuch(t *testing.T) {
	overBoth(t, func(t *testing.T, version uint16) {
		r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
		serveHTTP(t, r, r.AdoptHandler(http.HandlerFunc(describe)))
		c := dialTLS(t, r, clientTLS(version))
		const size = 2 * silentBytesMax
		c.say(post("/first", strings.Repeat("x", size)))
		if _, body := c.answer("POST"); !strings.HasPrefix(body, fmt.Sprintf("POST /first %d <nil>", size)) {
			t.Fatalf("body %q", body)
		}
		c.say(upgradeRequest())
		c.upgraded()
		c.say(text("here"))
		c.expect("here")
	})
}
