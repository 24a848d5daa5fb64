package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/gobwas/glob"
)

// Channels lists the channels that have subscribers. A bad pattern is error 100, as in the reference, and so is a node that does not
// answer.
func (a *API) Channels(ctx context.Context, req *ChannelsRequest) (_ *ChannelsResult, err *Error) {
	defer a.done(methodChannels, a.now(), &err)
	counts, fault := a.cfg.Node.Channels(ctx, req.Pattern)
	if errors.Is(fault, ErrPattern) {
		a.cfg.Log.Debug("bad pattern in an API request", "method", methods[methodChannels].name, "error", fault)
		return nil, ErrorInternal
	}
	if fault != nil {
		return nil, a.failure(methods[methodChannels].name, "", fault)
	}
	res := &ChannelsResult{Channels: make(map[string]ChannelInfo, len(counts))}
	for name, n := range counts {
		res.Channels[name] = ChannelInfo{NumClients: uint32(n)}
	}
	return res, nil
}

// ErrPattern is what is said of a glob pattern that is none.
var ErrPattern = errors.New("bad glob pattern")

// CompilePattern makes a test of a glob pattern; the empty one matches all names. The library panics on some bad ones.
func CompilePattern(pattern string) (match func(channel string) bool, err error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	if len(pattern) > PatternBytesMax {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrPattern, PatternBytesMax)
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrPattern, v)
		}
	}()
	g, err := glob.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPattern, err)
	}
	return g.Match, nil
}

// Info describes the nodes.
func (a *API) Info(_ context.Context, _ *InfoRequest) (_ *InfoResult, err *Error) {
	defer a.done(methodInfo, a.now(), &err)
	return &InfoResult{Nodes: a.cfg.Node.Info()}, nil
}

// RPC calls an extension of the server. It has none, so no method is found.
func (a *API) RPC(_ context.Context, req *RPCRequest) (_ *RPCResult, err *Error) {
	defer a.done(methodRPC, a.now(), &err)
	if req.Method == "" {
		return nil, a.bad(methodRPC, "the RPC method is missing")
	}
	return nil, ErrorNotFound
}
