package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeCommandJSON(t *testing.T) {
	tests := []struct {
		in   string
		want Command
	}{
		{`{}`, Command{}},
		{` { } ` + "\n", Command{}},
		{`{"id":0}`, Command{}},
		{`{"id":null,"subscribe":null}`, Command{}},
		{`{"foo":[1,{"id":5}]}`, Command{}},
		{`{"id":1}`, Command{ID: 1, Method: MethodUnknown}},
		{`{"id":4294967295,"foo":{}}`, Command{ID: 1<<32 - 1, Method: MethodUnknown}},
		{`{"id":1,"ID":2}`, Command{ID: 1, Method: MethodUnknown}},
		{`{"ping":{},"id":3}`, Command{ID: 3, Method: MethodPing}},
		{
			`{"id":1,"connect":{"token":"t","data":{"a":[1]},"name":"js","version":"5.0","flag":-1,` +
				`"subs":{"a":{"recover":true,"offset":18446744073709551615},"b":null},"headers":{"x":"y"}}}`,
			Command{ID: 1, Method: MethodConnect, Connect: ConnectRequest{
				Token: "t", Data: []byte(`{"a":[1]}`), Name: "js", Version: "5.0", Flag: -1, Headers: map[string]string{"x": "y"},
				Subs: map[string]*SubscribeRequest{"a": {Recover: true, Offset: 1<<64 - 1}, "b": {}},
			}},
		},
		{
			`{"id":2,"subscribe":{"channel":"c","token":"t","recover":true,"epoch":"e","offset":5,"data":[ ],"positioned":true,` +
				`"recoverable":true,"join_leave":true,"delta":"fossil","tf":{"op":"or","nodes":[{"key":"k","cmp":"in","vals":["a","b"]},null]},` +
				`"flag":2,"type":1,"phase":2,"cursor":"cu","limit":-2147483648,"asc":true}}`,
			Command{ID: 2, Method: MethodSubscribe, Subscribe: SubscribeRequest{
				Channel: "c", Token: "t", Recover: true, Epoch: "e", Offset: 5, Data: []byte(`[ ]`), Positioned: true,
				Recoverable: true, JoinLeave: true, Delta: "fossil",
				TF:   &FilterNode{Op: "or", Nodes: []*FilterNode{{Key: "k", Cmp: "in", Vals: []string{"a", "b"}}, {}}},
				Flag: 2, Type: 1, Phase: 2, Cursor: "cu", Limit: -1 << 31, Asc: true,
			}},
		},
		{`{"id":3,"unsubscribe":{"channel":"c"}}`, Command{ID: 3, Method: MethodUnsubscribe, Unsubscribe: UnsubscribeRequest{"c"}}},
		{
			"\t{ \"publish\" : { \"data\" : { \"a\" : 1.5e+3 } , \"channel\" : \"c\", \"key\":\"k\",\"type\":1,\"removed\":true} , \"id\" : 4 }\r",
			Command{ID: 4, Method: MethodPublish, Publish: PublishRequest{Channel: "c", Data: []byte(`{ "a" : 1.5e+3 }`), Key: "k", Type: 1, Removed: true}},
		},
		{`{"id":5,"publish":{"data":null}}`, Command{ID: 5, Method: MethodPublish, Publish: PublishRequest{Data: []byte(`null`)}}},
		{`{"id":5,"presence":{"channel":"c"}}`, Command{ID: 5, Method: MethodPresence, Presence: PresenceRequest{"c"}}},
		{`{"id":6,"presence_stats":{"channel":"c"}}`, Command{ID: 6, Method: MethodPresenceStats, PresenceStats: PresenceStatsRequest{"c"}}},
		{
			`{"id":7,"history":{"channel":"c","limit":10,"since":{"offset":1,"epoch":"e"},"reverse":true}}`,
			Command{ID: 7, Method: MethodHistory, History: HistoryRequest{Channel: "c", Limit: 10, Since: &StreamPosition{1, "e"}, Reverse: true}},
		},
		{`{"id":8,"rpc":{"method":"m","data":"d"}}`, Command{ID: 8, Method: MethodRPC, RPC: RPCRequest{Data: []byte(`"d"`), Method: "m"}}},
		{`{"send":{"data":0}}`, Command{Method: MethodSend, Send: SendRequest{[]byte(`0`)}}},
		{`{"id":9,"refresh":{"token":"t"}}`, Command{ID: 9, Method: MethodRefresh, Refresh: RefreshRequest{"t"}}},
		{
			`{"id":9,"sub_refresh":{"channel":"c","token":"t","type":1,"track":[{"signature":"s","items":[{"key":"k","version":3},null]}],"untrack":["u"]}}`,
			Command{ID: 9, Method: MethodSubRefresh, SubRefresh: SubRefreshRequest{
				Channel: "c", Token: "t", Type: 1, Untrack: []string{"u"},
				Track: []*TrackBatch{{Signature: "s", Items: []*KeyedItem{{"k", 3}, {}}}},
			}},
		},
		{ // the first method of the protocol's order, not of the text
			`{"id":1,"rpc":{"method":"m"},"subscribe":{"channel":"c"}}`,
			Command{ID: 1, Method: MethodSubscribe, Subscribe: SubscribeRequest{Channel: "c"}, RPC: RPCRequest{Method: "m"}},
		},
		{ // the last of equal keys, objects merged
			`{"id":1,"id":2,"publish":{"channel":"a","key":"k"},"publish":{"channel":"b"},"rpc":{"method":"m"},"rpc":null}`,
			Command{ID: 2, Method: MethodPublish, Publish: PublishRequest{Channel: "b", Key: "k"}},
		},
		{ // escapes, a lone surrogate, broken UTF-8, NUL, an escaped key
			`{"\u0069d":1,"unsubscribe":{"channel":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800\u0000 ` + "é\xff" + `"}}`,
			Command{ID: 1, Method: MethodUnsubscribe, Unsubscribe: UnsubscribeRequest{"\"\\/\b\f\n\r\té😀\uFFFD\x00 é\uFFFD"}},
		},
	}
	c := &Command{}
	for _, tt := range tests {
		rest, err := DecodeCommand(JSON, []byte(tt.in), c)
		if err != nil || len(rest) != 0 {
			t.Errorf("%s\nrest %q, error %v", tt.in, rest, err)
			continue
		}
		got := *c
		got.found = 0
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
}

// nested puts open before and shut after s, n times.
func nested(n int, open, s, shut string) string {
	return strings.Repeat(open, n) + s + strings.Repeat(shut, n)
}

func TestDecodeCommandJSONDepth(t *testing.T) {
	var c Command
	tests := []struct {
		in string
		ok bool
	}{
		{`{"send":{"data":` + nested(JSONDepthMax, "[", "", "]") + `}}`, true},
		{`{"send":{"data":` + nested(JSONDepthMax+1, "[", "", "]") + `}}`, false},
		{`{"send":{"data":` + nested(JSONDepthMax, `{"a":`, "1", "}") + `}}`, true},
		{`{"x":` + nested(JSONDepthMax+1, `{"a":`, "1", "}") + `}`, false},
		{`{"x":` + nested(30000, `[`, "", "") + `}`, false},
		{`{"subscribe":{"tf":` + nested(FilterDepthMax-1, `{"nodes":[`, `{}`, "]}") + `}}`, true},
		{`{"subscribe":{"tf":` + nested(FilterDepthMax, `{"nodes":[`, `{}`, "]}") + `}}`, false},
		{`{"subscribe":{"tf":` + nested(30000, `{"nodes":[`, ``, "") + `}}`, false},
	}
	for _, tt := range tests {
		if _, err := DecodeCommand(JSON, []byte(tt.in), &c); (err == nil) != tt.ok {
			t.Errorf("%.40s… (%d bytes): error %v", tt.in, len(tt.in), err)
		}
	}
}

func TestDecodeCommandJSONMalformed(t *testing.T) {
	tests := []string{
		"\n", " ", "null", "[]", `"id"`, "1", "{", "}", "{}}", "{} {}", "{}x", `{"id":1}{"id":2}`, `{,}`, `{"id":1,}`, `{"id"}`,
		`{"id":}`, `{"id" 1}`, `{id:1}`, `{'id':1}`, `{"id":1 "ping":{}}`, `{"id":1,,"ping":{}}`, "{\n}", "{\"id\":\n1}",
		`{"id":-1}`, `{"id":4294967296}`, `{"id":99999999999999999999999}`, `{"id":1.0}`, `{"id":1e1}`, `{"id":01}`, `{"id":"1"}`,
		`{"id":true}`, `{"id":nul}`, `{"id":-0}`, `{"id":- 1}`,
		`{"subscribe":[]}`, `{"subscribe":"c"}`, `{"subscribe":{"channel":1}}`, `{"subscribe":{"channel":"c}}`, `{"subscribe":{"channel":"c"}`,
		`{"subscribe":{"recover":1}}`, `{"subscribe":{"recover":"true"}}`, `{"subscribe":{"recover":tru}}`,
		`{"subscribe":{"offset":18446744073709551616}}`, `{"subscribe":{"limit":2147483648}}`, `{"subscribe":{"limit":-2147483649}}`,
		`{"subscribe":{"flag":9223372036854775808}}`, `{"subscribe":{"flag":- 1}}`, `{"subscribe":{"flag":-null}}`, `{"subscribe":{"flag":-}}`,
		`{"subscribe":{"tf":[]}}`, `{"subscribe":{"tf":{"vals":["a",]}}}`, `{"subscribe":{"tf":{"vals":["a"}}}}`, `{"subscribe":{"tf":{"vals":[`,
		`{"publish":{"data":}}`, `{"publish":{"data":tru}}`, `{"publish":{"data":{"a":01}}}`, `{"publish":{"data":[1,]}}`, `{"publish":{"data":{"a":1,}}}`,
		`{"publish":{"data":{"a"}}}`, `{"publish":{"data":{1:2}}}`, `{"publish":{"data":"` + "\x01" + `"}}`, `{"publish":{"data":"\x"}}`,
		`{"publish":{"data":"\u12g4"}}`, `{"publish":{"data":"\u12"}}`, `{"publish":{"data":1.}}`, `{"publish":{"data":1e}}`, `{"publish":{"data":-}}`,
		`{"publish":{"channel":"a` + "\t" + `b"}}`, `{"publish":{"channel":"\ud8"}}`, `{"id":1,"` + "\x00" + `":1}`, "{\x00}", `{"connect":{"subs":{"a":1}}}`,
	}
	var c Command
	for _, in := range tests {
		if _, err := DecodeCommand(JSON, []byte(in), &c); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: error %v", in, err)
		}
	}
}

