package natsengine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
)

// FuzzDeliver: whatever comes from NATS is either left out and counted, or given to the node as exactly one thing without a position.
func FuzzDeliver(f *testing.F) {
	info := &codec.ClientInfo{User: "u", Client: "c", ConnInfo: []byte("{}")}
	for _, m := range []codec.Push{
		{Channel: "x", Pub: &codec.Publication{Data: []byte("{}"), Info: info, Tags: map[string]string{"a": "b"}}},
		{Pub: &codec.Publication{Offset: 7, Epoch: "e", Delta: true, Channel: "other"}},
		{Join: &codec.Join{Info: info}}, {Leave: &codec.Leave{Info: info}}, {Join: &codec.Join{}}, {},
	} {
		f.Add(codec.AppendCarried(nil, &m), false)
		f.Add(codec.AppendCarried(nil, &m), true)
	}
	engines := make(map[bool]*Engine) // with queues, which take long to make
	for _, raw := range []bool{false, true} {
		e, err := New(Config{URL: "localhost", Raw: Raw{Enabled: raw}}, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			f.Fatal(err)
		}
		engines[raw] = e
	}
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		rec := enginetest.NewRecorder()
		e := engines[raw]
		e.node = rec
		e.stats.malformed.Store(0)
		subject, err := e.names.subject("news")
		if err != nil {
			t.Fatal(err)
		}
		d := e.deliverers[0]
		d.deliver(context.Background(), &nats.Msg{Subject: subject, Data: slices.Clone(data), Sub: &nats.Subscription{Subject: subject}})
		d.ring()
		rec.WaitWoken(t, 0)
		got := rec.Of("news")
		if n := e.stats.malformed.Load(); n+int64(len(got)) != 1 || raw && n > 0 {
			t.Fatalf("%d malformed, delivered %+v", n, got)
		}
		if len(got) == 0 {
			return
		}
		p := got[0].Publication
		if (p == nil) == (got[0].Join == nil && got[0].Leave == nil) {
			t.Fatalf("delivered %+v", got[0])
		}
		if p != nil && (p.Offset != 0 || p.Epoch != "" || p.Delta || p.Channel != "" || got[0].Prev != nil) {
			t.Fatalf("delivered %+v", p)
		}
	})
}

// TestFailedWrite: a socket that could not write is closed, even if nothing at all was written: what it was to write is lost, so
// nothing that comes later may be confirmed.
func TestFailedWrite(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := &socket{Conn: near, intake: new(intake), stop: func() bool { return true }}
	if err := s.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Write([]byte("x")); n != 0 || err == nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := s.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the next write: %v, want the socket closed", err)
	}
}

// TestIntake: reading stops while a queue is half full, or all of them hold too many bytes, and goes on when they are empty, whatever
// the count of bytes says.
func TestIntake(t *testing.T) {
	in := &intake{queues: []chan *nats.Msg{make(chan *nats.Msg, 10), make(chan *nats.Msg, 10)}}
	expect := func(full bool) {
		t.Helper()
		if in.full() != full {
			t.Errorf("full: %t, want %t", !full, full)
		}
	}
	for range 5 {
		in.queues[1] <- nil
		expect(false)
	}
	in.queues[1] <- nil
	expect(true)
	<-in.queues[1]
	expect(false)
	in.bytes.Store(QueueBytesMax + 1)
	expect(true)
	for range 5 {
		<-in.queues[1]
	}
	expect(false)
	in.queues[0] <- nil
	expect(false)
}

// TestBatchBytesMax: what waits to be published is bounded, and beyond that nothing happens.
func TestBatchBytesMax(t *testing.T) {
	l := new(link)
	big := parcel{subject: "news", payload: make([]byte, BatchBytesMax/2)}
	for i := range 2 {
		if _, at, err := l.add(big); err != nil || at != i {
			t.Fatalf("message %d at %d: %v", i, at, err)
		}
	}
	if _, _, err := l.add(big); !errors.Is(err, engine.ErrOverloaded) {
		t.Errorf("error %v, want ErrOverloaded", err)
	}
	if b := l.take(); len(b.parcels) != 2 {
		t.Errorf("%d messages", len(b.parcels))
	}
	if _, at, err := l.add(big); err != nil || at != 0 {
		t.Errorf("in the next batch at %d: %v", at, err)
	}
}
