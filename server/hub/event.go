package hub

import (
	"errors"
	"sync/atomic"

	"stentor/codec"
)

// event is one publication, join or leave on its way to the loops. It is shared by all of them and never reused, so that one that
// arrives late is harmless.
type event struct {
	table   *Table
	channel string
	pub     *codec.Publication // nil for a join or leave
	info    *codec.ClientInfo  // who joins or leaves
	kind    codec.Kind
	epoch   uint64 // hashed, see Table.epoch
	slow    codec.SlowPolicy
	number  uint32 // of the channel, see record
	frames  [codec.NumForms]atomic.Pointer[codec.Frame]
}

// Two frames that are never sent.
var (
	// unencodable stands for what has no form: a payload is not JSON and the subscriber reads JSON.
	unencodable = new(codec.Frame)
	// nothing stands for what a subscriber does not want.
	nothing = new(codec.Frame)
)

// push is what the event tells its subscribers.
func (e *event) push() codec.Push {
	p := codec.Push{Channel: e.channel}
	switch e.kind {
	case codec.Joins:
		p.Join = &codec.Join{Info: e.info}
	case codec.Leaves:
		p.Leave = &codec.Leave{Info: e.info}
	default:
		p.Pub = e.pub
	}
	return p
}

// frame encodes the push at most once per form; two loops that need it at the same moment may both do it, and one result stays.
func (e *event) frame(f codec.Form) *codec.Frame {
	if have := e.frames[f].Load(); have != nil {
		return have
	}
	buf := make([]byte, codec.HeaderRoom, codec.HeaderRoom+pushRoom+e.size())
	made := unencodable
	push := e.push()
	if buf, err := codec.AppendPush(buf, f, &push); err == nil {
		made = codec.NewKindFrame(f, e.kind, buf)
		made.SetSlow(e.slow, e.number)
	} else if !errors.Is(err, codec.ErrNotJSON) {
		panic(err) // the encoder has no other error
	}
	if e.frames[f].CompareAndSwap(nil, made) {
		return made
	}
	return e.frames[f].Load()
}

// pushRoom is a guess at what a push needs beside what size counts, in bytes; a wrong one costs a copy.
const pushRoom = 96

// size is how many bytes of others' the event holds.
func (e *event) size() int {
	n := len(e.channel)
	i := e.info
	if p := e.pub; p != nil {
		n += len(p.Data) + len(p.PrevData)
		i = p.Info
		for k, v := range p.Tags {
			n += len(k) + len(v)
		}
	}
	if i != nil {
		n += infoBytes + len(i.User) + len(i.ConnInfo) + len(i.ChanInfo)
	}
	return n
}

// infoBytes is what a client's info takes besides what it contains, as text: the client's id and the names of fields.
const infoBytes = 36 + 60

// cost is what the event weighs in a mailbox, in bytes.
func (e *event) cost() int { return e.size() + eventBytes }

// eventBytes is the size of event and publication themselves, roughly.
const eventBytes = 256
