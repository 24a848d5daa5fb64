package metrics

import (
	"bytes"
	"flag"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"stentor/codec"
	"stentor/engine"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// clock is a wall clock that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTestMetrics(loops int) (*Metrics, *clock) {
	c := &clock{t: time.Unix(1_700_000_000, 0)}
	return New(Config{Loops: loops, Version: "1.2.3", Now: c.now}), c
}

// busy makes metrics in which everything has happened.
func busy() *Metrics {
	m, _ := newTestMetrics(2)
	js := m.Joined(0, Client{WebSocket, "", "js", "5.3.0"})
	m.Joined(1, Client{WebSocket, "", "js", "5.2.0"})
	m.Joined(1, Client{UniSSE, "h2", "my \"sdk\"\n", "1"})
	m.Left(0, m.Joined(0, Client{Transport: SSE}), 3001)
	for range 3 {
		m.Subscribed(0, 0, js)
	}
	m.Unsubscribed(1, 0, js)
	m.Unsubscribed(1, 0, js)
	m.Occupied(0, "chat:1")
	m.Vacated(1, "chat:1")
	m.FilteredOut(0, "chat:1", 5)
	for loop := range 2 {
		m.Sent(loop, WebSocket, FramePushPublication, 10, 1000)
		m.Received(loop, WebSocket, FrameOf(codec.MethodSubscribe), 50)
		m.Command(loop, 0, codec.MethodSubscribe, 3*time.Microsecond)
	}
	m.Command(1, 0, codec.MethodPublish, time.Hour)
	m.Broadcast(0, MessagePublication, 50*time.Microsecond)
	m.Pong(1, WebSocket, 20*time.Millisecond)
	m.MessageSent(-1, 0, MessagePublication)
	m.MessageReceived(1, 0, MessageJoin)
	m.Recover(0, 0, true, true)
	m.Recover(0, 0, false, false)
	m.UserLimit()
	m.Suppressed(0, engine.SuppressVersion)
	m.Suppressed(0, "")
	m.ReplyError(0, codec.MethodPublish, codec.ErrorPermissionDenied.Code)
	m.ReplyError(0, codec.MethodRPC, 1234)
	m.Disconnect(codec.DisconnectStale.Code)
	m.Disconnect(4001)
	m.Unsubscribe(0, codec.UnsubscribeServer.Code)
	m.Close(WebSocket, codec.DisconnectShutdown.Code)
	m.Close(WebSocket, 1009)
	m.Close(WebSocket, 1016)

	for _, protocol := range []string{"http", "grpc"} {
		api := m.API(protocol, []string{"publish", "info"})
		api.Command(0, 5*time.Microsecond)
		api.Command(1, 0)
		api.Error(1, codec.ErrorInternal.Code)
	}
	m.Survey("channels").Took(3 * time.Millisecond)
	m.Survey("unasked")
	m.ControlFailed(ControlJunk)
	m.WatchBrokers(func() []BrokerGauges {
		return []BrokerGauges{{
			Name: "redis", Published: 9, Received: 8, Dropped: 1, Malformed: 2, Resubscribed: 3, Channels: 4,
			Servers: []BrokerServer{{Name: "127.0.0.1:6379", Reachable: true}, {Name: "b\"", Reachable: true, Listening: true}},
		}}
	})
	m.WatchNode(func() NodeGauges { return NodeGauges{Clients: 3, Users: 2, Subscriptions: 1, Channels: 1, Nodes: 1} })
	m.WatchReactor(func() ReactorGauges {
		return ReactorGauges{
			Loops: []LoopGauges{
				{Conns: 2, MailItems: 1, MailBytes: 200, Stalls: 1, LagCounts: []uint64{5, 1, 2}, LagSum: 3 * time.Millisecond},
				{Conns: 1, LagCounts: []uint64{0, 0, 0}},
			},
			LagBound:    func(i int) time.Duration { return time.Millisecond << i },
			QueuedBytes: 4096,
			Accepted:    10,
			Refused:     map[string]uint64{"limit": 2, "a\"b\n": 1},
			Dropped:     map[string]uint64{"latest": 3, "drop_oldest": 0},
			HTTPConns:   4,
			HandedOff:   6,
			Adopted:     1,
			TLS: &TLSGauges{
				Conns:       map[string]int{"1.3": 5, "1.2": 0},
				Handshaking: 2,
				Handshakes:  map[string]uint64{"ok": 7, "failed": 3},
				Broken:      1,
			},
		}
	})
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	m.Instrument("/x", teapot).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/x", nil))
	m.Instrument("/x", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("BREW", "/x", nil))
	return m
}

func TestText(t *testing.T) {
	var got bytes.Buffer
	busy().Write(&got)
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the text differs from %s (go test -update rewrites it):\n%s", golden, got.String())
	}
	checkText(t, got.String())
}

