package session

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/reactor/loop"
)

// drain is a pipe that takes everything, shared by all sessions of a benchmark.
type drain struct{ frames int }

func (d *drain) Send(*codec.Frame) bool        { d.frames++; return true }
func (d *drain) Reply(codec.Form, []byte) bool { d.frames++; return true }
func (d *drain) Close(codec.Disconnect)        {}
func (d *drain) Arm(loop.Time)                 {}
func (d *drain) Expire(loop.Time)              {}
func (d *drain) Order(any)                     {}

// bench opens a session on a pipe that costs nothing.
func (st *stage) bench(d *drain, f codec.Form, connect string) *Session {
	s := New(st.node, d, st.node.Loops[0].Add(d), Options{Form: f})
	s.Receive(message(st.t, f, connect))
	return s
}

// message translates commands, as JSON, into form f.
func message(t testing.TB, f codec.Form, text string) (out []byte) {
	for rest := []byte(text); len(rest) > 0; {
		var c codec.Command
		var err error
		if rest, err = codec.DecodeCommand(codec.JSON, rest, &c); err != nil {
			t.Fatal(err)
		}
		if out, err = codec.AppendCommand(out, f, &c); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

const (
	benchConnect   = `{"id":1,"connect":{}}`
	benchPublish   = `{"id":2,"publish":{"channel":"news","data":{"text":"a message of a usual length, as people send them"}}}`
	benchSubscribe = `{"id":3,"subscribe":{"channel":"news"}}`
	benchRecover   = `{"id":3,"subscribe":{"channel":"hist:1","recover":true}}`
	benchLeave     = `{"id":4,"unsubscribe":{"channel":"news"}}`
)

// TestAllocations counts what each use of a session allocates.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for f := range codec.Form(codec.NumForms) {
		st := openStage(t, openTo)
		d := new(drain)
		s, l := st.bench(d, f, benchConnect), st.node.Loops[0]
		pong, publish, leave := message(t, f, `{}`), message(t, f, benchPublish), message(t, f, benchLeave)
		for _, tt := range []struct {
			name string
			want float64
			use  func()
		}{
			{"ping and pong", 0, func() {
				l.SetNow(s.beat)
				s.Expire(s.beat)
				s.Receive(pong)
			}},
			{"a deadline that is not due", 0, func() { s.Expire(l.Now()) }},
			{"unsubscribe without subscription", 0, func() { s.Receive(leave) }},
			// The data, the publication, the client's info and printed id.
			{"publish, nobody listens", 4, func() { s.Receive(publish) }},
		} {
			if got := testing.AllocsPerRun(100, tt.use); got != tt.want {
				t.Errorf("%s in %v: %v allocations, want %v", tt.name, f, got, tt.want)
			}
		}
	}
}

// TestDeliveryAllocates: a publication that is encoded costs nothing more per session.
func TestDeliveryAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	perPublication := func(sessions int) float64 {
		st := openStage(t, openTo)
		d := new(drain)
		for i := range sessions {
			f := codec.Form(i % codec.NumForms)
			st.bench(d, f, benchConnect).Receive(message(t, f, benchSubscribe))
		}
		return testing.AllocsPerRun(100, func() {
			st.publish("news", "1")
			st.node.Loops[0].Turn(st.now)
		})
	}
	if few, many := perPublication(2), perPublication(1000); few != many {
		t.Errorf("%v allocations for 2 sessions, %v for 1,000", few, many)
	}
}

