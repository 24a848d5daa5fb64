package codec

import (
	"errors"
	"reflect"
	"testing"

	"stentor/codec/wire"
)

// TestReplyRoundTrip takes random replies through both forms. In Protobuf the reader is the generated code, so that this
// also holds the hand-written writer against vtprotobuf.
func TestReplyRoundTrip(t *testing.T) {
	random := newRandom(4)
	for range 1000 {
		want := random.reply()
		normalize(reflect.ValueOf(&want))
		for _, f := range []Form{JSON, Protobuf} {
			data, err := AppendReply([]byte("before"), f, &want)
			if err != nil {
				t.Fatal(err)
			}
			checkReply(t, f, data[len("before"):], &want)
		}
	}
}

// TestCommandRoundTrip does likewise for commands, where the Protobuf writer is the generated code.
func TestCommandRoundTrip(t *testing.T) {
	random := newRandom(5)
	var got Command
	for range 1000 {
		want := random.command()
		normalize(reflect.ValueOf(&want))
		for _, f := range []Form{JSON, Protobuf} {
			data, err := AppendCommand(nil, f, &want)
			if err != nil {
				t.Fatal(err)
			}
			if rest, err := DecodeCommand(f, data, &got); err != nil || len(rest) > 0 {
				t.Fatalf("%v %s: rest %q, error %v", f, data, rest, err)
			}
			got.found = 0
			normalize(reflect.ValueOf(&got))
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%v %q\n got %s\nwant %s", f, data, show(got), show(want))
			}
			got.found = 1<<MethodUnknown - 1
		}
	}
}

func checkReply(t *testing.T, f Form, data []byte, want *Reply) {
	t.Helper()
	var got Reply
	rest, err := DecodeReply(f, data, &got)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v %q: rest %q, error %v", f, data, rest, err)
	}
	normalize(reflect.ValueOf(&got))
	if !reflect.DeepEqual(&got, want) {
		t.Fatalf("%v %q\n got %s\nwant %s", f, data, show(got), show(want))
	}
	if f == Protobuf { // no byte more than vtprotobuf needs
		_, n := uvarint(data)
		var reply wire.Reply
		if err := reply.UnmarshalVT(data[n:]); err != nil || reply.SizeVT() != len(data)-n {
			t.Fatalf("%x: %d bytes, vtprotobuf takes %d, error %v", data, len(data)-n, reply.SizeVT(), err)
		}
	}
}

// FuzzReply reads replies in each form and takes what it got through the other form and back.
func FuzzReply(f *testing.F) {
	random := newRandom(6)
	for range 50 {
		r := random.reply()
		for _, form := range []Form{JSON, Protobuf} {
			data, err := AppendReply(nil, form, &r)
			if err != nil {
				f.Fatal(err)
			}
			if len(data) < seedMax {
				f.Add(uint8(form), data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, form uint8, data []byte) {
		var want Reply
		if _, err := DecodeReply(Form(form%NumForms), data, &want); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		normalize(reflect.ValueOf(&want))
		for _, to := range []Form{JSON, Protobuf} {
			data, err := AppendReply(nil, to, &want)
			if errors.Is(err, ErrNotJSON) && to == JSON {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			checkReply(t, to, data, &want)
		}
	})
}
