package codec

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

var info = &ClientInfo{User: "42", Client: "b1", ConnInfo: []byte(`{"name":"x"}`)}

// TestAppendReply shows the bytes of replies and pushes in both forms.
func TestAppendReply(t *testing.T) {
	tests := []struct {
		reply    Reply
		json     string
		protobuf string // without the length
	}{
		{Reply{}, `{}`, ""},
		{Reply{ID: 2, Unsubscribe: &UnsubscribeResult{}}, `{"id":2,"unsubscribe":{}}`, "\x08\x02\x3a\x00"},
		{Reply{ID: 2, Publish: &PublishResult{}}, `{"id":2,"publish":{}}`, "\x08\x02\x42\x00"},
		{
			Reply{ID: 3, Error: ErrorPermissionDenied}, `{"id":3,"error":{"code":103,"message":"permission denied"}}`,
			"\x08\x03\x12\x15\x08\x67\x12\x11permission denied",
		},
		{
			Reply{ID: 3, Error: ErrorInternal}, `{"id":3,"error":{"code":100,"message":"internal server error","temporary":true}}`,
			"\x08\x03\x12\x1b\x08\x64\x12\x15internal server error\x18\x01",
		},
		{Reply{ID: 3, Error: &Error{}}, `{"id":3,"error":{"code":0,"message":""}}`, "\x08\x03\x12\x00"},
		{
			Reply{ID: 1, Connect: &ConnectResult{Client: "b1", Version: "0.1", Ping: 25, Pong: true, Subs: map[string]*SubscribeResult{"c": {}}}},
			`{"id":1,"connect":{"client":"b1","version":"0.1","subs":{"c":{}},"ping":25,"pong":true}}`,
			"\x08\x01\x2a\x14\x0a\x02b1\x12\x030.1\x32\x05\x0a\x01c\x12\x00\x38\x19\x40\x01",
		},
		{
			Reply{ID: 1, Subscribe: &SubscribeResult{
				Recoverable: true, Epoch: "xyzz", Publications: []*Publication{{Data: []byte("1"), Offset: 4}, {}}, Recovered: true, Offset: 3,
				Positioned: true, WasRecovering: true,
			}},
			`{"id":1,"subscribe":{"recoverable":true,"epoch":"xyzz","publications":[{"data":1,"offset":4},{}],"recovered":true,` +
				`"offset":3,"positioned":true,"was_recovering":true}}`,
			"\x08\x01\x32\x19\x18\x01\x32\x04xyzz\x3a\x05\x22\x011\x30\x04\x3a\x00\x40\x01\x48\x03\x50\x01\x60\x01",
		},
		{Reply{ID: 1, Presence: &PresenceResult{}}, `{"id":1,"presence":{"presence":{}}}`, "\x08\x01\x4a\x00"},
		{
			Reply{ID: 1, Presence: &PresenceResult{Presence: map[string]*ClientInfo{"b1": info}}},
			`{"id":1,"presence":{"presence":{"b1":{"user":"42","client":"b1","conn_info":{"name":"x"}}}}}`,
			"\x08\x01\x4a\x1e\x0a\x1c\x0a\x02b1\x12\x16\x0a\x0242\x12\x02b1\x1a\x0c{\"name\":\"x\"}",
		},
		{Reply{ID: 1, PresenceStats: &PresenceStatsResult{}}, `{"id":1,"presence_stats":{"num_clients":0,"num_users":0}}`, "\x08\x01\x52\x00"},
		{Reply{ID: 1, History: &HistoryResult{}}, `{"id":1,"history":{"publications":[],"epoch":"","offset":0}}`, "\x08\x01\x5a\x00"},
		{Reply{ID: 1, RPC: &RPCResult{Data: []byte("[ ]")}}, `{"id":1,"rpc":{"data":[ ]}}`, "\x08\x01\x6a\x05\x0a\x03[ ]"},
		{
			Reply{ID: 1, Refresh: &RefreshResult{Client: "b1", Version: "0.1", Expires: true, TTL: 300}},
			`{"id":1,"refresh":{"client":"b1","version":"0.1","expires":true,"ttl":300}}`,
			"\x08\x01\x72\x0e\x0a\x02b1\x12\x030.1\x18\x01\x20\xac\x02",
		},
		{
			Reply{ID: 1, SubRefresh: &SubRefreshResult{Items: []*Publication{{Key: "k", Version: 1<<64 - 1}}}},
			`{"id":1,"sub_refresh":{"items":[{"key":"k","version":18446744073709551615}]}}`,
			"\x08\x01\x7a\x11\x1a\x0f\x5a\x01k\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		},
		{
			Reply{Push: &Push{Channel: "chat", Pub: &Publication{Data: []byte(`{"n":5}`), Info: info, Offset: 5, Tags: map[string]string{"a": "b"}}}},
			`{"push":{"channel":"chat","pub":{"data":{"n":5},"info":{"user":"42","client":"b1","conn_info":{"name":"x"}},"offset":5,"tags":{"a":"b"}}}}`,
			"\x22\x33\x12\x04chat\x22\x2b\x22\x07{\"n\":5}\x2a\x16\x0a\x0242\x12\x02b1\x1a\x0c{\"name\":\"x\"}\x30\x05\x3a\x06\x0a\x01a\x12\x01b",
		},
		{
			Reply{Push: &Push{Channel: "m", Pub: &Publication{
				Data: []byte(`1`), Delta: true, Time: -1, Channel: "c", Key: "k", Removed: true, Score: -3, Epoch: "e", PrevData: []byte("0"), Version: 2,
			}}},
			`{"push":{"channel":"m","pub":{"data":1,"delta":true,"time":-1,"channel":"c","key":"k","removed":true,"score":-3,"epoch":"e","prev_data":0,"version":2}}}`,
			"\x22\x28\x12\x01m\x22\x23\x22\x011\x40\x01\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x52\x01c\x5a\x01k\x60\x01\x68\x05\x72\x01e\x7a\x010\x80\x01\x02",
		},
		{
			Reply{Push: &Push{Channel: "c", Join: &Join{info}}}, `{"push":{"channel":"c","join":{"info":{"user":"42","client":"b1","conn_info":{"name":"x"}}}}}`,
			"\x22\x1d\x12\x01c\x2a\x18\x0a\x16\x0a\x0242\x12\x02b1\x1a\x0c{\"name\":\"x\"}",
		},
		{
			Reply{Push: &Push{Channel: "c", Leave: &Leave{&ClientInfo{}}}}, `{"push":{"channel":"c","leave":{"info":{"user":"","client":""}}}}`,
			"\x22\x07\x12\x01c\x32\x02\x0a\x00",
		},
		{
			Reply{Push: &Push{Channel: "c", Unsubscribe: &UnsubscribeInsufficient}}, `{"push":{"channel":"c","unsubscribe":{"code":2500,"reason":"insufficient state"}}}`,
			"\x22\x1c\x12\x01c\x3a\x17\x10\xc4\x13\x1a\x12insufficient state",
		},
		{Reply{Push: &Push{Message: &Message{[]byte(`"x"`)}}}, `{"push":{"message":{"data":"x"}}}`, "\x22\x07\x42\x05\x0a\x03\"x\""},
		{
			Reply{Push: &Push{Channel: "c", Subscribe: &Subscribe{Recoverable: true, Epoch: "e", Offset: 1, Positioned: true, Data: []byte("0")}}},
			`{"push":{"channel":"c","subscribe":{"recoverable":true,"epoch":"e","offset":1,"positioned":true,"data":0}}}`,
			"\x22\x11\x12\x01c\x4a\x0c\x08\x01\x22\x01e\x28\x01\x30\x01\x3a\x010",
		},
		{
			Reply{Push: &Push{Connect: &Connect{Client: "b1", Version: "0.1", Ping: 25, Session: "s"}}},
			`{"push":{"connect":{"client":"b1","version":"0.1","ping":25,"session":"s"}}}`,
			"\x22\x10\x52\x0e\x0a\x02b1\x12\x030.1\x38\x19\x4a\x01s",
		},
		{
			Reply{Push: &Push{Disconnect: &DisconnectPush{Code: 3001, Reason: "shutdown", Reconnect: true}}},
			`{"push":{"disconnect":{"code":3001,"reason":"shutdown","reconnect":true}}}`,
			"\x22\x11\x5a\x0f\x08\xb9\x17\x12\x08shutdown\x18\x01",
		},
		{Reply{Push: &Push{Refresh: &Refresh{}}}, `{"push":{"refresh":{}}}`, "\x22\x02\x62\x00"},
		{Reply{Push: &Push{ID: -1, Refresh: &Refresh{true, 5}}}, `{"push":{"id":-1,"refresh":{"expires":true,"ttl":5}}}`, "\x22\x11\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x62\x04\x08\x01\x10\x05"},
	}
	for _, tt := range tests {
		for f, want := range map[Form]string{JSON: tt.json + "\n", Protobuf: string(delimited(tt.protobuf))} {
			got, err := AppendReply([]byte("}"), f, &tt.reply)
			if err != nil || string(got) != "}"+want {
				t.Errorf("error %v\n got %q\nwant %q", err, got[1:], want)
			}
			if tt.reply.Push == nil {
				continue
			}
			if push, err := AppendPush([]byte("}"), f, tt.reply.Push); err != nil || !bytes.Equal(push, got) {
				t.Errorf("error %v\n got %q\nwant %q", err, push, got)
			}
			if p := tt.reply.Push.Pub; p != nil {
				if push, err := AppendPublication([]byte("}"), f, tt.reply.Push.Channel, p); err != nil || !bytes.Equal(push, got) {
					t.Errorf("error %v\n got %q\nwant %q", err, push, got)
				}
			}
		}
	}
}

// TestAppendPublicationSizes crosses the sizes at which the lengths of nested Protobuf messages need another byte.
func TestAppendPublicationSizes(t *testing.T) {
	for _, around := range []int{0, 100, 128, 16300, 16384} {
		for size := max(1, around-40); size < around+40; size++ {
			p := &Publication{Data: bytes.Repeat([]byte("1"), size), Info: info, Epoch: "xyzz"}
			for _, f := range []Form{JSON, Protobuf} {
				data, err := AppendPublication(make([]byte, 3), f, "chat", p)
				if err != nil {
					t.Fatal(err)
				}
				checkReply(t, f, data[3:], &Reply{Push: &Push{Channel: "chat", Pub: p}})
			}
		}
	}
}

func TestAppendPayload(t *testing.T) {
	tests := []struct{ data, want string }{
		{"{\n  \"a\": 1,\r\n\t\"b\": \"\\n\"\n}\n", "{  \"a\": 1,\r\t\"b\": \"\\n\"}"},
		{" [ ] ", " [ ] "},
		{`"\u2028` + "\u2028" + `"`, `"\u2028` + "\u2028" + `"`},
		{"\"\xffa\xed\xa0\x80\"", "\"\uFFFDa\uFFFD\uFFFD\uFFFD\""}, // a ws client would have to fail on broken UTF-8
		{"plain text", ""}, {"{", ""}, {"{}{}", ""}, {"\x00", ""}, {"\xff", ""}, {"\n", ""}, {"\"\n\"", ""}, {"01", ""},
		{nested(JSONDepthMax+1, "[", "", "]"), ""},
	}
	for _, tt := range tests {
		before := []byte("before")
		got, err := AppendPublication(before, JSON, "", &Publication{Data: []byte(tt.data)})
		if tt.want == "" {
			if !errors.Is(err, ErrNotJSON) || string(got) != "before" {
				t.Errorf("%.20q: %q, error %v", tt.data, got, err)
			}
			continue
		}
		if want := fmt.Sprintf(`before{"push":{"pub":{"data":%s}}}`+"\n", tt.want); err != nil || string(got) != want {
			t.Errorf("%q: error %v\n got %q\nwant %q", tt.data, err, got, want)
		}
		if _, err := AppendPublication(before, Protobuf, "", &Publication{Data: []byte(tt.data)}); err != nil {
			t.Errorf("%q: %v in Protobuf", tt.data, err)
		}
	}
	for _, p := range []*Push{
		{Pub: &Publication{PrevData: []byte("x")}}, {Join: &Join{&ClientInfo{ConnInfo: []byte("x")}}},
		{Leave: &Leave{&ClientInfo{ChanInfo: []byte("x")}}}, {Message: &Message{[]byte("x")}}, {Subscribe: &Subscribe{Data: []byte("x")}},
		{Connect: &Connect{Data: []byte("x")}},
	} {
		if _, err := AppendPush(nil, JSON, p); !errors.Is(err, ErrNotJSON) {
			t.Errorf("%s: error %v", show(p), err)
		}
	}
}

func TestAppendString(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `""`}, {"chat:room-42", `"chat:room-42"`}, {`"\/`, `"\"\\/"`}, {"\b\f\n\r\t\x00\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
		{"<a>&amp;", `"<a>&amp;"`}, {"a long one with é and 😀 in it", `"a long one with é and 😀 in it"`},
		{"\u2028x\u2029", `"\u2028x\u2029"`}, {"a\xffb\xed\xa0\x80\xe2\x80", "\"a\uFFFDb\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\""}, {"\uFFFD", "\"\uFFFD\""},
	}
	for _, tt := range tests {
		if got := appendString(nil, tt.in); string(got) != tt.want {
			t.Errorf("%q\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
	for _, in := range []string{"a\xff", "\xed\xa0\x80"} { // so in Protobuf
		got, err := AppendPublication(nil, Protobuf, in, &Publication{})
		if want := field(4, field(2, validText(in))+field(4, "")); err != nil || string(got) != string(delimited(want)) {
			t.Errorf("%q: %q, error %v", in, got, err)
		}
	}
}

func TestAppendPing(t *testing.T) {
	for f, want := range map[Form]string{JSON: "{}\n", Protobuf: "\x00"} {
		if got := AppendPing(nil, f); string(got) != want {
			t.Errorf("%v: %q", f, got)
		}
	}
}
