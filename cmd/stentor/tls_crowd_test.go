package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"stentor/server/certs/certtest"
)

// The crowd of TestTLSCrowd: conns that never finish a handshake, and what the server may need while they are there, in bytes.
const (
	tlsCrowd          = 10_000
	tlsCrowdMemoryMax = 192 << 20
)

// firstFlight is what a client says first.
func firstFlight(t *testing.T) (hello []byte) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() { _ = tls.Client(client, &tls.Config{ServerName: "localhost"}).Handshake() }()
	hello = make([]byte, 16<<10)
	n, err := server.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// TestTLSCrowd: ten thousand that connect and say nothing, half a hello, or a hello and no more neither keep others out nor stay, and
// cost little memory.
func TestTLSCrowd(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < tlsCrowd+1000 {
		t.Skipf("a process may open %d files: raise it with ulimit -n", limit.Max)
	}
	ca, internal := certtest.New(t), freePort(t)
	p := start(t, secured(block("tls", ca.Issue(t, certtest.Leaf{}), "")+`, "tls_external": true, "internal_port": "`+internal+`"`), "--prometheus.enabled")
	address := "127.0.0.1:" + p.port()
	p.url = "http://127.0.0.1:" + internal
	hello := firstFlight(t)
	says := [][]byte{nil, hello[:len(hello)/2], hello, hello}
	for i := range tlsCrowd {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}}
		conn, err := from.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(says[i%4]) // it may have been sent away
	}
	honest := func() error {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", address, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	err := honest()
	for tries := 0; err != nil && tries < 100; tries++ { // one that finds the queue full comes again
		time.Sleep(100 * time.Millisecond)
		err = honest()
	}
	if err != nil {
		t.Errorf("nobody else gets in: %v", err)
	}
	if there := p.sample("stentor_loop_conns", "") + p.metric("stentor_tls_handshakes_inflight"); there < tlsCrowd/4 {
		t.Errorf("the crowd has gone already: only %d are left", there)
	}
	if got := p.metric("process_resident_memory_bytes"); got > tlsCrowdMemoryMax && !raceEnabled {
		t.Errorf("the server needs %d MiB", got>>20)
	}
	// The deadline of a handshake is 10 s from the accept on.
	gone := func() bool {
		return p.sample("stentor_loop_conns", "") == 0 && p.metric("stentor_tls_handshakes_inflight") == 0
	}
	for deadline := time.Now().Add(30 * time.Second); !gone() && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	if !gone() {
		t.Errorf("%d conns and %d handshakes are left", p.sample("stentor_loop_conns", ""), p.metric("stentor_tls_handshakes_inflight"))
	}
	failed := p.sample("stentor_conns_refused_total", "tls_hello_timeout") + p.sample("stentor_tls_handshakes_total", "failed") +
		p.sample("stentor_tls_handshakes_total", "evicted") + p.sample("stentor_tls_handshakes_total", "refused")
	if failed < tlsCrowd {
		t.Errorf("%d of %d are counted", failed, tlsCrowd)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
