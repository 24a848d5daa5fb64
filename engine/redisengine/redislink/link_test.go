package redislink

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
)

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with are the lines that contain all of words.
func (l *lines) with(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.text.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// open runs a link for as long as the test.
func open(t *testing.T, cfg Config) (*Link, *lines) {
	t.Helper()
	said := new(lines)
	link, err := New(cfg, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(redistest.Patience):
			t.Error("Run goes on although its context ended")
		}
		for _, s := range link.Shards() {
			if _, err := s.Client(); !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("after Run: %v, want ErrUnreachable", err)
			}
		}
		if t.Failed() {
			said.mu.Lock()
			defer said.mu.Unlock()
			t.Logf("the log of the link:\n%s", said.text.String())
		}
	})
	return link, said
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(redistest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: still not so after %v", what, redistest.Patience)
		}
	}
}

// set writes a key through the shard.
func set(s *Shard, key, value string) error {
	client, err := s.Client()
	if err != nil {
		return err
	}
	return Failure(client.Do(context.Background(), client.B().Set().Key(key).Value(value).Build()).Error())
}

func works(s *Shard) func() bool { return func() bool { return set(s, "k", "v") == nil } }

func unreachable(s *Shard) func() bool {
	return func() bool {
		_, err := s.Client()
		return errors.Is(err, engine.ErrUnreachable)
	}
}

func TestSingle(t *testing.T) {
	server := redistest.Start(t)
	link, said := open(t, Config{Address: []string{server.Addr}})
	shard := link.Shard("any")
	eventually(t, "it works", works(shard))
	if shard.Cluster() {
		t.Error("a single server is taken for a cluster")
	}
	server.Kill()
	eventually(t, "it is gone", unreachable(shard))
	server.Restart()
	eventually(t, "it works again", works(shard))
	if got := said.with("cannot be reached"); len(got) != 1 || !strings.Contains(got[0], "start the server") {
		t.Errorf("of the loss it said %q", got)
	}
}
