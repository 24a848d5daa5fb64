package codec

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"stentor/codec/wire"
)

// TestConnectRequest shows what may be around a connect request, and what may not.
func TestConnectRequest(t *testing.T) {
	full := ConnectRequest{
		Token: "t", Data: []byte(`{"a":1}`), Name: "js", Version: "1", Headers: map[string]string{"x": "y"}, Flag: 1,
		Subs: map[string]*SubscribeRequest{"c": {Recover: true, Offset: 5, Epoch: "e"}},
	}
	const pretty = " {\n  \"token\": \"t\",\n  \"data\": {\"a\":1},\n  \"name\": \"js\", \"version\": \"1\", \"headers\": {\"x\": \"y\"}, \"flag\": 1,\n" +
		"\t\"subs\": {\n\"c\": {\"recover\": true, \"offset\": 5, \"epoch\": \"e\"}}, \"other\": [1,\n{}]\r\n}\r\n\n"
	for _, tt := range []struct {
		in   string
		want *ConnectRequest // nil: malformed
	}{
		{"{}", &ConnectRequest{}}, {"\n{} \n", &ConnectRequest{}}, {pretty, &full},
		{"", nil}, {" \n", nil}, {"{}{}", nil}, {"{}\n{}", nil}, {"{", nil}, {"[]", nil}, {`"x"`, nil}, {`{"token":1}`, nil}, {`{"data":{]}`, nil}, {"{}\x00", nil},
		{`{"subs":{"c":{"tf":` + nested(FilterDepthMax, `{"nodes":[`, "{}", "]}") + `}}}`, nil},
	} {
		got := ConnectRequest{Token: "of another one"}
		err := DecodeConnectRequest(UniJSON, []byte(tt.in), &got)
		if tt.want == nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%.60q: error %v", tt.in, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(&got, tt.want) {
			t.Errorf("%.60q: error %v\n got %+v\nwant %+v", tt.in, err, got, tt.want)
		}
	}
	for in, want := range map[string]*ConnectRequest{
		"": {}, "\x0a\x01t\x22\x02js": {Token: "t", Name: "js"}, "\x0a\x02t": nil, "\x0a": nil, "\xff": nil,
	} {
		var got ConnectRequest
		err := DecodeConnectRequest(UniProtobuf, []byte(in), &got)
		if want == nil && !errors.Is(err, ErrMalformed) || want != nil && (err != nil || !reflect.DeepEqual(&got, want)) {
			t.Errorf("%q: error %v, got %+v", in, err, got)
		}
	}
}

func TestConnectRequestRoundTrip(t *testing.T) {
	random := newRandom(16)
	for range 1000 {
		var want, got ConnectRequest
		random.fill(reflect.ValueOf(&want).Elem(), 0)
		normalize(reflect.ValueOf(&want))
		for f := range Form(NumAllForms) {
			data, err := AppendConnectRequest(nil, f, &want)
			if err != nil {
				t.Fatal(err)
			}
			if err := DecodeConnectRequest(f, data, &got); err != nil {
				t.Fatalf("%v %q: %v", f, data, err)
			}
			if normalize(reflect.ValueOf(&got)); !reflect.DeepEqual(got, want) {
				t.Fatalf("%v %q\n got %s\nwant %s", f, data, show(got), show(want))
			}
		}
	}
	if got, err := AppendConnectRequest([]byte("before"), JSON, &ConnectRequest{Data: []byte("{")}); !errors.Is(err, ErrNotJSON) || string(got) != "before" {
		t.Errorf("%q, error %v", got, err)
	}
}

