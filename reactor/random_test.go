package reactor

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"stentor/codec/ws"
)

// talk makes up what a client says: messages of all sizes, whole and in fragments, with pings in between; and what it must
// hear, messages and pongs apart, as only each of the two is in order by itself once pings are many.
func talk(rng *rand.Rand, messages int) (said string, texts []string, pings int) {
	var b strings.Builder
	ping := func() {
		if rng.IntN(4) == 0 {
			pings++
			b.WriteString(clientFrame(ws.OpPing, true, strings.Repeat("p", rng.IntN(126))))
		}
	}
	for range messages {
		size := rng.IntN(200)
		if rng.IntN(10) == 0 {
			size = rng.IntN(70000)
		}
		msg := strings.Repeat(string(rune('a'+rng.IntN(26))), size)
		texts = append(texts, msg)
		op, rest := ws.OpText, msg
		for rng.IntN(3) == 0 {
			n := rng.IntN(len(rest) + 1)
			b.WriteString(clientFrame(op, false, rest[:n]))
			op, rest = ws.OpContinuation, rest[n:]
			ping()
		}
		b.WriteString(clientFrame(op, true, rest))
		ping()
	}
	return b.String(), texts, pings
}

// However a conversation is cut, and whatever the socket takes at once, every message is answered in order.
func TestRandomConversations(t *testing.T) {
	randomConversations(t, nil, func(r *Reactor, _ uint64) *client { return dial(t, r) })
}

// Over TLS records are cut as well, and not where messages are.
func TestTLSRandomConversations(t *testing.T) {
	randomConversations(t, serverTLS(), func(r *Reactor, seed uint64) *client {
		c, _ := dialSplit(t, r, clientTLS([]uint16{tls.VersionTLS12, tls.VersionTLS13}[seed%2]), int64(500+seed*500))
		return c
	})
}

func randomConversations(t *testing.T, config *TLS, connect func(r *Reactor, seed uint64) *client) {
	r := start(t, Config{Loops: 2, QueueBytesMax: 64 << 20, SendBufferBytes: 8 << 10, TLS: config}, routes(func(*Head) Verdict {
		return Verdict{Kind: Upgrade, MessageBytesMax: 70000, Open: func(c *Conn) Receiver {
			p := echo()
			p.c = c
			return p
		}}
	}))
	var all sync.WaitGroup
	for seed := range uint64(20) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 2))
			said, texts, pings := talk(rng, 100)
			c := connect(r, seed)
			all.Go(func() {
				raw := upgradeRequest() + said
				for len(raw) > 0 {
					n := min(len(raw), 1+rng.IntN(200))
					if rng.IntN(5) == 0 {
						n = min(len(raw), 1+rng.IntN(100000))
					}
					if _, err := io.WriteString(c, raw[:n]); err != nil {
						t.Errorf("seed %d: %v", seed, err)
						return
					}
					raw = raw[n:]
				}
			})
			if err := c.hearTalk(texts, pings); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
	all.Wait()
	eventually(t, "nothing is held", func() bool { return r.Stats().QueuedBytes == 0 })
}

func (c *client) hearTalk(texts []string, pings int) error {
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = c.in.ReadString('\n'); err != nil {
			return err
		}
	}
	pongs := 0
	for i := 0; i < len(texts); {
		op, payload, err := c.hear()
		switch {
		case err != nil:
			return fmt.Errorf("after %d of %d messages: %w", i, len(texts), err)
		case op == ws.OpPong:
			pongs++
		case op != ws.OpText || payload != texts[i]:
			return fmt.Errorf("message %d: %v of %d bytes, want %d", i, op, len(payload), len(texts[i]))
		default:
			i++
		}
	}
	if pongs > pings {
		return fmt.Errorf("%d pongs for %d pings", pongs, pings)
	}
	return nil
}
