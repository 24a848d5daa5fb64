package ws

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestAutobahn12 is group 12 of the suite, "different payload types": its sizes and fragments, here of texts and of bytes that hardly
// compress, read by a server and, as an echo compresses them, by a client.
func TestAutobahn12(t *testing.T) {
	kinds := map[string]func(size int) (OpCode, []byte){
		"ASCII": func(size int) (OpCode, []byte) { return OpText, prose(size) },
		"UTF-8": func(size int) (OpCode, []byte) {
			return OpText, []byte(strings.Repeat("Κόσμε", size/10+1)[:size/10*10])
		},
		"random": func(size int) (OpCode, []byte) {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(rand.Uint32())
			}
			return OpBinary, b
		},
	}
	type row struct{ size, fragment int }
	var rows []row
	for size := 16; size <= 1024; size *= 4 {
		rows = append(rows, row{size, size * 2})
	}
	for size := 4096; size <= 131072; size *= 2 {
		rows = append(rows, row{size, size * 2})
		for _, fragment := range []int{256, 1024, 4096, 32768} {
			rows = append(rows, row{size, fragment})
		}
	}
	for kind, make := range kinds {
		for _, row := range rows {
			op, message := make(row.size)
			t.Run(fmt.Sprintf("%s/%d by %d", kind, row.size, row.fragment), func(t *testing.T) {
				got := readDeflated(t, FromClient, op, clientFragments(op, deflated(t, string(message)), row.fragment))
				if !bytes.Equal(got, message) {
					t.Fatal("the server reads something else")
				}
				if echo := NewDeflater(1, 0).Frame(op, message); echo != nil {
					if got := readDeflated(t, FromServer, op, echo); !bytes.Equal(got, message) {
						t.Fatal("the client reads something else")
					}
				}
			})
		}
	}
}

// clientFragments is a compressed message of a client, cut into ws frames.
func clientFragments(op OpCode, payload []byte, size int) (stream []byte) {
	for first := true; first || len(payload) > 0; first = false {
		n := min(size, len(payload))
		at := len(stream)
		stream = AppendClientFrame(stream, op, n == len(payload), [4]byte{1, 2, 3, 4}, payload[:n])
		if first {
			stream[at] |= rsv1Bit
		}
		op, payload = OpContinuation, payload[n:]
	}
	return stream
}

// readDeflated reads a stream that holds one compressed message.
func readDeflated(t *testing.T, from State, op OpCode, stream []byte) []byte {
	t.Helper()
	r := Reader{Peer: from | Deflated}
	defer r.Release()
	ev, n, _, err := r.Next(stream, 1<<20)
	if err != nil || ev.Kind != EventDeflated || ev.OpCode != op || n != len(stream) {
		t.Fatalf("event %v of %v, %d of %d bytes, %v", ev.Kind, ev.OpCode, n, len(stream), err)
	}
	var z Inflater
	message, err := z.Inflate(ev.OpCode, ev.Payload, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(message)
}

// TestAutobahn13 is group 13 of the suite, "different parameters": what its client offers, and what it gets.
func TestAutobahn13(t *testing.T) {
	const takeover, window9, window15 = "; server_no_context_takeover", "; server_max_window_bits=9", "; server_max_window_bits=15"
	const offer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
	for number, row := range map[string]struct{ offers, want string }{
		"13.1": {offer, plainAnswer},
		"13.2": {offer + takeover, plainAnswer},
		"13.3": {offer + window9, ""},
		"13.4": {offer + window15, bitsAnswer},
		"13.5": {offer + takeover + window9, ""},
		"13.6": {offer + takeover + window15, bitsAnswer},
		"13.7": {offer + takeover + window9 + ", " + offer + takeover + ", " + offer, plainAnswer},
	} {
		if got := ChooseDeflate(row.offers); got != row.want {
			t.Errorf("%s: %q, want %q", number, got, row.want)
		}
	}
}
