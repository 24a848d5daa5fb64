package gate

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// nobody admits pages of no origin.
type nobody struct{}

func (nobody) Allowed(string) bool { return false }

// TestStrangersInTheLog: whoever sends origins as fast as he can gets one short line a second, which tells how many there were.
func TestStrangersInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, nobody{})
		time.Sleep(time.Second - time.Millisecond) // the next second of the clock begins within the flood
		for range 10 {
			g.Allowed("https://" + strings.Repeat("x", 10_000))
			time.Sleep(time.Millisecond)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || len(got) > 500 || !strings.Contains(got, "client.allowed_origins") {
			t.Errorf("logged %d bytes: %.1000s", len(got), got)
		}
		log.Reset()
		time.Sleep(time.Second)
		g.Allowed("https://late.example")
		if got := log.String(); !strings.Contains(got, "origin=https://late.example suppressed=9\n") {
			t.Errorf("a second later: %s", got)
		}
		if origin, _, _ := g.Refused(); origin != 11 {
			t.Errorf("%d origins counted", origin)
		}
	})
}