// FuzzConnectRequest holds the decoders against encoding/json and against vtprotobuf.
func FuzzConnectRequest(f *testing.F) {
	random := newRandom(17)
	for range 50 {
		var m ConnectRequest
		random.fill(reflect.ValueOf(&m).Elem(), 0)
		for _, form := range []Form{JSON, Protobuf} {
			data, err := AppendConnectRequest(nil, form, &m)
			if err != nil {
				f.Fatal(err)
			}
			addSeed(f, data)
		}
	}
	f.Add([]byte(" {\"token\":\n\"t\",\"subs\":{\"a\":null}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m ConnectRequest
		err := DecodeConnectRequest(JSON, data, &m)
		if !unlike(data) {
			var want wantConnect
			if wantErr := json.Unmarshal(data, &want); (err == nil) != (wantErr == nil) && string(data) != "null" {
				t.Fatalf("error %v, encoding/json %v", err, wantErr)
			}
		}
		if err == nil {
			checkRewritten(t, JSON, &m)
		}
		err = DecodeConnectRequest(Protobuf, data, &m)
		var want wire.ConnectRequest
		wantErr := want.UnmarshalVT(data)
		if err == nil {
			if wantErr != nil {
				t.Fatalf("no error, but vtprotobuf says %v", wantErr)
			}
			checkRewritten(t, Protobuf, &m)
			return
		}
		entries := len(want.GetSubs()) + len(want.GetHeaders())
		strict := &wire.Command{Connect: new(wire.ConnectRequest)}
		if wantErr == nil && entries == 0 && proto.Unmarshal(data, strict.Connect) == nil && filterDepth(strict) <= FilterDepthMax {
			t.Fatalf("%v, but others take it", err)
		}
	})
}

// checkRewritten: what was read can be written, and reads the same.
func checkRewritten(t *testing.T, f Form, m *ConnectRequest) {
	t.Helper()
	normalize(reflect.ValueOf(m))
	data, err := AppendConnectRequest(nil, f, m)
	if err != nil {
		t.Fatal(err)
	}
	var again ConnectRequest
	if err := DecodeConnectRequest(f, data, &again); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	if normalize(reflect.ValueOf(&again)); !reflect.DeepEqual(&again, m) {
		t.Fatalf("%q\n got %s\nwant %s", data, show(again), show(*m))
	}
}

func TestEmulationRequest(t *testing.T) {
	for in, want := range map[string]*EmulationRequest{
		`{"session":"s","node":"n","data":"{\"id\":1}\n{}"}`:  {Session: "s", Node: "n", Data: []byte("{\"id\":1}\n{}")},
		"{\n\"data\": \"\\u0000é\"}\n":                        {Data: []byte("\x00é")},
		`{"session":"s","data":{"id":1}}`:                     {Session: "s"},
		`{"session":"s","data":"x","data":[1]}`:               {Session: "s"},
		`{"session":null,"node":null,"data":null,"other":{}}`: {},
		`{}`: {}, ``: nil, `{"session":1}`: nil, `{"data":"x}`: nil, `{"data":{}`: nil, `{} {}`: nil, `[]`: nil,
	} {
		var got EmulationRequest
		err := DecodeEmulationRequest(JSON, []byte(in), &got)
		if want == nil && !errors.Is(err, ErrMalformed) || want != nil && (err != nil || !reflect.DeepEqual(&got, want)) {
			t.Errorf("%q: error %v, got %q", in, err, got)
		}
	}
	want := EmulationRequest{Node: "n", Session: "s", Data: []byte("\x04\x08\x01\"é")}
	for f := range Form(NumAllForms) {
		var got EmulationRequest
		data := AppendEmulationRequest(nil, f, &want)
		if err := DecodeEmulationRequest(f, data, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v %q: error %v, got %q", f, data, err, got)
		}
	}
}

func FuzzEmulationRequest(f *testing.F) {
	for form := range Form(NumForms) {
		f.Add(AppendEmulationRequest(nil, form, &EmulationRequest{Node: "n", Session: "s", Data: []byte("{}\n")}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m EmulationRequest
		err := DecodeEmulationRequest(Protobuf, data, &m)
		var want wire.EmulationRequest
		wantErr := want.UnmarshalVT(data)
		switch {
		case err == nil && wantErr != nil, err != nil && wantErr == nil && proto.Unmarshal(data, &wire.EmulationRequest{}) == nil:
			t.Fatalf("error %v, vtprotobuf %v", err, wantErr)
		case err == nil && string(m.Data) != string(want.Data):
			t.Fatalf("data %q, vtprotobuf %q", m.Data, want.Data)
		}
		err = DecodeEmulationRequest(JSON, data, &m)
		if unlike(data) {
			return
		}
		var fields struct {
			Node, Session string
			Data          json.RawMessage
		}
		if wantErr := json.Unmarshal(data, &fields); (err == nil) != (wantErr == nil) && string(data) != "null" {
			t.Fatalf("error %v, encoding/json %v", err, wantErr)
		}
		var text string
		if err == nil && json.Unmarshal(fields.Data, &text) == nil && string(fields.Data) != "null" && text != string(m.Data) {
			t.Fatalf("data %q, encoding/json %q", m.Data, text)
		}
	})
}
