package api

import (
	"encoding/json"

	"stentor/codec"
	"stentor/server/auth"
)

// Message is what publish and broadcast have in common. The server owns its data and tags after the call.
type Message struct {
	// Data is raw JSON. Absent is not the same as null or "", which are data.
	Data json.RawMessage `json:"data"`
	// B64Data is binary data in base64; it wins over Data unless it is empty.
	B64Data        string            `json:"b64data"`
	SkipHistory    bool              `json:"skip_history"`
	Tags           map[string]string `json:"tags"`
	IdempotencyKey string            `json:"idempotency_key"`
	Delta          bool              `json:"delta"`
	Version        uint64            `json:"version"`
	VersionEpoch   string            `json:"version_epoch"`
}

// PublishRequest publishes into one channel.
type PublishRequest struct {
	Channel string `json:"channel"`
	Message
}

// PublishResult is where the publication went; zero without history.
type PublishResult struct {
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
}

// BroadcastRequest publishes the same into many channels.
type BroadcastRequest struct {
	Channels []string `json:"channels"`
	Message
}

// BroadcastResult has one response per channel, in the order of the request.
type BroadcastResult struct {
	Responses []PublishResponse `json:"responses"`
}

// PublishResponse has one of its fields.
type PublishResponse struct {
	Error  *Error         `json:"error,omitempty"`
	Result *PublishResult `json:"result,omitempty"`
}

// SubscribeRequest subscribes connections of a user to a channel.
type SubscribeRequest struct {
	User         string          `json:"user"`
	Channel      string          `json:"channel"`
	Client       string          `json:"client"`
	Session      string          `json:"session"`
	Info         json.RawMessage `json:"info"`
	B64Info      string          `json:"b64info"` // wins over Info unless it is empty
	Data         json.RawMessage `json:"data"`
	B64Data      string          `json:"b64data"`   // wins over Data unless it is empty
	ExpireAt     int64           `json:"expire_at"` // unix seconds; 0 is never
	RecoverSince *StreamPosition `json:"recover_since"`
	Override     *Override       `json:"override"`
}

// Override replaces options of the namespace; its fields are those of auth.Override.
type Override struct {
	Presence           auth.Switch `json:"presence"`
	JoinLeave          auth.Switch `json:"join_leave"`
	ForcePushJoinLeave auth.Switch `json:"force_push_join_leave"`
	ForceRecovery      auth.Switch `json:"force_recovery"`
	ForcePositioning   auth.Switch `json:"force_positioning"`
}

// StreamPosition is a place in a channel's stream.
type StreamPosition struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"` // empty is whatever epoch the channel has
}

// position is sp for an engine; nil stays nil.
func (sp *StreamPosition) position() *codec.StreamPosition {
	if sp == nil {
		return nil
	}
	return &codec.StreamPosition{Offset: sp.Offset, Epoch: sp.Epoch}
}

// UnsubscribeRequest ends subscriptions of a user: to one channel, or to all when Channel is empty.
type UnsubscribeRequest struct {
	Channel string `json:"channel"`
	User    string `json:"user"`
	Client  string `json:"client"`
	Session string `json:"session"`
}

// DisconnectRequest ends connections of a user.
type DisconnectRequest struct {
	User       string      `json:"user"`
	Disconnect *Disconnect `json:"disconnect"` // nil is 3503, force disconnect
	Client     string      `json:"client"`
	Whitelist  []string    `json:"whitelist"` // client ids that are spared
	Session    string      `json:"session"`
}

// Disconnect is the close code and the reason that clients get.
type Disconnect struct {
	Code   uint32 `json:"code"`
	Reason string `json:"reason"`
}

// RefreshRequest says when connections of a user expire.
type RefreshRequest struct {
	User     string          `json:"user"`
	Client   string          `json:"client"`
	Session  string          `json:"session"`
	Expired  bool            `json:"expired"`   // now
	ExpireAt int64           `json:"expire_at"` // unix seconds; 0 is never
	Info     json.RawMessage `json:"info"`      // of the connection from now on
}

// PresenceRequest asks who is in a channel.
type PresenceRequest struct {
	Channel string `json:"channel"`
}

// PresenceResult is the clients by their ids.
type PresenceResult struct {
	Presence map[string]*ClientInfo `json:"presence"`
}

// ClientInfo describes a client. Info that is not JSON is in the field with b64 before its name.
type ClientInfo struct {
	User        string          `json:"user"`
	Client      string          `json:"client"`
	ConnInfo    json.RawMessage `json:"conn_info,omitempty"`
	B64ConnInfo string          `json:"b64conn_info,omitempty"`
	ChanInfo    json.RawMessage `json:"chan_info,omitempty"`
	B64ChanInfo string          `json:"b64chan_info,omitempty"`
}

// PresenceStatsRequest asks how many are in a channel.
type PresenceStatsRequest struct {
	Channel string `json:"channel"`
}

// PresenceStatsResult counts clients, and the different users that they are of.
type PresenceStatsResult struct {
	NumClients uint32 `json:"num_clients"`
	NumUsers   uint32 `json:"num_users"`
}

// HistoryRequest reads what a channel keeps.
type HistoryRequest struct {
	Channel string          `json:"channel"`
	Limit   int32           `json:"limit"` // 0 is the position alone, -1 all
	Since   *StreamPosition `json:"since"` // what comes after it, or before it in reverse
	Reverse bool            `json:"reverse"`
}

