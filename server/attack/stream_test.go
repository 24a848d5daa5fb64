package attack

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

const streamEndpoint = "/connection/http_stream"

// streaming turns the endpoints on.
func streaming(cfg *config.Config) {
	cfg.HTTPStream.Enabled, cfg.SSE.Enabled, cfg.UniSSE.Enabled, cfg.UniHTTPStream.Enabled = true, true, true, true
}

// posting is a request with a body.
func posting(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// streamer is a client of HTTP streaming that has connected and subscribed to x.
type streamer struct {
	*client
	connected *codec.ConnectResult
}

func streamed(t *testing.T, h *house) *streamer {
	t.Helper()
	c := dial(t, h)
	c.say(posting(streamEndpoint, `{"id":1,"connect":{"token":"`+sign(t, jwt.MapClaims{"sub": "42"})+`"}}`+"\n"+`{"id":2,"subscribe":{"channel":"x"}}`))
	if status, head := c.head(); status != 200 {
		t.Fatalf("no stream:\n%s", head)
	}
	s := &streamer{client: c}
	for _, r := range s.chunk() {
		if r.Connect != nil {
			s.connected = r.Connect
		}
	}
	if s.connected == nil || s.connected.Session == "" || s.connected.Node == "" {
		t.Fatalf("connected: %+v", s.connected)
	}
	return s
}

// chunk reads the messages of one chunk; none is the end of the stream.
func (s *streamer) chunk() []codec.Reply {
	s.r.Helper()
	s.awaitInput()
	line, err := s.in.ReadString('\n')
	var size int
	if _, scanErr := fmt.Sscanf(line, "%x", &size); err != nil || scanErr != nil {
		s.r.Fatalf("no chunk: %q (%v)", line, err)
	}
	text := make([]byte, size+2)
	for at := 0; at < len(text); {
		n, err := s.in.Read(text[at:])
		if err != nil {
			s.r.Fatalf("half a chunk: %v", err)
		}
		at += n
	}
	all, err := decode(codec.JSON, string(text[:size]))
	if err != nil {
		s.r.Fatalf("%v in %q", err, text)
	}
	return all
}

// expectPublication reads one chunk with one publication.
func (s *streamer) expectPublication(data string) {
	s.r.Helper()
	if all := s.chunk(); len(all) != 1 || all[0].Push == nil || all[0].Push.Pub == nil || string(all[0].Push.Pub.Data) != data {
		s.r.Fatalf("heard %+v, want the publication %s", all, data)
	}
}

// expectDisconnect reads the push that says why the stream ends, and its end.
func (s *streamer) expectDisconnect(code uint32) {
	s.r.Helper()
	all := s.chunk()
	if len(all) != 1 || all[0].Push == nil || all[0].Push.Disconnect == nil || all[0].Push.Disconnect.Code != code {
		s.r.Fatalf("heard %+v, want disconnect %d", all, code)
	}
	if all = s.chunk(); len(all) > 0 {
		s.r.Fatalf("heard %+v behind the last", all)
	}
	s.expectEnd()
}

// emulate posts commands for a session and expects that nothing is said about whether there is one.
func emulate(t *testing.T, h *house, node, session, commands string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"session": session, "node": node, "data": commands})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, h)
	c.say(posting("/emulation", string(body)))
	if status, head, body := c.response(); status != 204 || body != "" {
		t.Errorf("answered:\n%s%s", head, body)
	}
	c.Close()
}