func TestDecodeManyCommands(t *testing.T) {
	const n = 10_000
	for _, f := range []Form{JSON, Protobuf} {
		var in []byte
		for i := range n {
			out, err := AppendCommand(in, f, &Command{ID: uint32(i + 1), Method: MethodSubscribe, Subscribe: SubscribeRequest{Channel: fmt.Sprint(i)}})
			if err != nil {
				t.Fatal(err)
			}
			in = out
		}
		var c Command
		for i := range n {
			rest, err := DecodeCommand(f, in, &c)
			if err != nil || c.ID != uint32(i+1) || c.Subscribe.Channel != fmt.Sprint(i) {
				t.Fatalf("%v: command %d is %+v, error %v", f, i, c, err)
			}
			in = rest
		}
		if len(in) != 0 {
			t.Errorf("%v: %d bytes are left", f, len(in))
		}
	}
}

// TestCommandReuse sees to it that nothing of one command shows in the next.
func TestCommandReuse(t *testing.T) {
	var c Command
	random := newRandom(1)
	for range 200 {
		for _, f := range []Form{JSON, Protobuf} {
			first := random.command()
			in, err := AppendCommand(nil, f, &first)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := DecodeCommand(f, in, &c); err != nil {
				t.Fatal(err)
			}
			pong := AppendPing(nil, f)
			if _, err := DecodeCommand(f, pong, &c); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c, Command{}) {
				t.Fatalf("%v: after %v a pong is %+v", f, first.Method, c)
			}
		}
	}
}

