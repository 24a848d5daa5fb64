package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// How the bar is drawn: so often at most, so wide at most.
const (
	redrawEvery = 200 * time.Millisecond
	barColumns  = 100
	barCells    = 24
)

// progress tells people how far a run has come: on a terminal with a bar on the last line, elsewhere with one line per phase.
type progress struct {
	w   io.Writer
	bar bool

	mu      sync.Mutex
	text    string
	began   time.Time
	planned time.Duration // 0: nobody knows
	stop    chan struct{}
	stopped sync.WaitGroup
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	p := &progress{w: w, bar: ok && term.IsTerminal(int(f.Fd())), stop: make(chan struct{})}
	if p.bar {
		p.stopped.Go(p.draw)
	}
	return p
}

// phase begins the next part of the run, which takes about so long; 0: nobody knows.
func (p *progress) phase(planned time.Duration, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.began, p.planned = fmt.Sprintf(format, args...), time.Now(), planned
	if !p.bar {
		fmt.Fprintln(p.w, p.text)
		return
	}
	p.line()
}

func (p *progress) draw() {
	every := time.NewTicker(redrawEvery)
	defer every.Stop()
	for {
		select {
		case <-p.stop:
			fmt.Fprint(p.w, "\r\x1b[K")
			return
		case <-every.C:
		}
		p.mu.Lock()
		if p.text != "" {
			p.line()
		}
		p.mu.Unlock()
	}
}

// line draws the bar. The caller holds the lock.
func (p *progress) line() {
	fmt.Fprintf(p.w, "\r\x1b[K%s", barText(p.text, time.Since(p.began), p.planned))
}

// barText is the bar at a moment.
func barText(text string, passed, planned time.Duration) string {
	clock := passed.Round(time.Second).String()
	if planned <= 0 {
		return cut(clock+"  "+text, barColumns)
	}
	part := min(1, float64(passed)/float64(planned))
	full := int(part * barCells)
	return cut(fmt.Sprintf("[%s%s] %3.0f%%  %s  %s", strings.Repeat("#", full), strings.Repeat("-", barCells-full), 100*part, clock, text), barColumns)
}

// cut shortens text to so many characters: a bar that wraps cannot be drawn over.
func cut(text string, columns int) string {
	if r := []rune(text); len(r) > columns {
		return string(r[:columns-1]) + "…"
	}
	return text
}

// close takes the bar away. Nothing may be said any more.
func (p *progress) close() {
	close(p.stop)
	p.stopped.Wait()
}
