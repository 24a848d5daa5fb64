package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test binary be the child: it doubles numbers, fails on request, keeps one question until another comes,
// and dies in the middle of an answer.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		var kept Reply
		err := Serve(os.Stdin, os.Stdout, func(op string, body json.RawMessage, reply Reply) {
			var n int
			_ = json.Unmarshal(body, &n)
			switch op {
			case "double":
				reply(2*n, nil)
			case "fail":
				reply(nil, errors.New("no luck"))
			case "keep":
				kept = reply
			case "release":
				kept(n, nil)
				reply(nil, nil)
			case "babble":
				os.Stdout.WriteString("what is no JSON\n")
			case "die":
				os.Exit(3)
			}
		})
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t *testing.T) *Child {
	t.Helper()
	self, err := Self("child")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(self)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCalls(t *testing.T) {
	c := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			var n int
			if err := c.Call(ctx, "double", i, &n); err != nil || n != 2*i {
				t.Errorf("double %d = %d, %v", i, n, err)
			}
		})
	}
	all.Wait()
	if err := c.Call(ctx, "fail", nil, nil); err == nil || err.Error() != "no luck" {
		t.Errorf("fail: %v", err)
	}

	// An answer may come after those to later questions.
	kept := make(chan int)
	go func() {
		var n int
		if err := c.Call(ctx, "keep", nil, &n); err != nil {
			t.Error(err)
		}
		kept <- n
	}()
	var n int
	for {
		c.mu.Lock()
		open := len(c.open)
		c.mu.Unlock()
		if open == 1 {
			break
		}
	}
	if err := c.Call(ctx, "double", 4, &n); err != nil || n != 8 {
		t.Errorf("double 4 = %d, %v", n, err)
	}
	if err := c.Call(ctx, "release", 7, nil); err != nil {
		t.Fatal(err)
	}
	if n := <-kept; n != 7 {
		t.Errorf("kept = %d", n)
	}

	gone, stop := context.WithCancel(ctx)
	stop()
	if err := c.Call(gone, "keep", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestChildThatDies(t *testing.T) {
	c := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := c.Call(ctx, "die", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("call: %v", err)
	}
	if err := c.Call(ctx, "double", 1, nil); err == nil {
		t.Error("a dead child answered")
	}
}

func TestChildThatBabbles(t *testing.T) {
	c := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Call(ctx, "babble", nil, nil); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("call: %v", err)
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(Command{Path: "/nonexistent"}); err == nil {
		t.Error("started")
	}
}
