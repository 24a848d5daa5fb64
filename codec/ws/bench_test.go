package ws

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func BenchmarkParseHeader(b *testing.B) {
	in := appendHeader(nil, OpText, true, maskBit, 300)
	in = append(in, testMask[:]...)
	for b.Loop() {
		h, _, ok, _ := ParseHeader(in)
		if !ok || h.Check(FromClient, 65536) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	dst := make([]byte, 0, ServerHeaderBytesMax)
	for b.Loop() {
		dst = AppendHeader(dst[:0], OpText, true, 300)
	}
}

func BenchmarkPutHeader(b *testing.B) {
	room := make([]byte, ServerHeaderBytesMax)
	for b.Loop() {
		PutHeader(room, OpText, 300)
	}
}

// BenchmarkReader reads one message of text. Its mask is zero, so that the frame, which
// is unmasked in place, can be read again; the work is the same.
func BenchmarkReader(b *testing.B) {
	for _, n := range []int{60, 1024, 65536} {
		frame := AppendClientFrame(nil, OpText, true, [4]byte{}, []byte(strings.Repeat("x", n)))
		b.Run(fmt.Sprintf("text%d", n), func(b *testing.B) { benchmarkReader(b, frame) })
	}
	var cut []byte
	for i := range 64 {
		op := OpContinuation
		if i == 0 {
			op = OpText
		}
		cut = AppendClientFrame(cut, op, i == 63, [4]byte{}, bytes.Repeat([]byte{'x'}, 16))
	}
	b.Run("text1024in64fragments", func(b *testing.B) { benchmarkReader(b, cut) })
}

func benchmarkReader(b *testing.B, stream []byte) {
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	var r Reader
	for b.Loop() {
		ev, consumed, _, err := r.Next(stream, 65536)
		if ev.Kind != EventMessage || consumed != len(stream) || err != nil {
			b.Fatal(ev.Kind, consumed, err)
		}
	}
	r.Release()
}

func BenchmarkUnmask(b *testing.B) {
	p := make([]byte, 1024)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		Unmask(p, testMask, 0)
	}
}

func BenchmarkUTF8(b *testing.B) {
	p := bytes.Repeat([]byte("text with an ö and a € here, "), 32)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		var u UTF8
		if !u.Write(p) || !u.Complete() {
			b.Fatal("refused")
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	supported := []string{"centrifuge-json", "centrifuge-protobuf"}
	r := soundRequest()
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Check(); err != nil {
			b.Fatal(err)
		}
		protocol, _ := Choose("centrifuge-protobuf", supported)
		dst = AppendUpgradeResponse(dst[:0], r.Key, protocol, "")
	}
}
