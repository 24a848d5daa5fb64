package session

import (
	"log/slog"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
)

// TestQuiet: ten ticks are a second.
func TestQuiet(t *testing.T) {
	var q quiet
	for _, tt := range []struct {
		at         loop.Time
		ok         bool
		suppressed int
	}{{10, true, 0}, {10, false, 0}, {19, false, 0}, {20, true, 2}, {29, false, 0}, {100, true, 1}} {
		if suppressed, ok := q.due(tt.at); ok != tt.ok || suppressed != tt.suppressed {
			t.Errorf("tick %d: a line %t with %d suppressed", tt.at, ok, suppressed)
		}
	}
}

// TestLogOfStrangers: what clients can cause as often as they like is logged once a second.
func TestLogOfStrangers(t *testing.T) {
	st := openStage(t, `{"client":{"insecure":true},"channel":{"without_namespace":{"join_leave":true}}}`)
	var log strings.Builder
	st.node.Log = slog.New(slog.NewTextHandler(&log, nil))
	st.engine.mood = "full"
	w := st.dial(codec.JSON)
	for range 10 {
		w.say(subscribeTo(2, "a"), unsubscribeFrom(3, "a"))
	}
	for range 10 {
		w.session.fetched(engine.ErrNotAvailable)
	}
	for range 10 {
		st.dial(codec.JSON).session.Receive([]byte("{"))
	}
	for text, want := range map[string]int{"was not published": 1, "could not be fetched": 1, "sent a malformed": 1} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%d lines with %q:\n%s", got, text, log.String())
		}
	}
}
