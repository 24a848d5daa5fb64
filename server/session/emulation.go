package session

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/google/uuid"

	"stentor/codec"
	"stentor/reactor/loop"
)

// Emulation lets a client whose pipe goes one way send its commands on other connections, to any node:
//
//	POST /emulation {secret, commands} ──► Emulate, on the node of the session ──► mailbox of its loop ──► the session takes them
//
// The secret comes with the reply to connect. It is made of the session's handle, so that nothing has to be looked up, and nobody can
// guess one: half of the block must decrypt to secretMark.

const secretMark = 0x7374656e746f7221

// secretBytes is the length of a secret; there are longer and shorter ways to write the same.
const secretBytes = 36

// Limits of commands that are under way to sessions, in bytes. Loops take them at once, so that they gather only while a loop is
// held up. A session for which more come is closed, as one that sends too much by itself is.
const (
	// PostsBytesMax is for one session, or one post if that is larger.
	PostsBytesMax = HeldFarBytesMax
	// PostsLoopBytesMax is for all sessions of a loop together, an eighth of what fits into its mailbox.
	PostsLoopBytesMax = loop.MailboxBytesMax / 8
	// postBytes is what a post takes besides its commands.
	postBytes = 128
)

// posts are the commands under way to the sessions of one loop. Any goroutine may use it.
type posts struct {
	mu    sync.Mutex
	to    map[loop.Handle]underway // those for which there are some; nil without
	bytes int                      // of all

	_ [64]byte
}

// underway is what is on its way to one session.
type underway struct {
	bytes int
	over  bool // it was too much
}

// commands are some on their way.
type commands struct {
	to     loop.Handle
	data   []byte
	quoted bool // if the session speaks JSON, they are a JSON string
}

// secretOf is the secret of a session.
func (n *Node) secretOf(h loop.Handle) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], secretMark)
	binary.BigEndian.PutUint64(id[8:], uint64(h))
	n.secrets.Encrypt(id[:], id[:])
	return id.String()
}

// Emulated is the session that a secret belongs to; it may have gone. False says that there never was one. Any goroutine may ask.
func (n *Node) Emulated(secret string) (loop.Handle, bool) {
	id, err := uuid.Parse(secret)
	if err != nil || len(secret) != secretBytes {
		return 0, false
	}
	n.secrets.Decrypt(id[:], id[:])
	h := loop.Handle(binary.BigEndian.Uint64(id[8:]))
	if binary.BigEndian.Uint64(id[:8]) != secretMark || h.Loop() >= len(n.Loops) {
		return 0, false
	}
	return h, true
}

// Emulate gives delimited commands to the session that a secret belongs to, as if they had come through its pipe. False says that
// there never was such a session; what becomes of the commands otherwise, only the session tells. Any goroutine may call it; data is
// the caller's again after the call.
func (n *Node) Emulate(secret string, data []byte) bool { return n.emulate(secret, data, false) }

// EmulatePassed is Emulate for what another node has passed on (codec.AppendPassedEmulationRequest).
func (n *Node) EmulatePassed(secret string, data []byte) bool { return n.emulate(secret, data, true) }

func (n *Node) emulate(secret string, data []byte, quoted bool) bool {
	h, ok := n.Emulated(secret)
	if !ok {
		return false
	}
	l := n.Loops[h.Loop()]
	if !l.Admit() {
		return true // it cannot even be told that this is too much
	}
	switch p := &n.posts[h.Loop()]; p.admit(h, len(data)+postBytes) {
	case admitted:
		if l.Post(p, commands{to: h, data: bytes.Clone(data), quoted: quoted}, len(data)+postBytes) {
			l.Wake()
		}
	case tooMany:
		l.Order(h, codec.DisconnectTooManyRequests)
	}
	return true
}

// admission is what becomes of a post.
type admission uint8

const (
	admitted admission = iota
	tooMany            // and the session is to be told
	dropped            // it has been
)

// admit counts a post in.
func (p *posts) admit(h loop.Handle, size int) admission {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, some := p.to[h]
	switch {
	case u.over:
		return dropped
	case some && u.bytes+size > PostsBytesMax, p.bytes > 0 && p.bytes+size > PostsLoopBytesMax:
		if u.over = true; some {
			p.to[h] = u
		}
		return tooMany
	}
	if p.to == nil {
		p.to = make(map[loop.Handle]underway)
	}
	u.bytes += size
	p.to[h] = u
	p.bytes += size
	return admitted
}

// Take counts a post out and hands it over (loop.Recipient).
func (p *posts) Take(l *loop.Loop, what any) {
	c := what.(commands)
	p.arrived(c.to, len(c.data)+postBytes)
	if r := l.Find(c.to); r != nil {
		r.Order(c)
	}
}

func (p *posts) arrived(h loop.Handle, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes -= size
	u := p.to[h]
	if u.bytes -= size; u.bytes > 0 {
		p.to[h] = u
		return
	}
	if delete(p.to, h); len(p.to) == 0 {
		p.to = nil // a map never gives memory back by itself
	}
}

// takeEmulated takes commands that came from elsewhere, unless the session has a pipe for them.
func (s *Session) takeEmulated(c commands) {
	if s.traits&emulated == 0 {
		return
	}
	if c.quoted && s.form == codec.JSON {
		var err error
		if c.data, err = codec.Unquote(c.data); err != nil {
			return // as where the client has posted it: nobody is told
		}
	}
	if len(c.data) == 0 && s.serves() {
		s.close(codec.DisconnectBadRequest)
	}
	s.take(c.data, arrived)
}

// tellSecret tells a client what its commands need elsewhere. Those that only listen are told a secret, too, as a name that the server
// API knows.
func (s *Session) tellSecret(result *codec.ConnectResult) {
	if s.traits&emulated != 0 {
		result.Node = s.node.UID
	}
	if s.traits&emulated != 0 || s.form.Uni() {
		result.Session = s.node.secretOf(s.handle)
	}
}
