package redisengine

import (
	"errors"
	"testing"
	"time"
)

// TestProbe goes through the life of a probe, a step each interval.
func TestProbe(t *testing.T) {
	off := probe{off: true}
	if publish, err := off.look(time.Now(), time.Second, 0); publish || err != nil {
		t.Errorf("a probe that is not allowed: %t, %v", publish, err)
	}
	type step struct {
		heard   uint64 // messages so far
		told    error  // what came of publishing, if anything
		publish bool
		want    error
	}
	done, failed := error(nil), errors.New("no")
	nothing := errors.New("nothing was told")
	tests := map[string][]step{
		"never silent":          {{1, nothing, false, nil}, {2, nothing, false, nil}, {3, nothing, false, nil}},
		"silent and well":       {{0, nothing, true, nil}, {1, done, false, nil}, {1, nothing, true, nil}, {2, done, false, nil}},
		"left behind":           {{0, nothing, true, nil}, {0, done, false, errSilent}},
		"cannot publish":        {{0, nothing, true, nil}, {0, failed, true, nil}, {0, failed, true, nil}},
		"publishing takes long": {{0, nothing, true, nil}, {0, nothing, false, nil}, {0, nothing, false, nil}, {0, done, false, errSilent}},
		"heard in the end":      {{0, nothing, true, nil}, {0, nothing, false, nil}, {1, done, false, nil}, {1, nothing, true, nil}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			const interval = time.Second
			now := time.Now()
			p := probe{next: now.Add(interval)}
			for i, s := range steps {
				if s.told != nothing {
					p.told(now, interval, s.told)
				}
				if publish, err := p.look(now.Add(interval/2), interval, s.heard); publish || err != nil {
					t.Errorf("step %d: something is done before its time: %t, %v", i, publish, err)
				}
				now = now.Add(interval)
				if publish, err := p.look(now, interval, s.heard); publish != s.publish || err != s.want {
					t.Errorf("step %d: publish=%t, %v; want %t, %v", i, publish, err, s.publish, s.want)
				}
			}
		})
	}
}
