package redislink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/redis/rueidis"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
)

func TestFailure(t *testing.T) {
	for _, err := range []error{
		io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled, rueidis.ErrClosing, rueidis.ErrNoSlot,
		engine.ErrUnreachable, fmt.Errorf("that is: %w", engine.ErrUnreachable),
	} {
		if got := Failure(err); !errors.Is(got, engine.ErrUnreachable) || !errors.Is(got, err) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	for _, err := range []error{nil, rueidis.Nil} {
		if got := Failure(err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

// TestAnswers: what a server says of itself is told apart from what it says of the command.
func TestAnswers(t *testing.T) {
	master, server := redistest.Start(t), redistest.Start(t, "--maxmemory", "1mb")
	write := []string{"EVAL", "return redis.call('set', KEYS[1], 'v')", "1", "k"}
	full := Failure(server.Do("EVAL", "for i = 1, 1000 do redis.call('set', 'k' .. i, string.rep('x', 10000)) end", "0").Error())
	if full == nil || errors.Is(full, engine.ErrUnreachable) {
		t.Errorf("a server without memory: %v", full)
	}
	if err := Failure(server.Do("NONSENSE").Error()); err == nil || errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("nonsense: %v", err)
	}
	server.Must("CONFIG", "SET", "maxmemory", "0")
	server.Must("REPLICAOF", "127.0.0.1", fmt.Sprint(master.Port))
	for _, command := range [][]string{write, {"SET", "k", "v"}} {
		if err := Failure(server.Do(command...).Error()); !errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("a replica to write on: %v, want ErrUnreachable", err)
		}
	}
	if !notReady("ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.") {
		t.Error("an answer of an old server is not understood")
	}
}
