package session

import (
	"encoding/base64"
	"testing"
	"time"

	"stentor/codec"
)

func TestRate(t *testing.T) {
	r := newRate(10, 3)
	if r.burst != time.Second {
		t.Errorf("a burst of 3 with 10 a second is %v, want a second's", r.burst)
	}
	r = newRate(10, 20)
	now := time.Unix(1_700_000_000, 0)
	var full time.Time
	take := func(n int) (allowed int) {
		for range n {
			if r.allows(&full, now) {
				allowed++
			}
		}
		return allowed
	}
	if got := take(30); got != 20 {
		t.Errorf("%d at once, want the burst of 20", got)
	}
	now = now.Add(500 * time.Millisecond)
	if got := take(30); got != 5 {
		t.Errorf("%d after half a second, want 5", got)
	}
	now = now.Add(time.Hour)
	if got := take(30); got != 20 {
		t.Errorf("%d after an hour, want 20", got)
	}
}

// TestCommandRate: what is over the limit is answered with error 111, pongs do not count, and without a limit nothing is kept.
func TestCommandRate(t *testing.T) {
	st := openStage(t, `{"client":{"insecure":true,"command_rate_limit":5}}`)
	w := st.dial(codec.JSON) // connect was the first of five
	var commands []codec.Command
	for id := range uint32(6) {
		commands = append(commands, unsubscribeFrom(id+2, "x"))
	}
	w.session.Expire(w.session.beat)
	w.frames = nil
	w.say(append([]codec.Command{{}}, commands...)...)
	var refused int
	for _, r := range w.replies(t) {
		if r.Error != nil {
			if r.Error.Code != codec.ErrorTooManyRequests.Code || r.ID < 6 {
				t.Errorf("%+v", r)
			}
			refused++
		}
	}
	if refused != 2 || len(w.closed) != 0 {
		t.Errorf("%d of 6 commands were refused, closed %v", refused, w.closed)
	}
	st = openStage(t, openTo)
	if w := st.dial(codec.JSON); w.session.extra != nil {
		t.Error("a session without a limit keeps something for it")
	}
}

// TestRateOfWhatIsTriedAgain: a command that waits for a key of its token counts once.
func TestRateOfWhatIsTriedAgain(t *testing.T) {
	st := openStage(t, `{"client":{"command_rate_limit":1,"token":{"jwks_public_endpoint":"http://127.0.0.1:1/none"}}}`)
	w := &wire{loop: st.node.Loops[0]}
	w.handle = w.loop.Add(w)
	w.session = New(st.node, w, w.handle, Options{Form: codec.JSON})
	text := base64.RawURLEncoding.EncodeToString
	token := text([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + text([]byte(`{"sub":"1"}`)) + "." + text([]byte("signature"))
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect, Connect: codec.ConnectRequest{Token: token}})
	if n := st.work(); n != 1 {
		t.Fatalf("keys were fetched %d times", n)
	}
	if got := w.replies(t); len(got) != 0 || len(w.closed) != 1 || w.closed[0] != codec.DisconnectInvalidToken {
		t.Errorf("replies %+v, closed with %v", got, w.closed)
	}
}
