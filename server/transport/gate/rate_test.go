package gate

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		name  string
		burst int
		steps []time.Duration // that pass before each take
		want  string          // y and n
	}{
		{"no limit", 0, make([]time.Duration, 5), "yyyyy"},
		{"burst", 3, make([]time.Duration, 5), "yyynn"},
		{"one a second", 1, []time.Duration{0, time.Second, 500 * time.Millisecond, 500 * time.Millisecond, 0}, "yynyn"},
		{"never more than the burst", 2, []time.Duration{0, time.Hour, 0, 0}, "yyyn"},
		{"the clock is set back", 2, []time.Duration{0, -time.Hour, 0, time.Second, time.Hour, 0}, "yynnyn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := now
			b := newBucket(tt.burst, func() time.Time { return at })
			got := ""
			for _, d := range tt.steps {
				at = at.Add(d)
				if b.take() {
					got += "y"
				} else {
					got += "n"
				}
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
