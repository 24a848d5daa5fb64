package session

import (
	"testing"

	"stentor/codec"
	"stentor/reactor/loop"
)

// idleLanes do nothing, as if the engine were infinitely quick.
type idleLanes struct{}

func (idleLanes) Do(uint64, func()) bool { return true }

// visited hands orders to the session in it.
type visited struct {
	drain
	session *Session
}

func (v *visited) Order(what any) { v.session.Order(what) }

// BenchmarkRefreshRound is the share of the round that says presence anew that one client takes on its loop: without any channel that
// has presence, and with one.
func BenchmarkRefreshRound(b *testing.B) {
	for _, bench := range []struct{ name, channel string }{{"none", "plain:1"}, {"one", "here:1"}} {
		b.Run(bench.name, func(b *testing.B) {
			const sessions = 100_000
			st := newStage(b)
			st.isFar = true
			st.start(`{"client":{"insecure":true},"channel":{"namespaces":[{"name":"plain"},{"name":"here","presence":true}]}}`)
			l := st.node.Loops[0]
			for range sessions {
				v := new(visited)
				v.session = New(st.node, v, l.Add(v), Options{Form: codec.JSON})
				v.session.Receive([]byte(`{"id":1,"connect":{}}`))
				v.session.Receive([]byte(`{"id":2,"subscribe":{"channel":"` + bench.channel + `"}}`))
			}
			for len(st.pool.work) > 0 {
				st.pool.run()
				for range 100 {
					l.Turn(st.now)
				}
			}
			st.node.Lanes = idleLanes{}
			round := &presenceRound{loop: l, seconds: 1}
			n := 0
			b.ReportAllocs()
			b.ResetTimer()
			for n < b.N {
				round.Take(l, nil)
				for n < b.N && round.left > 0 {
					before := round.left
					l.Turn(st.now)
					n += before - round.left
				}
			}
			if st.node.Table.Subscribers(bench.channel) != sessions {
				b.Fatal("not all are there")
			}
		})
	}
}

var _ loop.Resident = (*visited)(nil)
