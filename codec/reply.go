package codec

// Reply is what a server sends: the answer to the command with the same ID, a push, or, empty, a ping. At most one of the
// pointers is set.
type Reply struct {
	ID            uint32
	Error         *Error
	Push          *Push
	Connect       *ConnectResult
	Subscribe     *SubscribeResult
	Unsubscribe   *UnsubscribeResult
	Publish       *PublishResult
	Presence      *PresenceResult
	PresenceStats *PresenceStatsResult
	History       *HistoryResult
	RPC           *RPCResult
	Refresh       *RefreshResult
	SubRefresh    *SubRefreshResult
}

// carry makes m a reply that carries p, or a ping if there is nothing in p.
func (m *Reply) carry(p *Push) {
	if *p != (Push{}) {
		m.Push = p
	}
}

// ConnectResult answers a ConnectRequest.
type ConnectResult struct {
	Client  string // the session's id
	Version string // of the server
	Expires bool
	TTL     uint32 // seconds until the client must refresh
	Data    []byte
	Subs    map[string]*SubscribeResult // server-side subscriptions by channel
	Ping    uint32                      // seconds between pings; 0: none will come
	Pong    bool                        // pings must be answered
	Session string                      // secret that the emulation endpoint asks for
	Node    string
	Time    int64 // Unix milliseconds
}

// Connect is the same as a push, for those who sent no command that it could answer.
func (m *ConnectResult) Connect() *Connect {
	return &Connect{
		Client: m.Client, Version: m.Version, Data: m.Data, Subs: m.Subs, Expires: m.Expires, TTL: m.TTL, Ping: m.Ping, Pong: m.Pong,
		Session: m.Session, Node: m.Node, Time: m.Time,
	}
}

// SubscribeResult answers a SubscribeRequest, and describes a server-side subscription in a ConnectResult.
type SubscribeResult struct {
	Expires         bool
	TTL             uint32 // seconds until the client must refresh the subscription
	Recoverable     bool
	Epoch           string
	Publications    []*Publication // what was missed
	Recovered       bool           // Publications is all that was missed
	Offset          uint64
	Positioned      bool
	Data            []byte
	WasRecovering   bool // the request asked for recovery
	Delta           bool // pushes may carry patches
	ID              int64
	Type            int32
	Phase           int32
	Cursor          string
	State           []*Publication // map channels
	PublishDebounce uint32         // milliseconds
}

// UnsubscribeResult answers an UnsubscribeRequest.
type UnsubscribeResult struct{}

// PublishResult answers a PublishRequest.
type PublishResult struct{}

// PresenceResult answers a PresenceRequest.
type PresenceResult struct {
	Presence map[string]*ClientInfo // by client id
}

// PresenceStatsResult answers a PresenceStatsRequest.
type PresenceStatsResult struct {
	NumClients uint32
	NumUsers   uint32
}

// HistoryResult answers a HistoryRequest.
type HistoryResult struct {
	Publications []*Publication
	Epoch        string
	Offset       uint64 // of the stream's top
}

// RPCResult answers an RPCRequest.
type RPCResult struct {
	Data []byte
}

// RefreshResult answers a RefreshRequest.
type RefreshResult struct {
	Client  string
	Version string
	Expires bool
	TTL     uint32 // seconds
}

// SubRefreshResult answers a SubRefreshRequest.
type SubRefreshResult struct {
	Expires bool
	TTL     uint32         // seconds
	Items   []*Publication // shared poll: entries newer than the tracked versions
}