// checkText checks what holds for every page: one TYPE line per family, its samples behind it, no sample twice.
func checkText(t *testing.T, text string) {
	t.Helper()
	typed, seen, family := map[string]bool{}, map[string]bool{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if typed[name] || kind == "" {
				t.Errorf("%q comes twice or without a type", line)
			}
			typed[name], family = true, name
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		sample, value, ok := cutLast(line, ' ')
		name, _, _ := strings.Cut(sample, "{")
		if !ok || value == "" || !strings.HasPrefix(name, family) {
			t.Errorf("line %q is no sample of family %q", line, family)
		}
		if seen[sample] {
			t.Errorf("sample %q comes twice", sample)
		}
		seen[sample] = true
	}
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func TestHandlers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		handler  http.Handler
		kind     string
		contains []string
	}{
		{"metrics", busy().Handler(), "text/plain; version=0.0.4; charset=utf-8",
			[]string{"\ncentrifugo_node_num_clients 3\n", "\ngo_goroutines ", "\nprocess_resident_memory_bytes "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			tt.handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != 200 || w.Header().Get("Content-Type") != tt.kind {
				t.Errorf("got status %d, content type %q", w.Code, w.Header().Get("Content-Type"))
			}
			for _, want := range tt.contains {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, w.Body.String())
				}
			}
		})
	}
}

func TestBuckets(t *testing.T) {
	for ns := uint64(1); ns < 1<<40; ns += ns/7 + 1 {
		i := bucketOf(ns)
		if float64(ns) >= bucketBound(i) || i > 0 && float64(ns) < bucketBound(i-1) {
			t.Fatalf("%d ns is in bucket %d, which ends at %v", ns, i, bucketBound(i))
		}
	}
	if i := bucketOf(math.MaxUint64); i != numBuckets-1 {
		t.Errorf("the longest duration is in bucket %d", i)
	}
}

