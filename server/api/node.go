package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/gobwas/glob"
)

// Channels lists the channels that have subscribers. A bad pattern is error 100, as in the reference.
func (a *API) Channels(_ context.Context, req *ChannelsRequest) (_ *ChannelsResult, err *Error) {
	defer a.done(methodChannels, a.now(), &err)
	match, fault := compilePattern(req.Pattern)
	if fault != nil {
		a.cfg.Log.Debug("bad pattern in an API request", "method", methods[methodChannels].name, "error", fault)
		return nil, ErrorInternal
	}
	counts := a.cfg.Node.Channels(match)
	res := &ChannelsResult{Channels: make(map[string]ChannelInfo, len(counts))}
	for name, n := range counts {
		res.Channels[name] = ChannelInfo{NumClients: uint32(n)}
	}
	return res, nil
}

// compilePattern makes a test of a glob pattern. The library panics on some bad ones.
func compilePattern(pattern string) (match func(string) bool, err error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	if len(pattern) > PatternBytesMax {
		return nil, errors.New("the pattern is too long")
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("glob: %v", v)
		}
	}()
	g, err := glob.Compile(pattern)
	if err != nil {
		return nil, err
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
