package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/metrics"
)

// sink is a broker that costs nothing.
type sink struct{ *world }

func (sink) Publish(context.Context, string, *codec.Publication, engine.PublishOptions) (engine.PublishResult, error) {
	return engine.PublishResult{}, nil
}

// quick is an HTTP mouth over a sink.
func quick(tb testing.TB) *HTTP {
	w := newWorld(tb)
	log := slog.New(slog.DiscardHandler)
	a := New(Config{Protocol: "http", Broker: sink{w}, Presence: w, Clients: w, Node: w,
		Metrics: metrics.New(metrics.Config{}), Log: log}, rulesFor(tb))
	return NewHTTP(a, HTTPConfig{Prefix: "/api", Key: "benchmark-key", Log: log})
}

const publishBody = `{"channel":"chat:room-42","data":{"text":"a hundred bytes of text, more or less, as people send them to each other, 12345678"}}`

// blank is a response that nobody reads, as cheap as can be.
type blank struct {
	header http.Header
	status int
}

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(status int)      { b.status = status }

// request is one that can be served again and again.
func request(body []byte) (r *http.Request, rewind func()) {
	from := bytes.NewReader(body)
	r = httptest.NewRequest("POST", "/api/publish", from)
	r.Header.Set("X-API-Key", "benchmark-key")
	r.Body = io.NopCloser(from)
	return r, func() { from.Reset(body) }
}

// The allocations of a publish: decoder, request, channel name, data, publication, result.
func TestPublishAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := quick(t)
	r, rewind := request([]byte(publishBody))
	w := &blank{header: http.Header{}}
	if n := testing.AllocsPerRun(1000, func() {
		rewind()
		h.ServeHTTP(w, r)
	}); n > 6 || w.status != 200 {
		t.Errorf("%v allocations, status %d", n, w.status)
	}
}

// BenchmarkPublish is all of ours without net/http: key, body, JSON, rules, answer.
func BenchmarkPublish(b *testing.B) {
	h := quick(b)
	r, rewind := request([]byte(publishBody))
	w := &blank{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		rewind()
		h.ServeHTTP(w, r)
	}
}

// BenchmarkOverTheWire publishes over kept-alive connections to a net/http server in the same process, and asks the same of a
// handler that only reads the body: the difference is ours. The client is as small as it can be.
func BenchmarkOverTheWire(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		write(w, http.StatusOK, []byte(done))
	})
	b.Run("publish", func(b *testing.B) { benchmarkWire(b, quick(b)) })
	b.Run("bare", func(b *testing.B) { benchmarkWire(b, bare) })
}

func benchmarkWire(b *testing.B, h http.Handler) {
	srv := httptest.NewServer(h)
	defer srv.Close()
	req := []byte("POST /api/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: benchmark-key\r\nContent-Length: " +
		strconv.Itoa(len(publishBody)) + "\r\n\r\n" + publishBody)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		in := make([]byte, 4<<10)
		for pb.Next() {
			if _, err := conn.Write(req); err != nil {
				b.Error(err)
				return
			}
			for got := 0; !bytes.HasSuffix(in[:got], []byte(done)); {
				n, err := conn.Read(in[got:])
				if err != nil {
					b.Error(err)
					return
				}
				got += n
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkBroadcast publishes to 1000 channels of a local engine.
func BenchmarkBroadcast(b *testing.B) {
	h := quick(b)
	req := &BroadcastRequest{Message: Message{Data: []byte(`{"a":1}`)}}
	for i := range 1000 {
		req.Channels = append(req.Channels, "chat:"+strconv.Itoa(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.api.Broadcast(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}
