package probe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

var fixture = Process{pid: 4242, root: "testdata"}

func TestStatus(t *testing.T) {
	s, err := fixture.Status()
	if err != nil || s != (Status{RSS: 16384 << 10, RSSPeak: 20480 << 10, Threads: 9}) {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range []string{"", "VmRSS:\n", "VmRSS:\tmuch kB\n", "VmRSS: 1 kB\nThreads: 2\n"} {
		if _, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestStatCPU(t *testing.T) {
	cpu, err := fixture.statCPU()
	if err != nil || cpu != 18*time.Second {
		t.Errorf("%v %v", cpu, err)
	}
	for _, bad := range []string{"", "1 (x) S 1 2", "1 (x) S 1 1 1 1 1 1 1 1 1 1 ten 1 1"} {
		if _, err := parseStatCPU([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestFilesMax(t *testing.T) {
	n, limited, err := fixture.FilesMax()
	if err != nil || !limited || n != 20000 {
		t.Errorf("%d %v %v", n, limited, err)
	}
	if _, limited, err = parseFilesMax([]byte("Max open files  unlimited unlimited files\n")); err != nil || limited {
		t.Errorf("unlimited: %v %v", limited, err)
	}
	if _, _, err = parseFilesMax([]byte("Max processes 1 1 processes\n")); err == nil {
		t.Error("a text without the line was taken")
	}
}

func TestOwnProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	p, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	before, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	// The clock of CPU time passes as work is done, however slow the machine is.
	for after := before; after < before+20*time.Millisecond; {
		if after, err = p.CPU(); err != nil {
			t.Fatal(err)
		}
	}
	coarse, err := p.statCPU()
	if err != nil || (coarse-before).Abs() > time.Second {
		t.Errorf("stat says %v, clock said %v, %v", coarse, before, err)
	}
	if s, err := p.Status(); err != nil || s.RSS < 1<<20 || s.Threads < 1 {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := Open(1 << 30); err == nil || !strings.Contains(err.Error(), "no process") {
		t.Errorf("no such process: %v", err)
	}
}

func TestPprof(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	server := httptest.NewServer(mux)
	defer server.Close()
	h, err := NewPprof(server.URL+"/debug/pprof/", nil).Heap(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if h.Bytes < 1000 || h.Objects < 100 || h.Goroutines < 2 || h.Sys < h.Bytes {
		t.Errorf("%+v", h)
	}
	if _, err := NewPprof(server.URL, nil).Heap(context.Background()); err == nil || !strings.Contains(err.Error(), "debug.enabled") {
		t.Errorf("pages that are off: %v", err)
	}
	if _, err := parseHeap([]byte("# HeapAlloc = 5\n# HeapObjects = x\n")); err == nil {
		t.Error("a bad number was taken")
	}
	if _, err := parseGoroutines([]byte("heap profile: 1\n")); err == nil {
		t.Error("a heap page was taken for goroutines")
	}
}

func TestMachine(t *testing.T) {
	m := openMachine("testdata")
	if m.Kernel != "6.1.0-test" || m.CPU != "Fast One" || m.Memory != 2048<<10 {
		t.Errorf("%+v", m)
	}
	// user 10, nice 20, system 30, irq 1, softirq 2, steal 3 ticks; idle and iowait are not work, guests are in user.
	if busy, err := m.Busy(); err != nil || busy != 660*time.Millisecond {
		t.Errorf("%v %v", busy, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu 1 2 3 4 5 6 seven 8\n"} {
		if _, err := parseBusy([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if none := openMachine("nowhere"); none.Kernel != "" || none.Memory != 0 {
		t.Errorf("%+v", none)
	}
}

func TestMetricsSum(t *testing.T) {
	const page = `# TYPE closes counter
closes{code="3008",transport="websocket"} 4
closes{transport="sse",code="3008"} 2 1700000000000
closes{code="3012"} 5
closes_total{code="3008"} 100
plain 7
`
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"closes", []string{`code="3008"`}, 6},
		{"closes", []string{`code="3008"`, `transport="sse"`}, 2},
		{"closes", nil, 11},
		{"plain", nil, 7},
		{"other", nil, 0},
	} {
		if got, err := sumMetrics([]byte(page), c.name, c.labels); err != nil || got != c.want {
			t.Errorf("%s %v: %v %v", c.name, c.labels, got, err)
		}
	}
	if _, err := sumMetrics([]byte("plain seven\n"), "plain", nil); err == nil {
		t.Error("a word was taken for a number")
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := NewMetrics(server.URL+"/metrics", nil).Sum(context.Background(), "x"); err == nil || !strings.Contains(err.Error(), "prometheus.enabled") {
		t.Errorf("%v", err)
	}
}

func FuzzSumMetrics(f *testing.F) {
	f.Add([]byte("closes{code=\"3008\"} 4 1\nplain 7\n"))
	f.Fuzz(func(t *testing.T, page []byte) { _, _ = sumMetrics(page, "plain", []string{"x"}) })
}
