package ws

import (
	"strings"
	"testing"
)

const (
	plainAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	bitsAnswer  = plainAnswer + "; server_max_window_bits=15"
)

func TestChooseDeflate(t *testing.T) {
	for _, test := range []struct{ offers, want string }{
		{"", ""},
		{"permessage-deflate", plainAnswer},
		{"Permessage-DEFLATE", plainAnswer},
		{" permessage-deflate ;  client_max_window_bits ", plainAnswer}, // browsers
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", plainAnswer},
		{"permessage-deflate;client_max_window_bits=8", plainAnswer}, // we never compress for its small window: it is the client's own
		{"permessage-deflate;client_max_window_bits=15", plainAnswer},
		{`permessage-deflate; client_max_window_bits="10"`, plainAnswer},
		{"permessage-deflate; server_max_window_bits=15", bitsAnswer},
		{"permessage-deflate; server_max_window_bits=15; client_max_window_bits", bitsAnswer},

		// Our window cannot be smaller, and zlib takes 8 for 9.
		{"permessage-deflate; server_max_window_bits=8", ""},
		{"permessage-deflate; server_max_window_bits=9", ""},
		{"permessage-deflate; server_max_window_bits=14", ""},
		{"permessage-deflate; server_max_window_bits=7", ""},
		{"permessage-deflate; server_max_window_bits=16", ""},
		{"permessage-deflate; server_max_window_bits=015", ""},
		{"permessage-deflate; server_max_window_bits=+15", ""},
		{"permessage-deflate; server_max_window_bits", ""},
		{"permessage-deflate; server_max_window_bits=", ""},
		{"permessage-deflate; client_max_window_bits=7", ""},
		{"permessage-deflate; client_max_window_bits=16", ""},
		{"permessage-deflate; client_max_window_bits=08", ""},
		{"permessage-deflate; client_max_window_bits=1", ""},
		{"permessage-deflate; client_max_window_bits=99999999999999999999", ""},
		{"permessage-deflate; client_max_window_bits=", ""},
		{`permessage-deflate; client_max_window_bits=""`, ""},
		{"permessage-deflate; server_no_context_takeover=1", ""},
		{`permessage-deflate; client_no_context_takeover=""`, ""},
		{"permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits=10", ""},
		{"permessage-deflate; SERVER_no_context_takeover; server_no_context_takeover", ""},
		{"permessage-deflate; window_bits=15", ""},
		{"permessage-deflate; x", ""},

		// The first one that can be accepted.
		{"permessage-deflate; server_max_window_bits=8, permessage-deflate", plainAnswer},
		{"x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", plainAnswer},
		{`x; a="b", , ,permessage-deflate`, plainAnswer},
		{"permessage-deflate; x, permessage-deflate; server_max_window_bits=15, permessage-deflate", bitsAnswer},
		{"permessage-deflate, @", plainAnswer},
		{"permessage-deflate-2, deflate", ""},

		// Not the grammar.
		{"@, permessage-deflate", ""},
		{"x y, permessage-deflate", ""},
		{"x;, permessage-deflate", ""},
		{`x; a="b, permessage-deflate`, ""},
		{`x; a="b,c", permessage-deflate`, ""}, // a quoted value must be a token, too
		{"x; a=b c, permessage-deflate", ""},
		{"permessage-deflate; =15", ""},
		{",,,,", ""},
		{"\xff", ""},

		{strings.Repeat("x, ", ExtensionsMax-1) + "permessage-deflate", plainAnswer},
		{strings.Repeat("x, ", ExtensionsMax) + "permessage-deflate", ""},
		{"permessage-deflate," + strings.Repeat(" ", ExtensionsBytesMax-len("permessage-deflate,")), plainAnswer},
		{"permessage-deflate," + strings.Repeat(" ", ExtensionsBytesMax-len("permessage-deflate,")+1), ""},
	} {
		if got := ChooseDeflate(test.offers); got != test.want {
			t.Errorf("%.100q: %q, want %q", test.offers, got, test.want)
		}
	}
}

func TestChooseDeflateAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { ChooseDeflate("permessage-deflate; client_max_window_bits") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzChooseDeflate(f *testing.F) {
	for _, seed := range []string{"permessage-deflate; client_max_window_bits", `x; a="b", permessage-deflate; server_max_window_bits=15`, `;;=,"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, offers string) {
		got := ChooseDeflate(offers)
		if got != "" && got != plainAnswer && got != bitsAnswer {
			t.Errorf("%q", got)
		}
		if got != "" && !strings.Contains(strings.ToLower(offers), "permessage-deflate") {
			t.Errorf("accepted what was not offered: %q", offers)
		}
	})
}
