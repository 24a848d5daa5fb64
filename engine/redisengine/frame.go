package redisengine

import (
	"errors"
	"strconv"
	"strings"
	"unsafe"

	"stentor/codec"
)

// kind is what a message of a topic brings.
type kind int

const (
	publicationKind kind = iota
	joinKind
	leaveKind
)

// frame is a message of a topic or an item of a list, taken apart: its payloads are still Protobuf. Everything in it aliases the message.
//
//	<publication>                                                            without history
//	__p1:<offset>:<epoch>__<publication>                                     with history
//	__d1:<offset>:<epoch>:<length of previous>:<previous>:<length>:<publication>   with the previous one, to make a delta
//	__j__<client info>, __l__<client info>                                   join and leave
//
// No Protobuf message begins with two underscores.
type frame struct {
	kind     kind
	at       codec.StreamPosition // zero without history
	payload  string
	previous string // empty if there is none
}

// errFrame is any malformed frame: what exactly is wrong with it helps nobody.
var errFrame = errors.New("malformed frame")

// Beginnings of frames.
const (
	framed          = "__"
	keptPrefix      = "__p1:"
	deltaPrefix     = "__d1:"
	joinPrefix      = "__j__"
	leavePrefix     = "__l__"
	offsetDigitsMax = 20 // of a number with 64 bits
)

// parseFrame takes a message apart.
func parseFrame(message string) (frame, error) {
	if !strings.HasPrefix(message, framed) {
		return frame{payload: message}, nil
	}
	if rest, ok := strings.CutPrefix(message, keptPrefix); ok {
		return parseKept(rest)
	}
	if rest, ok := strings.CutPrefix(message, deltaPrefix); ok {
		return parseDelta(rest)
	}
	if rest, ok := strings.CutPrefix(message, joinPrefix); ok {
		return frame{kind: joinKind, payload: rest}, nil
	}
	if rest, ok := strings.CutPrefix(message, leavePrefix); ok {
		return frame{kind: leaveKind, payload: rest}, nil
	}
	return frame{}, errFrame
}

// parseKept reads <offset>:<epoch>__<publication>.
func parseKept(s string) (frame, error) {
	offset, s, ok := cutNumber(s)
	epoch, payload, ends := strings.Cut(s, framed)
	if !ok || !ends {
		return frame{}, errFrame
	}
	return frame{at: codec.StreamPosition{Offset: offset, Epoch: epoch}, payload: payload}, nil
}

// parseDelta reads <offset>:<epoch>:<length of previous>:<previous>:<length>:<publication>.
func parseDelta(s string) (frame, error) {
	offset, s, ok := cutNumber(s)
	epoch, s, ends := strings.Cut(s, ":")
	if !ok || !ends {
		return frame{}, errFrame
	}
	previous, s, ok := cutCounted(s)
	if !ok || !strings.HasPrefix(s, ":") {
		return frame{}, errFrame
	}
	payload, s, ok := cutCounted(s[1:])
	if !ok || s != "" {
		return frame{}, errFrame
	}
	if strings.HasPrefix(previous, keptPrefix) { // as others take it out of a list
		inner, err := parseFrame(previous)
		if err != nil {
			return frame{}, err
		}
		previous = inner.payload
	}
	return frame{at: codec.StreamPosition{Offset: offset, Epoch: epoch}, payload: payload, previous: previous}, nil
}

// cutNumber cuts s after a number and a colon.
func cutNumber(s string) (n uint64, rest string, ok bool) {
	end := strings.IndexByte(s[:min(len(s), offsetDigitsMax+1)], ':')
	if end < 0 {
		return 0, s, false
	}
	n, err := strconv.ParseUint(s[:end], 10, 64)
	return n, s[end+1:], err == nil
}

// cutCounted cuts s after <length>:<as many bytes>.
func cutCounted(s string) (counted, rest string, ok bool) {
	n, s, ok := cutNumber(s)
	if !ok || n > uint64(len(s)) {
		return "", s, false
	}
	return s[:n], s[n:], true
}

// publication decodes the payload. It aliases the message.
func (f frame) publication() (*codec.Publication, error) {
	p, err := decodePublication(f.payload, f.at.Offset)
	if err == nil && f.at.Offset == 1 {
		p.Epoch = f.at.Epoch
	}
	return p, err
}

// previousPublication decodes the base of a delta, nil if there is none.
func (f frame) previousPublication() (*codec.Publication, error) {
	if f.previous == "" {
		return nil, nil
	}
	return decodePublication(f.previous, 0)
}

// decodePublication reads a payload. Where it stands in a stream is no business of the payload: only the frame is believed. Its delta flag
// tells nodes of another make what they may do, and says nothing of the data.
func decodePublication(payload string, offset uint64) (*codec.Publication, error) {
	p := new(codec.Publication)
	if err := codec.DecodeStoredPublication(bytesOf(payload), p); err != nil {
		return nil, err
	}
	p.Offset, p.Epoch, p.Delta = offset, "", false
	return p, nil
}

// bytesOf is the string as bytes without copying, and textOf the other way round. What Redis sent belongs to us alone and is never
// changed; what we send must not be changed before the answer is there.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
func textOf(b []byte) string  { return unsafe.String(unsafe.SliceData(b), len(b)) }
