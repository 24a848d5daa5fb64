package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"stentor/server/certs/certtest"
)

// http2Client speaks HTTP/2 frame by frame.
type http2Client struct {
	*http2.Framer
	conn net.Conn
	head []byte // of a request of /health
}

func dialHTTP2(t *testing.T, port string, ca *certtest.CA) *http2Client {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 15 * time.Second}, "tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: ca.Pool, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	var head bytes.Buffer
	e := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/health"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	c := &http2Client{http2.NewFramer(conn, conn), conn, head.Bytes()}
	if err := c.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// drain reads until the connection ends.
func (c *http2Client) drain() {
	for {
		if _, err := c.ReadFrame(); err != nil {
			return
		}
	}
}

// TestRapidReset: requests that are given up at once (CVE-2023-44487) keep nobody else from being served, while they come and after.
func TestRapidReset(t *testing.T) {
	ca := certtest.New(t)
	p := start(t, secured(block("tls", ca.Issue(t, certtest.Leaf{}), "")))
	c := dialHTTP2(t, p.port(), ca)
	go c.drain()
	const requests = 30000
	for n := range uint32(requests) {
		err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: c.head, EndStream: true, EndHeaders: true})
		if err == nil {
			err = c.WriteRSTStream(2*n+1, http2.ErrCodeCancel)
		}
		if err != nil {
			break // which is an answer, too
		}
		if n%(requests/5) == 0 {
			if got, err := curl(t, "--cacert", ca.File, "--http2", "https://127.0.0.1:"+p.port()+"/health"); err != nil || got != "{}\n200 2" {
				t.Errorf("after %d: %v\n%s", n, err, got)
			}
		}
	}
}

// TestHTTP2Limits: what a client is allowed is told to it, and attacks that have brought down others end their own connection only.
func TestHTTP2Limits(t *testing.T) {
	ca := certtest.New(t)
	p := start(t, secured(block("tls", ca.Issue(t, certtest.Leaf{}), "")))
	settings := map[http2.SettingID]uint32{}
	c := dialHTTP2(t, p.port(), ca)
	f, err := c.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	_ = f.(*http2.SettingsFrame).ForeachSetting(func(s http2.Setting) error { settings[s.ID] = s.Val; return nil })
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 128, http2.SettingInitialWindowSize: 64 << 10, http2.SettingMaxFrameSize: 16 << 10,
	} {
		if settings[id] != want {
			t.Errorf("%v is %d, want %d", id, settings[id], want)
		}
	}
	for name, attack := range map[string]func(c *http2Client) error{
		"headers without end (CVE-2023-45288)": func(c *http2Client) (err error) {
			err = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.head})
			var more bytes.Buffer
			e := hpack.NewEncoder(&more)
			for n := range 100 {
				_ = e.WriteField(hpack.HeaderField{Name: fmt.Sprint("x-", n), Value: strings.Repeat("x", 100)})
			}
			for n := 0; err == nil && n < 1<<16; n++ {
				err = c.WriteContinuation(1, false, more.Bytes())
			}
			return err
		},
		"pings whose answers are not read (CVE-2019-9512)": func(c *http2Client) (err error) {
			for n := 0; err == nil && n < 4<<20; n++ {
				err = c.WritePing(false, [8]byte{1})
			}
			return err
		},
	} {
		c := dialHTTP2(t, p.port(), ca)
		if !strings.HasPrefix(name, "pings") {
			go c.drain()
		}
		if err := attack(c); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: not stopped: %v", name, err)
		}
		c.conn.Close()
		if got, err := curl(t, "--cacert", ca.File, "--http2", "https://127.0.0.1:"+p.port()+"/health"); err != nil || got != "{}\n200 2" {
			t.Errorf("after %s: %v\n%s", name, err, got)
		}
	}
}
