package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stentor/bench/cost"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

// measured is a calibration that has only some figures.
var measured = cost.Coefficients{
	Version: cost.Version, When: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Machine: cost.Machine{CPU: "Fast One", Cores: 8, Kernel: "6.1.0"},
	NsPerDelivery: 1500, NsPerDeliveryBatched: 300, NsPerPing: 2000, RSSRatio: 1.5,
}

// workload is the default one with changes.
func workload(change func(*Workload)) Workload {
	w := DefaultWorkload()
	change(&w)
	return w
}

func million(w *Workload) { w.Subscriptions, w.Rate = 2, 1 }

func everything(w *Workload) {
	million(w)
	w.PerChannel, w.Rate, w.SizeBytes, w.History = 1, 0.1, 3000, 20
	w.TLS, w.Recoverable, w.Presence = true, true, true
	w.BoxCores, w.BoxBytes = 16, 64<<30
}

// TestPlans compares whole plans; -update rewrites them.
func TestPlans(t *testing.T) {
	tests := []struct {
		name string
		w    Workload
		c    cost.Coefficients
		from string
	}{
		{name: "million", w: workload(million), c: cost.Shipped(), from: "shipped"},
		{name: "everything", w: workload(everything), c: cost.Shipped(), from: "shipped"},
		{name: "measured", w: workload(million), c: measured, from: "/cache/coefficients.json"},
		{name: "idle", w: workload(func(w *Workload) { w.Connections, w.Subscriptions, w.PingInterval = 5, 0, 0 }), c: cost.Shipped(), from: "shipped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Make(tt.w, tt.c, tt.from)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			p.text(&text)
			compare(t, tt.name+".txt", text.Bytes())
			var object bytes.Buffer
			if err := p.json(&object); err != nil || !json.Valid(object.Bytes()) {
				t.Fatalf("%v\n%s", err, object.Bytes())
			}
			compare(t, tt.name+".json", object.Bytes())
		})
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

// values are the figures by their names in JSON.
func values(t *testing.T, w Workload, c cost.Coefficients) map[string]float64 {
	t.Helper()
	p, err := Make(w, c, shippedFrom)
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]float64{}
	for _, f := range p.figures {
		if _, twice := v[f.id]; twice {
			t.Errorf("two figures are %s", f.id)
		}
		if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) || strings.Contains(f.Formula, "%!") {
			t.Errorf("%+v", f)
		}
		v[f.id] = f.Value
	}
	return v
}

