package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"stentor/bench/benchtest"
	"stentor/bench/fleet"
	"stentor/bench/measure"
	"stentor/bench/pipe"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// What the generator itself needs for a client, in a worker of its own: with a token, a subscription and publications received. TLS is
// mostly what crypto/tls keeps for a conn.
func TestGeneratorMemory(t *testing.T) {
	plain := serve(t, benchtest.Config{Secret: "s3cret", History: 10})
	secured := serve(t, benchtest.Config{Secret: "s3cret", History: 10, TLS: true})
	for _, c := range []struct {
		server    *benchtest.Server
		transport swarm.Transport
		version   string
		recovers  bool
		bytesMax  float64
	}{
		{plain, swarm.WebSocket, "", false, 70},
		{plain, swarm.WebSocket, "", true, 90},
		{plain, swarm.HTTPStream, "", false, 96},
		{plain, swarm.SSE, "", true, 112},
		{plain, swarm.UniSSE, "", true, 112},
		{secured, swarm.WebSocket, "1.2", false, 8 << 10},
		{secured, swarm.SSE, "1.3", false, 8 << 10},
	} {
		t.Run(fmt.Sprintf("%s TLS=%q recovers=%v", c.transport, c.version, c.recovers), func(t *testing.T) {
			target := DefaultTarget()
			target.URL, target.TokenSecret, target.ConnectRate, target.SourceCount = "ws://"+c.server.Addr(), "s3cret", 0, 3
			target.Transport = string(c.transport)
			if c.server == secured {
				target.URL = "wss://" + c.server.Addr()
				target.Secure = Secure{Insecure: true, Version: c.version}
			}
			if each := generatorMemory(t, c.server, target, c.recovers); each > c.bytesMax {
				t.Errorf("%.1f bytes per client, the most is %.0f", each, c.bytesMax)
			} else {
				t.Logf("%.1f bytes per client", each)
			}
		})
	}
}

// generatorMemory is the heap of a worker per client.
func generatorMemory(t *testing.T, server *benchtest.Server, target Target, recovers bool) float64 {
	clients := 2500
	if target.Secure.Insecure {
		clients = 600 // handshakes take their time
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	worker, err := pipe.Self("bench", workerName)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Start(worker, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := target.locate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	channel := fmt.Sprintf("%s-%s-%v", target.Transport, target.Secure.Version, recovers)
	heapWith := func(name string, count int) int64 {
		g := target.group(p, name, swarm.Subscriber, count)
		g.Channels, g.Subscribed, g.Recover = name+channel, 1, recovers
		if _, err := f.Open(ctx, g); err != nil {
			t.Fatal(err)
		}
		payload, err := measure.AppendPayload(nil, measure.Stamp{Number: 1, Due: swarm.Monotonic()}, 100)
		if err != nil {
			t.Fatal(err)
		}
		server.Publish(name+channel, payload)
		if all, err := f.Await(ctx, name, time.Minute, 1); err != nil || !all {
			t.Fatalf("%v %v", all, err)
		}
		heap, err := f.Heap(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return heap
	}
	// A few clients first: tables and buffers that all share are there then. A group has two histograms of its own, whatever its size.
	few := heapWith("few", 100)
	small := heapWith("small", 100)
	many := heapWith("many", clients)
	return float64(many-small-(small-few)) / float64(clients-100)
}

func TestServerThatIsStarted(t *testing.T) {
	server := os.Args[0] + " serve {port}"
	c := root()
	var out, logged bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&logged)
	c.SetArgs([]string{"bench", "fanout", "--server", server, "--api-key", "key", "--subscribers", "5", "--pace", "delivered", "--publications", "3", "--json"})
	if err := c.Execute(); err != nil {
		t.Fatalf("%v\n%s", err, logged.String())
	}
	all, err := result.Read(&out)
	if err != nil || len(all) != 1 || metric(t, &all[0], "server CPU per delivery") <= 0 || !strings.Contains(all[0].Command, "'"+server+"'") {
		t.Errorf("%v %+v", err, all)
	}

	c = root()
	c.SetOut(&out)
	c.SetErr(&logged)
	c.SetArgs([]string{"bench", "idle", "--server", os.Args[0] + " serve {port} 100ms", "--clients", "5", "--settle", "10s"})
	if err := c.Execute(); err == nil || !strings.Contains(err.Error(), "the server ended: exit status 7") || !strings.Contains(err.Error(), "it is time") {
		t.Errorf("a server that ends: %v", err)
	}
}

func TestFilesOfResults(t *testing.T) {
	server := serve(t, benchtest.Config{})
	dir := t.TempDir()
	lines, page := dir+"/results.json", dir+"/page.html"
	for range 2 {
		must(t, server, "idle", "--clients", "3", "--settle", "10ms", "--out", lines, "--html", page)
	}
	run := func(args ...string) string {
		t.Helper()
		c := root()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&out)
		c.SetArgs(append([]string{"bench"}, args...))
		if err := c.Execute(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out.String()
	}
	if text := run("compare", lines, lines); !strings.Contains(text, "idle, 2 pairs") {
		t.Errorf("%s", text)
	}
	if text := run("compare", "--json", lines, lines); !strings.Contains(text, `"pairs":2`) {
		t.Errorf("%s", text)
	}
	run("page", lines, lines, dir+"/all.html")
	for _, file := range []string{page, dir + "/all.html"} {
		if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(`"scenario":"idle"`)) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
