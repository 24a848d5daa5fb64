package delta_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	fossil "github.com/shadowspore/fossil-delta"

	"stentor/codec/delta"
)

// long is a base with little that repeats itself.
var long = func() string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for b.Len() < 5000 {
		fmt.Fprintf(&b, `{"id":%d,"name":"%x"},`, r.IntN(1000), r.Uint32())
	}
	return b.String()
}()

// TestCreate looks at patches of a known form.
func TestCreate(t *testing.T) {
	tests := []struct{ name, base, target, want string }{
		{"nothing at all", "", "", "0\n0;"},
		{"nothing left", "abcdefghij", "", "0\n0;"},
		{"no base", "", "abc", "3\n3:abc1XObC0;"},
		{"short base", "abc", "abc", "3\n3:abc1XObC0;"},
		{"the same", "0123456789abcdef", "0123456789abcdef", "G\nG@0,12xn;"},
		{"something else", "0123456789abcdef", "zzzzzzzz", "8\n8:zzzzzzzz3pyFJp;"},
	}
	for _, tt := range tests {
		got := string(delta.Create([]byte("before"), []byte(tt.base), []byte(tt.target)))
		if got != "before"+tt.want {
			t.Errorf("%s: %q, want %q behind what was there", tt.name, got, tt.want)
		}
	}
}

// noise has nothing in common with long.
var noise = strings.Repeat("#", 1000) + strings.Repeat("%", 1000)

// TestSmall: little changes make little patches.
func TestSmall(t *testing.T) {
	edits := map[string]struct {
		target string
		atMost int
	}{
		"the same":        {long, 20},
		"a byte replaced": {long[:2500] + "#" + long[2501:], 30},
		"bytes inserted":  {long[:2500] + "####" + long[2500:], 35},
		"bytes removed":   {long[:2500] + long[2504:], 30},
		"at both ends":    {"##" + long[2:4998] + "##", 40},
		"moved":           {long[2500:] + long[:2500], 30},
		"twice":           {long + long, 30},
		"half":            {long[1234:3456], 30},
		"behind noise":    {noise + long, len(noise) + 100},
	}
	for name, e := range edits {
		patch := delta.Create(nil, []byte(long), []byte(e.target))
		if len(patch) > e.atMost {
			t.Errorf("%s: a patch of %d bytes, want at most %d: %.80q", name, len(patch), e.atMost, patch)
		}
		check(t, []byte(long), []byte(e.target))
	}
}

// check makes a patch and applies it, here and with the reference, and the reference's patch here.
func check(t testing.TB, base, target []byte) {
	t.Helper()
	patch := delta.Create(nil, base, target)
	if again := delta.Create(nil, base, target); !bytes.Equal(again, patch) {
		t.Errorf("two patches for the same: %q and %q", patch, again)
	}
	if got, err := delta.Apply(nil, base, patch, len(target)); err != nil || !bytes.Equal(got, target) {
		t.Errorf("patch %.100q makes %.100q of %.100q, want %.100q; %v", patch, got, base, target, err)
	}
	if got, err := fossil.Apply(base, patch); err != nil || !bytes.Equal(got, target) {
		t.Errorf("the reference makes %.100q of %.100q, want %.100q; %v", got, patch, target, err)
	}
	theirs := fossil.Create(base, target)
	if got, err := delta.Apply(nil, base, theirs, len(target)); err != nil || !bytes.Equal(got, target) {
		t.Errorf("the reference's patch %.100q makes %.100q, want %.100q; %v", theirs, got, target, err)
	}
	if utf8.Valid(target) && !utf8.Valid(patch) {
		t.Errorf("the patch of a text is no text: %q", patch)
	}
}

