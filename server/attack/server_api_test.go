package attack

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/server/api"
	"stentor/server/config"
)

// TestAPIAbuse is group 26: what may be posted to the API, with a key and without one.
func TestAPIAbuse(t *testing.T) {
	s := attack(t, common)
	withKey := "X-API-Key: " + apiKey + "\r\n"
	for _, test := range []struct {
		name, headers string
		status        int
	}{
		{"1 GB without a key", "Content-Length: 1073741824\r\n", 401},
		{"1 GB in chunks without a key", "Transfer-Encoding: chunked\r\n", 401},
		{"1 GB", withKey + "Content-Length: 1073741824\r\n", 413},
		{"1 GB when asked for", withKey + "Content-Length: 1073741824\r\nExpect: 100-continue\r\n", 413},
		{"9 EB", withKey + "Content-Length: 999999999999999999\r\n", 413},
		{"gzip of 1 GB", withKey + "Content-Length: 1073741824\r\nContent-Encoding: gzip\r\n", 415},
	} {
		s.row(test.name, func(t *testing.T) {
			for _, path := range []string{"/api/publish", "/api"} {
				c := dial(t, common)
				c.say("POST " + path + " HTTP/1.1\r\nHost: a\r\n" + test.headers + "\r\n") // and not one byte of the body
				if status, head, _ := c.response(); status != test.status {
					t.Errorf("%s answered, want %d:\n%s", path, test.status, head)
				}
				c.reset()
			}
		})
	}
	s.row("chunks without end", func(t *testing.T) {
		c := dial(t, common)
		c.say("POST /api/publish HTTP/1.1\r\nHost: a\r\n" + withKey + "Transfer-Encoding: chunked\r\n\r\n")
		chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
		heard := make(chan int, 1)
		go func() {
			defer func() { _ = recover(); close(heard) }()
			defer failed(new(error))
			status, _ := (&client{Conn: c.Conn, r: failures{}, in: c.in}).head()
			heard <- status
		}()
		sent := 0
		for sent < 1<<30 && c.trySay(chunk) == nil {
			sent += len(chunk)
		}
		if sent > 2*api.BodyBytesMax {
			t.Errorf("%d bytes were read", sent)
		}
		// The refusal may be lost in the reset that ends a sender who goes on.
		if status, ok := <-heard; ok && status != 413 {
			t.Errorf("answered %d, want 413", status)
		}
	})
	s.row("gzip bomb", func(t *testing.T) {
		var bomb bytes.Buffer
		w := gzip.NewWriter(&bomb)
		zeros := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, coding := range []string{"gzip", "GZIP", "deflate", "br", "gzip, gzip", "identity, gzip"} {
			req, err := http.NewRequest(http.MethodPost, "http://"+common.addr+"/api/publish", bytes.NewReader(bomb.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-API-Key", apiKey)
			req.Header.Set("Content-Encoding", coding)
			if status, answer, err := common.do(req); err != nil || status != http.StatusUnsupportedMediaType {
				t.Errorf("%s answered with %d %.100q (%v)", coding, status, answer, err)
			}
		}
	})
	matched := joined(t, common, codec.JSON, strings.Repeat("w", 255), strings.Repeat("b", 255)) // for the patterns
	defer matched.reset()
	for _, test := range []struct {
		name, path, body string
		status, code     int
	}{
		{"publication of 64 MB", "/api/publish", `{"channel":"x","data":"` + strings.Repeat("x", 64<<20) + `"}`, 413, 0},
		{"publication of 4 MB", "/api/publish", `{"channel":"x","data":"` + strings.Repeat("x", 4<<20) + `"}`, 200, 107},
		{"tags of 4 MB", "/api/publish", `{"channel":"x","data":1,"tags":{"x":"` + strings.Repeat("x", 4<<20) + `"}}`, 200, 107},
		{"channel of 4 MB", "/api/publish", `{"channel":"` + strings.Repeat("x", 4<<20) + `","data":1}`, 200, 107},
		{"broadcast to 1,000,000 channels", "/api/broadcast", `{"channels":[` + strings.Repeat(`"x",`, 999_999) + `"x"],"data":1}`, 200, 107},
		{"broadcast to 100,000 channels", "/api/broadcast", `{"channels":[` + members(100_000, `"b%d"`) + `],"data":1}`, 200, 0},
		{"publication nested 200,000 deep", "/api/publish", `{"channel":"x","data":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`, 0, 0},
		{"request nested 200,000 deep", "/api/publish", strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000), 0, 0},
		{"batches in batches", "/api/batch", strings.Repeat(`{"commands":[{"batch":`, 10_000) + "{}" + strings.Repeat("}]}", 10_000), 0, 0},
		{"pattern that backtracks", "/api/channels", `{"pattern":"` + strings.Repeat("*w", 100) + `*z"}`, 0, 0},
		{"pattern of alternatives", "/api/channels", `{"pattern":"` + strings.Repeat("{*a,*b}", 3) + `"}`, 0, 0},
		{"lone surrogate in a channel", "/api/publish", `{"channel":"a\ud800","data":1}`, 200, 0},
		{"not UTF-8", "/api/publish", "{\"channel\":\"a\xff\",\"data\":\"\xff\"}", 0, 0},
	} {
		s.row(test.name, func(t *testing.T) {
			status, answer, err := common.call(test.path, test.body)
			if err != nil && test.status != 413 { // the rest of what is too large is not read
				t.Fatal(err)
			}
			if err == nil && test.status != 0 && status != test.status {
				t.Fatalf("answered %d %.200s, want %d", status, answer, test.status)
			}
			if status >= 500 {
				t.Fatalf("answered %d %.200s", status, answer)
			}
			if code, _, _ := answerOf(answer); test.status == 200 && code != test.code {
				t.Errorf("error %d, want %d: %.200s", code, test.code, answer)
			}
		})
	}
	s.row("duplicated channel", func(t *testing.T) {
		readers := map[string]*client{"dup-a": joined(t, common, codec.JSON, "dup-a"), "dup-b": joined(t, common, codec.JSON, "dup-b")}
		for n, test := range []struct{ to, body string }{
			{"dup-b", `{"channel":"dup-a","channel":"dup-b","data":%d}`},
			{"dup-a", `{"channel":"dup-b","data":%d,"chann\u0065l":"dup-a"}`},
			{"dup-b", `{"data":%d,"channel":"dup-a","Channel":"dup-b"}`}, // keys have no case, as in encoding/json
			{"dup-a", `{"data":%d,"CHANNEL":"dup-b","channel":"dup-a"}`},
			{"dup-b", `{"data":%d,"channel":"dup-b"}`},
			{"dup-a", `{"data":%d,"channel":"dup-a"}`},
		} {
			status, answer, err := common.call("/api/publish", fmt.Sprintf(test.body, n))
			if err != nil || status != 200 || strings.Contains(answer, "error") {
				t.Fatalf("answered %d %s (%v)", status, answer, err)
			}
			readers[test.to].expectPush(test.to, fmt.Sprint(n)) // and the other one hears nothing before its next
		}
	})
}

// TestInternalAPI is the part of group 26 about where the API is: with an internal port it is not on the public one.
func TestInternalAPI(t *testing.T) {
	h := newHouse(t, func(cfg *config.Config) {
		cfg.HTTPServer.InternalAddress, cfg.HTTPServer.InternalPort = "127.0.0.1", "0"
		cfg.Debug.Enabled = true
		cfg.Prometheus.Enabled = false
	})
	c := upgraded(t, h, codec.JSON)
	for _, path := range []string{"/api", "/api/publish", "/metrics", "/health", "/debug/pprof/", "/debug/pprof/heap", "/admin", "/admin/api"} {
		t.Run(path, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, "http://"+h.addr+path, strings.NewReader(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-API-Key", apiKey)
			if status, answer, err := h.do(req); err != nil || status != 404 {
				t.Errorf("answered %d %q (%v), want 404", status, answer, err)
			}
		})
	}
	c.join("x")
	c.say(closing(1000))
	c.expectClose(1000, "")
}
