package policy

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/auth"
)

// TestPatterns: where a namespace allows wildcards, a name with them is a pattern: subscribed to without position, recovery and delta,
// whatever the namespace forces, and never published to. Elsewhere it is a name like any other.
func TestPatterns(t *testing.T) {
	p := newPolicy(t, testConfig(), nil)
	tests := []struct {
		channel string
		pattern bool
		err     error
	}{
		{"wild:news", false, nil},
		{"wild:news.*", true, nil},
		{"wild:>", true, nil},
		{"wild:news*", false, nil},
		{"wild:>.news", false, codec.ErrorBadRequest},
		{"wild:*.*.*.*", false, codec.ErrorBadRequest},
		{"hist:news.*", false, nil},
		{"hist:>.news", false, nil},
		{"$wild:news.*", true, nil},
	}
	for _, tt := range tests {
		req := codec.SubscribeRequest{Channel: tt.channel, Recover: true, Recoverable: true, Positioned: true, Delta: "fossil"}
		if tt.channel[0] == '$' {
			if _, err := p.Subscribe(user, &req, now); err != codec.ErrorPermissionDenied {
				t.Errorf("%s without a token: %v", tt.channel, err)
			}
			req.Token = token(t, jwt.MapClaims{"sub": user.User, "channel": tt.channel})
		}
		s, err := p.Subscribe(user, &req, now)
		if err != tt.err {
			t.Errorf("%s: %v, want %v", tt.channel, err, tt.err)
		}
		if err != nil {
			continue
		}
		if s.Wildcard != tt.pattern || s.Positioned == tt.pattern || s.Recoverable == tt.pattern || tt.pattern && (s.Delta || s.From.Recover) {
			t.Errorf("%s is granted %+v", tt.channel, s)
		}
		o, err := p.Publish(user, tt.channel, true, []byte("{}"))
		if tt.pattern != (err == codec.ErrorBadRequest) || !tt.pattern && (err != nil || o.HistorySize == 0) {
			t.Errorf("publish to %s: %+v, %v", tt.channel, o, err)
		}
	}
	s, err := p.ServerSubscription(user, "wild:news.>", auth.SubscribeOptions{}, &codec.SubscribeRequest{Recover: true, Delta: "fossil"})
	if err != nil || !s.Wildcard || s.Positioned || s.Delta || s.From.Recover {
		t.Errorf("a server-side subscription is granted %+v, %v", s, err)
	}
}
