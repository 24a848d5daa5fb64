package ring

import (
	"unsafe"

	"stentor/codec"
)

// Excerpt is a part of a stream as it was at one moment. The ring may change meanwhile.
type Excerpt struct {
	slots   []slot
	first   codec.StreamPosition // of the first slot
	reverse bool                 // offsets go down
}

// Publications makes the list of what was appended. Plain ones are restored into one allocation.
func (x Excerpt) Publications() []*codec.Publication {
	if len(x.slots) == 0 {
		return nil
	}
	plain := 0
	for i := range x.slots {
		if x.slots[i].whole == nil {
			plain++
		}
	}
	room := make([]codec.Publication, plain)
	list := make([]*codec.Publication, len(x.slots))
	at := x.first
	for i, s := range x.slots {
		if s.whole == nil {
			s.restore(&room[0], at)
			s.whole, room = &room[0], room[1:]
		}
		list[i] = s.whole
		if x.reverse {
			at.Offset--
		} else {
			at.Offset++
		}
	}
	return list
}

// restore fills p with what a plain publication was when it was appended.
func (s slot) restore(p *codec.Publication, at codec.StreamPosition) {
	p.Data = unsafe.Slice(unsafe.StringData(s.data), len(s.data))
	p.Offset = at.Offset
	if at.Offset == 1 {
		p.Epoch = at.Epoch
	}
}
