package session

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync/atomic"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/loop"
	"stentor/reactor/quiet"
	"stentor/server/config"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// Settings are the limits and periods of all sessions.
type Settings struct {
	Version              string // told to clients
	PingInterval         time.Duration
	PongTimeout          time.Duration
	StaleCloseDelay      time.Duration // to authenticate
	ExpiredCloseDelay    time.Duration // grace after expiry of the connection
	ExpiredSubCloseDelay time.Duration // the same of a subscription
	ChannelLimit         int           // subscriptions of a session
	UserConnectionLimit  int           // sessions of a user on this node; 0 is no limit
	RecoveryLimit        int           // publications in a subscribe reply; -1 is no limit
	PresenceTTL          time.Duration // of a client at a remote engine that is not said anew
	PresenceInterval     time.Duration // between two words to a remote engine that a client is still present
	PositionCheckDelay   time.Duration // between two checks of a channel's positions; 0 is never
	HistoryLimit         int           // publications in a history reply; -1 is no limit
	ReplyBytesMax        int           // of a reply that lists much (a larger one is error 106), or of all that it recovers
	IncludeServerTime    bool
	CommandRate          rate
	// UniDisconnects replace errors of connect, by code, where the client only listens; others become what the protocol says.
	UniDisconnects map[uint32]codec.Disconnect
}

// SettingsOf takes the settings out of a configuration.
func SettingsOf(cfg *config.Config, version string) Settings {
	c := &cfg.Client
	return Settings{
		Version:              version,
		PingInterval:         c.PingInterval.Std(),
		PongTimeout:          c.PongTimeout.Std(),
		StaleCloseDelay:      c.StaleCloseDelay.Std(),
		ExpiredCloseDelay:    c.ExpiredCloseDelay.Std(),
		ExpiredSubCloseDelay: c.ExpiredSubCloseDelay.Std(),
		ChannelLimit:         c.ChannelLimit,
		UserConnectionLimit:  c.UserConnectionLimit,
		RecoveryLimit:        cmp.Or(c.RecoveryMaxPublicationLimit, -1),
		PresenceTTL:          cfg.PresenceTTL(),
		PresenceInterval:     c.PresenceUpdateInterval.Std(),
		PositionCheckDelay:   c.ChannelPositionCheckDelay.Std(),
		HistoryLimit:         cmp.Or(c.HistoryMaxPublicationLimit, -1),
		ReplyBytesMax:        c.QueueMaxSize - c.QueueMaxSize/replyRoom,
		CommandRate:          newRate(c.CommandRateLimit, c.CommandRateBurst),
		IncludeServerTime:    c.ConnectIncludeServerTime,
		UniDisconnects:       uniDisconnects(&c.ConnectCodeToUnidirectionalDisconnect),
	}
}

// replyRoom is the part of the queue that a large reply leaves to the rest, 1/16.
const replyRoom = 16

// Pool does work off the loops.
type Pool interface {
	// Do returns at once; false means that there is too much work already.
	Do(work func()) bool
}

// Lanes do work off the loops, what has the same key in order.
type Lanes interface {
	// Do returns at once; false means that there is too much work already.
	Do(key uint64, work func()) bool
}

// Node is what all sessions of a server share. Its fields are set before the first session and stay.
type Node struct {
	UID      string // of the node in its cluster; clients whose commands come from elsewhere name it there
	Settings Settings
	Broker   engine.Broker
	Presence engine.Presence
	Table    *hub.Table
	Users    *hub.Users
	Loops    []*loop.Loop
	Pool     Pool  // makes large replies
	Fetches  Pool  // waits for other servers, whom strangers may make us ask
	Lanes    Lanes // waits for the engine, if that is not local
	Metrics  *metrics.Metrics
	Log      *slog.Logger
	Now      func() time.Time // wall clock; time.Now but in tests

	policy  atomic.Pointer[policy.Policy] // replaced by a reload
	seal    cipher.Block                  // makes client ids
	secrets cipher.Block                  // makes what sessions are named by where their commands come from elsewhere
	posts   []posts                       // such commands under way, by loop
	workers []worker
	clients atomic.Int64
	places  atomic.Uint64 // given out among all users' sessions
	held    atomic.Int64  // bytes of commands that wait behind work off the loops
	remote  bool          // the broker or the presence is not local
	faults  quiet.Line    // errors of the engine and of ours, which clients may cause as often as they like
}

// worker is what the sessions of one loop share. Only that loop touches it.
type worker struct {
	command codec.Command // strings in it alias the message that is being received
	out     []byte        // replies that have not been sent, after HeaderRoom spare bytes
	replies int
	id      [16]byte // room to make client ids in

	label uint16 // of the namespace that the command under way is about, in metrics
	room  int    // bytes of publications that the command under way may still recover

	// What is logged of malformed commands, keys that did not come, joins and leaves that were not published.
	malformed, keyless, unpublished, unreached quiet.Line

	_ [64]byte
}

// Start makes the node ready for sessions.
func (n *Node) Start(p *policy.Policy) {
	n.policy.Store(p)
	n.seal, n.secrets = newSeal(), newSeal()
	n.posts = make([]posts, len(n.Loops))
	n.remote = !n.Broker.Local() || !n.Presence.Local()
	n.workers = make([]worker, len(n.Loops))
	for i := range n.workers {
		n.workers[i].out = make([]byte, codec.HeaderRoom, 4<<10)
	}
}

// SetPolicy replaces the rules for what comes from now on. Any goroutine may call it.
func (n *Node) SetPolicy(p *policy.Policy) { n.policy.Store(p) }

// Clients is how many sessions are connected. Any goroutine may ask.
func (n *Node) Clients() int { return int(n.clients.Load()) }

// newSeal makes what turns handles into client ids that nobody can guess: a cipher with a key of this process.
func newSeal() cipher.Block {
	var key [16]byte
	rand.Read(key[:]) // never fails: it ends the program instead
	seal, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has a length that AES knows
	}
	return seal
}

// sealID makes a version 4 UUID (RFC 9562, section 5.4) of a handle.
func (n *Node) sealID(w *worker, h loop.Handle) [16]byte {
	binary.BigEndian.PutUint64(w.id[8:], uint64(h))
	clear(w.id[:8])
	n.seal.Encrypt(w.id[:], w.id[:])
	w.id[6] = w.id[6]&0x0f | 0x40
	w.id[8] = w.id[8]&0x3f | 0x80
	return w.id
}

// pings are the ping frames, the same for all sessions.
var pings = func() (frames [codec.NumAllForms]*codec.Frame) {
	for f := range codec.Form(codec.NumAllForms) {
		frames[f] = codec.NewFrame(f, codec.AppendPing(make([]byte, codec.HeaderRoom), f))
	}
	return frames
}()
