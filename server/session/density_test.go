package session

import (
	"fmt"
	"testing"
)

// TestFeatureDensity is a gate on what features add to a subscription, ten to a channel: presence at most 150 bytes, recovery at
// most 24.
func TestFeatureDensity(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("the race detector allocates, and it takes a while")
	}
	const sessions = 50_000
	cost := func(options string) float64 {
		namespaces := `{"client":{"token":{"hmac_secret_key":"secret"}},"channel":{"namespaces":[{"name":"chat","allow_subscribe_for_client":true` + options + `}]}}`
		bytes, _ := density(t, namespaces, sessions, func(st *stage, s *Session, i int) {
			s.Receive(fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":"chat:room-%d"}}`, 100_000+i/10))
			st.node.Loops[0].Turn(st.now) // hands out the join
		})
		return bytes
	}
	plain := cost("")
	for _, tt := range []struct {
		name, options string
		most          float64
	}{
		{"presence", `,"presence":true`, 150},
		{"presence, joins and leaves", `,"presence":true,"join_leave":true,"force_push_join_leave":true`, 150},
		{"recovery", `,"force_recovery":true,"history_size":10,"history_ttl":"60s"`, 24},
	} {
		added := cost(tt.options) - plain
		t.Logf("%s: %.0f bytes more than the %.0f of a plain subscription and its session", tt.name, added, plain)
		if added > tt.most {
			t.Errorf("%s adds %.0f bytes to a subscription, want at most %.0f", tt.name, added, tt.most)
		}
	}
}
