package codec

// Push is what a server sends unasked. At most one of the pointers is set; without any it tells nothing.
type Push struct {
	ID          int64 // numeric channel id, where channel compaction was agreed; we never do
	Channel     string
	Pub         *Publication
	Join        *Join
	Leave       *Leave
	Unsubscribe *Unsubscribe
	Message     *Message
	Subscribe   *Subscribe
	Connect     *Connect
	Disconnect  *DisconnectPush
	Refresh     *Refresh
}

// Join says that a client has subscribed to the channel.
type Join struct {
	Info *ClientInfo
}

// Leave says that a client has left the channel.
type Leave struct {
	Info *ClientInfo
}

// Message carries data that belongs to no channel.
type Message struct {
	Data []byte
}

// Subscribe says that the server has subscribed the client to the channel.
type Subscribe struct {
	Recoverable bool
	Epoch       string
	Offset      uint64
	Positioned  bool
	Data        []byte
}

// Connect is the first push on a one-way transport; its fields mean what those of ConnectResult mean.
type Connect struct {
	Client  string
	Version string
	Data    []byte
	Subs    map[string]*SubscribeResult
	Expires bool
	TTL     uint32 // seconds
	Ping    uint32 // seconds
	Pong    bool
	Session string
	Node    string
	Time    int64 // Unix milliseconds
}

// DisconnectPush tells why the server ends a connection, where the transport has no close frame for it.
type DisconnectPush struct {
	Code      uint32
	Reason    string
	Reconnect bool
}

// Refresh says that the server has prolonged the session; empty: the session no longer expires.
type Refresh struct {
	Expires bool
	TTL     uint32 // seconds
}
