package attack

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/server/config"
)

// TestSlowPolicies: where a channel lets slow subscribers miss publications, those who do not read stay, hold no more than their
// queue, and get the last publication when they read again.
func TestSlowPolicies(t *testing.T) {
	h := newHouse(t, func(cfg *config.Config) {
		cfg.Channel.Namespaces = []config.Namespace{
			{Name: "oldest", ChannelOptions: config.ChannelOptions{SlowPolicy: "drop_oldest"}},
			{Name: "latest", ChannelOptions: config.ChannelOptions{SlowPolicy: "latest"}},
		}
	})
	s := attack(t, h)
	for policy, namespace := range map[string]string{"drop_oldest": "oldest", "latest": "latest"} {
		s.row(policy, func(t *testing.T) {
			channel := namespace + ":hot"
			c := dialWith(t, h, &narrow)
			c.in = bufio.NewReaderSize(c.Conn, 16)
			c.upgrade(codec.JSON)
			c.join(channel)
			last := 0
			dropped := func(m map[string]int64) int64 { return m[`stentor_frames_dropped_total{policy="`+policy+`"}`] }
			for n := range publicationsMax {
				last = n
				if err := s.publish(channel, fmt.Sprintf(`"%06d%s"`, n, strings.Repeat("x", publicationBytes))); err != nil {
					t.Fatal(err)
				}
				m, err := s.metrics()
				if waits := m["stentor_queued_bytes"]; err != nil || waits > queuedMax(1) {
					t.Fatalf("%d bytes wait (%v), want %d at the most", waits, err, queuedMax(1))
				}
				if dropped(m) > 0 && n > publicationsMax/2 {
					break
				}
			}
			if m, err := s.metrics(); err != nil || dropped(m) == 0 {
				t.Fatalf("nothing was dropped (%v)", err)
			}
			if heard := c.hearUntil(channel, last); heard > last {
				t.Errorf("heard %d publications, and some were dropped", heard)
			}
			c.say(text(`{"id":9,"presence":{"channel":"x"}}`))
			c.expectReply(9, codec.ErrorNotAvailable.Code)
			c.say(closing(1000))
			c.expectClose(1000, "")
		})
	}
}

// hearUntil reads publications, none torn and in order but with gaps, until number last. It returns how many there were.
func (c *client) hearUntil(channel string, last int) (heard int) {
	c.r.Helper()
	for before := -1; before < last; {
		op, payload, err := c.hear()
		if err != nil || op != ws.OpText {
			c.r.Fatalf("heard %v %.100q (%v) after publication %d", op, payload, err, before)
		}
		for line := range strings.SplitSeq(payload, "\n") {
			var n int
			if _, err := fmt.Sscanf(line, `{"push":{"channel":"`+channel+`","pub":{"data":"%06d`, &n); err != nil || n <= before {
				c.r.Fatalf("heard %.100q after publication %d", line, before)
			}
			if want := len(fmt.Sprintf(`{"push":{"channel":%q,"pub":{"data":"%06d"}}}`, channel, n)) + publicationBytes; len(line) != want {
				c.r.Fatalf("publication %d has %d bytes, want %d", n, len(line), want)
			}
			before = n
			heard++
		}
	}
	return heard
}
