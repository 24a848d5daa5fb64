package benchtest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// closeTimeout is how long a slow client may take to read its close frame.
const closeTimeout = 5 * time.Second

// sendBytes is the send buffer of each socket with a queue: what the kernel holds for a client that does not read.
const sendBytes = 64 << 10

// queue is what a client has not read yet. A goroutine writes it.
type queue struct {
	conn     net.Conn
	farewell []byte // to a client that is too slow

	mu    sync.Mutex
	more  *sync.Cond
	bytes []byte
	ended bool
}

func newQueue(conn net.Conn, farewell []byte) *queue {
	q := &queue{conn: conn, farewell: farewell}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBytes)
	}
	q.more = sync.NewCond(&q.mu)
	go q.write()
	return q
}

// add queues b. False says that the client has just become too slow: it gets the farewell after what is being written.
func (q *queue) add(b []byte, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.more.Signal()
	if q.ended {
		return true
	}
	if q.bytes = append(q.bytes, b...); len(q.bytes) <= most {
		return true
	}
	q.bytes, q.ended = q.farewell, true
	_ = q.conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	return false
}

func (q *queue) write() {
	for {
		q.mu.Lock()
		for len(q.bytes) == 0 && !q.ended {
			q.more.Wait()
		}
		b, ended := q.bytes, q.ended
		q.bytes = nil
		q.mu.Unlock()
		if _, err := q.conn.Write(b); err != nil || ended {
			q.conn.Close()
			return
		}
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.more.Signal()
}

// metrics is a page as Prometheus reads it.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(w, "# TYPE centrifugo_client_num_server_disconnects counter\n"+
		"centrifugo_client_num_server_disconnects{code=\"3008\"} %d\ncentrifugo_client_num_server_disconnects{code=\"3012\"} 5\n", s.slow)
}
