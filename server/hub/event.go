package hub

import (
	"errors"
	"sync/atomic"
	"time"

	"stentor/codec"
)

// event is one publication, join or leave on its way to the loops. It is shared by all of them and never reused, so that one that
// arrives late is harmless.
type event struct {
	table   *Table
	channel string
	pub     *codec.Publication // nil for a join or leave
	info    *codec.ClientInfo  // who joins or leaves
	epoch   uint64             // hashed, see Table.epoch
	prev    *codec.Publication // that may be the base of a patch, or nil
	at      time.Duration      // see maxLag
	kind    codec.Kind
	slow    codec.SlowPolicy
	number  uint32 // of the channel, see record
	frames  [codec.NumForms]atomic.Pointer[codec.Frame]
	special atomic.Pointer[specialFrames] // nil until somebody wants one
}

// specialFrames are those of the encodings behind the two forms of clients that send commands. Few channels need them.
type specialFrames [numEncodings - codec.NumForms]atomic.Pointer[codec.Frame]

// encoding is how an event is written: plainly in one of the forms, or for subscribers with deltas. Those of deltas are pairs: behind
// each is the same with bare pushes.
type encoding uint8

const (
	asText        = encoding(codec.NumAllForms) + 2*iota // JSON, the payload as a JSON string
	patchJSON                                            // a patch, or asText where that is no longer
	patchProtobuf                                        // a patch, or the plain form where that is no longer

	numEncodings = codec.NumAllForms + 2*iota
)

// in is the one of a pair that f needs.
func (x encoding) in(f codec.Form) encoding {
	if f.Uni() {
		return x + 1
	}
	return x
}

// Two frames that are never sent.
var (
	// unencodable stands for what has no form: a payload is not JSON and the subscriber reads JSON.
	unencodable = new(codec.Frame)
	// nothing stands for what a subscriber does not want.
	nothing = new(codec.Frame)
)

// frame encodes the event at most once per encoding; two loops that need it at the same moment may both do it, and one result
// stays.
func (e *event) frame(x encoding) *codec.Frame {
	place := e.place(x)
	if have := place.Load(); have != nil {
		return have
	}
	var made *codec.Frame
	switch x {
	case asText:
		made = e.encodeText(codec.JSON)
	case asText + 1:
		made = e.encodeText(codec.UniJSON)
	case patchJSON:
		made = e.encodePatch(codec.JSON)
	case patchJSON + 1:
		made = e.encodePatch(codec.UniJSON)
	case patchProtobuf:
		made = e.encodePatch(codec.Protobuf)
	case patchProtobuf + 1:
		made = e.encodePatch(codec.UniProtobuf)
	default:
		made = e.encode(codec.Form(x), e.pub)
	}
	if place.CompareAndSwap(nil, made) {
		return made
	}
	return place.Load()
}

// place is where the frame of an encoding is, or will be. Two loops may make room for special ones, and one stays.
func (e *event) place(x encoding) *atomic.Pointer[codec.Frame] {
	if x < codec.NumForms {
		return &e.frames[x]
	}
	s := e.special.Load()
	if s == nil {
		e.special.CompareAndSwap(nil, new(specialFrames))
		s = e.special.Load()
	}
	return &s[x-codec.NumForms]
}

// encode writes the event with p, which is its publication or a variant of that.
func (e *event) encode(f codec.Form, p *codec.Publication) *codec.Frame {
	push := codec.Push{Channel: e.channel, Pub: p}
	size := e.size()
	switch e.kind {
	case codec.Joins:
		push.Join = &codec.Join{Info: e.info}
	case codec.Leaves:
		push.Leave = &codec.Leave{Info: e.info}
	default:
		size += len(p.Data) - len(e.pub.Data)
	}
	buf := make([]byte, codec.HeaderRoom, codec.HeaderRoom+pushRoom+size)
	buf, err := codec.AppendPush(buf, f, &push)
	if err == nil {
		frame := codec.NewKindFrame(f, e.kind, buf)
		frame.SetSlow(e.slow, e.number)
		return frame
	}
	if !errors.Is(err, codec.ErrNotJSON) {
		panic(err) // the encoder has no other error
	}
	return unencodable
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
func (e *event) cost() int {
	n := e.size() + eventBytes
	if e.prev != nil {
		n += len(e.prev.Data)
	}
	return n
}

// eventBytes is the size of event and publication themselves, roughly.
const eventBytes = 256
