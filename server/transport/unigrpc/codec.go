package unigrpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"stentor/codec"
)

// encoded is the codec of messages that are encoded already: what is sent is a *message, what is received a *[]byte.
type encoded struct{}

// message is one to be sent, whose bytes are shared and never change.
type message struct{ bytes []byte }

// Marshal implements encoding.CodecV2.
func (encoded) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(m.bytes)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (encoded) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive %T", v)
	}
	*b = data.Materialize()
	return nil
}

// Name is that of the encoding which clients ask for.
func (encoded) Name() string { return "proto" }

// writer writes frames to a stream (pipe.Writer).
type writer struct {
	stream  grpc.ServerStream
	late    *time.Timer // ends the stream
	message message
	gaveUp  bool // the client did not read in time
}

func newWriter(stream grpc.ServerStream) *writer {
	w := &writer{stream: stream}
	cancel, ok := stream.Context().Value(canceller{}).(context.CancelFunc)
	if !ok {
		panic("a stream without the context that cancellable made")
	}
	w.late = time.AfterFunc(time.Hour, cancel)
	w.late.Stop()
	return w
}

// request reads the client's one message.
func (w *writer) request(within time.Duration) (body []byte, err error) {
	c := connOf(w.stream.Context())
	c.begin()
	defer func() { c.finish(len(body)) }()
	w.late.Reset(within)
	defer w.late.Stop()
	err = w.stream.RecvMsg(&body)
	return body, err
}

// Write implements pipe.Writer. Each message is one of gRPC. It waits when the client has not taken what went before.
func (w *writer) Write(frames []*codec.Frame, until time.Time) error {
	w.late.Reset(time.Until(until))
	defer func() { w.gaveUp = !w.late.Stop() }()
	for _, f := range frames {
		for m := range f.Each() {
			w.message.bytes = m
			if err := w.stream.SendMsg(&w.message); err != nil {
				return err
			}
		}
	}
	return nil
}
