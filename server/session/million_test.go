package session

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"

	"stentor/codec"
)

// BenchmarkMillion is a million sessions without sockets, each of a user of its own and subscribed to a channel of ten and to one of a
// thousand: what they take, and what one collection of the garbage costs while they are there. It reports a million of sessions per
// operation; run it with -benchtime 1x.
func BenchmarkMillion(b *testing.B) {
	const sessions = 1_000_000
	for b.Loop() {
		st := openStage(b, `{"client":{"user_id_http_header":"X-User"},"channel":{"without_namespace":{"allow_subscribe_for_client":true}}}`)
		d := new(drain)
		before := heap()
		connect := []byte(`{"id":1,"connect":{"name":"js"}}`)
		for i := range sessions {
			s := New(st.node, d, st.node.Loops[0].Add(d), Options{Form: codec.JSON, HeaderUser: fmt.Sprint("user-", 1_000_000+i)})
			s.Receive(connect)
			s.Receive(fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":"chat-room-%d"}}`, 100_000+i/10))
			s.Receive(fmt.Appendf(nil, `{"id":3,"subscribe":{"channel":"city-%d"}}`, 1_000+i/1000))
		}
		after := heap()
		cpu, pause := collection()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "B/session")
		b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/sessions, "objects/session")
		b.ReportMetric(cpu*1e3, "ms-CPU/GC")
		b.ReportMetric(pause*1e3, "ms-pause/GC")
		if per := float64(after.HeapAlloc-before.HeapAlloc) / sessions; per > 900 {
			b.Errorf("%.0f bytes per session, want at most 900", per)
		}
		runtime.KeepAlive(st)
	}
}

// collection runs one and tells the CPU time that it took and its longest pause, in seconds.
func collection() (cpu, pause float64) {
	read := func() float64 {
		sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
		metrics.Read(sample)
		return sample[0].Value.Float64()
	}
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	start := read()
	runtime.GC()
	cpu = read() - start
	runtime.ReadMemStats(&is)
	var pauses []uint64
	for n := was.NumGC; n < is.NumGC; n++ {
		pauses = append(pauses, is.PauseNs[n%uint32(len(is.PauseNs))])
	}
	return cpu, float64(slices.Max(pauses)) / 1e9
}