// TestArithmetic checks figures against sums made by hand.
func TestArithmetic(t *testing.T) {
	c := cost.Coefficients{
		Version: 1, BytesPerClientHeap: 600, BytesPerSubscription: 50, BytesPerChannel: 100, BytesPerRecoverable: 10, BytesPerHistoryChannel: 90,
		BytesPerPresence: 40, BytesPerTLS: 4000, BaseBytesRSS: 1 << 20, RSSRatio: 1.5, KernelBytesPerSocket: 5000, KernelBytesPerStalled: 100_000,
		KernelBytesPerInFlight: 4000, NsPerDelivery: 1000, NsPerDeliveryBatched: 100, NsPerPing: 2000, NsPerConnect: 50_000, NsPerSubscribe: 10_000,
		NsPerPublish: 20_000, NsPerTLSHandshake: 300_000, NsPerTLSRecord: 200, NsPerTLSByte: 1,
	}
	w := Workload{
		Connections: 1000, Subscriptions: 3, PerChannel: 2, Rate: 4, SizeBytes: 76, PingInterval: 10 * time.Second, TLS: true, Recoverable: true,
		History: 5, Presence: true, ConnectSeconds: 10,
	}
	push := float64(len(`{"push":{"channel":"cccccccccccccccc","pub":{"data":,"offset":1000000}}}`) + 76 + 4 + 22)
	want := map[string]float64{
		"channels": 1500, "publications_per_second": 6000, "deliveries_per_second": 12000, "pings_per_second": 100,
		"heap_clients_bytes": 1000 * (600 + 2*50), "heap_channels_bytes": (1500 - 300) * 100, "heap_recovery_bytes": 3000*10 + 1500*(90+5*(76+24)),
		"heap_presence_bytes": 3000 * 40, "heap_tls_bytes": 4_000_000,
		"kernel_sockets_bytes": 5_000_000, "kernel_buffers_bytes": 10*100_000 + 1000*4000, // 1,200 are not acknowledged, but there are only 1,000
		"push_bytes":             push,
		"out_bits_per_second":    8 * (12000*(push+66) + 100*(26+66+66) + 6000*(150+66)),
		"in_bits_per_second":     8 * (12000*66 + 100*(30+66) + 6000*(376+66)),
		"out_packets_per_second": 12000 + 200 + 6000, "in_packets_per_second": 12000 + 100 + 6000,
		"cpu_deliveries": 0.012, "cpu_deliveries_batched": 0.0012, "cpu_publishes": 0.12, "cpu_pings": 0.0002,
		"cpu_tls":   (12200*200 + 12000*push) * 1e-9,
		"cpu_storm": 1000 * (50_000 + 3*10_000 + 300_000) * 1e-9 / 10,
	}
	got := values(t, w, c)
	for id, n := range want {
		if math.Abs(got[id]-n) > 1e-9*n {
			t.Errorf("%s = %v, want %v", id, got[id], n)
		}
	}
	heap := got["heap_clients_bytes"] + got["heap_channels_bytes"] + got["heap_recovery_bytes"] + got["heap_presence_bytes"] + got["heap_tls_bytes"]
	if got["heap_bytes"] != heap || got["rss_bytes"] != 1<<20+1.5*heap || got["memory_bytes"] != got["rss_bytes"]+10_000_000 {
		t.Errorf("heap %v, RSS %v, memory %v, want a heap of %v", got["heap_bytes"], got["rss_bytes"], got["memory_bytes"], heap)
	}
	if steady := got["cpu_deliveries"] + got["cpu_publishes"] + got["cpu_pings"] + got["cpu_tls"]; math.Abs(got["cpu_steady"]-steady) > 1e-12 || math.Abs(got["cpu_peak"]-steady-got["cpu_storm"]) > 1e-12 {
		t.Errorf("steady %v, peak %v, want %v and the storm", got["cpu_steady"], got["cpu_peak"], steady)
	}
}

// TestBoxes: the machines that a plan asks for hold the clients, and one fewer would not.
func TestBoxes(t *testing.T) {
	for cores, gibibytes := range map[int]int64{0: 4, 2: 0, 8: 16, 64: 4, 128: 1024} {
		w := workload(everything)
		w.BoxCores, w.BoxBytes = cores, gibibytes<<30
		p, err := Make(w, cost.Shipped(), shippedFrom)
		if err != nil {
			t.Fatal(err)
		}
		fits := func(n float64) bool {
			rss := p.Coefficients.BaseBytesRSS + p.heap*p.Coefficients.RSSRatio/n
			return (cores == 0 || p.peak/n <= 0.7*float64(cores)*(1+1e-9)) && (gibibytes == 0 || rss/0.75+p.kernel/n+512<<20 <= float64(w.BoxBytes)*(1+1e-9))
		}
		n := float64(p.Box.Boxes)
		if !fits(n) || n > 1 && fits(n-1) {
			t.Errorf("%d cores and %d GiB: %v machines", cores, gibibytes, n)
		}
		if p.Box.Connections*p.Box.Boxes < w.Connections || p.Box.Loops < 1 || p.Box.Loops > cost.LoopsMax || cores > 0 && p.Box.Loops != min(cores, 64) {
			t.Errorf("%+v", p.Box)
		}
		if p.Box.MemoryLimit%limitStep != 0 || float64(p.Box.MemoryLimit)*0.75 < p.Coefficients.BaseBytesRSS+p.heap*p.Coefficients.RSSRatio/n {
			t.Errorf("a limit of %d", p.Box.MemoryLimit)
		}
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		change func(*Workload)
		want   string
	}{
		{func(w *Workload) {}, ""},
		{func(w *Workload) { w.Connections = 0 }, "--connections 0: want 1 to 100,000,000"},
		{func(w *Workload) { w.Connections = 100_000_001 }, "--connections 100000001"},
		{func(w *Workload) { w.Connections, w.PerChannel = 100_000_000, 100_000_000 }, ""},
		{func(w *Workload) { w.Subscriptions = -1 }, "--subscriptions -1: want 0 to 100,000"},
		{func(w *Workload) { w.PerChannel = 0 }, "--per-channel 0"},
		{func(w *Workload) { w.SizeBytes = 0 }, "--size 0"},
		{func(w *Workload) { w.SizeBytes = sizeBytesMax }, ""},
		{func(w *Workload) { w.SizeBytes = sizeBytesMax + 1 }, "--size 1048577"},
		{func(w *Workload) { w.Rate = -0.5 }, "--rate -0.5"},
		{func(w *Workload) { w.Rate = math.NaN() }, "--rate NaN"},
		{func(w *Workload) { w.Rate = rateMax + 1 }, "--rate 1.000001e+06"},
		{func(w *Workload) { w.Rate, w.Subscriptions = 1, 0 }, "--rate needs --subscriptions"},
		{func(w *Workload) { w.Presence, w.Subscriptions = true, 0 }, "--recoverable and --presence need"},
		{func(w *Workload) { w.History = 2 }, "--history belongs to --recoverable"},
		{func(w *Workload) { w.History, w.Recoverable = historyMax+1, true }, "--history 1000001"},
		{func(w *Workload) { w.PingInterval = time.Second - 1 }, "--ping-interval 999.999999ms: want 1s to 24h0m0s, or 0"},
		{func(w *Workload) { w.PingInterval = -1 }, "--ping-interval -1ns"},
		{func(w *Workload) { w.ConnectSeconds = 0 }, "--connect-seconds 0"},
		{func(w *Workload) { w.BoxCores = boxCoresMax + 1 }, "--cores 1025"},
		{func(w *Workload) { w.BoxBytes = boxBytesMin }, ""},
		{func(w *Workload) { w.BoxBytes = boxBytesMin - 1 }, "--memory: want 1.00 GiB to 1.00 PiB"},
		{func(w *Workload) { w.BoxBytes = -1 }, "--memory"},
	}
	for i, tt := range tests {
		w := workload(tt.change)
		_, err := Make(w, cost.Shipped(), shippedFrom)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%d: %v, want %q", i, err, tt.want)
		}
	}
}

