package nethttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"stentor/codec"
	"stentor/server/certs/certtest"
	"stentor/server/config"
	"stentor/server/pipetest"
	"stentor/server/transport/gate"
	"stentor/server/transport/pipe"
	"stentor/server/transport/stream"
)

// house is a node whose four endpoints net/http serves, at their names.
type house struct {
	*pipetest.House
	t      testing.TB
	url    string
	client *http.Client
	major  int
}

const bodyBytesMax = 1000

// open runs a house until the end of the test. It speaks HTTP of a major version.
func open(t testing.TB, major int, c pipetest.Config, change func(*stream.Config)) *house {
	t.Helper()
	h := &house{House: pipetest.Open(t, c), t: t, major: major}
	mux := http.NewServeMux()
	for path, transport := range map[string]stream.Transport{
		"/sse": stream.SSE, "/http_stream": stream.HTTPStream, "/uni_sse": stream.UniSSE, "/uni_http_stream": stream.UniHTTPStream,
	} {
		cfg := stream.Config{Transport: transport, Node: h.Node, Gate: h.Gate, BodyBytesMax: bodyBytesMax}
		if change != nil && transport.Uni() {
			change(&cfg)
		}
		mux.Handle(path, New(stream.New(cfg), h.Pipes))
	}
	if major == 3 {
		h.serveQUIC(mux)
	} else {
		h.serve(mux)
	}
	return h
}

// requestTime is shorter than any stream lives.
const requestTime = 200 * time.Millisecond

func (h *house) serve(mux http.Handler) {
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = h.major == 2
	s.Config.ReadTimeout, s.Config.WriteTimeout = requestTime, requestTime
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	h.url, h.client = s.URL, s.Client()
	h.t.Cleanup(func() {
		h.client.CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
}

func (h *house) serveQUIC(mux http.Handler) {
	h.t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		h.t.Fatal(err)
	}
	ca := certtest.New(h.t)
	timed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		until, c := time.Now().Add(requestTime), http.NewResponseController(w)
		_, _ = c.SetReadDeadline(until), c.SetWriteDeadline(until)
		mux.ServeHTTP(w, r)
	})
	s := &http3.Server{
		Handler:   timed,
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{ca.Issue(h.t, certtest.Leaf{}).TLS}}),
		Logger:    slog.New(slog.DiscardHandler),
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(socket) }()
	client := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool}}
	h.url, h.client = "https://"+socket.LocalAddr().String(), &http.Client{Transport: client}
	h.t.Cleanup(func() {
		client.Close()
		s.Close()
		<-served
		socket.Close()
	})
}

// response is a stream as its client reads it.
type response struct {
	*http.Response
	h      *house
	in     *bufio.Reader
	cancel context.CancelFunc
}

func (h *house) do(method, target, body string, header ...string) *response {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), pipetest.WaitMax)
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, h.url+target, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	r, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { r.Body.Close() })
	if r.ProtoMajor != h.major {
		h.t.Fatalf("answered in %s", r.Proto)
	}
	return &response{r, h, bufio.NewReader(r.Body), cancel}
}

