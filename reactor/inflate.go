package reactor

import (
	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// Compressed messages cost work that their senders do not pay for in bytes. What a message becomes is free up to inflateFactor
// times its own size, which ordinary text seldom passes, and inflateFreeBytes. What goes beyond is surplus, of which all conns of a
// loop together have surplusBytesMax for each tick (loop.TickPeriod, 100 ms), or as much as one message may become, if that is
// more: a few hundredths of the loop's time. It runs out only where many bombs meet; the conn that sent the one too many is closed,
// and nobody who sends ordinary messages feels it.
const (
	inflateFactor    = 16
	inflateFreeBytes = 4 << 10
	surplusBytesMax  = 1 << 20
)

// errSurplus is for the message that is one bomb too many.
var errSurplus = &ws.Error{Code: ws.CodePolicyViolation, Reason: "too much compressed data at once"}

// inflation is what the conns of a loop share to inflate messages.
type inflation struct {
	inflater ws.Inflater
	tick     loop.Time // which surplus is about
	surplus  int       // bytes that have been spent
}

// inflate is the message that ev carries compressed. It is valid until the next call.
func (d *driver) inflate(ev *ws.Event) ([]byte, error) {
	z, most := &d.inflation, d.cfg.Deflate.InflatedBytesMax
	if now := d.loop.Now(); z.tick != now {
		z.tick, z.surplus = now, 0
	}
	free := inflateFreeBytes + inflateFactor*len(ev.Payload)
	bound := min(most, free+max(surplusBytesMax, most)-z.surplus)
	msg, err := z.inflater.Inflate(ev.OpCode, ev.Payload, bound)
	z.surplus += max(z.inflater.Made()-free, 0)
	if e, ok := err.(*ws.Error); ok && e.Code == ws.CodeMessageTooBig && bound < most {
		return nil, errSurplus
	}
	return msg, err
}