// HistoryResult is publications and the position of the channel.
type HistoryResult struct {
	Publications []Publication `json:"publications"`
	Offset       uint64        `json:"offset"`
	Epoch        string        `json:"epoch"`
}

// Publication is one that is kept. Data that is not JSON is in B64Data.
type Publication struct {
	Data    json.RawMessage   `json:"data,omitempty"`
	B64Data string            `json:"b64data,omitempty"`
	Info    *ClientInfo       `json:"info,omitempty"` // of the client that published it
	Offset  uint64            `json:"offset,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// HistoryRemoveRequest drops what a channel keeps.
type HistoryRemoveRequest struct {
	Channel string `json:"channel"`
}

// ChannelsRequest asks which channels have subscribers.
type ChannelsRequest struct {
	Pattern string `json:"pattern"` // glob; empty is all
}

// ChannelsResult is the channels by name.
type ChannelsResult struct {
	Channels map[string]ChannelInfo `json:"channels"`
}

// ChannelInfo tells about one channel.
type ChannelInfo struct {
	NumClients uint32 `json:"num_clients,omitempty"`
}

// InfoRequest asks about the nodes.
type InfoRequest struct{}

// InfoResult has one entry per node.
type InfoResult struct {
	Nodes []NodeInfo `json:"nodes"`
}

// NodeInfo tells about one node.
type NodeInfo struct {
	UID         string       `json:"uid,omitempty"`
	Name        string       `json:"name,omitempty"`
	Version     string       `json:"version,omitempty"`
	NumClients  uint32       `json:"num_clients"`
	NumUsers    uint32       `json:"num_users"`
	NumSubs     uint32       `json:"num_subs"`
	NumChannels uint32       `json:"num_channels"`
	Uptime      uint32       `json:"uptime,omitempty"` // seconds
	Metrics     *NodeMetrics `json:"metrics,omitempty"`
}

// NodeMetrics are counters of one node, aggregated over an interval.
type NodeMetrics struct {
	Interval float64            `json:"interval,omitempty"` // seconds
	Items    map[string]float64 `json:"items,omitempty"`
}

// EmptyResult is the result of a method that only says that it was done.
type EmptyResult struct{}

// AbsentRequest is what is looked at of a request whose method this server does not have: its channel, if it has one.
type AbsentRequest struct {
	Channel string `json:"channel"`
}

// RPCRequest calls an extension of the server.
type RPCRequest struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// RPCResult is what the extension answered.
type RPCResult struct {
	Data json.RawMessage `json:"data,omitempty"`
}

// BatchRequest is several commands in one request.
type BatchRequest struct {
	Commands []*Command `json:"commands"`
	Parallel bool       `json:"parallel"` // in no order
}

// BatchResponse has one reply per command, in the order of the request.
type BatchResponse struct {
	Replies []Reply `json:"replies,omitempty"`
}

// Command has one of its fields; of several, the first counts.
type Command struct {
	Publish           *PublishRequest       `json:"publish"`
	Broadcast         *BroadcastRequest     `json:"broadcast"`
	Subscribe         *SubscribeRequest     `json:"subscribe"`
	Unsubscribe       *UnsubscribeRequest   `json:"unsubscribe"`
	Disconnect        *DisconnectRequest    `json:"disconnect"`
	History           *HistoryRequest       `json:"history"`
	HistoryRemove     *HistoryRemoveRequest `json:"history_remove"`
	Presence          *PresenceRequest      `json:"presence"`
	PresenceStats     *PresenceStatsRequest `json:"presence_stats"`
	Info              *InfoRequest          `json:"info"`
	RPC               *RPCRequest           `json:"rpc"`
	Refresh           *RefreshRequest       `json:"refresh"`
	Channels          *ChannelsRequest      `json:"channels"`
	MapPublish        *AbsentRequest        `json:"map_publish"`
	MapRemove         *AbsentRequest        `json:"map_remove"`
	MapReadState      *AbsentRequest        `json:"map_read_state"`
	MapReadStream     *AbsentRequest        `json:"map_read_stream"`
	MapStats          *AbsentRequest        `json:"map_stats"`
	MapClear          *AbsentRequest        `json:"map_clear"`
	SharedPollPublish *AbsentRequest        `json:"shared_poll_publish"`
}

// Reply has the error, or the result under the name of its command.
type Reply struct {
	Error         *Error               `json:"error,omitempty"`
	Publish       *PublishResult       `json:"publish,omitempty"`
	Broadcast     *BroadcastResult     `json:"broadcast,omitempty"`
	Subscribe     *EmptyResult         `json:"subscribe,omitempty"`
	Unsubscribe   *EmptyResult         `json:"unsubscribe,omitempty"`
	Disconnect    *EmptyResult         `json:"disconnect,omitempty"`
	Refresh       *EmptyResult         `json:"refresh,omitempty"`
	Presence      *PresenceResult      `json:"presence,omitempty"`
	PresenceStats *PresenceStatsResult `json:"presence_stats,omitempty"`
	History       *HistoryResult       `json:"history,omitempty"`
	HistoryRemove *EmptyResult         `json:"history_remove,omitempty"`
	Info          *InfoResult          `json:"info,omitempty"`
	RPC           *RPCResult           `json:"rpc,omitempty"`
	Channels      *ChannelsResult      `json:"channels,omitempty"`
}
