package main

import (
	"testing"
	"time"

	"stentor/engine/enginetest/natstest"
)

// natsEngine is the engine of nodes over a NATS server.
func natsEngine(url string) string {
	return `"broker":{"enabled":true,"type":"nats","nats":{"url":"` + url + `"}}`
}

// TestFaultsNATS: what NATS does not deliver is lost, and nobody is told: it keeps nothing. Subscriptions live again without any
// client's doing.
func TestFaultsNATS(t *testing.T) {
	pause := func() { time.Sleep(2 * time.Second) }
	for _, x := range []struct {
		name    string
		happens func(s *natstest.Server)
	}{
		{"killed and restarted", func(s *natstest.Server) { s.Kill(); pause(); s.Restart() }},
		{"frozen", func(s *natstest.Server) { s.Freeze(); pause(); pause(); pause(); s.Thaw() }},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := natstest.Start(t)
			c := newCluster(t, 2, natsEngine(s.URL()), "plain", faultChannels, fansPerChannel)
			c.play(fault{name: "NATS " + x.name, happens: func(*cluster) time.Time { x.happens(s); return time.Now() }})
		})
	}
	t.Run("down at start", func(t *testing.T) {
		s := natstest.Start(t)
		s.Kill()
		c := newCluster(t, 2, natsEngine(s.URL()), "plain", faultChannels, fansPerChannel)
		pause()
		s.Restart()
		c.play(fault{name: "NATS down at start", happens: func(*cluster) time.Time { return time.Now() }})
	})
}
