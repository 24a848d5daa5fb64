package reactor

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// gnetLog passes on what gnet logs, and keeps its last error: gnet.Run returns nil even when gnet stops because of one.
type gnetLog struct {
	log  *slog.Logger
	last atomic.Pointer[string]
}

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
	g.last.Store(&text)
	g.log.Error("gnet: " + text)
}

func (g *gnetLog) Fatalf(format string, args ...any) { g.Errorf(format, args...) }

func (g *gnetLog) lastError() string {
	if text := g.last.Load(); text != nil {
		return *text
	}
	return "no error was logged"
}
