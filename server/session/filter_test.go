package session

import (
	"fmt"
	"strings"
	"testing"

	"stentor/codec"
)

// TestFiltersAreBounded: the tags filters of one session have a limit together, and what a subscription took comes back with it.
func TestFiltersAreBounded(t *testing.T) {
	st := openStage(t, `{"client":{"insecure":true,"channel_limit":10000},"channel":{"without_namespace":{"allow_tags_filter":true}}}`)
	w := st.dial(codec.JSON)
	ask := func(i int) *codec.Error {
		c := subscribeTo(2, fmt.Sprint("c", i))
		c.Subscribe.TF = &codec.FilterNode{Key: "k", Cmp: "eq", Val: strings.Repeat("x", 4000)}
		w.say(c)
		return w.replies(t)[0].Error
	}
	n := 0
	for ask(n) == nil {
		n++
	}
	w.say(subscribeTo(2, "plain"))
	if r := w.replies(t)[0]; r.Error != nil {
		t.Errorf("without a filter: %v", r.Error)
	}
	bytes := w.session.extra.filterBytes
	if n < 8 || bytes > FiltersBytesMax || bytes < FiltersBytesMax*3/4 {
		t.Errorf("%d filters of 4,000 bytes are %d bytes", n, bytes)
	}
	if e := ask(n); e == nil || e.Code != codec.ErrorLimitExceeded.Code {
		t.Errorf("one too many: %v", e)
	}
	w.say(unsubscribeFrom(3, "c0"))
	w.replies(t)
	if e := ask(n); e != nil {
		t.Errorf("after one has gone: %v", e)
	}
	for i := range n + 1 {
		w.say(unsubscribeFrom(3, fmt.Sprint("c", i)))
	}
	if got := w.session.extra.filterBytes; got != 0 {
		t.Errorf("%d bytes of no filter", got)
	}
}
