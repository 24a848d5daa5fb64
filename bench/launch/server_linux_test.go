package launch

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the server, so that nothing but Go is needed.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		serve(os.Args[2])
	}
	os.Exit(m.Run())
}

func TestServerStartsAndStops(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(os.Args[0]+" serve "+PortMark, port)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Await(context.Background(), address(port)); err != nil {
		t.Fatal(err)
	}
	name, err := os.Readlink("/proc/" + decimal(s.PID()) + "/exe")
	if err != nil || !strings.HasSuffix(name, ".test") {
		t.Errorf("process %d runs %s, %v: not the server itself", s.PID(), name, err)
	}
	select {
	case <-s.Done():
		t.Fatal(s.Err())
	default:
	}
	s.Stop()
	<-s.Done()
	if err := s.Err(); !strings.Contains(err.Error(), "signal: terminated") {
		t.Errorf("%v", err)
	}
}

func TestServerThatEnds(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start("sh -c 'echo no luck; exit 3'", port)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Await(context.Background(), address(port))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("%v", err)
	}
	s.Stop()
}

func TestServerThatDoesNotListen(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start("sleep 60", port)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Await(ctx, address(port)); err == nil {
		t.Error("a port that nobody listens on answered")
	}
}

func TestTail(t *testing.T) {
	var s tail
	for range 3 {
		_, _ = s.Write([]byte(strings.Repeat("x", TailBytesMax/2) + "\n"))
	}
	_, _ = s.Write([]byte("last\n"))
	if text := s.String(); len(text) > TailBytesMax || !strings.HasSuffix(text, "x\nlast") || strings.Count(text, "\n") != 1 {
		t.Errorf("%d bytes, %d lines", len(text), strings.Count(text, "\n"))
	}
}
