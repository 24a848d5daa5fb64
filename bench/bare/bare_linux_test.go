package bare

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"stentor/bench/pipe"
)

// TestMain lets the test binary be the child process that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		if err := Work(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWriterWritesToAll(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Start(ctx, self, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", w.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if err := w.Accept(ctx, len(conns), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	// Large enough that a socket fills up and the writer has to wait for its reader.
	frame := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	result := make(chan error, 1)
	var sent Sent
	go func() {
		s, err := w.Send(ctx, []byte("head"), frame)
		sent = s
		result <- err
	}()
	for i, c := range conns {
		got := make([]byte, 4+len(frame))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatalf("conn %d: %v", i, err)
		}
		if string(got[:4]) != "head" || !bytes.Equal(got[4:], frame) {
			t.Errorf("conn %d got other bytes", i)
		}
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if sent.Writes != 6 || sent.Waits == 0 {
		t.Errorf("%+v", sent)
	}
	if cpu, err := w.CPU(); err != nil || cpu <= 0 {
		t.Errorf("cpu %v %v", cpu, err)
	}
	if err := w.Accept(ctx, 4, 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "3 of 4") {
		t.Errorf("waiting for a receiver that does not come: %v", err)
	}
}

func TestWriterNoticesAReceiverThatLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Start(ctx, self, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c, err := net.Dial("tcp", w.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Accept(ctx, 1, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for ctx.Err() == nil {
		if _, err = w.Send(ctx, []byte("x")); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "write") {
		t.Errorf("error %v", err)
	}
}

func TestStartWithBadThreads(t *testing.T) {
	self, err := pipe.Self("bare")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), self, 0); err == nil {
		t.Error("no threads were taken")
	}
}
