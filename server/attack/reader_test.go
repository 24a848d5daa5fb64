package attack

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
)

// TestBrokenConnections is the first half of group 15: connections that end in the middle of something.
func TestBrokenConnections(t *testing.T) {
	s := attack(t, common)
	whole := text(`{"id":9,"publish":{"channel":"broken","data":"never"}}`)
	for _, test := range []struct {
		name string
		open func(t *testing.T) *client
		said string
	}{
		{"reset before anything", dialCommon, ""},
		{"reset in the head", dialCommon, upgradeRequest[:40]},
		{"reset behind the head", dialCommon, upgradeRequest},
		{"reset in a header of a ws frame", joinedCommon, whole[:1]},
		{"reset in a mask", joinedCommon, whole[:4]},
		{"reset in a ws frame", joinedCommon, whole[:20]},
		{"reset between fragments", joinedCommon, frame(ws.OpText, false, "{")},
		{"reset in a close frame", joinedCommon, closing(1000)[:3]},
		{"reset in a request body", dialCommon, post("/api/publish", strings.Repeat(" ", 5000))[:3000]},
	} {
		s.row(test.name, func(t *testing.T) {
			for range 20 {
				c := test.open(t)
				c.say(test.said)
				c.reset()
			}
		})
		s.row(strings.Replace(test.name, "reset", "half close", 1), func(t *testing.T) {
			c := test.open(t)
			c.say(test.said)
			c.halfClose()
			c.expectGone()
		})
	}
	s.row("half close behind commands", func(t *testing.T) {
		c := joinedCommon(t)
		c.say(text(`{"id":9,"unsubscribe":{"channel":"x"}}`))
		c.halfClose()
		c.expectReply(9, 0) // what was asked before the end is answered
		c.expectGone()
	})
	s.row("half close behind a handshake and commands", func(t *testing.T) {
		c := dialCommon(t)
		c.say(upgradeRequest + text(`{"id":1,"connect":{}}`))
		c.halfClose()
		c.hearUpgrade()
		c.expectReply(1, 0)
		c.expectGone()
	})
	s.row("half close behind a request", func(t *testing.T) {
		if all := answers(t, healthRequest); len(all) != 1 || all[0].StatusCode != 200 {
			t.Errorf("answered %s", statuses(all))
		}
	})
	if err := s.await("broken connections are forgotten", func(m map[string]int64) bool {
		return m["centrifugo_node_num_clients"] == 2 && m["stentor_loop_conns"] == 2 // bystander and witness
	}); err != nil {
		t.Error(err)
	}
}

func dialCommon(t *testing.T) *client   { return dial(t, common) }
func joinedCommon(t *testing.T) *client { return joined(t, common, codec.JSON, "broken") }

func (c *client) halfClose() {
	c.r.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.r.Fatalf("%v", err)
	}
}

// narrow opens sockets whose receive buffer is as small as the kernel lets it be.
var narrow = net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
	controlErr := raw.Control(func(fd uintptr) { err = setReceiveBuffer(fd, 4096) })
	if controlErr != nil {
		return controlErr
	}
	return err
}}

const (
	publicationBytes = 16 << 10
	publicationsMax  = 640 // 10 MiB: more than the kernel and the server together hold for a client
	readers          = 2
)

