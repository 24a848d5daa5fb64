package ws

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendClose(t *testing.T) {
	long := strings.Repeat("x", 122)
	for _, c := range []struct {
		name   string
		code   uint16
		reason string
		want   string // the payload
	}{
		{"with reason", 3008, "slow", "\x0b\xc0slow"},
		{"without", 1000, "", "\x03\xe8"},
		{"no code", 0, "slow", ""},
		{"not to be sent", CodeNoStatus, "slow", ""},
		{"nor this", 1006, "", ""},
		{"nor this", 1015, "", ""},
		{"longest", 1000, long + "y", "\x03\xe8" + long + "y"},
		{"too long", 1000, long + "yz", "\x03\xe8" + long + "y"},
		{"rune over the border", 1000, long + "é", "\x03\xe8" + long},
		{"long rune over the border", 1000, long[:120] + "😀", "\x03\xe8" + long[:120]},
		{"not UTF-8 at all", 1000, strings.Repeat("\x80", 200), "\x03\xe8"},
	} {
		got := string(AppendClose([]byte("before"), c.code, c.reason))
		want := "before\x88" + string([]byte{byte(len(c.want))}) + c.want
		if got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

func TestParseClose(t *testing.T) {
	for _, c := range []struct {
		payload string
		code    uint16
		reason  string
		err     uint16
	}{
		{"", CodeNoStatus, "", 0},
		{"\x03", 0, "", 1002},
		{"\x03\xe8", 1000, "", 0},
		{"\x0b\xb9shutdown", 3001, "shutdown", 0},
		{"\x03\xe8bad \xff", 0, "", 1007},
		{"\x03\xe7\xff", 0, "", 1002}, // both wrong: the code comes first
	} {
		code, reason, err := ParseClose([]byte(c.payload))
		if code != c.code || reason != c.reason || codeOf(err) != c.err {
			t.Errorf("%q: %d %q %v", c.payload, code, reason, err)
		}
	}
}

func TestCloseCodes(t *testing.T) {
	valid := func(code int) bool {
		switch {
		case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
			return true
		}
		return false
	}
	for code := range 1 << 16 {
		_, _, err := ParseClose([]byte{byte(code >> 8), byte(code)})
		if (err == nil) != valid(code) {
			t.Errorf("code %d: %v", code, err)
		}
	}
}

// What the Reader says about a peer goes into a close frame: it must fit and be text.
func TestErrorReasonsFit(t *testing.T) {
	errs := []*Error{
		errLengthTopBit, errLengthForm, errCloseShort, errCloseCode, errCloseUTF8,
		errTextUTF8, errFragments, errMessageSize,
	}
	for op := range OpCode(16) {
		for _, h := range []Header{{OpCode: op}, {OpCode: op, Fin: true, Masked: true, Rsv: 1}, {OpCode: op, Masked: true, Length: 126}} {
			for s := range FromServer | Fragmented + 1 {
				if err := h.Check(s, 10); err != nil {
					errs = append(errs, err.(*Error))
				}
			}
		}
	}
	for _, e := range errs {
		if len(e.Reason) > CloseReasonBytesMax || !utf8.ValidString(e.Reason) || !validCloseCode(e.Code) || !strings.Contains(e.Error(), e.Reason) {
			t.Errorf("%d %q", e.Code, e.Reason)
		}
	}
}
