package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"stentor/codec"
	"stentor/server/channel"
)

// Presence is who is in a channel.
func (a *API) Presence(ctx context.Context, req *PresenceRequest) (_ *PresenceResult, err *Error) {
	defer a.done(methodPresence, a.now(), &err)
	ch, err := a.present(methodPresence, req.Channel)
	if err != nil {
		return nil, err
	}
	found, fault := a.cfg.Presence.Presence(ctx, ch.Name)
	if fault != nil {
		return nil, a.failure("presence", ch.Name, fault)
	}
	res := &PresenceResult{Presence: make(map[string]*ClientInfo, len(found))}
	for id, info := range found {
		res.Presence[id] = clientInfoOf(info)
	}
	return res, nil
}

// PresenceStats is how many are in a channel.
func (a *API) PresenceStats(ctx context.Context, req *PresenceStatsRequest) (_ *PresenceStatsResult, err *Error) {
	defer a.done(methodPresenceStats, a.now(), &err)
	ch, err := a.present(methodPresenceStats, req.Channel)
	if err != nil {
		return nil, err
	}
	stats, fault := a.cfg.Presence.PresenceStats(ctx, ch.Name)
	if fault != nil {
		return nil, a.failure("presence_stats", ch.Name, fault)
	}
	return &PresenceStatsResult{NumClients: uint32(stats.Clients), NumUsers: uint32(stats.Users)}, nil
}

// present finds a channel whose namespace has presence.
func (a *API) present(m int, name string) (channel.Channel, *Error) {
	ch, err := a.named(m, name)
	if err == nil && !ch.Options.Presence {
		err = ErrorNotAvailable
	}
	return ch, err
}

func clientInfoOf(info *codec.ClientInfo) *ClientInfo {
	out := &ClientInfo{User: info.User, Client: info.Client}
	out.ConnInfo, out.B64ConnInfo = embed(info.ConnInfo)
	out.ChanInfo, out.B64ChanInfo = embed(info.ChanInfo)
	return out
}

// embed is how bytes go into JSON: as they are if they are JSON, else as base64. What clients exchange in the Protobuf protocol need
// not be JSON, and must not break the response.
func embed(b []byte) (raw json.RawMessage, b64 string) {
	if len(b) == 0 || codec.ValidJSON(b) && utf8.Valid(b) {
		return b, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}
