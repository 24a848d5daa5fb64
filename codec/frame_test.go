package codec

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"stentor/codec/ws"
)

func TestFrame(t *testing.T) {
	for _, f := range []Form{JSON, Protobuf} {
		for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 65537} {
			message := strings.Repeat("m", size)
			payload := message
			if f == JSON && size > 0 {
				message += "\n"
			}
			frame := NewFrame(f, append(make([]byte, HeaderRoom), message...))
			if frame.Form() != f || string(frame.Messages()) != message {
				t.Fatalf("%v: form %v, messages %.20q", f, frame.Form(), frame.Messages())
			}
			checkFrame(t, frame, payload)
		}
	}
}

func TestJoinFrames(t *testing.T) {
	for f, want := range map[Form]string{JSON: "{}\n{\"id\":1,\"publish\":{}}\n{}", Protobuf: "\x00\x04\x08\x01\x42\x00\x00"} {
		ping := NewFrame(f, AppendPing(make([]byte, HeaderRoom), f))
		reply, err := AppendReply(make([]byte, HeaderRoom), f, &Reply{ID: 1, Publish: &PublishResult{}})
		if err != nil {
			t.Fatal(err)
		}
		checkFrame(t, JoinFrames([]*Frame{ping, NewFrame(f, reply), ping}), want)
		if JoinFrames([]*Frame{ping}) != ping {
			t.Errorf("%v: one frame alone was copied", f)
		}
	}
}

// TestCount: joins and leaves in a frame are counted apart from publications, however often it was joined.
func TestCount(t *testing.T) {
	push := func(k Kind, p Push) *Frame {
		buf, err := AppendPush(make([]byte, HeaderRoom), JSON, &p)
		if err != nil {
			t.Fatal(err)
		}
		return NewKindFrame(JSON, k, buf)
	}
	info := &ClientInfo{Client: "c"}
	join, leave := push(Joins, Push{Channel: "x", Join: &Join{Info: info}}), push(Leaves, Push{Channel: "x", Leave: &Leave{Info: info}})
	pub := push(Publications, Push{Channel: "x", Pub: &Publication{Data: []byte("1")}})
	if pub.Mixed() || !join.Mixed() || !leave.Mixed() {
		t.Error("Mixed does not tell publications from others")
	}
	all := JoinFrames([]*Frame{JoinFrames([]*Frame{join, pub, join}), leave, pub})
	for k, want := range map[Kind]struct{ frames, bytes int }{
		Joins:        {2, 2 * len(join.Messages())},
		Leaves:       {1, len(leave.Messages())},
		Publications: {2, 2 * len(pub.Messages())},
	} {
		if frames, bytes := all.Count(k); frames != want.frames || bytes != want.bytes {
			t.Errorf("kind %d: %d frames of %d bytes, want %+v", k, frames, bytes, want)
		}
	}
	if !all.Mixed() || all.Joined() != 5 {
		t.Errorf("mixed %t, joined %d", all.Mixed(), all.Joined())
	}
}

// TestFrameSize: one is made for each publication and form. 64 is a size class of the allocator.
func TestFrameSize(t *testing.T) {
	if n := unsafe.Sizeof(Frame{}); n > 64 {
		t.Errorf("a Frame has %d bytes", n)
	}
}

// TestDeflated: one encoding for all who ask, on any loop, and joined frames as a whole.
func TestDeflated(t *testing.T) {
	for _, f := range []Form{JSON, Protobuf} {
		push, err := AppendPublication(make([]byte, HeaderRoom), f, "news", &Publication{Data: []byte(`"` + strings.Repeat("news ", 50) + `"`)})
		if err != nil {
			t.Fatal(err)
		}
		one := NewFrame(f, push)
		joined := JoinFrames([]*Frame{one, one, one})
		found := make([][]byte, 4)
		var all sync.WaitGroup
		for i := range found {
			all.Go(func() { found[i] = joined.Deflated(ws.NewDeflater(1, 0)) })
		}
		all.Wait()
		for _, b := range found {
			if &b[0] != &found[0][0] {
				t.Errorf("%v: compressed more than once", f)
			}
		}
		h, n, _, err := ws.ParseHeader(found[0])
		if err != nil || h.OpCode != f.opCode() || !h.Fin || int(h.Length) != len(found[0])-n {
			t.Fatalf("%v: header %+v, %v", f, h, err)
		}
		var z ws.Inflater
		got, err := z.Inflate(h.OpCode, found[0][n:], 1<<20)
		checkFrame(t, joined, string(got))
		if err != nil || len(found[0]) >= len(one.WebSocket()) {
			t.Errorf("%v: %d bytes, %v", f, len(found[0]), err)
		}
		if short := one.Deflated(ws.NewDeflater(1, 1<<20)); &short[0] != &one.WebSocket()[0] {
			t.Errorf("%v: a frame below the smallest is not plain", f)
		}
	}
}

func checkFrame(t *testing.T, frame *Frame, payload string) {
	t.Helper()
	b := frame.WebSocket()
	h, n, ok, err := ws.ParseHeader(b)
	if err != nil || !ok {
		t.Fatalf("header of %.20q: ok %v, error %v", b, ok, err)
	}
	want := ws.OpText
	if frame.Form() == Protobuf {
		want = ws.OpBinary
	}
	if !h.Fin || h.Masked || h.Rsv != 0 || h.OpCode != want || h.Length != int64(len(payload)) || !bytes.Equal(b[n:], []byte(payload)) {
		t.Errorf("%v: header %+v, payload %.40q, want %.40q", frame.Form(), h, b[n:], payload)
	}
}
