package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const rfcKey = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455 section 1.3

func statusOf(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*HandshakeError](err); ok {
		return e.Status
	}
	return -1
}

func soundRequest() UpgradeRequest {
	return UpgradeRequest{
		Method: "GET", Proto: "HTTP/1.1", Host: "example.com",
		Connection: "Upgrade", Upgrade: "websocket", Version: "13", Key: rfcKey,
	}
}

func TestUpgradeRequestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *UpgradeRequest)
		want   int
	}{
		{"sound", func(*UpgradeRequest) {}, 0},
		{"Firefox", func(r *UpgradeRequest) { r.Connection = "keep-alive, Upgrade" }, 0},
		{"any case", func(r *UpgradeRequest) { r.Connection, r.Upgrade = "KEEP-ALIVE\t,UPGRADE", "WebSocket" }, 0},
		{"POST", func(r *UpgradeRequest) { r.Method = "POST" }, 405},
		{"methods are in upper case", func(r *UpgradeRequest) { r.Method = "get" }, 405},
		{"HTTP/1.0", func(r *UpgradeRequest) { r.Proto = "HTTP/1.0" }, 505},
		{"no host", func(r *UpgradeRequest) { r.Host = "" }, 400},
		{"body", func(r *UpgradeRequest) { r.Body = true }, 400},
		{"no connection", func(r *UpgradeRequest) { r.Connection = "" }, 400},
		{"connection without upgrade", func(r *UpgradeRequest) { r.Connection = "keep-alive" }, 400},
		{"connection closes", func(r *UpgradeRequest) { r.Connection = "Upgrade, close" }, 400},
		{"word around the token", func(r *UpgradeRequest) { r.Connection = "upgraded" }, 400},
		{"no upgrade", func(r *UpgradeRequest) { r.Upgrade = "" }, 400},
		{"another upgrade", func(r *UpgradeRequest) { r.Upgrade = "h2c" }, 400},
		{"one of two upgrades", func(r *UpgradeRequest) { r.Upgrade = "h2c, websocket" }, 0},
		{"version 12", func(r *UpgradeRequest) { r.Version = "12" }, 426},
		{"version 8", func(r *UpgradeRequest) { r.Version = "8" }, 426},
		{"no version", func(r *UpgradeRequest) { r.Version = "" }, 426},
		{"two versions", func(r *UpgradeRequest) { r.Version = "13, 13" }, 426},
		{"no key", func(r *UpgradeRequest) { r.Key = "" }, 400},
		{"two keys", func(r *UpgradeRequest) { r.Key = rfcKey + ", " + rfcKey }, 400},
	} {
		r := soundRequest()
		c.change(&r)
		if got := statusOf(r.Check()); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestIsUpgrade(t *testing.T) {
	if !IsUpgrade("keep-alive, Upgrade", "websocket") {
		t.Error("an upgrade is not taken for one")
	}
	if IsUpgrade("Upgrade", "h2c") || IsUpgrade("keep-alive", "websocket") || IsUpgrade("", "") {
		t.Error("something else is taken for an upgrade")
	}
}

func TestCheckKey(t *testing.T) {
	for key, want := range map[string]int{
		rfcKey:                           0,
		"AAAAAAAAAAAAAAAAAAAAAA==":       0,
		"+/+/+/+/+/+/+/+/+/+/+/==":       0,
		"":                               400,
		"AAAAAAAAAAAAAAAAAAAAA===":       400, // 15 bytes and a half
		"AAAAAAAAAAAAAAAAAAAAAAA=":       400, // 17 bytes
		"AAAAAAAAAAAAAAAAAAAAAAAA":       400, // 18 bytes
		"AAAAAAAAAAAAAAAAAAAAAA":         400, // no padding
		"AAAAAAAAAAAAAAAAAAAAAA== ":      400,
		"AAAAAAAAAAAAAAAAAAAA\r\n==":     400,
		"-_-_-_-_-_-_-_-_-_-_-_==":       400, // the other alphabet
		"AAAAAAAAAAAAAAAAAAAA\xc3\xa9==": 400,
		strings.Repeat("A", 1<<16):       400,
	} {
		if got := statusOf(CheckKey(key)); got != want {
			t.Errorf("%.40q: %d, want %d", key, got, want)
		}
	}
}

func TestAcceptKey(t *testing.T) {
	if got := AcceptKey(rfcKey); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func TestHasToken(t *testing.T) {
	for _, c := range []struct {
		list string
		want bool
	}{
		{"upgrade", true},
		{"Upgrade", true},
		{" \tupgrade\t ", true},
		{"keep-alive, Upgrade", true},
		{"Upgrade,keep-alive", true},
		{",,upgrade,", true},
		{"", false},
		{",", false},
		{"upgrade keep-alive", false},
		{"up grade", false},
		{"upgrade;q=1", false},
		{"\"upgrade\"", false},
		{"xupgrade, upgradex", false},
		{strings.Repeat("a,", 5000) + "upgrade", true},
	} {
		if got := HasToken(c.list, "upgrade"); got != c.want {
			t.Errorf("%.40q: %v", c.list, got)
		}
	}
	if HasToken("\u212aeep-alive", "keep-alive") {
		t.Error("the Kelvin sign is not a k")
	}
}

func TestChoose(t *testing.T) {
	supported := []string{"centrifuge-json", "centrifuge-protobuf"}
	for _, c := range []struct {
		name, offers, want string
		status             int
	}{
		{"none", "", "", 0},
		{"blank", " \t", "", 0},
		{"one", "centrifuge-protobuf", "centrifuge-protobuf", 0},
		{"ours decides", "centrifuge-protobuf, centrifuge-json", "centrifuge-json", 0},
		{"ours decides, the other way", "centrifuge-json, centrifuge-protobuf", "centrifuge-json", 0},
		{"no blanks", "x,centrifuge-protobuf,y", "centrifuge-protobuf", 0},
		{"unknown", "graphql-ws", "", 0},
		{"case matters", "Centrifuge-JSON", "", 0},
		{"empty elements", ",, centrifuge-json,,", "centrifuge-json", 0},
		{"twice", "centrifuge-json, centrifuge-json", "centrifuge-json", 0},
		{"as many as may be", strings.Repeat("x,", ProtocolsMax-1) + "centrifuge-json", "centrifuge-json", 0},
		{"one more", strings.Repeat("x,", ProtocolsMax) + "centrifuge-json", "", 400},
		{"a thousand", strings.Repeat("x,", 1000), "", 400},
		{"100 KB", strings.Repeat("x", 100<<10), "", 400},
		{"100 KB of commas", strings.Repeat(",", 100<<10), "", 400},
		{"not ASCII", "centrifuge-json, caf\u00e9", "", 400},
		{"not even text", "\xff\xfe", "", 400},
		{"quoted", `"centrifuge-json"`, "", 400},
		{"two words", "centrifuge json", "", 400},
		{"control character", "centrifuge-json\x00", "", 400},
		{"line break", "centrifuge-json\r\nSet-Cookie: a", "", 400},
		{"DEL", "\x7f", "", 400},
	} {
		got, err := Choose(c.offers, supported)
		if got != c.want || statusOf(err) != c.status {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	if got, err := Choose("a, b", nil); got != "" || err != nil {
		t.Errorf("nothing supported: %q, %v", got, err)
	}
}

// net/http must read what we write as what we mean.
func TestAppendUpgradeResponse(t *testing.T) {
	for _, protocol := range []string{"", "centrifuge-json"} {
		b := AppendUpgradeResponse([]byte(nil), rfcKey, protocol, "")
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			t.Fatal(err)
		}
		h := resp.Header
		if resp.StatusCode != 101 || h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" ||
			h.Get("Sec-WebSocket-Accept") != AcceptKey(rfcKey) || h.Get("Sec-WebSocket-Protocol") != protocol {
			t.Errorf("%q", b)
		}
		if _, ok := h["Sec-Websocket-Protocol"]; ok != (protocol != "") {
			t.Errorf("protocol header: %q", b)
		}
		if _, ok := h["Sec-Websocket-Extensions"]; ok {
			t.Errorf("an extension was accepted: %q", b)
		}
	}
}

func TestAppendRefusal(t *testing.T) {
	for _, e := range []*HandshakeError{errMethod, errProto, errHost, errBody, errConnection, errUpgrade, errVersion, errKey, errProtocolForm, errProtocolCount} {
		b := AppendRefusal(nil, e)
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Error(err)
		}
		want := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
		if resp.Status != want || body.String() != e.Reason+"\n" || !resp.Close {
			t.Errorf("%v: %q", e, b)
		}
		if e.Status == 426 && (resp.Header.Get("Sec-WebSocket-Version") != "13" || resp.Header.Get("Upgrade") != "websocket") {
			t.Errorf("426 does not say what is wanted: %q", b)
		}
		if e.Status == 405 && resp.Header.Get("Allow") != "GET" {
			t.Errorf("405 does not say what is allowed: %q", b)
		}
	}
}

func TestHandshakeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	supported := []string{"centrifuge-json", "centrifuge-protobuf"}
	dst := make([]byte, 0, 512)
	r := soundRequest()
	if n := testing.AllocsPerRun(100, func() {
		if r.Check() != nil {
			t.Error("refused")
		}
		protocol, _ := Choose("x, centrifuge-protobuf", supported)
		dst = AppendUpgradeResponse(dst[:0], rfcKey, protocol, "")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