// TestGuessedSessions is group 22: who does not have the secret of a session cannot speak for it.
func TestGuessedSessions(t *testing.T) {
	s := attack(t, guarded(t, streaming))
	other := guarded(t, streaming)
	victim, second := streamed(t, s.house), streamed(t, s.house)
	elsewhere := streamed(t, other)
	gone := streamed(t, s.house)
	gone.Close()
	node, secret := victim.connected.Node, victim.connected.Session
	leave := `{"id":9,"unsubscribe":{"channel":"x"}}`
	for name, guess := range map[string]string{
		"its public id":                  victim.connected.Client,
		"public id of another":           second.connected.Client,
		"nothing":                        "",
		"zero":                           "00000000-0000-0000-0000-000000000000",
		"one bit":                        flipped(t, secret, 0),
		"another bit":                    flipped(t, secret, 127),
		"a bit of its number":            flipped(t, secret, 64),
		"cut":                            secret[:35],
		"longer":                         secret + "0",
		"twice":                          secret + secret,
		"secret of another node":         elsewhere.connected.Session,
		"secret of a session that ended": gone.connected.Session,
		"10 KB":                          strings.Repeat("0", 10_000),
		"letters":                        "é-☃-\u0000",
	} {
		s.row(name, func(t *testing.T) { emulate(t, s.house, node, guess, leave) })
	}
	s.row("random", func(t *testing.T) {
		for range 200 {
			var b [16]byte
			rand.Read(b[:])
			h := hex.EncodeToString(b[:])
			emulate(t, s.house, node, strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"), leave)
		}
	})
	for _, data := range []string{`{"id":9}`, `[]`, `null`, `1`, `true`} {
		s.row("commands that are no string: "+data, func(t *testing.T) {
			c := dial(t, s.house)
			c.say(posting("/emulation", fmt.Sprintf(`{"session":%q,"node":%q,"data":%s}`, secret, node, data)))
			if status, head, _ := c.response(); status != 204 {
				t.Errorf("answered:\n%s", head)
			}
		})
	}
	if err := s.publish("x", "1"); err != nil { // both are on x still
		t.Fatal(err)
	}
	victim.expectPublication("1")
	second.expectPublication("1")

	s.row("the secret itself", func(t *testing.T) { // in any case of its letters
		emulate(t, s.house, node, strings.ToUpper(secret), leave)
		if all := victim.chunk(); len(all) != 1 || all[0].ID != 9 || all[0].Error != nil {
			t.Errorf("heard %+v", all)
		}
	})
	s.row("a second connect", func(t *testing.T) { // a second stream has a session of its own, and nothing takes over the first
		emulate(t, s.house, node, secret, `{"id":10,"connect":{}}`)
		victim.expectDisconnect(3501)
		emulate(t, s.house, node, secret, leave)
	})
	s.row("of clients that have no use for it", func(t *testing.T) {
		c := dial(t, s.house)
		c.say(posting("/connection/uni_http_stream", `{"token":"`+sign(t, jwt.MapClaims{"sub": "42", "channels": []string{"x"}})+`"}`))
		if status, head := c.head(); status != 200 {
			t.Fatalf("no stream:\n%s", head)
		}
		line, _ := c.in.ReadString('\n')
		text, err := c.in.ReadString('\n')
		_, after, found := strings.Cut(text, `"session":"`)
		if err != nil || !found {
			t.Fatalf("%q %q (%v)", line, text, err)
		}
		emulate(t, s.house, node, after[:36], leave)
		emulate(t, s.house, node, after[:36], `nonsense`)
		if err := s.publish("x", "2"); err != nil {
			t.Fatal(err)
		}
		second.expectPublication("2")
		for !strings.Contains(text, `"pub"`) {
			if text, err = c.in.ReadString('\n'); err != nil {
				t.Fatalf("its stream has ended: %v", err)
			}
		}
	})
	s.row("a flood", func(t *testing.T) { // of commands, in a few posts; none of them is lost, and the loops go on
		for i := range 20 {
			var batch strings.Builder
			for j := range 1000 {
				fmt.Fprintf(&batch, `{"id":%d,"unsubscribe":{"channel":"y"}}`+"\n", 100+i*1000+j)
			}
			emulate(t, s.house, node, second.connected.Session, batch.String())
		}
		for heard := 0; heard < 20_000; {
			heard += len(second.chunk())
		}
	})
}

// flipped is a secret with one bit changed.
func flipped(t *testing.T, secret string, bit int) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(secret, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	b[bit/8] ^= 1 << (bit % 8)
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// TestStreamPaths is group 9 for streams: paths that almost are those of endpoints, and queries that are too long.
func TestStreamPaths(t *testing.T) {
	s := attack(t, newHouse(t, func(cfg *config.Config) {
		streaming(cfg)
		cfg.Init.Enabled = true
	}))
	connect := url.QueryEscape(`{"id":1,"connect":{}}`)
	for _, tt := range []struct {
		target string
		status int
	}{
		{"//connection/sse?cf_connect=" + connect, 307}, // the router of net/http cleans paths up
		{"/connection//sse?cf_connect=" + connect, 307},
		{"/connection/%2e/sse?cf_connect=" + connect, 307},
		{"/connection/%73se?cf_connect=" + connect, 404},
		{"/%65mulation", 404},
		{"/connection/%69nit", 404},
		{"/connection/sse/?cf_connect=" + connect, 404},
		{"/connection/sse;x?cf_connect=" + connect, 404},
		{"/CONNECTION/SSE?cf_connect=" + connect, 404},
		{"/connection/sse?cf_connect=" + strings.Repeat("a", 100_000), 400},
		{"/connection/sse?x=" + strings.Repeat("a", 17_000), 400},
		{"/connection/sse?cf_connect", 400},
		{"/connection/sse?CF_CONNECT=" + connect, 400},
		{"/connection/sse?cf_connect=%", 400},
		{"/connection/sse?cf_connect=%00;cf_connect=" + connect, 400},
		{"/connection/uni_sse?cf_connect=" + strings.Repeat("%5B", 4000), 400},
		{"/connection/uni_sse?cf_connect=%ff", 400},
	} {
		s.row(tt.target[:min(len(tt.target), 60)], func(t *testing.T) {
			c := dial(t, s.house)
			c.say("GET " + tt.target + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if status, head, _ := c.response(); status != tt.status && !(tt.status == 307 && status == 404) {
				t.Errorf("answered, want %d:\n%s", tt.status, head)
			}
		})
	}
	s.row("commands that make no sense", func(t *testing.T) { // they have their stream, and it says why it ends
		for _, text := range []string{"x", "%00", "%ff%fe", "%0A", "null", strings.Repeat("%5B", 4000), "%7B%22id%22%3A1%7D"} {
			c := dial(t, s.house)
			c.say("GET /connection/sse?cf_connect=" + text + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if status, head := c.head(); status != 200 {
				t.Fatalf("%q:\n%s", text, head)
			}
			c.awaitInput()
			var all strings.Builder
			for !strings.Contains(all.String(), "0\r\n\r\n") {
				line, err := c.in.ReadString('\n')
				if all.WriteString(line); err != nil {
					t.Fatalf("%q: %q (%v)", text, all.String(), err)
				}
			}
			if !strings.Contains(all.String(), `data: {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}`+"\n\n") {
				t.Errorf("%q: %q", text, all.String())
			}
			c.expectEnd()
		}
	})
}
