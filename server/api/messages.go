package api

import "encoding/json"

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
	Publish           *PublishRequest     `json:"publish"`
	Broadcast         *BroadcastRequest   `json:"broadcast"`
	Subscribe         *AbsentRequest      `json:"subscribe"`
	Unsubscribe       *UnsubscribeRequest `json:"unsubscribe"`
	Disconnect        *DisconnectRequest  `json:"disconnect"`
	History           *AbsentRequest      `json:"history"`
	HistoryRemove     *AbsentRequest      `json:"history_remove"`
	Presence          *AbsentRequest      `json:"presence"`
	PresenceStats     *AbsentRequest      `json:"presence_stats"`
	Info              *InfoRequest        `json:"info"`
	RPC               *RPCRequest         `json:"rpc"`
	Refresh           *AbsentRequest      `json:"refresh"`
	Channels          *ChannelsRequest    `json:"channels"`
	MapPublish        *AbsentRequest      `json:"map_publish"`
	MapRemove         *AbsentRequest      `json:"map_remove"`
	MapReadState      *AbsentRequest      `json:"map_read_state"`
	MapReadStream     *AbsentRequest      `json:"map_read_stream"`
	MapStats          *AbsentRequest      `json:"map_stats"`
	MapClear          *AbsentRequest      `json:"map_clear"`
	SharedPollPublish *AbsentRequest      `json:"shared_poll_publish"`
}

// Reply has the error, or the result under the name of its command.
type Reply struct {
	Error       *Error           `json:"error,omitempty"`
	Publish     *PublishResult   `json:"publish,omitempty"`
	Broadcast   *BroadcastResult `json:"broadcast,omitempty"`
	Unsubscribe *EmptyResult     `json:"unsubscribe,omitempty"`
	Disconnect  *EmptyResult     `json:"disconnect,omitempty"`
	Info        *InfoResult      `json:"info,omitempty"`
	RPC         *RPCResult       `json:"rpc,omitempty"`
	Channels    *ChannelsResult  `json:"channels,omitempty"`
}
