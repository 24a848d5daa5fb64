package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// cut takes the first message off text, which is some of a body. rest is what follows it; ok is false if text, which is rest then, holds
// no whole message. delimited is the message as the codec reads it, bare as it is looked at.
type cut func(text []byte) (delimited, bare, rest []byte, ok bool, err error)

// cutOf is how messages are told apart in the bodies of a transport.
func cutOf(t Transport, protobuf bool) cut {
	switch {
	case protobuf:
		return cutSized
	case t == SSE || t == UniSSE:
		return cutEvent
	}
	return cutLine
}

// cutLine takes a line that is not empty.
func cutLine(text []byte) (delimited, bare, rest []byte, ok bool, err error) {
	for {
		line, after, found := bytes.Cut(text, newline)
		if !found {
			return nil, nil, text, false, nil
		}
		if line = bytes.TrimSuffix(line, carriageReturn); len(line) > 0 {
			return line, line, after, true, nil
		}
		text = after
	}
}

// cutEvent takes a line with data: servers of the protocol put each message into one. Comments, names and the empty lines between events
// say nothing here.
func cutEvent(text []byte) (delimited, bare, rest []byte, ok bool, err error) {
	for {
		line, _, after, found, _ := cutLine(text)
		if !found {
			return nil, nil, after, false, nil
		}
		if data, isData := bytes.CutPrefix(line, eventData); isData {
			data = bytes.TrimPrefix(data, space)
			return data, data, after, true, nil
		}
		text = after
	}
}

// cutSized takes a message behind its length.
func cutSized(text []byte) (delimited, bare, rest []byte, ok bool, err error) {
	length, n := binary.Uvarint(text)
	switch {
	case n < 0 || n > 0 && length > MessageBytesMax:
		return nil, nil, text, false, errSized
	case n == 0 || length > uint64(len(text)-n):
		return nil, nil, text, false, nil
	}
	end := n + int(length)
	return text[:end], text[n:end], text[end:], true, nil
}

var (
	newline        = []byte("\n")
	carriageReturn = []byte("\r")
	eventData      = []byte("data:")
	space          = []byte(" ")

	errSized = errors.New("a message whose length is not a number, or above what this generator takes")
)
