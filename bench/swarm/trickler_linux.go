package swarm

import (
	"time"

	"stentor/bench/measure"
	"stentor/codec"
	"stentor/codec/ws"
)

// slowFrameBytes is the payload that a slow frame announces: below the usual limit of 64 KiB, and never reached.
const slowFrameBytes = 60000

// tricklers send one byte per TricklePause each, evenly spread over it.
type tricklers struct {
	talker
	script []byte           // what every client says, then padding without end
	whole  int              // so much of it at once: the head in front of a slow body, as the one for an upgrade
	plan   measure.Schedule // of bytes in the whole group
	next   int64
	at     []int32 // how many bytes of the script each client has sent
}

func newTricklers(g *group) *tricklers {
	t := &tricklers{talker: talker{g}, at: make([]int32, g.cfg.Count)}
	pause := max(g.cfg.TricklePause, time.Millisecond)
	t.plan = measure.Schedule{Start: g.swarm.now(), Period: max(pause/time.Duration(g.cfg.Count), time.Microsecond)}
	if g.cfg.Role == SlowHead {
		head := g.words.head
		if g.streams != nil {
			head = append(g.words.appendHead(nil, "POST", g.cfg.Path), "\r\n"...)
		}
		t.script = append(head[:len(head)-2:len(head)-2], "X-Slow: "...) // a header line in place of the empty one that ends a head
		return t
	}
	const begin = `{"id":1,"connect":{"name":"`
	if g.streams != nil { // the body of a request in place of a ws frame
		t.script = g.words.appendPost(nil, g.cfg.Path, slowFrameBytes)
		t.whole = len(t.script)
		t.script = append(t.script, begin...)
		return t
	}
	// A ws frame whose payload comes for hours. The mask is zero, so that padding is what the server sees.
	body := append([]byte(begin), make([]byte, slowFrameBytes-len(begin))...)
	frame := ws.AppendClientFrame(nil, ws.OpText, true, [4]byte{}, body)
	t.script = frame[:len(frame)-len(body)+len(begin)]
	return t
}

func (t *tricklers) connected(i int32) state {
	t.at[i] = 0
	switch {
	case t.cfg.Role == SlowHead:
		return stateDraining
	case t.streams != nil:
		t.write(i, t.script[:t.whole])
		t.at[i] = int32(t.whole)
		return stateDraining
	}
	return t.talker.connected(i)
}

func (t *tricklers) upgraded(int32) state { return stateLive }

func (t *tricklers) reply(int32, uint32, *codec.Reply) {}

func (t *tricklers) turn(now int64) int64 {
	for t.plan.Due(t.next) <= now {
		i := int32(t.next % int64(len(t.at)))
		t.next++
		if t.conns[i].state.live() {
			t.trickle(i)
		}
	}
	return t.plan.Due(t.next)
}

// trickle sends client i's next byte.
func (t *tricklers) trickle(i int32) {
	one := [1]byte{'x'}
	if at := int(t.at[i]); at < len(t.script) {
		one[0] = t.script[at]
	}
	t.at[i]++
	t.write(i, one[:])
}