// FuzzJSONCommand holds the scanner against encoding/json.
func FuzzJSONCommand(f *testing.F) {
	for _, in := range [][]byte{subscribeJSON, publishJSON, unsubscribeJSON, pongJSON} {
		f.Add(in)
	}
	random := newRandom(2)
	for range 50 {
		c := random.command()
		in, err := AppendCommand(nil, JSON, &c)
		if err != nil {
			f.Fatal(err)
		}
		addSeed(f, in[:len(in)-1])
	}
	f.Add([]byte(`{"id":1,"\ud800":"\ud800\udc00","subscribe":{"channel":"\u0000é","tf":{"vals":["a"],"vals":null,"nodes":[null]},"tf":{"op":"x"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Command
		rest, err := DecodeCommand(JSON, data, &c)
		if strings.Contains(string(data), "\n") {
			return // several lines; no panic is all that can be said
		}
		if len(rest) > 0 {
			t.Fatalf("%q is left of one line", rest)
		}
		if unlike(data) {
			return
		}
		var want wantCommand
		wantErr := json.Unmarshal(data, &want)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, encoding/json %v", err, wantErr)
		}
		if err != nil {
			return
		}
		want.normalize()
		if got := wantOf(&c); !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %s\nwant %s", show(got), show(want))
		}
	})
}

// unlike tells where we mean to differ from encoding/json: it folds the case of keys, reads null as an object and nests
// deeper.
func unlike(data []byte) bool {
	if strings.TrimSpace(string(data)) == "null" {
		return true
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	depth := 0
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			if depth > FilterDepthMax {
				return true
			}
		case string:
			if strings.ToLower(v) != v || strings.ContainsAny(v, "ſK") {
				return true
			}
		}
	}
}

func show(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// FuzzValidJSON holds the scan of payloads against encoding/json.
func FuzzValidJSON(f *testing.F) {
	for _, in := range []string{`{"a":[1,-0.5e-7,true,false,null,"\u00e9\\ é"],"b":{}}`, ` [ ] `, `0`, `"`, `[[[]]`, `{"a":1,}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, holds := validJSON(data)
		if want := json.Valid(data); got != want && strings.Count(string(data), "[")+strings.Count(string(data), "{") <= JSONDepthMax {
			t.Fatalf("valid %v, encoding/json %v", got, want)
		}
		if got && (holds&nonASCII != 0) != bytes.ContainsFunc(data, func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Fatalf("holds %b", holds)
		}
	})
}
