package reactor

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// gnetLog passes on what gnet logs, and keeps its last errors: gnet.Run returns nil even when gnet stops because of one, and
// the first of the four that it logs then is the one that tells why.
type gnetLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last []string
}

const gnetErrorsKept = 4

func (g *gnetLog) Debugf(format string, args ...any) {
	if g.log.Enabled(context.Background(), slog.LevelDebug) {
		g.log.Debug("gnet: " + fmt.Sprintf(format, args...))
	}
}

// Infof is about starts and stops, which we log ourselves.
func (g *gnetLog) Infof(format string, args ...any) { g.Debugf(format, args...) }

// Warnf is about events of descriptors that were closed earlier in the same epoll batch, which is ordinary.
func (g *gnetLog) Warnf(format string, args ...any) { g.Debugf(format, args...) }

func (g *gnetLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	g.mu.Lock()
	g.last = append(g.last[max(0, len(g.last)-gnetErrorsKept+1):], text)
	g.mu.Unlock()
	g.log.Error("gnet: " + text)
}

func (g *gnetLog) Fatalf(format string, args ...any) { g.Errorf(format, args...) }

func (g *gnetLog) lastErrors() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.last) == 0 {
		return "no error was logged"
	}
	return strings.Join(g.last, "; ")
}
