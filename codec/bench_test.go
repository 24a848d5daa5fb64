package codec

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bytedance/sonic"

	"stentor/codec/wire"
)

// What clients send and get all day, as centrifuge-js writes it.
var (
	subscribeJSON   = []byte(`{"id":2,"subscribe":{"channel":"chat:room-42","recover":true,"epoch":"xyzz","offset":17}}`)
	publishJSON     = []byte(`{"id":17,"publish":{"channel":"chat:room-42","data":{"text":"hello, world","n":12345,"tags":["a","b"],"nested":{"ok":true,"x":null}}}}`)
	unsubscribeJSON = []byte(`{"id":3,"unsubscribe":{"channel":"chat:room-42"}}`)
	pongJSON        = []byte(`{}`)
)

// payload is valid JSON of n bytes.
func payload(n int) []byte {
	const text = `{"text":"hello, world","n":12345,"tags":["a","b"],"nested":{"ok":true,"x":null},"rest":""}`
	return []byte(text[:len(text)-2] + strings.Repeat("x", max(0, n-len(text))) + text[len(text)-2:])
}

func protobufOf(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var c Command
	if _, err := DecodeCommand(JSON, data, &c); err != nil {
		tb.Fatal(err)
	}
	out, err := AppendCommand(nil, Protobuf, &c)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func BenchmarkDecodeCommand(b *testing.B) {
	for _, in := range []struct {
		name string
		data []byte
	}{
		{"subscribe", subscribeJSON}, {"publish", publishJSON}, {"unsubscribe", unsubscribeJSON}, {"pong", pongJSON},
	} {
		b.Run("json/"+in.name, func(b *testing.B) { benchmarkDecode(b, JSON, in.data) })
		b.Run("protobuf/"+in.name, func(b *testing.B) { benchmarkDecode(b, Protobuf, protobufOf(b, in.data)) })
		b.Run("sonic/"+in.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var c wantCommand
				if err := sonic.Unmarshal(in.data, &c); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("vtprotobuf/"+in.name, func(b *testing.B) {
			data := protobufOf(b, in.data)[1:]
			b.ReportAllocs()
			for b.Loop() {
				var c wire.Command
				if err := c.UnmarshalVT(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkDecode(b *testing.B, f Form, data []byte) {
	var c Command
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeCommand(f, data, &c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPublication(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"100B", 100}, {"4KiB", 4096}} {
		p := &Publication{Offset: 1234, Data: payload(size.n)}
		for _, f := range []Form{JSON, Protobuf} {
			b.Run(f.String()+"/"+size.name, func(b *testing.B) {
				buf := make([]byte, 0, 8192)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := AppendPublication(buf, f, "chat:room-42", p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run("sonic/"+size.name, func(b *testing.B) {
			m := map[string]any{"push": wantPush{Channel: "chat:room-42", Pub: &wantPublication{Offset: 1234, Data: p.Data}}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sonic.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("vtprotobuf/"+size.name, func(b *testing.B) {
			m := &wire.Reply{Push: &wire.Push{Channel: "chat:room-42", Pub: &wire.Publication{Offset: 1234, Data: p.Data}}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.MarshalVT(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type wantPush struct {
	Channel string           `json:"channel,omitempty"`
	Pub     *wantPublication `json:"pub,omitempty"`
}

type wantPublication struct {
	Data   json.RawMessage `json:"data,omitempty"`
	Offset uint64          `json:"offset,omitempty"`
}

func BenchmarkAppendReply(b *testing.B) {
	replies := []struct {
		name string
		r    *Reply
	}{
		{"publish", &Reply{ID: 7, Publish: &PublishResult{}}},
		{"subscribe", &Reply{ID: 7, Subscribe: &SubscribeResult{Recoverable: true, Epoch: "xyzz", Offset: 17, Positioned: true}}},
		{"error", &Reply{ID: 7, Error: ErrorPermissionDenied}},
	}
	for _, f := range []Form{JSON, Protobuf} {
		for _, in := range replies {
			b.Run(f.String()+"/"+in.name, func(b *testing.B) {
				buf := make([]byte, 0, 1024)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := AppendReply(buf, f, in.r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkValidJSON(b *testing.B) {
	for _, n := range []int{100, 4096} {
		data := payload(n)
		flat := []byte("[" + strings.Repeat(`{"id":123,"name":"abc","tags":["x","y"],"v":1.5},`, n/50) + "0]")
		for _, in := range []struct {
			name string
			data []byte
		}{{"long", data}, {"dense", flat}} {
			for _, check := range []struct {
				name string
				f    func([]byte) bool
			}{{"ours", func(b []byte) bool { ok, _ := validJSON(b); return ok }}, {"sonic", sonic.Valid}, {"std", json.Valid}} {
				b.Run(fmt.Sprintf("%s-%d/%s", in.name, n, check.name), func(b *testing.B) {
					b.SetBytes(int64(len(in.data)))
					b.ReportAllocs()
					for b.Loop() {
						if !check.f(in.data) {
							b.Fatal("not valid")
						}
					}
				})
			}
		}
	}
}
