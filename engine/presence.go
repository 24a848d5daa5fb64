package engine

import (
	"context"
	"encoding/hex"
	"time"

	"stentor/codec"
)

// PresenceInfo is what a channel's presence says of a client besides its id. Its memory must stay as it is while the client is
// present: an engine may keep it.
type PresenceInfo struct {
	User     string // empty is the anonymous user
	ConnInfo []byte // JSON, or nil
	ChanInfo []byte // JSON, or nil
}

// PresenceStats are the sizes of a channel's presence.
type PresenceStats struct {
	Clients int
	Users   int // different ones; all anonymous clients together count as one
}

// Presence knows who is subscribed to a channel.
type Presence interface {
	// AddPresence says that a client is in a channel, and says it anew with other info. If the engine is remote, the entry goes
	// after ttl unless this is called again before; if it is local, it stays until RemovePresence and ttl means nothing. The
	// strings and bytes given may be kept, channel as its name too: none may alias a read buffer.
	AddPresence(ctx context.Context, channel string, client [16]byte, info PresenceInfo, ttl time.Duration) error
	// RemovePresence says that a client has left; user is whose it is. A client that is not there is no error.
	RemovePresence(ctx context.Context, channel string, client [16]byte, user string) error
	// Presence is who is in the channel, by client id in its printed form. The map is the caller's; what it points to may be
	// shared and must not be changed. Its cost grows with the channel: of a large one do not ask on a loop.
	Presence(ctx context.Context, channel string) (map[string]*codec.ClientInfo, error)
	// PresenceStats counts. That is quick however large the channel is.
	PresenceStats(ctx context.Context, channel string) (PresenceStats, error)
	// Local reports that no method ever blocks, so that loops may call them, and that entries need no refreshing.
	Local() bool
}

// ClientIDSize is the length of a client id in its printed form, in bytes.
const ClientIDSize = 36

// AppendClientID appends a client id in its printed form: that of a UUID (RFC 9562, section 4).
func AppendClientID(dst []byte, id [16]byte) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}
