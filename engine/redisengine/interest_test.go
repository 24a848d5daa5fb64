package redisengine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stentor/engine"
)

// told notes what a node is told.
type told struct {
	mu   sync.Mutex
	list []string
}

func (n *told) Subscribed(channel string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	word := channel + "+"
	if err != nil {
		word = channel + "!"
	}
	n.list = append(n.list, word)
}

func (n *told) Resumed(channels []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(channels)
	n.list = append(n.list, "resumed "+strings.Join(channels, ","))
}

// take is everything told since the last time.
func (n *told) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.list, " ")
	n.list = nil
	return s
}

// conversation drives an interest as node and line do.
type conversation struct {
	*testing.T
	*interest
	told  told
	sent  batch
	kicks int
}

func converse(t *testing.T) *conversation {
	c := &conversation{T: t}
	c.interest = newInterest(&c.told, 0, func() { c.kicks++ })
	c.renew(true)
	return c
}

// send takes a batch and checks what would be sent.
func (c *conversation) send(want string) {
	c.Helper()
	c.sent = c.interest.take(func(channel string) error {
		if channel == "bad" {
			return errors.New("bad")
		}
		return nil
	})
	var words []string
	for _, channel := range c.sent.subscribe {
		words = append(words, "+"+channel)
	}
	for _, channel := range c.sent.unsubscribe {
		words = append(words, "-"+channel)
	}
	if got := strings.Join(words, " "); got != want {
		c.Fatalf("sends %q, want %q", got, want)
	}
}

// answered has Redis agree with what was sent.
func (c *conversation) answered() {
	c.interest.left(c.sent)
	c.confirm(c.sent)
}

func (c *conversation) tells(want string) {
	c.Helper()
	if got := c.told.take(); got != want {
		c.Errorf("tells %q, want %q", got, want)
	}
}

// restores reconnects and checks what is subscribed to anew.
func (c *conversation) restores(want string) {
	c.Helper()
	c.renew(false)
	c.renew(true)
	var got []string
	if err := c.restore(func(b batch) error {
		got = append(got, b.subscribe...)
		c.confirm(b)
		return nil
	}); err != nil {
		c.Fatal(err)
	}
	slices.Sort(got)
	if s := strings.Join(got, " "); s != want {
		c.Errorf("restores %q, want %q", s, want)
	}
}

func TestInterest(t *testing.T) {
	tests := map[string]func(c *conversation){
		"subscribe and leave": func(c *conversation) {
			c.subscribe("a")
			c.subscribe("b")
			c.send("+a +b")
			c.tells("")
			c.answered()
			c.tells("a+ b+")
			c.unsubscribe("a")
			c.send("-a")
			c.answered()
			c.tells("")
			c.restores("b")
			c.tells("resumed b")
		},
		"left before it went": func(c *conversation) {
			c.subscribe("a")
			c.unsubscribe("a")
			c.send("")
			c.tells("a+")
			c.restores("")
		},
		"left while under way": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.unsubscribe("a")
			c.answered()
			c.tells("a+")
			c.send("-a")
			c.answered()
			c.restores("")
		},
		"left and back while under way": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.unsubscribe("a")
			c.subscribe("a")
			c.answered()
			c.tells("a+ a+")
			c.send("")
			c.restores("a")
		},
		"left and back for a moment": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.answered()
			c.told.take()
			c.unsubscribe("a")
			c.subscribe("a")
			c.send("")
			c.tells("a+")
			c.restores("a")
		},
		"back while leaving": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.answered()
			c.told.take()
			c.unsubscribe("a")
			c.send("-a")
			c.subscribe("a")
			c.answered()
			c.tells("")
			c.send("+a")
			c.answered()
			c.tells("a+")
		},
		"back and gone while leaving": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.answered()
			c.told.take()
			c.unsubscribe("a")
			c.send("-a")
			c.subscribe("a")
			c.unsubscribe("a")
			c.answered()
			c.send("")
			c.tells("a+")
			c.restores("")
		},
		"never asked for": func(c *conversation) {
			c.unsubscribe("a")
			c.send("")
			c.tells("")
		},
		"refused": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.refuse(c.sent, errors.New("no"))
			c.tells("a!")
			c.restores("")
			c.subscribe("a")
			c.send("+a")
			c.answered()
			c.tells("a+")
		},
		"refused after it was there": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.answered()
			c.told.take()
			c.renew(false)
			c.renew(true)
			_ = c.restore(func(b batch) error {
				c.refuse(b, errors.New("no"))
				return nil
			})
			c.tells("")
			c.send("+a")
			c.answered()
			c.tells("resumed a")
		},
		"cannot be kept": func(c *conversation) {
			c.subscribe("bad")
			c.subscribe("a")
			c.send("+a")
			c.tells("bad!")
			c.answered()
			c.restores("a")
		},
		"lost while under way": func(c *conversation) {
			c.subscribe("a")
			c.subscribe("b")
			c.send("+a +b")
			c.lost(c.sent)
			c.unsubscribe("b")
			c.renew(false)
			c.renew(true)
			c.send("+a")
			c.tells("b+")
			c.answered()
			c.tells("a+")
		},
		"confirmed too late": func(c *conversation) {
			c.subscribe("a")
			c.send("+a")
			c.renew(false)
			c.confirm(c.sent)
			c.tells("")
			c.renew(true)
			c.send("+a")
			c.answered()
			c.tells("a+")
		},
		"given up": func(c *conversation) {
			c.subscribe("kept")
			c.send("+kept")
			c.answered()
			c.told.take()
			c.giveUp(0, engine.ErrUnreachable)
			c.tells("")
			c.renew(false)
			c.subscribe("a")
			c.subscribe("b")
			c.unsubscribe("b")
			c.giveUp(time.Hour, engine.ErrUnreachable)
			c.tells("")
			c.giveUp(0, engine.ErrUnreachable)
			c.tells("a! b+")
			c.restores("kept")
			c.tells("resumed kept")
			c.send("")
		},
		"slot moved": func(c *conversation) {
			c.subscribe("a")
			c.subscribe("b")
			c.send("+a +b")
			c.answered()
			c.told.take()
			c.unsubscribe("b")
			if !c.gone("a") || c.gone("b") || c.gone("c") {
				c.Error("only a is missed")
			}
			c.send("+a -b")
			c.answered()
			c.tells("resumed a")
		},
		"insisted on": func(c *conversation) {
			c.insist("a")
			c.send("+a")
			c.refuse(c.sent, errors.New("no"))
			c.renew(false)
			c.giveUp(0, engine.ErrUnreachable)
			c.tells("")
			c.restores("a")
		},
		"name in a buffer": func(c *conversation) {
			buffer := []byte("a")
			c.subscribe(textOf(buffer))
			buffer[0] = 'x'
			c.send("+a")
			c.answered()
			c.tells("a+")
		},
	}
	for name, talk := range tests {
		t.Run(name, func(t *testing.T) { talk(converse(t)) })
	}
}

