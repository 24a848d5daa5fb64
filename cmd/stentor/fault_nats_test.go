package main

import (
	"testing"
	"time"

	"stentor/engine/enginetest/natstest"
	"stentor/engine/enginetest/redistest"
)

// natsFault is a fault of a NATS server, which the nodes reach through a line.
type natsFault struct {
	name    string
	happens func(s *natstest.Server, n *line)
}

var natsFaults = []natsFault{
	{"killed", func(s *natstest.Server, _ *line) {
		s.Kill()
		time.Sleep(2 * time.Second)
		s.Restart()
	}},
	{"frozen", func(s *natstest.Server, _ *line) {
		s.Freeze()
		time.Sleep(outage)
		s.Thaw()
	}},
	{"connections reset", func(_ *natstest.Server, n *line) {
		n.cut()
		time.Sleep(2 * time.Second)
		n.mend()
	}},
	{"partitioned in silence", func(_ *natstest.Server, n *line) {
		n.stall()
		time.Sleep(outage)
		n.flows()
	}},
	{"slow", func(_ *natstest.Server, n *line) {
		n.delay.Store(int64(100 * time.Millisecond))
		time.Sleep(outage)
		n.delay.Store(0)
	}},
}

// TestFaultsNATS: whatever becomes of NATS, clients stay connected, nothing comes twice, and service comes back by itself. What is
// published meanwhile is lost, and nobody can tell: NATS keeps nothing.
func TestFaultsNATS(t *testing.T) {
	for _, x := range natsFaults {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			n := newLine(t, "http"+s.URL()[len("nats"):])
			url := "nats" + n.url[len("http"):]
			c := newCluster(t, 2, `"broker":{"enabled":true,"type":"nats","nats":{"url":"`+url+`"}}`, "plain", faultChannels, fansPerChannel)
			c.play(fault{name: "NATS " + x.name, happens: func(*cluster) time.Time { x.happens(s, n); return time.Now() }})
		})
	}
}

// TestFaultsRedisNATS: with history in Redis, what NATS did not carry is found missing and recovered.
func TestFaultsRedisNATS(t *testing.T) {
	for _, x := range natsFaults {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r, s := redistest.Start(t), natstest.Start(t)
			n := newLine(t, "http"+s.URL()[len("nats"):])
			url := "nats" + n.url[len("http"):]
			c := newCluster(t, 2, `"enable_unreleased_features":true,"broker":{"enabled":true,"type":"redisnats","nats":{"url":"`+url+`"},"redis":{`+
				addresses(r.Addr)+`}}`, "log", faultChannels, fansPerChannel)
			nothingMissed(t, c.play(fault{name: "Redis and NATS " + x.name, happens: func(*cluster) time.Time { x.happens(s, n); return time.Now() }}))
		})
	}
}
