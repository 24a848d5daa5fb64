package codec

import "math/bits"

// Method says which request a command carries.
type Method uint8

// The methods, in the order in which the protocol looks at a command that carries several requests.
const (
	MethodNone Method = iota // no request and id 0: a pong
	MethodConnect
	MethodSubscribe
	MethodUnsubscribe
	MethodPublish
	MethodPresence
	MethodPresenceStats
	MethodHistory
	MethodRPC
	MethodSend
	MethodRefresh
	MethodSubRefresh
	MethodPing
	MethodUnknown // an id, but no request that we know
)

var methodNames = [...]string{
	MethodNone:          "none",
	MethodConnect:       "connect",
	MethodSubscribe:     "subscribe",
	MethodUnsubscribe:   "unsubscribe",
	MethodPublish:       "publish",
	MethodPresence:      "presence",
	MethodPresenceStats: "presence_stats",
	MethodHistory:       "history",
	MethodRPC:           "rpc",
	MethodSend:          "send",
	MethodRefresh:       "refresh",
	MethodSubRefresh:    "sub_refresh",
	MethodPing:          "ping",
	MethodUnknown:       "unknown",
}

// String names the method as the wire does.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return "invalid"
}

// Command is what a client sends. It is meant to be reused, one per loop: requests are values, and Method says which of
// them is set. If a client sets several, Method is the first of them in the order of the constants.
//
// Strings and bytes alias the input of [DecodeCommand]. Pointers in maps and lists are never nil.
type Command struct {
	ID     uint32 // chosen by the client and repeated in the reply; 0 for pongs and send
	Method Method

	// found has a bit for each method that the decoder met, so that a reset clears only the requests that were filled.
	found uint16

	Connect       ConnectRequest
	Subscribe     SubscribeRequest
	Unsubscribe   UnsubscribeRequest
	Publish       PublishRequest
	Presence      PresenceRequest
	PresenceStats PresenceStatsRequest
	History       HistoryRequest
	RPC           RPCRequest
	Send          SendRequest
	Refresh       RefreshRequest
	SubRefresh    SubRefreshRequest
}

// reset makes c empty. It clears only what was filled: the whole struct has some fifty pointers, and while the garbage
// collector runs every one of them costs a write barrier.
func (c *Command) reset() {
	found := c.found | 1<<c.Method
	c.ID, c.Method, c.found = 0, MethodNone, 0
	for found != 0 {
		c.clear(Method(bits.TrailingZeros16(found)))
		found &= found - 1
	}
}

// clear makes the request of one method empty.
func (c *Command) clear(m Method) {
	switch m {
	case MethodConnect:
		c.Connect = ConnectRequest{}
	case MethodSubscribe:
		c.Subscribe = SubscribeRequest{}
	case MethodUnsubscribe:
		c.Unsubscribe = UnsubscribeRequest{}
	case MethodPublish:
		c.Publish = PublishRequest{}
	case MethodPresence:
		c.Presence = PresenceRequest{}
	case MethodPresenceStats:
		c.PresenceStats = PresenceStatsRequest{}
	case MethodHistory:
		c.History = HistoryRequest{}
	case MethodRPC:
		c.RPC = RPCRequest{}
	case MethodSend:
		c.Send = SendRequest{}
	case MethodRefresh:
		c.Refresh = RefreshRequest{}
	case MethodSubRefresh:
		c.SubRefresh = SubRefreshRequest{}
	}
}

// settle derives Method from what the decoder met.
func (c *Command) settle() {
	switch {
	case c.found != 0:
		c.Method = Method(bits.TrailingZeros16(c.found))
	case c.ID != 0:
		c.Method = MethodUnknown
	}
}

// ConnectRequest opens a session.
type ConnectRequest struct {
	Token   string
	Data    []byte
	Subs    map[string]*SubscribeRequest // by channel: where to recover server-side subscriptions
	Name    string                       // of the client's library or application
	Version string                       // likewise
	Headers map[string]string            // what a browser cannot send as HTTP headers
	Flag    int64
}

// SubscribeRequest asks for a subscription to a channel.
type SubscribeRequest struct {
	Channel     string
	Token       string
	Recover     bool   // Offset and Epoch are given: send what was missed since
	Epoch       string // of the last publication seen; may be empty
	Offset      uint64 // of the last publication seen
	Data        []byte
	Positioned  bool
	Recoverable bool
	JoinLeave   bool
	Delta       string      // "" or "fossil"
	TF          *FilterNode // tags filter
	Flag        int64       // see the Subscribe constants
	Type        int32
	Phase       int32
	Cursor      string
	Limit       int32
	Asc         bool
}

// Bits of [SubscribeRequest].Flag.
const (
	SubscribeChannelCompaction   = 1 << 0 // numeric channel ids in pushes; we ignore it, as the reference does
	SubscribeRejectUnrecoverable = 1 << 1 // answer a failed recovery with ErrorUnrecoverablePosition
)

// FilterNode is one node of a tags filter: a comparison (empty Op) or a combination of other nodes.
type FilterNode struct {
	Op    string // "", "and", "or", "not"
	Key   string
	Cmp   string
	Val   string
	Vals  []string
	Nodes []*FilterNode
}

// FilterDepthMax is how deep the nodes of a tags filter may be nested; a command with a deeper one is malformed.
const FilterDepthMax = 64

// UnsubscribeRequest ends a subscription.
type UnsubscribeRequest struct {
	Channel string
}

// PublishRequest publishes Data into a channel.
type PublishRequest struct {
	Channel string
	Data    []byte
	Type    int32  // 1 for map channels
	Key     string // map channels
	Removed bool   // map channels
}

// PresenceRequest asks who is subscribed to a channel.
type PresenceRequest struct {
	Channel string
}

// PresenceStatsRequest asks how many are subscribed to a channel.
type PresenceStatsRequest struct {
	Channel string
}

// HistoryRequest asks for what was published into a channel.
type HistoryRequest struct {
	Channel string
	Limit   int32           // 0: only the position of the stream's top; negative: all
	Since   *StreamPosition // nil: from the start
	Reverse bool
}

// RPCRequest calls the application's backend and wants a reply.
type RPCRequest struct {
	Data   []byte
	Method string
}

// SendRequest hands Data to the application's backend and wants no reply.
type SendRequest struct {
	Data []byte
}

// RefreshRequest prolongs a session.
type RefreshRequest struct {
	Token string
}

// SubRefreshRequest prolongs a subscription, or (Type 1, 2) changes what a shared poll subscription tracks.
type SubRefreshRequest struct {
	Channel string
	Token   string
	Type    int32 // 0 refresh, 1 track, 2 untrack
	Track   []*TrackBatch
	Untrack []string
}

// TrackBatch is a signed list of keys to track.
type TrackBatch struct {
	Signature string
	Items     []*KeyedItem
}

// KeyedItem is a key and the version of it that the client has.
type KeyedItem struct {
	Key     string
	Version uint64
}

// EmulationRequest carries commands of a transport that is one-way by nature.
type EmulationRequest struct {
	Node    string
	Session string
	Data    []byte // delimited commands
}
