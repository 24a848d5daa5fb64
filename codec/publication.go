package codec

// Publication is one message published into a channel. This one type travels from the server API through the engine to
// the sockets.
type Publication struct {
	Offset   uint64            // place in the channel's stream, from 1; 0 if the channel keeps none
	Data     []byte            // payload; JSON clients get it embedded as it is
	Info     *ClientInfo       // who published, if a client did
	Tags     map[string]string // what a tags filter looks at
	Delta    bool              // Data is a patch against the previous publication
	Time     int64             // Unix milliseconds
	Channel  string            // set only where one stream carries several channels
	Key      string            // map and shared poll channels: the key that Data belongs to
	Removed  bool              // map and shared poll channels: the key is gone
	Score    int64             // map channels: the key's place in an ordered state
	Epoch    string            // set where the receiver has to learn the stream's epoch
	PrevData []byte            // previous payload of a key, where it is delivered with the new one
	Version  uint64            // version given by the publisher
}

// ClientInfo describes a client to other clients.
type ClientInfo struct {
	User     string
	Client   string
	ConnInfo []byte // from the connection token or proxy
	ChanInfo []byte // from the subscription token or proxy
}

// StreamPosition is a place in a channel's stream. Offsets of different epochs do not compare.
type StreamPosition struct {
	Offset uint64
	Epoch  string
}
