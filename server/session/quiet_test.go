package session

import (
	"log/slog"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/engine"
)

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
