package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stentor/codec"
	"stentor/server/auth"
	"stentor/server/config"
)

// TestHashFlood is group 28: 100,000 names that the usual hash functions put in one place. Tables with a seed of the process do not
// know that they belong together, so that the last names cost what the first did; in a table that does, each one is compared with all
// before it, and the last tenth costs 19 times the first.
func TestHashFlood(t *testing.T) {
	const clients, channelsEach = 800, 125
	s := attack(t, common)
	all := make([]*client, 0, clients)
	growth := measureGrowth(func(int) {
		for range clients / 10 {
			i := len(all)
			token, err := auth.MintConnection(config.Token{HMACSecretKey: tokenSecret}, colliding(i), time.Now(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			c := upgraded(t, s.house, codec.JSON)
			commands := []*codec.Command{{ID: 1, Method: codec.MethodConnect, Connect: codec.ConnectRequest{Token: token}}}
			for j := range channelsEach {
				ch := colliding(i*channelsEach + j)
				commands = append(commands, &codec.Command{ID: uint32(2 + j), Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: ch}})
			}
			c.say(c.commands(commands...))
			for heard := 0; heard < len(commands); {
				for _, r := range c.replies() {
					if r.Error != nil {
						t.Fatalf("%v", r.Error)
					}
					heard++
				}
			}
			all = append(all, c)
		}
		s.witness()
	})
	t.Logf("the last tenth of the channels cost %.1f times what the first did", growth)
	if growth > 8 {
		t.Errorf("the last tenth of the channels cost %.1f times what the first did", growth)
	}
	if growth := measureGrowth(func(n int) { // users, and channels to publish to
		var b strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&b, `{"disconnect":{"user":"x%s"}},{"publish":{"channel":"x%[1]s","data":1}},`, colliding(n*10_000+i))
		}
		status, answer, err := s.call("/api/batch", `{"commands":[`+strings.TrimSuffix(b.String(), ",")+`]}`)
		if err != nil || status != 200 || strings.Contains(answer, "error") {
			t.Fatalf("answered %d %.200s (%v)", status, answer, err)
		}
	}); growth > 8 {
		t.Errorf("the last tenth of the users cost %.1f times what the first did", growth)
	}
	if m, err := s.metrics(); err != nil || m["centrifugo_node_num_users"] != clients || m["centrifugo_node_num_channels"] != clients*channelsEach+2 {
		t.Errorf("%d users and %d channels (%v)", m["centrifugo_node_num_users"], m["centrifugo_node_num_channels"], err)
	}
	for _, c := range all {
		c.reset()
	}
}

// colliding is name number n of 2^17 that have the same hash under h = 31*h + c, and the same sum, length and first and last letters.
func colliding(n int) string {
	name := []byte("n")
	for bit := range 17 {
		if n>>bit&1 == 0 {
			name = append(name, "Aa"...)
		} else {
			name = append(name, "BB"...)
		}
	}
	return string(append(name, 'z'))
}

// measureGrowth runs ten parts of equal work and compares the CPU time of the last with that of the first; wall time says nothing on a
// machine that does other things.
func measureGrowth(part func(n int)) float64 {
	var first, last int64
	for n := range 10 {
		before := cpuTime()
		part(n)
		last = cpuTime() - before
		if n == 0 {
			first = last
		}
	}
	return float64(last) / float64(max(first, 1))
}

// cpuTime is what this process has used, in nanoseconds.
func cpuTime() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // of a process about itself
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
