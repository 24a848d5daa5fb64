package codec

import (
	"errors"
	"math/bits"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"stentor/codec/wire"
)

// delimited puts the length before a message.
func delimited(message string) []byte {
	return protowire.AppendString(nil, message)
}

// field is a field that is a string, bytes or a message.
func field(number protowire.Number, value string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value))
}

// varint is a field that is an integer.
func varint(number protowire.Number, value uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value))
}

func TestDecodeCommandProtobuf(t *testing.T) {
	const group, groupEnd, fixed32, fixed64 = "\xfb\x01", "\xfc\x01", "\xfd\x01", "\xf9\x01" // tags of field 31
	tests := []struct {
		in   string
		want Command
	}{
		{"", Command{}},
		{"\x08\x00", Command{}},
		{"\x08\x01", Command{ID: 1, Method: MethodUnknown}},
		{"\x08\x07\x2a\x06\x0a\x04chat", Command{ID: 7, Method: MethodSubscribe, Subscribe: SubscribeRequest{Channel: "chat"}}},
		{"\x5a\x00\x08\x01", Command{ID: 1, Method: MethodPing}},
		{"\x5a\x03\x0a\x01x", Command{Method: MethodPing}},
		{ // unknown fields of every wire type
			fixed32 + "1234" + fixed64 + "12345678" + field(99, "x") + varint(98, 1<<63) + group + field(7, "x") + group +
				groupEnd + fixed32 + "1234" + groupEnd + varint(1, 7) + field(6, field(1, "c")+field(2, "x")),
			Command{ID: 7, Method: MethodUnsubscribe, Unsubscribe: UnsubscribeRequest{"c"}},
		},
		{ // integers lose their upper bits
			varint(1, 1<<32+5) + field(5, varint(18, 1<<64-2)+varint(15, 1<<40+3)+varint(14, 1<<64-1)+varint(3, 256)+varint(7, 1<<64-1)),
			Command{ID: 5, Method: MethodSubscribe, Subscribe: SubscribeRequest{Limit: -2, Type: 3, Flag: -1, Recover: true, Offset: 1<<64 - 1}},
		},
		{ // the last of equal fields, messages merged, the first method of the protocol's order
			varint(1, 1) + varint(1, 2) + field(13, field(2, "m")) + field(7, field(1, "a")+field(4, "k")) + field(7, field(1, "b")+field(2, "x")),
			Command{ID: 2, Method: MethodPublish, Publish: PublishRequest{Channel: "b", Key: "k", Data: []byte("x")}, RPC: RPCRequest{Method: "m"}},
		},
		{ // maps: an entry without a value, without a key, twice
			field(4, field(3, field(1, "a"))+field(3, "")+field(6, field(2, "v"))+field(6, field(1, "x")+field(2, "1"))+field(6, field(1, "x")+field(3, "2"))),
			Command{Method: MethodConnect, Connect: ConnectRequest{
				Subs: map[string]*SubscribeRequest{"a": {}, "": {}}, Headers: map[string]string{"": "v", "x": ""},
			}},
		},
		{ // lists
			field(15, field(4, field(1, "s")+field(2, field(1, "k")+varint(2, 3))+field(2, ""))+field(5, "u")+field(5, "")),
			Command{Method: MethodSubRefresh, SubRefresh: SubRefreshRequest{
				Untrack: []string{"u", ""}, Track: []*TrackBatch{{Signature: "s", Items: []*KeyedItem{{"k", 3}, {}}}},
			}},
		},
		{
			field(10, field(1, "c")+varint(7, 3)+field(8, varint(1, 5))+field(8, field(2, "e"))+varint(9, 1)),
			Command{Method: MethodHistory, History: HistoryRequest{Channel: "c", Limit: 3, Since: &StreamPosition{5, "e"}, Reverse: true}},
		},
	}
	c := &Command{}
	for _, tt := range tests {
		rest, err := DecodeCommand(Protobuf, append(delimited(tt.in), "rest"...), c)
		if err != nil || string(rest) != "rest" {
			t.Errorf("%x\nrest %q, error %v", tt.in, rest, err)
			continue
		}
		got := *c
		got.found = 0
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%x\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
}

func TestDecodeCommandProtobufMalformed(t *testing.T) {
	const tooLong = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" // 65 bits
	var c Command
	for _, in := range []string{
		"\x80",                         // a length that does not end
		strings.Repeat("\x80", 20),     // nor this
		tooLong,                        //
		"\x03\x08\x01",                 // one byte too few
		"\xff\xff\xff\xff\x0f\x08\x01", // 4 GiB announced
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // 2^64-1 bytes announced
		`{"id":1}`, // the other form
	} {
		if _, err := DecodeCommand(Protobuf, []byte(in), &c); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: error %v", in, err)
		}
	}
	for _, in := range []string{
		"\x08", "\x08\x80", "\x08" + tooLong, // truncated and overlong varints
		"\x00\x01", "\x80\x80\x80\x80\x10\x01", // field numbers 0 and 2^29
		"\x0d1234", "\x09" + "12345678", "\x0a\x01x", "\x0b\x0c", // id with other wire types
		"\x28\x01", "\x2d1234", // a message that is none
		"\x2a\x05\x0a\x01c", "\x2a\x03\x0a\x02c", "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a", // lengths beyond the end
		"\x2a\x02\x08\x01", "\x2a\x02\x12", "\x2a\x02\x1a\x00", // subscribe: channel as varint, cut token, recover as bytes
		field(5, field(1, "\xff")), field(5, field(1, "a\xed\xa0\x80")), // strings that are not UTF-8
		field(4, field(6, field(1, "\xff"))), field(5, field(13, field(5, "\xff"))),
		"\xfe\x01", "\xff\x01", // wire types 6 and 7
		"\xfc\x01", "\xfb\x01", "\xfb\x01\xfb\x01\xfc\x01", // a group end alone, groups without end
		"\xfd\x01123", "\xf9\x011234567", "\xfa\x01\x02x", // unknown fields cut short
		strings.Repeat("\xfb\x01", 30000), // deep, but no recursion
	} {
		if _, err := DecodeCommand(Protobuf, delimited(in), &c); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40x: error %v", in, err)
		}
	}
}

