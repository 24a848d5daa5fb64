package pause

import (
	"context"
	"testing"
	"time"
)

func TestFor(t *testing.T) {
	began := time.Now()
	if !For(t.Context(), 20*time.Millisecond) || time.Since(began) < 20*time.Millisecond {
		t.Error("the time was not waited for")
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if For(ctx, time.Hour) {
		t.Error("it did not see the end of the context")
	}
	if For(ctx, 0) {
		t.Error("a context that had ended was not seen")
	}
}
