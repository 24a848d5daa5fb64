package codec

import "testing"

// TestNoAllocations keeps the promise of the package comment.
func TestNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	var c Command
	buf := make([]byte, 0, 4096)
	plain := &Publication{Offset: 7, Data: payload(100)}
	full := &Publication{
		Offset: 7, Data: []byte("{\n\"text\": \"приве́т\"\n}"), Tags: map[string]string{"a": "b"}, Time: 1, Key: "k",
		Info: &ClientInfo{User: "42", Client: "b1", ConnInfo: []byte(`{"name":"x"}`)}, Epoch: "xyzz",
	}
	push := &Push{Channel: "chat", Join: &Join{Info: full.Info}}
	replies := []*Reply{
		{ID: 1, Publish: &PublishResult{}}, {ID: 1, Error: ErrorPermissionDenied},
		{ID: 1, Subscribe: &SubscribeResult{Epoch: "xyzz", Publications: []*Publication{plain}}},
		{ID: 1, Connect: &ConnectResult{Client: "b1", Version: "0.1", Ping: 25, Pong: true}},
	}
	for _, f := range []Form{JSON, Protobuf} {
		for _, in := range [][]byte{subscribeJSON, publishJSON, unsubscribeJSON, pongJSON} {
			if f == Protobuf {
				in = protobufOf(t, in)
			}
			noAllocations(t, f.String()+" decode "+string(in), func() {
				if _, err := DecodeCommand(f, in, &c); err != nil {
					t.Fatal(err)
				}
			})
		}
		for _, p := range []*Publication{plain, full} {
			noAllocations(t, f.String()+" publication "+string(p.Data), func() {
				if _, err := AppendPublication(buf, f, "chat:room-42", p); err != nil {
					t.Fatal(err)
				}
			})
		}
		noAllocations(t, f.String()+" join", func() { _, _ = AppendPush(buf, f, push) })
		for _, r := range replies {
			noAllocations(t, f.String()+" reply", func() { _, _ = AppendReply(buf, f, r) })
		}
		noAllocations(t, f.String()+" ping", func() { _ = AppendPing(buf, f) })
	}
}

func noAllocations(t *testing.T, what string, do func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, do); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}
