package codec

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"stentor/codec/wire"
)

// TestStored holds what is stored against vtprotobuf, in both directions.
func TestStored(t *testing.T) {
	random := newRandom(13)
	for range 2000 {
		var want Publication
		random.fill(reflect.ValueOf(&want).Elem(), 0)
		data := AppendStoredPublication([]byte("x"), &want)[1:]
		var w wire.Publication
		if err := w.UnmarshalVT(data); err != nil {
			t.Fatal(err)
		}
		var got Publication
		if err := DecodeStoredPublication(data, &got); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*Publication{&want, &got} {
			normalize(reflect.ValueOf(m).Elem())
		}
		theirs := fromPublication(&w)
		normalize(reflect.ValueOf(theirs).Elem())
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(*theirs, want) {
			t.Fatalf("\n  got %+v\n want %+v\nothers %+v", got, want, theirs)
		}
	}
}

func TestStoredClientInfo(t *testing.T) {
	random := newRandom(14)
	for range 500 {
		var want ClientInfo
		random.fill(reflect.ValueOf(&want).Elem(), 0)
		data := AppendStoredClientInfo([]byte("x"), &want)[1:]
		var w wire.ClientInfo
		if err := w.UnmarshalVT(data); err != nil {
			t.Fatal(err)
		}
		var got ClientInfo
		if err := DecodeStoredClientInfo(data, &got); err != nil {
			t.Fatal(err)
		}
		theirs := fromClientInfo(&w)
		for _, m := range []*ClientInfo{&want, &got, theirs} {
			normalize(reflect.ValueOf(m).Elem())
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(*theirs, want) {
			t.Fatalf("\n  got %+v\n want %+v\nothers %+v", got, want, theirs)
		}
	}
}

func TestStoredMalformed(t *testing.T) {
	for _, in := range []string{"\x80", "\x00\x01", "\x22\x05x", field(5, "\x08\x01"), field(14, "\xff"), "__j__", `{"data":1}`, "\x0c"} {
		var m Publication
		if err := DecodeStoredPublication([]byte(in), &m); !errors.Is(err, ErrMalformed) {
			t.Errorf("publication %x: error %v, got %+v", in, err, m)
		}
		var info ClientInfo
		if err := DecodeStoredClientInfo([]byte(field(2, "\xff")+in), &info); !errors.Is(err, ErrMalformed) {
			t.Errorf("info %x: error %v, got %+v", in, err, info)
		}
	}
}

func TestStoredNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	buf := make([]byte, 0, 4096)
	pub := Publication{Data: payload(100), Info: &ClientInfo{User: "42"}, Tags: map[string]string{"a": "b"}}
	noAllocations(t, "writing", func() { buf = AppendStoredPublication(buf[:0], &pub) })
	plain := AppendStoredPublication(nil, &Publication{Data: payload(100), Time: 7})
	var m Publication
	noAllocations(t, "reading", func() { _ = DecodeStoredPublication(plain, &m) })
}

// FuzzStoredPublication holds the decoder against vtprotobuf, as FuzzProtobufCommand does.
func FuzzStoredPublication(f *testing.F) {
	random := newRandom(15)
	for range 100 {
		var m Publication
		random.fill(reflect.ValueOf(&m).Elem(), 0)
		addSeed(f, AppendStoredPublication(nil, &m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Publication
		err := DecodeStoredPublication(data, &m)
		var w wire.Publication
		wantErr := w.UnmarshalVT(data)
		if err != nil {
			if wantErr == nil && len(w.Tags) == 0 && proto.Unmarshal(data, new(wire.Publication)) == nil {
				t.Fatalf("%v, but others take it", err)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("no error, but vtprotobuf says %v", wantErr)
		}
		want := fromPublication(&w)
		normalize(reflect.ValueOf(&m).Elem())
		normalize(reflect.ValueOf(want).Elem())
		if !reflect.DeepEqual(m, *want) {
			t.Fatalf("\n got %+v\nwant %+v", m, want)
		}
	})
}
