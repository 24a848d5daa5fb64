// Package quiet keeps the log readable when strangers can cause a line of it as fast as they can send: each kind of line comes once in a
// while, and says how many of its kind there were not since the one before.
package quiet

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Period is the shortest time between two lines of one kind, unless a Line says otherwise.
const Period = time.Second

// Line is one kind of line. The zero value is ready. Any goroutine may use it.
type Line struct {
	Every time.Duration // 0: Period

	last       atomic.Int64 // unix nanoseconds; 0: never
	suppressed atomic.Int64 // since then
}

// Due reports that there may be a line, and how many there were not since the last one.
func (l *Line) Due(now time.Time) (suppressed int64, ok bool) {
	every := int64(l.Every)
	if every == 0 {
		every = int64(Period)
	}
	at, last := now.UnixNano(), l.last.Load()
	// A clock that was set back does not silence the log.
	recent := last != 0 && at >= last && at-last < every
	if recent || !l.last.CompareAndSwap(last, at) {
		l.suppressed.Add(1)
		return 0, false
	}
	return l.suppressed.Swap(0), true
}

// Say logs a line, if it is due. Its arguments are made in any case: where that costs much, ask Due first.
func (l *Line) Say(log *slog.Logger, level slog.Level, text string, args ...any) {
	l.SayAt(time.Now(), log, level, text, args...)
}

// SayAt is Say by another clock.
func (l *Line) SayAt(now time.Time, log *slog.Logger, level slog.Level, text string, args ...any) {
	ctx := context.Background()
	if !log.Enabled(ctx, level) {
		return
	}
	suppressed, ok := l.Due(now)
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	log.Log(ctx, level, text, args...)
}
