package main

import (
	"flag"
	"testing"
	"time"

	"stentor/engine/enginetest/redistest"
)

var (
	mixedTime     = flag.Duration("mixedtime", 6*time.Second, "how long the mixed run publishes")
	mixedChannels = flag.Int("mixedchannels", 50, "how many channels of ten clients the mixed run has")
	mixedRate     = flag.Int("mixedrate", 100, "how many publications a second the mixed run makes")
)

// TestMixedRun: Redis writes everything to disk, is killed and comes back twice, publishers repeat with idempotency keys until they are
// acknowledged, and history holds the whole run: then every client ends with the complete sequence. The figures of docs/scaling.md are those of
//
//	go test ./cmd/stentor -run TestMixedRun -v -mixedtime 60s -mixedchannels 500 -mixedrate 500
func TestMixedRun(t *testing.T) {
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	s := redistest.Start(t, durable...)
	c := newCluster(t, 2, redisEngine(addresses(s.Addr)), "log", *mixedChannels, 10)
	c.retry = true
	c.subscribed()
	c.publishFrom(*mixedRate)
	part := *mixedTime / 6
	for range 2 {
		time.Sleep(2 * part)
		s.Kill()
		time.Sleep(part)
		s.Restart(durable...)
	}
	c.endPublishing()
	var a account
	c.within(60*time.Second, "every client has everything", func() bool {
		a = c.count()
		return a.delivered == a.acknowledged*10
	})
	t.Logf("%d clients: sent %d, acknowledged %d after %d refusals, delivered %d, missed and told %d, lost silently %d, twice %d, out of order %d; "+
		"connections broken %d", len(c.fans), a.sent, a.acknowledged, a.failed, a.delivered, a.announced, a.lost, a.twice, a.outOfOrder, a.breaks)
	if a.acknowledged != a.sent || a.lost+a.announced+a.twice+a.outOfOrder+a.breaks > 0 {
		t.Errorf("%+v", a)
	}
}
