package reactor

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// randomRequest makes one of the ways to send a request, and its answer by parrot.
func randomRequest(rng *rand.Rand, n int) (raw, method, want string) {
	body := strings.Repeat(string(rune('a'+n%26)), rng.IntN(1+[...]int{0, 20, 3000, 30000}[rng.IntN(4)]))
	target := fmt.Sprintf("/x/%d?%s", n, strings.Repeat("q", rng.IntN(50)))
	switch rng.IntN(4) {
	case 0:
		return "GET " + target + tail + "\r\n", "GET", "GET " + target + " "
	case 1:
		return "HEAD " + target + tail + "\r\n", "HEAD", ""
	case 2:
		return post(target, body), "POST", "POST " + target + " " + body
	}
	chunks := []byte("POST " + target + tail + "Transfer-Encoding: Chunked\r\n\r\n")
	for rest := body; rest != ""; {
		size := min(1+rng.IntN(2000), len(rest))
		if rng.IntN(10) == 0 {
			chunks = fmt.Appendf(chunks, "%x;%s\r\n%s\r\n", size, strings.Repeat("e", rng.IntN(100)), rest[:size])
		} else {
			chunks = AppendChunk(chunks, []byte(rest[:size]))
		}
		rest = rest[size:]
	}
	chunks = append(chunks, "00\r\n"...)
	for range rng.IntN(3) {
		chunks = append(chunks, "Trailer-Field: dropped\r\n"...)
	}
	return string(chunks) + "\r\n", "POST", "POST " + target + " " + body
}

// Requests of all kinds, cut anywhere, each conn with a few of them ahead of their answers, some answered later and from elsewhere.
func TestRandomExchanges(t *testing.T) {
	const conns, requests = 6, 150
	r := start(t, Config{Loops: 2}, serving(func(c *Conn, what string, body []byte) {
		if len(body)%3 != 1 {
			parrot(c, what, body)
			return
		}
		whole := fmt.Sprintf("%s %s", what, body)
		c.Await(&pipe{c: c, onOrder: func(p *pipe, _ any) { p.c.Respond(Response{Body: []byte(whole)}) }})
		go c.Loop().Order(c.Handle(), nil)
	}))
	done := make(chan struct{}, conns)
	for i := range conns {
		go func() {
			defer func() { done <- struct{}{} }()
			if err := randomExchanges(t, r, uint64(i), requests); err != nil {
				t.Errorf("seed %d: %v", i, err)
			}
		}()
	}
	for range conns {
		<-done
	}
	eventually(t, "all gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
	if n := r.Stats().Exchanges; n != conns*requests {
		t.Errorf("%d exchanges", n)
	}
}

func randomExchanges(t *testing.T, r *Reactor, seed uint64, requests int) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := dial(t, r)
	defer c.Close()
	for n := 0; n < requests; {
		var all string
		var methods, wants []string
		for range min(1+rng.IntN(3), requests-n) {
			raw, method, want := randomRequest(rng, n)
			if all != "" && len(all)+len(raw) > earlyBytesMax/2 {
				break // more than may come early
			}
			all, methods, wants = all+raw, append(methods, method), append(wants, want)
			n++
		}
		sent := make(chan error, 1)
		cuts := rand.New(rand.NewPCG(seed, uint64(n)))
		go func() {
			for rest := all; rest != ""; {
				piece := min(1+cuts.IntN(5000), len(rest))
				if _, err := io.WriteString(c, rest[:piece]); err != nil {
					sent <- err
					return
				}
				rest = rest[piece:]
			}
			sent <- nil
		}()
		for i, method := range methods {
			res, err := http.ReadResponse(c.in, &http.Request{Method: method})
			if err != nil {
				return err
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || string(body) != wants[i] {
				return fmt.Errorf("answered with %.100q (%w), want %.100q", body, err, wants[i])
			}
		}
		if err := <-sent; err != nil {
			return err
		}
	}
	return nil
}

// One request after the other on one conn, on the loop and by net/http.
func BenchmarkExchange(b *testing.B) {
	for _, path := range []string{"/x", "/api"} {
		b.Run(path, func(b *testing.B) {
			r := start(b, Config{}, serving(func(c *Conn, _ string, body []byte) { c.Respond(Response{Body: body}) }))
			serveHTTP(b, r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				body, _ := io.ReadAll(req.Body)
				_, _ = w.Write(body)
			}))
			c := dial(b, r)
			request, answer := []byte(post(path, "hello")), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Conn.Read(answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
