package session

import (
	"fmt"
	"testing"
)

// TestClockJumps: however the wall clock of a node is set, nobody is thrown out for it and nobody stays longer. Pings, ends of
// connections and of subscriptions, and what is kept run on a clock that knows no setting.
func TestClockJumps(t *testing.T) {
	const clients = 100
	st := newStage(t)
	st.start(`{"client":{"token":{"hmac_secret_key":"secret"}},"channel":{"without_namespace":{"allow_subscribe_for_client":true,"presence":true}}}`)
	for i := range clients {
		name := fmt.Sprint("c", i)
		st.do("open " + name + " pongs")
		st.do(name + `> {"id":1,"connect":{"token":"{{token 42 300s}}"}}`)
		st.do(name + `> {"id":2,"subscribe":{"channel":"x","token":"{{token 42 200s channel=x}}"}}`)
	}
	st.turn()
	alive := func(what string, subscribers int) {
		t.Helper()
		if n := st.node.Clients(); n != clients {
			t.Fatalf("%s: %d of %d clients are left", what, n, clients)
		}
		if _, subs := st.node.Table.Count(); subs != subscribers {
			t.Fatalf("%s: %d of %d subscriptions are left", what, subs, subscribers)
		}
	}
	for _, jump := range []string{"1h", "-1h", "-1h", "24h", "-8760h", "876000h", "1ms"} { // 28 s each
		st.do("jump " + jump)
		st.do("wait 28s") // every client is pinged, and answers
		alive(jump, clients)
	}
	st.do("wait 28s") // 224 s, and grace ends after 225
	alive("before the subscriptions end", clients)
	st.do("wait 2s")
	alive("after the subscriptions have ended", 0)
	st.do("jump -1h")
	st.do("wait 98s")
	alive("before the connections end", 0)
	st.do("wait 2s")
	if n := st.node.Clients(); n != 0 {
		t.Errorf("%d clients are left when their time is over", n)
	}
	for name, a := range st.actors {
		if last := a.heard[len(a.heard)-1]; last != name+"! 3005 connection expired" {
			t.Errorf("%s heard %q", name, last)
		}
	}
}
