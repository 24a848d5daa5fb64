package reactor

import (
	"time"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// Compressed messages cost work that their senders do not pay for in bytes. What a message becomes is free up to inflateFactor
// times its own size, which ordinary text seldom passes, and inflateFreeBytes. What goes beyond is surplus, of which all conns of a
// loop together have surplusBytesMax for each tick (loop.TickPeriod, 100 ms), or as much as one message may become, if that is
// more: a few hundredths of the loop's time. It runs out only where many bombs meet; the conn that sent the one too many is
// closed, and nobody who sends ordinary messages feels it.
//
// A message can also be made of nothing but tables, which take hundreds of times longer to read than text of that size: some 100 ns
// a byte. So the time beyond inflateFreeTime counts as well, and has surplusTimeMax for each tick; but no more of it than tables of
// that size might take, or a machine that pauses in the middle of a short message would end an honest client.
const (
	inflateFactor    = 16
	inflateFreeBytes = 4 << 10
	surplusBytesMax  = 1 << 20

	inflateFreeTime = time.Millisecond
	inflateByteTime = 300 * time.Nanosecond
	surplusTimeMax  = 20 * time.Millisecond
)

// errSurplus is for the message that is one bomb too many.
var errSurplus = &ws.Error{Code: ws.CodePolicyViolation, Reason: "too much compressed data at once"}

// inflation is what the conns of a loop share to inflate messages.
type inflation struct {
	inflater ws.Inflater

	// What has been spent in this tick.
	tick  loop.Time
	bytes int
	time  time.Duration
}

// inflate is the message that ev carries compressed. It is valid until the next call.
func (d *driver) inflate(ev *ws.Event) ([]byte, error) {
	z, most := &d.inflation, d.cfg.Deflate.InflatedBytesMax
	if now := d.loop.Now(); z.tick != now {
		z.tick, z.bytes, z.time = now, 0, 0
	}
	free := inflateFreeBytes + inflateFactor*len(ev.Payload)
	bound := min(most, free+max(surplusBytesMax, most)-z.bytes)
	_, start := d.reactor.clock.Read()
	msg, err := z.inflater.Inflate(ev.OpCode, ev.Payload, bound)
	_, end := d.reactor.clock.Read()
	z.bytes += max(z.inflater.Made()-free, 0)
	spent, over := z.time, surplusTime(end-start, len(ev.Payload))
	z.time += over

	// One message alone never ends its conn for this: the machine may have paused in the middle of it.
	if over > 0 && spent > surplusTimeMax {
		return nil, errSurplus
	}
	if e, ok := err.(*ws.Error); ok && e.Code == ws.CodeMessageTooBig && bound < most {
		return nil, errSurplus
	}
	return msg, err
}

// surplusTime is what counts of the time that a message of size bytes took.
func surplusTime(took time.Duration, size int) time.Duration {
	return max(min(took, time.Duration(size)*inflateByteTime)-inflateFreeTime, 0)
}