// TestLargest: the largest workload that is taken makes figures that are numbers.
func TestLargest(t *testing.T) {
	w := Workload{
		Connections: 100_000_000, Subscriptions: subscriptionsMax, PerChannel: 1, Rate: rateMax, SizeBytes: sizeBytesMax, PingInterval: pingIntervalMin,
		TLS: true, Recoverable: true, History: historyMax, Presence: true, ConnectSeconds: 1, BoxCores: 1, BoxBytes: boxBytesMin,
	}
	v := values(t, w, cost.Shipped())
	if v["boxes"] < 1e9 {
		t.Errorf("%v machines", v["boxes"])
	}
}

func TestBytesFlag(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1073741824": 1 << 30, "64GiB": 64 << 30, "64g": 64 << 30, "64 GB": 64 << 30, "1.5G": 3 << 29, "512m": 512 << 20, "2TiB": 2 << 40, "7b": 7, "3k": 3072,
	} {
		var b bytesFlag
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("%q: %d %v, want %d", text, b, err, want)
		}
	}
	for _, bad := range []string{"", "g", "-1", "64X", "64gg", "NaN", "Inf", "1e300", "2048TiB", "64GiBs", "64 i", "0x10g"} {
		var b bytesFlag
		if err := b.Set(bad); err == nil || b != 0 {
			t.Errorf("%q was taken as %d", bad, b)
		}
	}
	b := bytesFlag(64 << 30)
	if b.String() != "64.0 GiB" || (new(bytesFlag)).String() != "0" {
		t.Error(b.String())
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 1: "1", 0.65: "0.65", 1234567.5: "1,234,567.5", -0.0001: "0", -2.5: "-2.5", 1.9996: "2", 0.1 + 0.2: "0.3", 2.5e17: "2.5e+17"} {
		if got := number(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0.0 bit/s", 999: "999.0 bit/s", 5.6e9: "5.6 Gbit/s", 7e15: "7000.0 Tbit/s"} {
		if got := bits(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}

// ExampleMake plans for what a small office does.
func ExampleMake() {
	w := DefaultWorkload()
	w.Connections = 2000
	p, err := Make(w, cost.Shipped(), "shipped")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Box.Loops, "loop,", p.Box.Descriptors, "open files")
	// Output: 1 loop, 2275 open files
}