func TestDecodeCommandProtobufDepth(t *testing.T) {
	var c Command
	for depth, ok := range map[int]bool{FilterDepthMax: true, FilterDepthMax + 1: false, 5000: false} {
		node := ""
		for range depth - 1 {
			node = field(6, node)
		}
		if _, err := DecodeCommand(Protobuf, delimited(field(5, field(13, node))), &c); (err == nil) != ok {
			t.Errorf("depth %d: error %v", depth, err)
		}
	}
}

// FuzzProtobufCommand holds the hand-written decoder against vtprotobuf, which lets more pass: broken UTF-8, varints of
// more than 64 bits, and any wire type for the key and the value of a map entry. What we refuse, it or Go's protobuf must
// refuse, too, except in map entries.
func FuzzProtobufCommand(f *testing.F) {
	random := newRandom(3)
	for range 100 {
		c := random.command()
		in, err := AppendCommand(nil, Protobuf, &c)
		if err != nil {
			f.Fatal(err)
		}
		_, n := uvarint(in)
		addSeed(f, in[n:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Command
		for rest, err := DecodeCommand(Protobuf, append(data, 0), &c); err == nil && len(rest) > 0; {
			rest, err = DecodeCommand(Protobuf, rest, &c) // as a stream of commands; no panic is all that can be said
		}
		_, err := DecodeCommand(Protobuf, delimited(string(data)), &c)
		var want, strict wire.Command
		wantErr := want.UnmarshalVT(data)
		if err != nil {
			entries := len(want.GetConnect().GetSubs()) + len(want.GetConnect().GetHeaders())
			if wantErr == nil && entries == 0 && proto.Unmarshal(data, &strict) == nil && filterDepth(&strict) <= FilterDepthMax {
				t.Fatalf("%v, but others take it", err)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("no error, but vtprotobuf says %v", wantErr)
		}
		clean(want.ProtoReflect())
		if got := wireOf(&c); !proto.Equal(got, &want) {
			t.Fatalf("\n got %v\nwant %v", got, &want)
		}
	})
}

// filterDepth is how deep the deepest filter of c is nested.
func filterDepth(c *wire.Command) int {
	depth := nodeDepth(c.GetSubscribe().GetTf())
	for _, s := range c.GetConnect().GetSubs() {
		depth = max(depth, nodeDepth(s.GetTf()))
	}
	return depth
}

func nodeDepth(n *wire.FilterNode) int {
	if n == nil {
		return 0
	}
	depth := 0
	for _, child := range n.Nodes {
		depth = max(depth, nodeDepth(child))
	}
	return depth + 1
}

// wireOf is toCommand of all requests that were decoded.
func wireOf(c *Command) *wire.Command {
	all := &wire.Command{Id: c.ID}
	one := *c
	for found := c.found; found != 0; found &= found - 1 {
		one.Method = Method(bits.TrailingZeros16(found))
		proto.Merge(all, toCommand(&one))
	}
	return all
}

// clean removes unknown fields and makes map entries without a value empty ones.
func clean(m protoreflect.Message) {
	m.SetUnknown(nil)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			entries := v.Map()
			entries.Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
				if !e.Message().IsValid() {
					entries.Set(k, entries.NewValue())
				} else {
					clean(e.Message())
				}
				return true
			})
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				clean(v.List().Get(i).Message())
			}
		case !fd.IsMap() && fd.Message() != nil:
			clean(v.Message())
		}
		return true
	})
}
