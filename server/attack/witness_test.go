package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/codec/ws/wstest"
)

// witness is a healthy client that has nothing to do with the attack beside it. It answers pings, hears every publication on
// its channel in order, and nothing else.
type witness struct {
	h       *house
	channel string
	c       *client
	sent    int
	heard   chan int
	ended   chan error // why it stopped listening
}

func newWitness(r reporter, h *house, channel string) *witness {
	r.Helper()
	w := &witness{h: h, channel: channel, heard: make(chan int, 1024), ended: make(chan error, 1)}
	w.c = joined(r, h, codec.JSON, channel)
	go func() { w.ended <- w.listen() }()
	return w
}

// listen returns when the connection ends or says something unexpected.
func (w *witness) listen() error {
	if err := w.c.SetReadDeadline(time.Time{}); err != nil { // it may wait for long
		return err
	}
	for {
		op, payload, err := wstest.ReadFrame(w.c.in)
		if err != nil {
			return err
		}
		if op != ws.OpText {
			return fmt.Errorf("heard %v %q", op, payload)
		}
		for line := range strings.SplitSeq(payload, "\n") {
			if err := w.take(line); err != nil {
				return err
			}
		}
	}
}

func (w *witness) take(line string) error {
	if line == "{}" {
		return w.c.trySay(text("{}"))
	}
	var r codec.Reply
	if _, err := codec.DecodeReply(codec.JSON, []byte(line), &r); err != nil {
		return err
	}
	var n int
	if r.Push == nil || r.Push.Pub == nil || r.Push.Channel != w.channel {
		return fmt.Errorf("heard %s", line)
	}
	if _, err := fmt.Sscan(string(r.Push.Pub.Data), &n); err != nil {
		return fmt.Errorf("heard %s: %w", line, err)
	}
	w.heard <- n
	return nil
}

// check publishes, and waits until the witness has heard it.
func (w *witness) check() error {
	w.sent++
	if err := w.h.publish(w.channel, fmt.Sprint(w.sent)); err != nil {
		return err
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case n := <-w.heard:
		if n != w.sent {
			return fmt.Errorf("the witness of %s heard publication %d, want %d", w.channel, n, w.sent)
		}
		return nil
	case err := <-w.ended:
		w.ended <- err
		return fmt.Errorf("the witness of %s is disturbed: %w", w.channel, err)
	case <-timeout.C:
		return fmt.Errorf("the witness of %s does not hear publication %d", w.channel, w.sent)
	}
}

// leave closes the connection in order.
func (w *witness) leave() error {
	if err := w.c.trySay(closing(1000)); err != nil {
		return err
	}
	err := <-w.ended
	w.c.Close()
	if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("heard %v ", ws.OpClose)) {
		return fmt.Errorf("the witness of %s was not let go: %w", w.channel, err)
	}
	return nil
}

// scene is one group of attacks with its witness.
type scene struct {
	*testing.T
	*house
	w *witness
}

// attack begins a group on h, whose witness must not notice anything until the end of the test.
func attack(t *testing.T, h *house) *scene {
	t.Helper()
	s := &scene{t, h, newWitness(t, h, h.open+"witness-"+t.Name())}
	s.witness()
	t.Cleanup(func() {
		if err := s.w.check(); err != nil {
			t.Error(err)
			return
		}
		if err := s.w.leave(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// witness has the witness hear a publication.
func (s *scene) witness() {
	s.Helper()
	if err := s.w.check(); err != nil {
		s.Fatal(err)
	}
}

// row runs one attack.
func (s *scene) row(name string, f func(t *testing.T)) {
	s.Helper()
	s.Run(name, f)
	s.witness()
}
