package swarm

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"stentor/bench/benchtest"
)

func TestTricklers(t *testing.T) {
	server := benchtest.Start(benchtest.Config{HeadMax: 20 * time.Millisecond})
	defer server.Close()
	for _, role := range []Role{SlowHead, SlowFrame} {
		t.Run(string(role), func(t *testing.T) {
			r := run(t)
			g := like(server, role, 5)
			g.TricklePause, g.ComeBack = time.Millisecond, true
			if o := r.open(g); o.Err() != nil || o.Live != 5 {
				t.Fatalf("%+v", o)
			}
			if role == SlowHead { // the server closes, the client comes back
				r.until("g", func(st Stats) bool { return len(st.Closes) > 0 && st.Reopened > 0 })
				return
			}
			server.Kick(3502, "stale")
			r.until("g", func(st Stats) bool { return st.Closes["3502 stale"] == 5 && st.Reopened == 5 && st.Live == 5 })
		})
	}
}

func TestChurners(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	g := like(server, Churner, 4)
	g.ComeBack = true
	if o := r.open(g); o.Err() != nil {
		t.Fatal(o.Err())
	}
	if st := r.stats("g"); st.Opening.Count() != 4 || st.Churned != 0 {
		t.Errorf("%+v", st)
	}
	r.on(func() error { return r.Churn("g", 2000) })
	r.until("g", func(st Stats) bool { return st.Churned > 50 })
	r.on(func() error { return r.Churn("g", 0) })
	st := r.until("g", func(st Stats) bool { return st.Live == 4 })
	if len(st.Closes) != 0 || len(st.Faults) != 0 {
		t.Errorf("%+v", st)
	}
	r.on(func() error {
		if r.Churn("x", 1) == nil || r.Churn("g", -1) == nil {
			return fmt.Errorf("nonsense was taken")
		}
		return nil
	})
}

func TestStall(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	if o := r.open(like(server, Subscriber, 3)); o.Err() != nil {
		t.Fatal(o.Err())
	}
	r.on(func() error { return r.Stall("g", true) })
	server.Publish("news", payload(t, 1))
	if err := r.open(likeNamed(server, "others")).Err(); err != nil { // by now the publication has come
		t.Fatal(err)
	}
	if st := r.stats("g"); st.Deliveries != 0 || st.Live != 3 {
		t.Errorf("%+v", st)
	}
	r.on(func() error { return r.Stall("g", false) })
	if !r.await("g", 3) {
		t.Errorf("%+v", r.stats("g"))
	}
}

func likeNamed(server *benchtest.Server, name string) Group {
	g := like(server, Subscriber, 3)
	g.Name = name
	return g
}

func TestRecovery(t *testing.T) {
	for _, protobuf := range []bool{false, true} {
		server := benchtest.Start(benchtest.Config{History: 10, Protobuf: protobuf})
		defer server.Close()
		r := run(t)
		g := like(server, Subscriber, 5)
		g.Recover, g.Protobuf = true, protobuf
		if o := r.open(g); o.Err() != nil {
			t.Fatal(o.Err())
		}
		server.Publish("news", payload(t, 1))
		r.await("g", 5)
		r.on(func() error { return r.Leave("g") })
		if st := r.stats("g"); st.Live != 0 {
			t.Errorf("%+v", st)
		}
		for n := range uint32(3) {
			server.Publish("news", payload(t, n+2))
		}
		back := make(chan Opened, 1)
		r.on(func() error { return r.Return("g", func(o Opened) { back <- o }) })
		if o := <-back; o.Err() != nil || o.Live != 5 {
			t.Fatalf("%+v", o)
		}
		server.Publish("news", payload(t, 5))
		if !r.await("g", 25) {
			t.Errorf("%+v", r.stats("g"))
		}
		if st := r.stats("g"); st.Recovered != 15 || st.Lost != 0 || st.Duplicates != 0 || st.Late != 0 || len(st.Closes) != 0 || len(st.Faults) != 0 {
			t.Errorf("%+v", st)
		}
		if ta := r.tally("g", 5); ta != (Tally{}) {
			t.Errorf("%+v", ta)
		}
	}
}

func TestJoinsAndLeaves(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	g := like(server, Subscriber, 1)
	g.JoinLeave = true
	if o := r.open(g); o.Err() != nil {
		t.Fatal(o.Err())
	}
	if o := r.open(likeNamed(server, "others")); o.Err() != nil {
		t.Fatal(o.Err())
	}
	r.until("g", func(st Stats) bool { return st.Joins == 3 && st.Leaves == 0 })
	r.on(func() error { return r.Close("others") })
	r.until("g", func(st Stats) bool { return st.Joins == 3 && st.Leaves == 3 })
}

func TestLoad(t *testing.T) {
	server := benchtest.Start(benchtest.Config{})
	defer server.Close()
	r := run(t)
	if o := r.open(like(server, Subscriber, 20)); o.Err() != nil {
		t.Fatal(o.Err())
	}
	var l Load
	r.on(func() error { l = r.Load(); return nil })
	if l.Span <= 0 || l.Busy <= 0 || l.Busy > l.Span || l.Turns.Count() == 0 || l.Busyness() > 1 {
		t.Errorf("%+v", l)
	}
	worst := Load{}
	worst.Worse(Load{Span: 10, Busy: 2})
	worst.Worse(Load{Span: 10, Busy: 1, Waited: 5})
	worst.Worse(Load{Span: 10, Busy: 3})
	if worst.Waited != 5 || worst.Starved() != 0.5 {
		t.Errorf("%+v", worst)
	}
}

func TestConnWithItsPlaceIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(conn{}) + unsafe.Sizeof(streamPlace{}) + unsafe.Sizeof(requester{}); size > 100 {
		t.Errorf("a client has %d bytes", size)
	}
}
