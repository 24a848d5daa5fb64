package redisengine

import (
	"fmt"
	"testing"

	"stentor/codec"
)

func TestParseFrame(t *testing.T) {
	at := func(offset uint64, epoch string) codec.StreamPosition {
		return codec.StreamPosition{Offset: offset, Epoch: epoch}
	}
	tests := []struct {
		message string
		want    frame
		ok      bool
	}{
		{"", frame{}, true},
		{"payload", frame{payload: "payload"}, true},
		{"_", frame{payload: "_"}, true},
		{"__", frame{}, false},
		{"__x__", frame{}, false},
		{"__j__info", frame{kind: joinKind, payload: "info"}, true},
		{"__j__", frame{kind: joinKind}, true},
		{"__l__info", frame{kind: leaveKind, payload: "info"}, true},
		{"__p1:7:abcd__payload", frame{at: at(7, "abcd"), payload: "payload"}, true},
		{"__p1:7:abcd__", frame{at: at(7, "abcd")}, true},
		{"__p1:7:__pay__load", frame{at: at(7, ""), payload: "pay__load"}, true},
		{"__p1:18446744073709551615:e__x", frame{at: at(1<<64-1, "e"), payload: "x"}, true},
		{"__p1:18446744073709551616:e__x", frame{}, false},
		{"__p1:000000000000000000007:e__x", frame{}, false},
		{"__p1::e__x", frame{}, false},
		{"__p1:-1:e__x", frame{}, false},
		{"__p1:7", frame{}, false},
		{"__p1:7:e_x", frame{}, false},
		{"__d1:7:e:0::1:x", frame{at: at(7, "e"), payload: "x"}, true},
		{"__d1:7:e:3:a:b:4:__:x", frame{at: at(7, "e"), previous: "a:b", payload: "__:x"}, true},
		{"__d1:7:e:11:__p1:6:e__ab:1:x", frame{}, false},
		{"__d1:7:e:12:__p1:6:e__ab:1:x", frame{at: at(7, "e"), previous: "ab", payload: "x"}, true},
		{"__d1:7:e:5:__p1::1:x", frame{}, false},
		{"__d1:7:e:0::0:", frame{at: at(7, "e")}, true},
		{"__d1:7:e:0::2:x", frame{}, false},
		{"__d1:7:e:0::0:x", frame{}, false},
		{"__d1:7:e:2:a:1:x", frame{}, false},
		{"__d1:7:e:99:a:1:x", frame{}, false},
		{"__d1:7:e:-1:a:1:x", frame{}, false},
		{"__d1:7:e", frame{}, false},
		{"__d1:7:e:1:a", frame{}, false},
	}
	for _, tt := range tests {
		got, err := parseFrame(tt.message)
		if (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("%q: %+v, %v; want %+v, ok %t", tt.message, got, err, tt.want, tt.ok)
		}
	}
}

// FuzzFrame: nothing that Redis may bring makes a decoder panic, and what is put into a frame comes out of it.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{"", "__p1:1:e__x", "__d1:2:e:1:a:1:b", "__j__\x0a\x01u", "__l__", "\x22\x01x", "__d1:2:e:9:__p1:1:e__:1:b"} {
		f.Add(seed, uint64(1), "epoch", "payload", "previous")
	}
	f.Fuzz(func(t *testing.T, message string, offset uint64, epoch, payload, previous string) {
		if fr, err := parseFrame(message); err == nil {
			p, errP := fr.publication()
			if errP == nil && (p.Offset != fr.at.Offset || p.Delta) {
				t.Errorf("%+v with a frame at %v", p, fr.at)
			}
			_, _ = fr.previousPublication()
			_ = codec.DecodeStoredClientInfo(bytesOf(fr.payload), new(codec.ClientInfo))
		}
		for i := range epoch {
			if epoch[i] == ':' || epoch[i] == '_' {
				return // epochs have letters and digits
			}
		}
		want := frame{at: codec.StreamPosition{Offset: offset, Epoch: epoch}, payload: payload}
		if got, err := parseFrame(fmt.Sprintf("__p1:%d:%s__%s", offset, epoch, payload)); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if len(previous) >= 2 && previous[:2] == "__" {
			return // no Protobuf message
		}
		want.previous = previous
		delta := fmt.Sprintf("__d1:%d:%s:%d:%s:%d:%s", offset, epoch, len(previous), previous, len(payload), payload)
		if got, err := parseFrame(delta); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	})
}

// FuzzResult: answers of scripts that nobody understands are errors.
func FuzzResult(f *testing.F) {
	for _, seed := range []string{"p:1:e", "i:0:", "v:7:abcdefgh", "p:x:e", "", "p:1", "q:1:e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		result, err := parseResult(s)
		if err != nil {
			return
		}
		what := map[string]string{"": "p", "idempotency": "i", "version": "v"}[string(result.Suppressed)]
		again, err := parseResult(fmt.Sprintf("%s:%d:%s", what, result.Offset, result.Epoch))
		if err != nil || again != result {
			t.Errorf("%+v becomes %+v, %v", result, again, err)
		}
	})
}

func TestEpochCache(t *testing.T) {
	var c epochCache
	message := []byte("abcdefgh")
	kept := c.keep(textOf(message))
	message[0] = 'x'
	if kept != "abcdefgh" || c.keep("abcdefgh") != kept || c.keep("other") != "other" || c.keep("") != "" {
		t.Errorf("kept %q", kept)
	}
	if n := testing.AllocsPerRun(100, func() { c.keep("other") }); n != 0 {
		t.Errorf("%v allocations for an epoch that is known", n)
	}
}