func TestQuantile(t *testing.T) {
	var h histogram
	for i := range 10_000 {
		h.observe(time.Duration(i+1) * time.Microsecond)
	}
	var c counts
	c.add(&h)
	for _, tt := range []struct{ q, want float64 }{{0.5, 5e-3}, {0.99, 9.9e-3}, {0.999, 9.99e-3}} {
		if got := c.quantile(tt.q); math.Abs(got/tt.want-1) > 0.125 {
			t.Errorf("quantile %v is %v, want about %v", tt.q, got, tt.want)
		}
	}
	if got := new(counts).quantile(0.5); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

// Quantiles tell of the last minutes: what was slow at the start is forgotten.
func TestQuantilesForget(t *testing.T) {
	m, clock := newTestMetrics(1)
	m.Command(0, 0, codec.MethodPublish, time.Second)
	slow := []bool{true, true, false, false}
	for i, want := range slow {
		m.Command(0, 0, codec.MethodPublish, time.Microsecond)
		var text bytes.Buffer
		m.Write(&text)
		line := textLine(text.String(), `centrifugo_client_command_duration_seconds{method="publish",channel_namespace="",quantile="0.999"} `)
		if got := !strings.Contains(line, "e-"); got != want {
			t.Errorf("after %d minutes: %q", i*5, line)
		}
		clock.t = clock.t.Add(windowHalf)
	}
}

func textLine(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	return ""
}

// Clients choose name, version and code; none of them may make a series of their own for ever.
func TestLabelsAreBounded(t *testing.T) {
	m, _ := newTestMetrics(1)
	for i := range 10_000 {
		n := utoa(uint64(i))
		m.Joined(0, Client{WebSocket, "", "sdk" + n, n})
		m.Joined(0, Client{SSE, "p" + n, "js", "1." + n})
		m.Disconnect(uint32(i))
		m.ReplyError(0, codec.Method(i%256), uint32(i))
		m.Unsubscribe(0, uint32(i))
	}
	var text bytes.Buffer
	m.Write(&text)
	checkText(t, text.String())
	if n := strings.Count(text.String(), "\n"); n > 2000 {
		t.Errorf("%d lines", n)
	}
	late := m.Joined(0, Client{UniGRPC, "", "go", "1"})
	if n := len(m.classes.list()); n > ClassesMax {
		t.Errorf("%d classes", n)
	}
	if c := m.classes.list()[late.index()]; c.Transport != UniGRPC || c.Name != "unregistered" {
		t.Errorf("a class that came late is %+v", c)
	}
}

func TestClientLabels(t *testing.T) {
	for _, tt := range []struct{ name, version, wantName, wantVersion string }{
		{"js", "5.3.0", "js", "5.3.0"},
		{"", "", "unnamed", "unversioned"},
		{"", "1", "unnamed", "unregistered"},
		{"mine", "1", "unregistered", "unregistered"},
		{"mine", "", "unregistered", "unversioned"},
		{"go", strings.Repeat("1", VersionBytesMax+1), "go", "unregistered"},
		{"go", `1"} 7` + "\n", "go", "unregistered"},
		{"JS", "1", "unregistered", "unregistered"},
	} {
		got := Client{Name: tt.name, Version: tt.version}.label()
		if got.Name != tt.wantName || got.Version != tt.wantVersion {
			t.Errorf("%q %q became %q %q", tt.name, tt.version, got.Name, got.Version)
		}
	}
}

func TestCodes(t *testing.T) {
	for _, tt := range []struct {
		codes *codes
		code  uint32
		want  string
	}{
		{&errorCodes, 100, "100"}, {&errorCodes, 119, "119"}, {&errorCodes, 120, "custom"}, {&errorCodes, 0, "custom"},
		{&disconnectCodes, 3000, "3000"}, {&disconnectCodes, 3503, "3503"}, {&disconnectCodes, 4999, "custom"},
		{&unsubscribeCodes, 1, "1"}, {&unsubscribeCodes, 2501, "2501"}, {&unsubscribeCodes, math.MaxUint32, "custom"},
	} {
		if got := tt.codes.label(tt.codes.index(tt.code)); got != tt.want {
			t.Errorf("code %d is counted as %q, want %q", tt.code, got, tt.want)
		}
	}
}

func TestFrameOf(t *testing.T) {
	for m := codec.MethodConnect; m <= codec.MethodSubRefresh; m++ {
		if got := FrameOf(m).String(); got != m.String() {
			t.Errorf("%v is frame type %q", m, got)
		}
	}
	if FrameOf(codec.MethodNone) != FrameClientPong || FrameOf(codec.MethodUnknown) != FrameUnknown {
		t.Error("a pong or an unknown command has the wrong frame type")
	}
}

// Blocks of two loops must not meet in a cache line, nor in the pair of lines that is fetched together.
func TestBlocksAreApart(t *testing.T) {
	var l local
	if first := unsafe.Offsetof(l.sent); first < 128 {
		t.Errorf("the first counter is at byte %d", first)
	}
	if last := unsafe.Offsetof(l.pongs) + unsafe.Sizeof(l.pongs); unsafe.Sizeof(l)-last < 128 {
		t.Errorf("the last counter ends %d bytes before the block", unsafe.Sizeof(l)-last)
	}
	t.Logf("a block is %d bytes", unsafe.Sizeof(l))
}

func TestConcurrent(t *testing.T) {
	m, _ := newTestMetrics(4)
	var wg sync.WaitGroup
	for loop := range 6 { // two of them are no loops
		wg.Go(func() {
			for range 1000 {
				c := m.Joined(loop, Client{Name: "js", Version: "1"})
				m.Subscribed(loop, 0, c)
				m.Sent(loop, WebSocket, FramePushPublication, 1, 10)
				m.Command(loop, 0, codec.MethodPublish, time.Millisecond)
				m.Unsubscribed(loop, 0, c)
				m.Left(loop, c, 0)
			}
		})
	}
	var text bytes.Buffer
	for range 10 {
		m.Write(&text)
	}
	wg.Wait()
	text.Reset()
	m.Write(&text)
	for _, want := range []string{
		`centrifugo_client_connections_inflight{transport="websocket",accept_protocol="",client_name="js",client_version="1"} 0`,
		`centrifugo_client_connections_accepted{transport="websocket",accept_protocol="",client_name="js",client_version="1"} 6000`,
		`centrifugo_transport_messages_sent_size{transport="websocket",frame_type="push_publication",channel_namespace=""} 60000`,
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("%q is missing in:\n%s", want, text.String())
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m, _ := newTestMetrics(1)
	api := m.API("http", []string{"publish"})
	client := Client{Name: "js", Version: "5.3.0"}
	if n := testing.AllocsPerRun(100, func() {
		c := m.Joined(0, client)
		m.Subscribed(0, 0, c)
		m.Sent(0, WebSocket, FramePushPublication, 10, 1000)
		m.Received(0, WebSocket, FrameClientPong, 2)
		m.Command(0, 0, codec.MethodPublish, time.Millisecond)
		m.ReplyError(0, codec.MethodPublish, 103)
		m.Disconnect(3000)
		m.Suppressed(0, engine.SuppressVersion)
		m.Left(0, c, 1000)
		api.Command(0, time.Millisecond)
		api.Error(0, 107)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSent(b *testing.B) {
	m, _ := newTestMetrics(1)
	for b.Loop() {
		m.Sent(0, WebSocket, FramePushPublication, 1, 100)
	}
}

func BenchmarkCommand(b *testing.B) {
	m, _ := newTestMetrics(1)
	for b.Loop() {
		m.Command(0, 0, codec.MethodPublish, 3*time.Microsecond)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := busy()
	var text bytes.Buffer
	for b.Loop() {
		text.Reset()
		m.Write(&text)
	}
}

// BenchmarkSentByLoops counts on as many loops as there are processors: the cost per call must not grow with their number.
func BenchmarkSentByLoops(b *testing.B) {
	m, _ := newTestMetrics(64)
	var loops atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		loop := int(loops.Add(1) - 1)
		for pb.Next() {
			m.Sent(loop, WebSocket, FramePushPublication, 1, 100)
		}
	})
}
