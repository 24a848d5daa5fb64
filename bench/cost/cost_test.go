package cost

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestFiguresAreAll(t *testing.T) {
	c := Shipped()
	known := map[string]bool{}
	for _, f := range c.figures() {
		known[f.name] = true
		if *f.value <= 0 {
			t.Errorf("%s is not shipped", f.name)
		}
	}
	typ := reflect.TypeFor[Coefficients]()
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Type.Kind() == reflect.Float64 {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !known[name] {
				t.Errorf("%s is not in figures", name)
			}
			delete(known, name)
		}
	}
	if len(known) > 0 {
		t.Errorf("figures without a field: %v", known)
	}
}

func TestSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "directory", "c.json")
	want := Shipped()
	want.When = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, delivery := range []float64{1234.5, 4321} { // the second replaces the first
		want.NsPerDelivery = delivery
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(path); err != nil || got != want {
			t.Errorf("%+v %v, want %+v", got, err, want)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
	bad := want
	bad.NsPerPing = -1
	if err := bad.Save(path); err == nil || !strings.Contains(err.Error(), "ns_per_ping") {
		t.Errorf("a negative figure: %v", err)
	}
	if err := want.Save(filepath.Join(path, "below-a-file")); err == nil {
		t.Error("a directory that is a file was written to")
	}
}

func TestDecode(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"empty", ``, "not a file of coefficients"},
		{"no JSON", `ns_per_ping = 1`, "not a file of coefficients"},
		{"no object", `[]`, "not a file of coefficients"},
		{"no version", `{}`, "version 0, want 1"},
		{"a later version", `{"version": 2}`, "version 2, want 1: measure again"},
		{"a text for a figure", `{"version": 1, "ns_per_ping": "fast"}`, "not a file of coefficients"},
		{"negative", `{"version": 1, "rss_ratio": -1}`, "rss_ratio = -1"},
		{"too much", `{"version": 1, "ns_per_ping": 1e300}`, "ns_per_ping = 1e+300"},
		{"the most", `{"version": 1, "ns_per_ping": 1073741824}`, ""},
		{"fields of later programs", `{"version": 1, "color": "red"}`, ""},
		{"too long", `{"version": 1}` + strings.Repeat(" ", fileBytesMax), "more than 1048576 bytes"},
	}
	for _, tt := range tests {
		_, err := decode([]byte(tt.content))
		if got := text(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("HOME", home)
	path, err := DefaultPath()
	if err != nil || !strings.HasPrefix(path, home) {
		t.Fatalf("%s %v", path, err)
	}
	if c, from, err := Find(""); err != nil || from != "shipped" || c != Shipped() {
		t.Errorf("nothing measured: %+v %s %v", c, from, err)
	}
	if _, _, err := Find(filepath.Join(home, "none.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a named file that does not exist: %v", err)
	}
	measured := Coefficients{Version: Version, NsPerDelivery: 1500}
	if err := measured.Save(path); err != nil {
		t.Fatal(err)
	}
	c, from, err := Find("")
	if err != nil || from != path || c != measured {
		t.Errorf("measured: %+v %s %v", c, from, err)
	}
	shipped := c.Complete()
	if c.NsPerDelivery != 1500 || c.RSSRatio != rssRatio || len(shipped) != len(c.figures())-1 {
		t.Errorf("completed: %+v, shipped are %v", c, shipped)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Find(""); err == nil || !strings.Contains(err.Error(), "remove the file, or measure again") {
		t.Errorf("a broken file: %v", err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if c, from, err := Find(""); err != nil || from != "shipped" || c != Shipped() {
		t.Errorf("no home: %+v %s %v", c, from, err)
	}
}

func TestString(t *testing.T) {
	none := Coefficients{}
	some := Coefficients{Machine: Machine{CPU: "Fast One", Cores: 8, Kernel: "6.1.0"}, When: time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC)}
	if none.String() != "an unnamed machine" || some.String() != "Fast One, 8 cores, kernel 6.1.0, 2026-03-04" {
		t.Errorf("%s; %s", &none, &some)
	}
}

func TestMachine(t *testing.T) {
	root := fstest.MapFS{
		"proc/cpuinfo":              {Data: []byte("processor\t: 0\nmodel name\t: Fast One\nprocessor\t: 1\nmodel name\t: Other\n")},
		"proc/sys/kernel/osrelease": {Data: []byte("6.1.0-18-amd64\n")},
	}
	if m := machineOf(root, 2); m != (Machine{"Fast One", 2, "6.1.0-18-amd64"}) {
		t.Errorf("%+v", m)
	}
	if m := machineOf(fstest.MapFS{}, 2); m != (Machine{Cores: 2}) {
		t.Errorf("without /proc: %+v", m)
	}
}

// TestFileFormat pins the names that programs read.
func TestFileFormat(t *testing.T) {
	b, err := json.Marshal(Coefficients{Version: 1, Machine: Machine{"c", 2, "k"}, NsPerDelivery: 3})
	if err != nil || string(b) != `{"version":1,"machine":{"cpu":"c","cores":2,"kernel":"k"},"ns_per_delivery":3}` {
		t.Errorf("%s %v", b, err)
	}
}

// FuzzDecode: whatever a file holds, what is taken can be saved and reads as the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"when":"2026-03-04T05:06:07Z","ns_per_ping":1.5}`))
	f.Add([]byte(`{"version":1,"rss_ratio":-0}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := decode(content)
		if err != nil {
			return
		}
		again, err := json.Marshal(&c)
		if err != nil {
			t.Skip("a time of a year that JSON has no text for")
		}
		if d, err := decode(again); err != nil || !d.When.Equal(c.When) {
			t.Errorf("%s: %v", again, err)
		}
	})
}