// TestInterestKicks: the line is woken for the first channel that waits, and when a batch is full.
func TestInterestKicks(t *testing.T) {
	c := converse(t)
	for i := range 2 * batchMax {
		c.subscribe(fmt.Sprint(i))
	}
	if c.kicks != 2 {
		t.Errorf("woken %d times, want once and once more", c.kicks)
	}
	if c.sent = c.interest.take(func(string) error { return nil }); len(c.sent.subscribe) != batchMax {
		t.Errorf("%d channels in a batch, want %d", len(c.sent.subscribe), batchMax)
	}
}

// TestInterestPatience: who subscribes while there is no connection is told when the time is over, measured from the loss.
func TestInterestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := converse(t)
		c.renew(false)
		time.Sleep(time.Second / 2)
		c.renew(false) // another attempt that failed
		c.subscribe("a")
		c.giveUp(time.Second, engine.ErrUnreachable)
		c.tells("")
		time.Sleep(time.Second / 2)
		c.giveUp(time.Second, engine.ErrUnreachable)
		c.tells("a!")
	})
}

// TestInterestConcurrent: while many channels are restored, others come and go, and in the end Redis has what is wanted.
func TestInterestConcurrent(t *testing.T) {
	c := converse(t)
	const channels = 3 * restoreMax
	redis := make(map[string]bool) // only the line's goroutine touches it
	send := func(b batch) error {
		for _, channel := range b.subscribe {
			redis[channel] = true
		}
		for _, channel := range b.unsubscribe {
			delete(redis, channel)
		}
		c.left(b)
		c.confirm(b)
		return nil
	}
	turn := func() (more bool) {
		b := c.interest.take(func(string) error { return nil })
		_ = send(b)
		return !b.empty()
	}
	for i := range channels {
		c.subscribe(fmt.Sprint(i))
	}
	for turn() {
	}
	var others sync.WaitGroup
	for worker := range 4 {
		others.Go(func() {
			for i := worker; i < channels; i += 4 {
				if i%3 == 0 {
					c.unsubscribe(fmt.Sprint(i))
				}
				if i%6 == 0 {
					c.subscribe(fmt.Sprint(i))
				}
				c.subscribe(fmt.Sprint("new ", i))
			}
		})
	}
	for range 5 {
		c.renew(false)
		c.renew(true)
		clear(redis)
		if err := c.restore(func(b batch) error {
			err := send(b)
			turn()
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	others.Wait()
	for turn() {
	}
	for i := range channels {
		if want := i%3 != 0 || i%6 == 0; redis[fmt.Sprint(i)] != want {
			t.Fatalf("channel %d: Redis has it %t, want %t", i, !want, want)
		}
		if !redis[fmt.Sprint("new ", i)] {
			t.Fatalf("new channel %d is missing", i)
		}
	}
	if n := c.size(); n != len(redis) {
		t.Errorf("%d entries for %d subscriptions", n, len(redis))
	}
}
