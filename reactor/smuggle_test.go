package reactor

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// asked is one request out of a stream of bytes.
type asked struct {
	method, target, body string
	keep                 bool
}

// ask takes all requests out of raw that a conn would serve, in the way a conn does it but without one.
func ask(raw []byte) (all []asked) {
	for {
		size, err := headEnd(raw, 0)
		if err != nil || size == 0 || classes[raw[0]]&inToken == 0 {
			return all
		}
		var h Head
		if h.parse(raw[:size], 100) != nil || h.check() != nil {
			return all
		}
		raw = raw[size:]
		x := exchange{request: h.request(), bodyMax: testBodyMax}
		if x.refused || x.length > testBodyMax {
			return all
		}
		a := asked{method: h.Method, target: h.Target, keep: x.keep}
		used, done, err := x.take(raw)
		if err != nil || !done {
			return all
		}
		a.body, raw = string(x.body), raw[used:]
		if all = append(all, a); !a.keep {
			return all
		}
	}
}

var errOther = errors.New("net/http reads something else")

// compare lets net/http read the same bytes.
func compare(raw []byte, ours []asked) error {
	in := bufio.NewReader(bytes.NewReader(raw))
	for _, a := range ours {
		req, err := http.ReadRequest(in)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return err
		}
		if req.Method != a.method || req.RequestURI != a.target || string(body) != a.body || a.keep && req.Close {
			return errOther
		}
	}
	return nil
}

// What we take for one request, or for several, net/http takes for the same ones.
func FuzzRequests(f *testing.F) {
	for _, x := range conversation {
		f.Add([]byte(x.raw + x.raw))
	}
	for _, h := range heads {
		f.Add([]byte(h.raw + post("/x", "abc")))
	}
	for _, c := range chunkedBodies {
		if len(c.raw) < 1<<10 {
			f.Add([]byte("POST /x" + tail + "Transfer-Encoding: chunked\r\n\r\n" + c.raw + post("/x", "abc")))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours := ask(raw)
		if err := compare(raw, ours); err != nil {
			t.Fatalf("%v: we read %+v in %q", err, ours, raw)
		}
	})
}

// net/http's client is a peer that reuses conns, cuts bodies as it likes, and gives up in the middle.
func TestNetHTTPClient(t *testing.T) {
	router, ch := streaming(nil)
	r := start(t, Config{Loops: 2}, routes(func(h *Head) Verdict {
		if h.Path == "/x/stream" {
			return router(h)
		}
		return serving(parrot)(h)
	}))
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: waitMax}
	t.Cleanup(client.CloseIdleConnections)
	url := "http://" + r.Addr().String()
	for i := range 100 {
		body := strings.Repeat("x", i*100)
		var in io.Reader = strings.NewReader(body)
		if i%2 == 1 {
			in = io.MultiReader(in) // no length is known: in chunks
		}
		res, err := client.Post(url+"/x", "text/plain", in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != "POST /x "+body {
			t.Fatalf("answered with %.100q (%v)", got, err)
		}
	}
	if n := r.Stats().Accepted; n != 1 {
		t.Errorf("%d conns were needed", n)
	}
	for range 3 {
		res, err := client.Get(url + "/x/stream")
		if err != nil {
			t.Fatal(err)
		}
		p := <-ch
		onLoop(r, p.c.Loop().ID(), func() { p.write("one\n"); p.write("two\n") })
		expectText(t, res.Body, "\r\none\ntwo\n")
		res.Body.Close()
		eventually(t, "the client has gone", func() bool { return p.closed.Load() == 1 && r.Stats().Streams == 0 })
	}
}
