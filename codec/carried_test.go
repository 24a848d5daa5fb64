package codec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"stentor/codec/wire"
)

// carried makes a push of the kinds that brokers carry.
func (r random) carried() Push {
	var m Push
	m.Channel = texts[r.IntN(len(texts))]
	var v any
	switch r.IntN(3) {
	case 0:
		m.Pub = new(Publication)
		v = m.Pub
	case 1:
		m.Join = &Join{Info: new(ClientInfo)}
		v = m.Join.Info
	default:
		m.Leave = &Leave{Info: new(ClientInfo)}
		v = m.Leave.Info
	}
	r.fill(reflect.ValueOf(v).Elem(), 0)
	return m
}

// TestCarried holds what is carried against vtprotobuf, in both directions.
func TestCarried(t *testing.T) {
	random := newRandom(11)
	for range 2000 {
		want := random.carried()
		data := AppendCarried([]byte("before"), &want)
		data, ok := bytes.CutPrefix(data, []byte("before"))
		if !ok {
			t.Fatal("what was there before is gone")
		}
		var w wire.Push
		if err := w.UnmarshalVT(data); err != nil {
			t.Fatal(err)
		}
		generated, err := w.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		normalize(reflect.ValueOf(&want).Elem())
		for _, in := range [][]byte{data, generated} {
			var got Push
			if err := DecodeCarried(in, &got); err != nil {
				t.Fatal(err)
			}
			normalize(reflect.ValueOf(&got).Elem())
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("\n got %+v\nwant %+v", got, want)
			}
		}
	}
}

func TestCarriedMalformed(t *testing.T) {
	for _, in := range []string{
		"\x80", "\x00\x01", field(4, "\x80"), "\x22\x05\x22\x01", field(4, field(5, "\x08\x01")), field(5, "\x08\x01"),
		field(2, "\xff"), field(4, field(7, field(1, "\xff"))), field(5, field(1, field(2, "\xed\xa0\x80"))), `{"pub":{}}`,
		"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a",
	} {
		var m Push
		if err := DecodeCarried([]byte(in), &m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: error %v, got %+v", in, err, m)
		}
	}
}

// TestCarriedMerged: of equal fields the last one holds, messages are merged, and what is no publication, join or leave is left out.
func TestCarriedMerged(t *testing.T) {
	in := field(2, "a") + field(2, "b") + field(4, field(4, "x")+field(5, field(1, "u"))) + field(9, field(4, "y")) +
		field(4, field(5, field(2, "c"))+varint(6, 7)+varint(6, 8)+varint(13, 3)) + field(5, "") + field(6, field(1, field(1, "v"))+field(1, field(2, "w")))
	want := Push{
		Channel: "b",
		Pub:     &Publication{Data: []byte("x"), Info: &ClientInfo{User: "u", Client: "c"}, Offset: 8, Score: -2},
		Join:    &Join{},
		Leave:   &Leave{Info: &ClientInfo{User: "v", Client: "w"}},
	}
	var got Push
	if err := DecodeCarried([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestCarriedNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	buf := make([]byte, 0, 4096)
	info := &ClientInfo{User: "42", Client: "b1", ConnInfo: []byte(`{"name":"x"}`)}
	pub := Push{Channel: "chat", Pub: &Publication{Data: payload(100), Info: info, Tags: map[string]string{"a": "b"}}}
	join := Push{Channel: "chat", Join: &Join{Info: info}}
	noAllocations(t, "publication", func() { buf = AppendCarried(buf[:0], &pub) })
	noAllocations(t, "join", func() { buf = AppendCarried(buf[:0], &join) })
	plain := AppendCarried(nil, &Push{Channel: "chat", Pub: &Publication{Data: payload(100)}})
	var m Push
	if n := testing.AllocsPerRun(100, func() { _ = DecodeCarried(plain, &m) }); n != 1 {
		t.Errorf("%v allocations to read a publication, which should be the only one", n)
	}
}

// FuzzCarried holds the decoder against vtprotobuf, as FuzzProtobufCommand does.
func FuzzCarried(f *testing.F) {
	random := newRandom(12)
	for range 100 {
		m := random.carried()
		addSeed(f, AppendCarried(nil, &m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Push
		err := DecodeCarried(data, &m)
		var w wire.Push
		wantErr := w.UnmarshalVT(data)
		if err != nil {
			if wantErr == nil && len(w.GetPub().GetTags()) == 0 && proto.Unmarshal(data, new(wire.Push)) == nil {
				t.Fatalf("%v, but others take it", err)
			}
			return
		}
		if wantErr != nil {
			t.Skip() // in a kind of push that we leave out
		}
		want := fromPush(&wire.Push{Channel: w.Channel, Pub: w.Pub, Join: w.Join, Leave: w.Leave})
		normalize(reflect.ValueOf(&m).Elem())
		normalize(reflect.ValueOf(want).Elem())
		if !reflect.DeepEqual(m, *want) {
			t.Fatalf("\n got %+v\nwant %+v", m, want)
		}
	})
}
