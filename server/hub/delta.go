package hub

import (
	"unicode/utf8"

	"stentor/codec"
	"stentor/codec/delta"
)

// PatchBytesMax is the largest payload, in bytes, that a patch is made of or against: the dearest patch then takes a loop some
// 65 µs.
const PatchBytesMax = 64 << 10

// patchable reports that e may be sent as a patch to those who have e.prev.
func (e *event) patchable() bool {
	return e.prev != nil && e.prev.Offset+1 == e.pub.Offset
}

// follows reports that a patch of e is against the publication of before, which may be nil.
func (e *event) follows(before *event) bool {
	return before != nil && e.patchable() && e.prev.Offset == before.pub.Offset && e.epoch == before.epoch
}

// inChain is how e is written for members with deltas: as a patch if they have its base.
func (e *event) inChain(f codec.Form, patch bool) encoding {
	json := f.Encoding() == codec.JSON
	switch {
	case patch && json:
		return patchJSON.in(f)
	case patch:
		return patchProtobuf.in(f)
	case json:
		return asText.in(f)
	}
	return encoding(f)
}

// encodeText writes the payload as a JSON string, in a JSON form.
func (e *event) encodeText(f codec.Form) *codec.Frame {
	if p := inFull(f, e.pub); p != nil {
		return e.encode(f, p)
	}
	return unencodable
}

// encodePatch writes the payload as a patch, or in full if that is not longer.
func (e *event) encodePatch(f codec.Form) *codec.Frame {
	full := e.frame(e.inChain(f, false))
	if full == unencodable {
		return unencodable
	}
	if p := patched(f, e.pub, e.prev); p != nil {
		if patch := e.encode(f, p); len(patch.Messages()) < len(full.Messages()) {
			return patch
		}
	}
	return full
}

// inFull is p with its whole payload as subscribers with deltas read it: a JSON string in JSON. nil if the payload is not JSON,
// which clients of that form could not read.
func inFull(f codec.Form, p *codec.Publication) *codec.Publication {
	if f.Encoding() != codec.JSON {
		return p
	}
	if len(p.Data) > 0 && !codec.ValidJSON(p.Data) {
		return nil
	}
	full := *p
	full.Data = codec.AppendJSONText(make([]byte, 0, len(p.Data)+len(p.Data)/8+textRoom), p.Data)
	return &full
}

// textRoom is a guess at what a JSON string needs beside its text and an eighth of that, in bytes.
const textRoom = 16

// patched is p with a patch against base as its payload, or nil if there can be none. In JSON a patch travels as text, and text is
// what the client has as its base: neither may have anything that is not UTF-8.
func patched(f codec.Form, p, base *codec.Publication) *codec.Publication {
	if n := len(base.Data); n == 0 || n > PatchBytesMax || len(p.Data) > PatchBytesMax {
		return nil
	}
	patch := delta.Create(nil, base.Data, p.Data)
	if f.Encoding() == codec.JSON {
		if !utf8.Valid(base.Data) || !utf8.Valid(patch) {
			return nil
		}
		patch = codec.AppendJSONText(nil, patch)
	}
	d := *p
	d.Data, d.Delta = patch, true
	return &d
}

// DeltaListBytesMax is how many bytes of payloads Deltas makes patches of: what comes behind them in a list goes in full.
const DeltaListBytesMax = 256 << 10

// Deltas is a list of publications, oldest first, for the subscribe reply of a subscription with deltas in form f: the first in
// full, and each that follows as a patch against the one before it where that is shorter. The list itself stays as it is. ok is
// false if a payload is not JSON and f is: such a client cannot go on (see Unencodable).
func Deltas(f codec.Form, list []*codec.Publication) (deltas []*codec.Publication, ok bool) {
	deltas = make([]*codec.Publication, len(list))
	tried := 0
	for i, p := range list {
		full := inFull(f, p)
		if full == nil {
			return nil, false
		}
		deltas[i] = full
		if tried += len(p.Data); i == 0 || tried > DeltaListBytesMax {
			continue
		}
		if d := patched(f, p, list[i-1]); d != nil && len(d.Data)+deltaMark(f) < len(full.Data) {
			deltas[i] = d
		}
	}
	return deltas, true
}

// deltaMark is what the mark of a patch takes on the wire, in bytes.
func deltaMark(f codec.Form) int {
	if f.Encoding() == codec.JSON {
		return len(`"delta":true,`)
	}
	return 2 // tag and value
}