// TestSlowReaders is the second half of group 15: subscribers that do not take what they are sent.
func TestSlowReaders(t *testing.T) {
	s := attack(t, common)
	s.row("zero window", func(t *testing.T) {
		slow := slowReaders(t, readers, "zero window")
		since := untilSlow(t, s, "zero window", nil)
		for _, c := range slow {
			c.expectSlow("zero window", since)
		}
	})
	s.row("zero window for ever", func(t *testing.T) {
		slowReaders(t, readers, "for ever")
		untilSlow(t, s, "for ever", nil)
		// The close frame is not taken either: the server gives up. Nothing stays, although the clients never read a byte.
		if err := s.await("the slow clients are gone", func(m map[string]int64) bool {
			return m["centrifugo_node_num_channels"] == 2 && m["stentor_loop_conns"] == 2 && m["stentor_queued_bytes"] == 0
		}); err != nil {
			t.Error(err)
		}
	})
	s.row("one byte for each publication", func(t *testing.T) {
		slow := slowReaders(t, readers, "byte by byte")
		taken := make([]bytes.Buffer, len(slow))
		since := untilSlow(t, s, "byte by byte", func() {
			for i, c := range slow {
				if _, err := io.CopyN(&taken[i], c.in, 1); err != nil {
					t.Fatal(err)
				}
			}
		})
		for i, c := range slow {
			c.in = bufio.NewReader(io.MultiReader(&taken[i], c.in))
			c.expectSlow("byte by byte", since)
		}
	})
	s.row("answers that nobody reads", func(t *testing.T) {
		c := slowReaders(t, 1, "answers")[0]
		question := text(strings.Repeat(`{"id":9,"presence":{"channel":"answers"}}`+"\n", 1000))
		said := make(chan error, 1)
		go func() {
			for range 500 { // 35 MB of answers
				if err := c.trySay(question); err != nil {
					said <- err
					return
				}
			}
			said <- nil
		}()
		<-said // the server has read all, or has thrown the client out
		s.witness()
		if m, err := common.metrics(); err != nil || m["stentor_queued_bytes"] > queuedMax(1) {
			t.Errorf("%d bytes wait for a client that does not read (%v)", m["stentor_queued_bytes"], err)
		}
		c.reset()
	})
}

// slowReaders subscribes clients that then do not read.
func slowReaders(t *testing.T, n int, channel string) []*client {
	t.Helper()
	all := make([]*client, n)
	for i := range all {
		c := dialWith(t, common, &narrow)
		c.in = bufio.NewReaderSize(c.Conn, 16) // a large one would take much at once
		c.upgrade(codec.JSON)
		c.join(channel)
		all[i] = c
	}
	return all
}

// queuedMax is what may wait for some clients that do not read: their queues, what gnet has copied, and a frame that was begun.
func queuedMax(clients int) int64 {
	return int64(clients * (common.config.Client.QueueMaxSize + 128<<10))
}

// untilSlow publishes until the server loses patience with the readers, which shows in what waits for them: it grows, but never
// beyond the limit, and then it falls. It returns when that was, or a little earlier. After each publication it calls each.
func untilSlow(t *testing.T, s *scene, channel string, each func()) (since time.Time) {
	t.Helper()
	pad := strings.Repeat("x", publicationBytes)
	var most int64
	for n := range publicationsMax {
		since = time.Now()
		if err := s.publish(channel, fmt.Sprintf(`"%06d%s"`, n, pad)); err != nil {
			t.Fatal(err)
		}
		if each != nil {
			each()
		}
		m, err := s.metrics()
		waits := m["stentor_queued_bytes"]
		if err != nil || waits > queuedMax(readers) {
			t.Fatalf("%d bytes wait for slow readers (%v), want %d at the most", waits, err, queuedMax(readers))
		}
		if most = max(most, waits); most > int64(common.config.Client.QueueMaxSize)/2 && waits < most/4 {
			s.witness()
			return since
		}
	}
	t.Fatalf("%d publications and nobody is too slow; %d bytes waited", publicationsMax, most)
	return since
}

// closeTimeout is how long the server waits for the answer to a close frame.
const closeTimeout = 5 * time.Second

// expectSlow reads what the server had sent until it lost patience: publications in order, none torn, and why it ended. A machine
// that is so slow that the server has given up before we read is not the server's fault.
func (c *client) expectSlow(channel string, since time.Time) {
	c.r.Helper()
	for next := 0; ; {
		op, payload, err := c.hear()
		if err != nil && time.Since(since) >= closeTimeout {
			break
		}
		if err != nil {
			c.r.Fatalf("%v after %d publications", err, next)
		}
		if op == ws.OpClose {
			if code, reason, err := ws.ParseClose([]byte(payload)); code != 3008 || reason != "slow" {
				c.r.Fatalf("closed with %d %q (%v) after %d publications, want 3008 slow", code, reason, err, next)
			}
			break
		}
		for line := range strings.SplitSeq(payload, "\n") {
			want := fmt.Sprintf(`{"push":{"channel":%q,"pub":{"data":"%06d`, channel, next)
			if !strings.HasPrefix(line, want) || len(line) != len(want)+publicationBytes+len(`"}}}`) {
				c.r.Fatalf("heard %.100q, want publication %d", line, next)
			}
			next++
		}
	}
	_ = c.trySay(closing(1000))
	c.expectGone()
}
