package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"stentor/codec/wire"
)

// TestForms: the forms with bare pushes are the others with one bit more.
func TestForms(t *testing.T) {
	for f, want := range map[Form]struct {
		name     string
		encoding Form
		uni      bool
	}{
		JSON: {"json", JSON, false}, Protobuf: {"protobuf", Protobuf, false},
		UniJSON: {"uni_json", JSON, true}, UniProtobuf: {"uni_protobuf", Protobuf, true},
	} {
		if f.String() != want.name || f.Encoding() != want.encoding || f.Uni() != want.uni || f.Bare() != want.encoding.Bare() || !f.Bare().Uni() {
			t.Errorf("%v: encoding %v, uni %v, bare %v", f, f.Encoding(), f.Uni(), f.Bare())
		}
	}
}

// TestBarePush shows the bytes of some pushes.
func TestBarePush(t *testing.T) {
	for _, tt := range []struct {
		push     Push
		json     string
		protobuf string // without the length
	}{
		{Push{}, `{}`, ""},
		{
			Push{Channel: "c", Pub: &Publication{Data: []byte("1"), Offset: 2}}, `{"channel":"c","pub":{"data":1,"offset":2}}`,
			"\x12\x01c\x22\x05\x22\x011\x30\x02",
		},
		{
			Push{Channel: "c", Unsubscribe: &UnsubscribeInsufficient}, `{"channel":"c","unsubscribe":{"code":2500,"reason":"insufficient state"}}`,
			"\x12\x01c\x3a\x17\x10\xc4\x13\x1a\x12insufficient state",
		},
		{
			Push{Connect: (&ConnectResult{
				Client: "b1", Version: "0.1", Expires: true, TTL: 9, Data: []byte("0"), Subs: map[string]*SubscribeResult{"c": {}}, Ping: 25, Session: "s", Time: 1,
			}).Connect()},
			`{"connect":{"client":"b1","version":"0.1","data":0,"subs":{"c":{}},"expires":true,"ttl":9,"ping":25,"session":"s","time":1}}`,
			"\x52\x1e\x0a\x02b1\x12\x030.1\x1a\x010\x22\x05\x0a\x01c\x12\x00\x28\x01\x30\x09\x38\x19\x4a\x01s\x58\x01",
		},
		{
			Push{Disconnect: &DisconnectPush{Code: 3001, Reason: "shutdown"}}, `{"disconnect":{"code":3001,"reason":"shutdown"}}`,
			"\x5a\x0d\x08\xb9\x17\x12\x08shutdown",
		},
	} {
		for f, want := range map[Form]string{UniJSON: tt.json + "\n", UniProtobuf: string(delimited(tt.protobuf))} {
			if got, err := AppendPush([]byte("before"), f, &tt.push); err != nil || string(got) != "before"+want {
				t.Errorf("%v: error %v\n got %q\nwant %q", f, err, got[len("before"):], want)
			}
		}
	}
	for f := range Form(NumAllForms) {
		push, err := AppendPush(nil, f.Bare(), &Push{})
		if ping := AppendPing(nil, f.Bare()); err != nil || !bytes.Equal(ping, push) {
			t.Errorf("%v: the ping %q is no empty push %q", f.Bare(), ping, push)
		}
	}
	if got, err := AppendPush([]byte("before"), UniJSON, &Push{Pub: &Publication{Data: []byte("{")}}); !errors.Is(err, ErrNotJSON) || string(got) != "before" {
		t.Errorf("%q, error %v", got, err)
	}
}

// TestBareRoundTrip: bare pushes come back as they were, and are what is in the wrapped ones. In Protobuf the reader is the generated
// code.
func TestBareRoundTrip(t *testing.T) {
	random := newRandom(14)
	for range 1000 {
		var push Push
		random.fill(reflect.ValueOf(&push).Elem(), 0)
		normalize(reflect.ValueOf(&push))
		want := Reply{}
		want.carry(&push)
		for _, f := range []Form{UniJSON, UniProtobuf} {
			bare, err := AppendPush([]byte("before"), f, &push)
			if err != nil {
				t.Fatal(err)
			}
			bare = bare[len("before"):]
			checkReply(t, f, bare, &want)
			if f == UniProtobuf {
				checkWire(t, bare)
				continue
			}
			wrapped := fmt.Appendf(nil, `{"push":%s}`+"\n", bare[:len(bare)-1])
			checkReply(t, f.Encoding(), wrapped, &Reply{Push: &push})
		}
	}
}

// checkWire: vtprotobuf reads a bare push and needs no byte less.
func checkWire(t *testing.T, bare []byte) {
	t.Helper()
	_, n := uvarint(bare)
	var push wire.Push
	if err := push.UnmarshalVT(bare[n:]); err != nil || push.SizeVT() != len(bare)-n {
		t.Fatalf("%x: %d bytes, vtprotobuf takes %d, error %v", bare, len(bare)-n, push.SizeVT(), err)
	}
}

// FuzzBare: whatever can be read as a bare push can be written in all forms and read again.
func FuzzBare(f *testing.F) {
	random := newRandom(15)
	for range 50 {
		var push Push
		random.fill(reflect.ValueOf(&push).Elem(), 0)
		for _, form := range []Form{UniJSON, UniProtobuf} {
			data, err := AppendPush(nil, form, &push)
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
		if _, err := DecodeReply((Form(form) % NumForms).Bare(), data, &want); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		normalize(reflect.ValueOf(&want))
		push := want.Push
		if push == nil {
			push = &Push{}
		}
		for to := range Form(NumAllForms) {
			written, err := AppendPush(nil, to, push)
			switch {
			case errors.Is(err, ErrNotJSON) && to.Encoding() == JSON:
			case err != nil:
				t.Fatal(err)
			case to.Uni():
				checkReply(t, to, written, &want)
			default:
				checkReply(t, to, written, &Reply{Push: push})
			}
		}
	})
}
