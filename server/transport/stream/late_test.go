package stream

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"stentor/reactor"
	"stentor/server/config"
	"stentor/server/pipetest"
)

// TestLateStreamKeepsNothing: what a client sent to connect is forgotten once it has, also if it could have been refused with a status.
func TestLateStreamKeepsNothing(t *testing.T) {
	h := pipetest.Open(t, pipetest.Config{Route: func(h *pipetest.House) func(*reactor.Head) reactor.Verdict {
		rules := NewRefusals(&config.ConnectCodeToHTTPResponse{Enabled: true})
		return New(Config{Transport: UniSSE, Node: h.Node, Gate: h.Gate, BodyBytesMax: 1000, Refusals: rules}).Route
	}})
	const clients, size = 200, 8 << 10
	request := fmt.Sprintf("GET /?cf_connect=%s HTTP/1.1\r\nHost: x\r\n\r\n", `{"data":"`+strings.Repeat("x", size)+`"}`)
	conns := make([]net.Conn, clients)
	before := heap()
	for i := range conns {
		c, err := net.Dial("tcp", h.Reactor.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
		_ = c.SetDeadline(time.Now().Add(pipetest.WaitMax))
		if _, err := c.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
	}
	h.Eventually("all are there", func() bool { return h.Node.Clients() == clients })
	if each := (heap() - before) / clients; each > size/2 {
		t.Errorf("a client takes %d bytes", each)
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