// TestText: no patch between texts parts a letter, though letters share bytes.
func TestText(t *testing.T) {
	letters := []rune("aäéèêßÄxﬁ日本語日曜🙂🙃🙄")
	r := rand.New(rand.NewPCG(3, 4))
	word := func() string {
		var b strings.Builder
		for range r.IntN(100) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	for range 2000 {
		common := word() + word()
		check(t, []byte(word()+common+word()), []byte(word()+common+word()))
	}
	// The second byte of the letters differs, and the third again agrees.
	check(t, []byte(strings.Repeat("日", 50)), []byte(strings.Repeat("日", 20)+"旦"+strings.Repeat("日", 20)))
}

// TestRepeats: bases that repeat themselves cost no more than others; what is looked for is there.
func TestRepeats(t *testing.T) {
	for _, unit := range []string{"\x00", "ab", "0123456789abcdef", "{},", "日"} {
		base := strings.Repeat(unit, 60_000/len(unit))
		target := base[:10_000] + "#" + base[:20_000]
		if n := len(delta.Create(nil, []byte(base), []byte(target))); n > 40 {
			t.Errorf("%q: a patch of %d bytes", unit, n)
		}
		check(t, []byte(base), []byte(target))
	}
}

// TestApplyRefuses patches that are none, are for another base, or make more than is allowed.
func TestApplyRefuses(t *testing.T) {
	base := []byte("0123456789abcdef")
	for _, patch := range []string{
		"", "\n", "3", "3\n", "3\n3", "3\n3:", "3\n3:ab", "3\n3:abc", "3\n3:abc1XObC0", "3\n3:abc1XObC1;", "3\n3:abc1XObC0;x",
		"3\n:abc1XObC0;", "3\n3:abc;", "3:3:abc1XObC0;", "3\n4:abcd1XObC0;", "4\n3:abc1XObC0;", "3\n3?abc1XObC0;",
		"3\n3@E,0;", "3\n3@0;", "3\n3@,0;", "3\n3@~~~~~~,0;", "3\n3@3~~~~~,0;", "3\n3~~~~~@3~~~~~,0;", "~~~~~~~~~~~~\n0;",
		"G\nG@1,3CPebO;", "G\nG@0,G@0,12xn;",
	} {
		got, err := delta.Apply([]byte("before"), base, []byte(patch), 1<<20)
		if string(got) != "before" || !errors.Is(err, delta.ErrMalformed) {
			t.Errorf("%q makes %q, %v", patch, got, err)
		}
	}
	patch := delta.Create(nil, base, base)
	for sizeMax, want := range map[int]error{len(base): nil, len(base) - 1: delta.ErrTooLong, 0: delta.ErrTooLong} {
		if _, err := delta.Apply(nil, base, patch, sizeMax); err != want {
			t.Errorf("at most %d bytes: %v", sizeMax, err)
		}
	}
	if _, err := delta.Apply(nil, []byte("0123456789abcdeg"), patch, 1<<20); !errors.Is(err, delta.ErrMalformed) {
		t.Errorf("another base: %v", err)
	}
}

// TestAllocates: nothing, where there is room for the patch.
func TestAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	base, target := []byte(long), []byte(long[:1000]+"#"+long[1001:])
	room := make([]byte, 0, 10_000)
	if n := testing.AllocsPerRun(100, func() { delta.Create(room, base, target) }); n != 0 {
		t.Errorf("%v allocations for a patch", n)
	}
	patch := delta.Create(nil, base, target)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := delta.Apply(room, base, patch, len(target)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to apply it", n)
	}
}

func FuzzCreate(f *testing.F) {
	for _, pair := range [][2]string{{"", ""}, {"a", "b"}, {long[:300], long[100:400]}, {"日本語日本語日本語", "日本日本語語日本語"}} {
		f.Add([]byte(pair[0]), []byte(pair[1]))
	}
	f.Fuzz(func(t *testing.T, base, target []byte) { check(t, base, target) })
}

// FuzzApply: a patch of anybody's is refused, or makes what the reference makes of it.
func FuzzApply(f *testing.F) {
	f.Add([]byte(long[:300]), delta.Create(nil, []byte(long[:300]), []byte(long[100:400])))
	f.Add([]byte(""), []byte("3\n3:abc1XObC0;"))
	f.Add([]byte("abc"), []byte("3\n3@0,1XObC0;"))
	f.Fuzz(func(t *testing.T, base, patch []byte) {
		const sizeMax = 1 << 16
		got, err := delta.Apply(nil, base, patch, sizeMax)
		if len(got) > sizeMax {
			t.Fatalf("%d bytes", len(got))
		}
		if err != nil {
			return
		}
		if theirs, err := fossil.Apply(base, patch); err != nil || !bytes.Equal(got, theirs) {
			t.Errorf("%q and, by the reference, %q, %v", got, theirs, err)
		}
	})
}

// BenchmarkCreate is a patch beside the reference's: a message of the usual length, and the largest that is tried.
func BenchmarkCreate(b *testing.B) {
	large := strings.Repeat(long, 14)
	for name, base := range map[string]string{"300 B": long[:300], "64 KB": large[:64<<10]} {
		target := []byte(base[:len(base)/2] + "##" + base[len(base)/2+1:])
		room := make([]byte, 0, len(target)+100)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				delta.Create(room, []byte(base), target)
			}
		})
		b.Run(name+", reference", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fossil.Create([]byte(base), target)
			}
		})
	}
}

// BenchmarkUnrelated is the dearest there is: base and target have nothing in common.
func BenchmarkUnrelated(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	base, target := make([]byte, 64<<10), make([]byte, 64<<10)
	for i := range base {
		base[i], target[i] = byte(r.Uint32()), byte(r.Uint32())
	}
	room := make([]byte, 0, len(target)+100)
	for b.Loop() {
		delta.Create(room, base, target)
	}
}
