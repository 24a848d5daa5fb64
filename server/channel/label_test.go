package channel

import (
	"slices"
	"testing"
)

// TestLabels: each namespace has the number that it was given, channels without one have 0, and a name tells its namespace even if
// that is not configured.
func TestLabels(t *testing.T) {
	r := rules(t, testConfig())
	if c, _ := r.Resolve("chat:1"); c.Options.Label != 0 {
		t.Errorf("label %d before there are any", c.Options.Label)
	}
	if got := r.Namespaces(); !slices.Equal(got, []string{"chat", "digits"}) {
		t.Fatalf("namespaces %q", got)
	}
	r.SetLabels(func(namespace string) uint16 { return uint16(2 + slices.Index(r.Namespaces(), namespace)) })
	for name, want := range map[string]uint16{"chat:1": 2, "$chat:1": 2, "digits:1": 3, "news": 0, ":news": 0} {
		if c, _ := r.Resolve(name); c.Options.Label != want {
			t.Errorf("%s has label %d, want %d", name, c.Options.Label, want)
		}
	}
	for name, want := range map[string]string{"chat:1": "chat", "$chat:a:b": "chat", "ghost:1": "ghost", "news": "", "$news": "", "": ""} {
		if got := r.Namespace(name); got != want {
			t.Errorf("%q is in namespace %q, want %q", name, got, want)
		}
	}
}