// density is what sessions cost beside their pipes, in bytes and objects each.
func density(t testing.TB, options string, sessions int, each func(st *stage, s *Session, i int)) (bytes, objects float64) {
	st := openStage(t, options)
	d := new(drain)
	tokens := make([]string, sessions)
	for i := range tokens {
		claims := jwt.MapClaims{"sub": fmt.Sprint("user-", 1_000_000+i)}
		var err error
		if tokens[i], err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	before := heap()
	for i, token := range tokens {
		s := New(st.node, d, st.node.Loops[0].Add(d), Options{Form: codec.JSON})
		s.Receive([]byte(`{"id":1,"connect":{"token":"` + token + `","name":"js"}}`))
		each(st, s, i)
	}
	st.turn()
	after := heap()
	runtime.KeepAlive(tokens)
	channels, subscriptions := st.node.Table.Count()
	if subscriptions != sessions || st.node.Users.Count() != sessions {
		t.Fatalf("%d subscriptions to %d channels of %d users", subscriptions, channels, st.node.Users.Count())
	}
	runtime.KeepAlive(st)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(sessions),
		float64(after.HeapObjects-before.HeapObjects) / float64(sessions)
}

func heap() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// Two kinds of clients, after the budgets of the design: ten to a plain channel, and each on a personal channel that is
// recoverable and keeps one publication of 100 bytes.
const (
	densityShared   = `{"client":{"token":{"hmac_secret_key":"secret"}},"channel":{"without_namespace":{"allow_subscribe_for_client":true}}}`
	densityPersonal = `{"client":{"token":{"hmac_secret_key":"secret"}},"channel":{"namespaces":[{"name":"personal","allow_user_limited_channels":true,
		"history_size":10,"history_ttl":"600s","force_recovery":true}]}}`
)

func shared(st *stage, s *Session, i int) {
	s.Receive(fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":"chat-room-%d"}}`, 100_000+i/10))
}

func personal(st *stage, s *Session, i int) {
	channel := fmt.Sprintf("personal:#user-%d", 1_000_000+i)
	s.Receive([]byte(`{"id":2,"subscribe":{"channel":"` + channel + `"}}`))
	st.publish(channel, `"`+strings.Repeat("x", 98)+`"`)
	if i%100 == 0 {
		st.node.Loops[0].Turn(st.now)
	}
}

// TestDensity is a gate on the share of sessions, subscriptions and channels in the budgets of a connection.
func TestDensity(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("the race detector allocates, and it takes a while")
	}
	for _, tt := range []struct {
		name           string
		options        string
		each           func(*stage, *Session, int)
		bytes, objects float64
	}{
		{"ten to a channel", densityShared, shared, 250, 2.5},
		{"each on its own", densityPersonal, personal, 570, 6.2},
	} {
		bytes, objects := density(t, tt.options, 50_000, tt.each)
		t.Logf("%s: %.0f bytes and %.2f objects per session", tt.name, bytes, objects)
		if bytes > tt.bytes || objects > tt.objects {
			t.Errorf("%s: %.0f bytes and %.2f objects per session, want at most %.0f and %.1f", tt.name, bytes, objects, tt.bytes, tt.objects)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	for name, run := range map[string]func() (float64, float64){
		"shared":   func() (float64, float64) { return density(b, densityShared, 100_000, shared) },
		"personal": func() (float64, float64) { return density(b, densityPersonal, 100_000, personal) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				bytes, objects := run()
				b.ReportMetric(bytes, "B/session")
				b.ReportMetric(objects, "objects/session")
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	for _, bench := range []struct{ name, text string }{
		{"publish", benchPublish},
		{"subscribe and unsubscribe", benchSubscribe + "\n" + benchLeave},
		{"recover and unsubscribe", benchRecover + "\n" + strings.Replace(benchLeave, "news", "hist:1", 1)},
	} {
		for f := range codec.Form(codec.NumForms) {
			b.Run(fmt.Sprintf("%s, %v", bench.name, f), func(b *testing.B) {
				st := openStage(b, openTo)
				s := st.bench(new(drain), f, benchConnect)
				msg := message(b, f, bench.text)
				b.ReportAllocs()
				for b.Loop() {
					s.Receive(msg)
				}
			})
		}
	}
}

func BenchmarkPingPong(b *testing.B) {
	st := openStage(b, openTo)
	s, l, pong := st.bench(new(drain), codec.JSON, benchConnect), st.node.Loops[0], []byte("{}")
	b.ReportAllocs()
	for b.Loop() {
		l.SetNow(s.beat)
		s.Expire(s.beat)
		s.Receive(pong)
	}
}

// BenchmarkFanOut is the way of a publication from the engine to 10,000 sessions with pipes that cost nothing, half of them JSON.
func BenchmarkFanOut(b *testing.B) {
	const sessions = 10_000
	st := openStage(b, openTo)
	d := new(drain)
	for i := range sessions {
		f := codec.Form(i % codec.NumForms)
		st.bench(d, f, benchConnect).Receive(message(b, f, benchSubscribe))
	}
	start := d.frames
	b.ReportAllocs()
	for b.Loop() {
		st.publish("news", `{"text":"a message of a usual length, as people send them"}`)
		for end := d.frames + sessions; d.frames < end; {
			st.node.Loops[0].Turn(st.now)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(d.frames-start), "ns/delivery")
}

// BenchmarkConnect is a client who comes with a token, and goes.
func BenchmarkConnect(b *testing.B) {
	st := openStage(b, densityShared)
	d := new(drain)
	msg := []byte(`{"id":1,"connect":{"token":"` + st.token("{{token user-1234567 1h}}") + `","name":"js"}}`)
	b.ReportAllocs()
	for b.Loop() {
		h := st.node.Loops[0].Add(d)
		s := New(st.node, d, h, Options{Form: codec.JSON})
		s.Receive(msg)
		s.Closed()
		st.node.Loops[0].Remove(h)
	}
}
