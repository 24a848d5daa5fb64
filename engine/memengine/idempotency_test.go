package memengine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stentor/engine"
)

// TestKeysAreBounded: past the limit the oldest keys are forgotten, newer ones still work, and the account is exact.
func TestKeysAreBounded(t *testing.T) {
	const limit = 10_000
	e := New(Config{Stripes: 1, IdempotencyBytesMax: limit}, nobody{})
	key := func(i int) engine.PublishOptions {
		return engine.PublishOptions{IdempotencyKey: fmt.Sprintf("%d%s", i, strings.Repeat("k", i%300))}
	}
	const n = 1000
	for i := range n {
		if res := publish(t, e, "news", key(i)); res.Suppressed != "" {
			t.Fatalf("key %d is taken for a repeat", i)
		}
		if got := e.Stats().IdempotencyBytes; got > limit {
			t.Fatalf("%d bytes of keys, the limit is %d", got, limit)
		}
	}
	for i := n - 10; i < n; i++ {
		if res := publish(t, e, "news", key(i)); res.Suppressed == "" {
			t.Errorf("key %d, one of the newest, is forgotten", i)
		}
	}
	if res := publish(t, e, "news", key(0)); res.Suppressed != "" {
		t.Errorf("the oldest key is still there")
	}
	k, sum := e.stripes[0].keys, int64(0)
	for r := k.oldest; r != nil; r = r.next {
		sum += r.bytes()
		if k.results[r.name] != r {
			t.Errorf("a listed key is not in the map")
		}
	}
	if got := e.Stats().IdempotencyBytes; got != sum || len(k.results) == 0 {
		t.Errorf("account of %d bytes for %d", got, sum)
	}
}

// TestKeysOverTheLimitElsewhere: a stripe without keys of its own takes one, though others use up the limit.
func TestKeysOverTheLimitElsewhere(t *testing.T) {
	e := New(Config{Stripes: 8, IdempotencyBytesMax: 1}, nobody{})
	for i := range 100 {
		o := engine.PublishOptions{IdempotencyKey: fmt.Sprint(i)}
		channel := fmt.Sprint(i)
		publish(t, e, channel, o)
		if res := publish(t, e, channel, o); res.Suppressed == "" {
			t.Errorf("key %d is not remembered", i)
		}
	}
	if got := e.Stats().IdempotencyBytes; got > 8*(keyOverhead+5) {
		t.Errorf("%d bytes of keys in 8 stripes", got)
	}
}

// TestKeysGoWithTime: whoever publishes next in the stripe lets go what is over.
func TestKeysGoWithTime(t *testing.T) {
	clock := new(hands)
	e := New(Config{Stripes: 1, Clock: clock.Now}, nobody{})
	for i := range 3 {
		publish(t, e, "news", engine.PublishOptions{IdempotencyKey: fmt.Sprint(i)})
		clock.Advance(time.Second)
	}
	clock.Advance(engine.IdempotencyTTL - 2*time.Second)
	publish(t, e, "news", engine.PublishOptions{IdempotencyKey: "later"})
	if got := len(e.stripes[0].keys.results); got != 2 {
		t.Errorf("%d keys, want the last two", got)
	}
	clock.Advance(2 * engine.IdempotencyTTL)
	e.sweep(&e.stripes[0])
	if s := e.Stats(); e.stripes[0].keys != nil || s.IdempotencyBytes != 0 {
		t.Errorf("%+v after all keys' time", s)
	}
}
