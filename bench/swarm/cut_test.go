package swarm

import (
	"bytes"
	"slices"
	"testing"
)

// messages takes apart a body that comes in pieces, as clients do.
func messages(c cut, pieces ...[]byte) (all [][]byte, rest []byte, err error) {
	for _, piece := range pieces {
		rest = append(rest, piece...)
		for {
			_, bare, after, ok, err := c(rest)
			if err != nil {
				return all, rest, err
			}
			rest = after
			if !ok {
				break
			}
			all = append(all, slices.Clone(bare))
		}
		rest = slices.Clone(rest)
	}
	return all, rest, nil
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		cut  cut
		text string
		want []string
		rest string
	}{
		{cutLine, "{}\n\r\n\n{\"a\":1}\r\n{", []string{"{}", `{"a":1}`}, "{"},
		{cutEvent, "\r\ndata: {}\n\nevent: x\nid: 1\n: comment\ndata:{\"a\":1}\r\n\r\ndata: {", []string{"{}", `{"a":1}`}, "data: {"},
		{cutEvent, "database: 1\ndata:\n\n", []string{""}, ""},
		{cutSized, "\x00\x02ab\x03abc\x04abc", []string{"", "ab", "abc"}, "\x04abc"},
		{cutSized, "\x80", nil, "\x80"},
	} {
		all, rest, err := messages(c.cut, []byte(c.text))
		if err != nil || string(rest) != c.rest || len(all) != len(c.want) {
			t.Errorf("%q: %q, rest %q, %v", c.text, all, rest, err)
			continue
		}
		for i := range all {
			if string(all[i]) != c.want[i] {
				t.Errorf("%q: message %d is %q", c.text, i, all[i])
			}
		}
	}
	for _, text := range []string{"\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, _, err := messages(cutSized, []byte(text)); err == nil {
			t.Errorf("%x was taken for a length", text)
		}
	}
}

// FuzzCut: a body has the same messages wherever it is cut.
func FuzzCut(f *testing.F) {
	f.Add([]byte("\r\ndata: {}\n\ndata: {\"id\":1}\n\n: x\n"), 5)
	f.Add([]byte("\x00\x02ab\x03abc\x04abc"), 3)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		at = max(0, min(at, len(b)))
		for name, c := range map[string]cut{"line": cutLine, "event": cutEvent, "sized": cutSized} {
			whole, rest, err := messages(c, b)
			parts, partsRest, partsErr := messages(c, b[:at], b[at:])
			if (err == nil) != (partsErr == nil) || !slices.EqualFunc(whole, parts, bytes.Equal) {
				t.Fatalf("%s cut at %d: %q %v, whole %q %v", name, at, parts, partsErr, whole, err)
			}
			if err == nil && !bytes.Equal(rest, partsRest) {
				t.Fatalf("%s cut at %d: rest %q, whole %q", name, at, partsRest, rest)
			}
		}
	})
}