// line reads a line, without its end.
func (r *response) line() string {
	r.h.t.Helper()
	s, err := r.in.ReadString('\n')
	if err != nil {
		r.h.t.Fatalf("read: %v after %q", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

// expect reads lines, each of which must contain what is given.
func (r *response) expect(parts ...string) {
	r.h.t.Helper()
	for _, part := range parts {
		if got := r.line(); !strings.Contains(got, part) || part == "" && strings.TrimSpace(got) != "" {
			r.h.t.Fatalf("read %q, want %q", got, part)
		}
	}
}

// expectEnd reads the end of the stream.
func (r *response) expectEnd() {
	r.h.t.Helper()
	if rest, err := io.ReadAll(r.in); err != nil || len(rest) > 0 {
		r.h.t.Fatalf("read %q (%v), want the end", rest, err)
	}
}

const connectLine = `{"id":1,"connect":{}}`

// everyVersion runs a test for all versions of HTTP.
func everyVersion(t *testing.T, f func(t *testing.T, major int)) {
	for _, major := range []int{1, 2, 3} {
		t.Run(fmt.Sprintf("HTTP%d", major), func(t *testing.T) { f(t, major) })
	}
}

// TestStreams: all four transports begin as they should, live longer than a request may, and end with a word.
func TestStreams(t *testing.T) {
	everyVersion(t, func(t *testing.T, major int) {
		h := open(t, major, pipetest.Config{Origins: []string{"https://example.com"}}, nil)
		subs := url.QueryEscape(`{"subs":{"news":{}}}`)
		commands := connectLine + "\n" + `{"id":2,"subscribe":{"channel":"news"}}`
		all := map[string]*response{
			"sse":             h.do("GET", "/sse?cf_connect="+url.QueryEscape(commands), "", "Origin", "https://example.com"),
			"http_stream":     h.do("POST", "/http_stream", commands),
			"uni_sse":         h.do("GET", "/uni_sse?cf_connect="+subs, ""),
			"uni_http_stream": h.do("POST", "/uni_http_stream", `{"subs":{"news":{}}}`),
		}
		for name, r := range all {
			content, events := "text/plain; charset=utf-8", strings.HasSuffix(name, "sse")
			if events {
				content = "text/event-stream"
				r.expect("")
			}
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != content || r.Header.Get("X-Accel-Buffering") != "no" ||
				r.Header.Get("Cache-Control") != "private, no-cache, no-store, must-revalidate, max-age=0" {
				t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
			}
			r.expect(`"connect":{`)
			if events {
				r.expect("")
			}
			if !strings.HasPrefix(name, "uni") {
				r.expect(`{"id":2,"subscribe":{`)
				if events {
					r.expect("")
				}
			}
		}
		if got := all["sse"].Header.Get("Access-Control-Allow-Origin"); got != "https://example.com" {
			t.Errorf("CORS: %q", got)
		}
		for n := range 3 {
			time.Sleep(150 * time.Millisecond)
			h.Publish("news", fmt.Sprint(n))
			for name, r := range all {
				want := fmt.Sprintf(`"channel":"news","pub":{"data":%d}`, n)
				if strings.HasSuffix(name, "sse") {
					r.expect("data: {", "")
				} else {
					r.expect(want)
				}
			}
		}
		h.Disconnect(codec.DisconnectForceReconnect)
		for name, r := range all {
			r.expect(`"disconnect":{"code":3011,"reason":"force reconnect"}`)
			if strings.HasSuffix(name, "sse") {
				r.expect("")
			}
			r.expectEnd()
		}
	})
}

// TestProtobuf: a body of that type gets its answers in it.
func TestProtobuf(t *testing.T) {
	h := open(t, 2, pipetest.Config{}, nil)
	body, err := codec.AppendCommand(nil, codec.Protobuf, &codec.Command{ID: 1, Method: codec.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	r := h.do("POST", "/http_stream", string(body), "Content-Type", "application/octet-stream")
	first, err := r.in.ReadByte()
	if err != nil {
		t.Fatal(err)
	}
	message := make([]byte, int(first)+1)
	message[0] = first
	if _, err := io.ReadFull(r.in, message[1:]); err != nil {
		t.Fatal(err)
	}
	var reply codec.Reply
	if _, err := codec.DecodeReply(codec.Protobuf, message, &reply); err != nil || reply.Connect == nil {
		t.Errorf("%v (%v)", reply, err)
	}
	r.cancel()
}

// TestAnswers: what gets no stream.
func TestAnswers(t *testing.T) {
	everyVersion(t, func(t *testing.T, major int) {
		h := open(t, major, pipetest.Config{Gate: func(c *gate.Config) { c.ConnectionsMax = 2 }, Pipes: func(c *pipe.Config) { c.ConnsMax = 1 }}, nil)
		for _, tt := range []struct {
			method, target, body string
			status               int
		}{
			{"GET", "/sse", "", 400},
			{"PUT", "/sse", "x", 405},
			{"GET", "/http_stream", "", 405},
			{"OPTIONS", "/uni_sse", "", 204},
			{"POST", "/uni_http_stream", "", 400},
			{"POST", "/uni_http_stream", "nonsense", 400},
			{"POST", "/http_stream", strings.Repeat("x", bodyBytesMax+1), 413},
		} {
			if r := h.do(tt.method, tt.target, tt.body); r.StatusCode != tt.status {
				t.Errorf("%s %s: status %d, want %d", tt.method, tt.target, r.StatusCode, tt.status)
			}
		}
		one := h.do("POST", "/http_stream", connectLine)
		one.expect(`"connect"`)
		if r := h.do("POST", "/http_stream", connectLine); r.StatusCode != 503 {
			t.Errorf("status %d over the limit", r.StatusCode)
		}
		one.cancel()
	})
}

// TestRefusals: where that is wanted, a client that cannot connect gets a status.
func TestRefusals(t *testing.T) {
	everyVersion(t, func(t *testing.T, major int) {
		rules := &config.ConnectCodeToHTTPResponse{Enabled: true, Transforms: []config.ConnectCodeToHTTPResponseTransform{
			{Code: 3500, To: config.TransformHTTPResponse{StatusCode: 401, Body: "who are you?"}},
		}}
		h := open(t, major, pipetest.Config{Config: func(c *config.Config) {
			c.Client.Insecure = false
			c.Client.Token.HMACSecretKey = "secret"
			c.Client.AllowAnonymousConnectWithoutToken = true
		}}, func(c *stream.Config) { c.Refusals = stream.NewRefusals(rules) })
		r := h.do("POST", "/uni_http_stream", `{"token":"nonsense"}`)
		if body, _ := io.ReadAll(r.Body); r.StatusCode != 401 || string(body) != "who are you?" {
			t.Errorf("status %d, %q", r.StatusCode, body)
		}
		r = h.do("POST", "/http_stream", `{"id":1,"connect":{"token":"nonsense"}}`)
		r.expect(`"disconnect":{"code":3500,"reason":"invalid token"}`)
		r.expectEnd()
		r = h.do("POST", "/uni_http_stream", `{}`)
		r.expect(`"connect"`)
		h.Disconnect(codec.DisconnectForceReconnect)
		r.expect(`"disconnect":{"code":3011`)
		r.expectEnd()
		h.Draining.Store(true)
		r = h.do("POST", "/http_stream", connectLine)
		r.expect(`"disconnect":{"code":3001,"reason":"shutdown"}`)
		r.expectEnd()
	})
}

// TestSlow: a client that does not read is ended, and nobody else on its connection has to wait for it.
func TestSlow(t *testing.T) {
	everyVersion(t, func(t *testing.T, major int) {
		h := open(t, major, pipetest.Config{Pipes: func(c *pipe.Config) {
			c.QueueBytesMax, c.WriteTimeout, c.CloseTimeout = 64<<10, 300*time.Millisecond, 300*time.Millisecond
		}}, nil)
		good := h.do("POST", "/uni_http_stream", `{"subs":{"news":{}}}`)
		good.expect(`"connect"`)
		slow := h.do("POST", "/uni_http_stream", `{"subs":{"news":{}}}`)
		slow.expect(`"connect"`)
		data := `"` + strings.Repeat("x", 20_000) + `"`
		h.Eventually("the slow one is gone", func() bool {
			h.Publish("news", data)
			if _, err := good.in.ReadString('\n'); err != nil { // it keeps up, however busy the machine is
				t.Fatal(err)
			}
			return h.Node.Clients() == 1
		})
		good.cancel()
		if s := h.Reactor.Stats(); s.Slow+s.WriteErrors != 1 {
			t.Errorf("%d slow clients are counted and %d write errors", s.Slow, s.WriteErrors)
		}
	})
}

// TestMany: a thousand streams on a few connections, what they cost, and that all of them get everything in order.
func TestMany(t *testing.T) {
	h := open(t, 2, pipetest.Config{}, nil)
	const streams, messages = 1000, 10
	before := pipetest.Measure()
	var all []*response
	for range streams {
		all = append(all, h.do("POST", "/uni_http_stream", `{"subs":{"news":{}}}`))
	}
	for _, r := range all {
		r.expect(`"connect"`)
	}
	t.Logf("a stream, client and server together: %s", pipetest.Measure().Each(streams, before))
	for n := range messages {
		h.Publish("news", fmt.Sprint(n))
	}
	var reading sync.WaitGroup
	for _, r := range all {
		reading.Go(func() {
			for n := range messages {
				line, err := r.in.ReadBytes('\n')
				if want := fmt.Appendf(nil, `{"data":%d}`, n); err != nil || !bytes.Contains(line, want) {
					t.Errorf("%s (%v), want %s", line, err, want)
					return
				}
			}
			r.cancel()
		})
	}
	reading.Wait()
}
