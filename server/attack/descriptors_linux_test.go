package attack

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"stentor/codec"
)

const descriptors = 400

// TestDescriptorExhaustion is group 30: more clients than a process has descriptors. It refuses those that are too many, exactly,
// long before there are none left, as an accept that fails would be the end; it does not spin; and those that are there go on.
func TestDescriptorExhaustion(t *testing.T) {
	c := startChild(t, descriptors, 0)
	if c.room < 50 || c.room > descriptors-200 {
		t.Fatalf("the server takes %d clients with %d descriptors", c.room, descriptors)
	}
	s := attack(t, c.house)
	s.witness() // its request holds the second place

	s.row("clients in session", func(t *testing.T) {
		var all []*client
		for range c.room - 2 {
			all = append(all, joined(t, c.house, codec.JSON, "full"))
		}
		s.refusesExactly(t, c, 100)
		s.witness()
		for _, gone := range all[:10] {
			gone.say(closing(1000))
			gone.expectClose(1000, "")
		}
		for i := range 10 {
			all[i] = s.admitted(t, upgradeRequest, 101)
			all[i].join("full")
		}
		s.refusesExactly(t, c, 10)
		if err := c.publish("full", `"all"`); err != nil {
			t.Fatal(err)
		}
		for _, heard := range all {
			heard.expectPush("full", `"all"`)
			heard.reset()
		}
	})
	s.row("clients that say nothing", func(t *testing.T) {
		var all []*client
		for range c.room - 2 {
			all = append(all, s.admitted(t, upgradeRequest, 101))
		}
		s.refusesExactly(t, c, 100)
		for _, silent := range all {
			silent.reset()
		}
	})
	s.row("requests that stay", func(t *testing.T) {
		var all []*client
		for range c.room - 2 {
			all = append(all, s.admitted(t, healthRequest, 200)) // it may send others
		}
		s.refusesExactly(t, c, 100)
		for _, idle := range all {
			idle.reset()
		}
	})
	s.row("all at once", func(t *testing.T) { s.crowd(t, c) })
	s.admitted(t, upgradeRequest, 101).reset()
}

// TestMoreConnectionsThanDescriptors: the configuration asks for more than there can be.
func TestMoreConnectionsThanDescriptors(t *testing.T) {
	c := startChild(t, descriptors, 10*descriptors)
	if c.room < 50 || c.room > descriptors-200 {
		t.Fatalf("the server takes %d clients with %d descriptors", c.room, descriptors)
	}
	s := attack(t, c.house)
	s.row("all at once", func(t *testing.T) { s.crowd(t, c) })
	s.admitted(t, upgradeRequest, 101).reset()
}

// crowd opens far more connections than there is room for, without a word.
func (s *scene) crowd(t *testing.T, c *child) {
	t.Helper()
	conns := make([]net.Conn, 3*descriptors)
	for i := range conns {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	s.witness()
	c.checkDescriptors(t)
	c.checkRest(t)
	for _, conn := range conns {
		conn.Close()
	}
}

// admitted opens a connection that the server takes, as soon as it has noticed who has left, and reads the answer to a request.
func (s *scene) admitted(t *testing.T, request string, status int) *client {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c := dial(t, s.house)
		_ = c.trySay(request)
		c.awaitInput()
		line, err := c.in.Peek(len("HTTP/1.1 101"))
		if err == nil && string(line) == fmt.Sprintf("HTTP/1.1 %d", status) {
			c.response()
			return c
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("nobody is let in although there is room: %q, %v", line, err)
		}
	}
}

// refusesExactly opens connections to a server that is full.
func (s *scene) refusesExactly(t *testing.T, c *child, clients int) {
	t.Helper()
	before, err := c.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for range clients {
		refused := dial(t, c.house)
		_ = refused.trySay(upgradeRequest) // it may be gone already
		refused.expectRefusal()
	}
	s.witness()
	after, err := c.metrics()
	if err != nil {
		t.Fatal(err)
	}
	const refusals = `stentor_conns_refused_total{reason="max_connections"}`
	if n := after[refusals] - before[refusals]; n != int64(clients) {
		t.Errorf("%d refusals were counted, want %d", n, clients)
	}
	c.checkDescriptors(t)
}

// expectRefusal wants 503 and the end. Who has already sent more than the server reads may hear a reset instead.
func (c *client) expectRefusal() {
	c.r.Helper()
	c.awaitInput()
	line, err := c.in.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "HTTP/1.1 503 ") {
		c.r.Fatalf("answered %q, want 503", line)
	}
	c.expectGone()
}

// checkDescriptors wants some left.
func (c *child) checkDescriptors(t *testing.T) {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if left := descriptors - len(open); left < 100 {
		t.Errorf("%d of %d descriptors are left", left, descriptors)
	}
}

// checkRest watches a server that is full for a while.
func (c *child) checkRest(t *testing.T) {
	t.Helper()
	// A loop that spins uses all of a CPU, if it gets it; one that waits uses nothing worth mentioning, however long this takes.
	const window = time.Second
	start, before := time.Now(), c.cpuTime(t)
	time.Sleep(window)
	if used, took := c.cpuTime(t)-before, time.Since(start); used > took/2 {
		t.Errorf("a server that is full used %v of CPU time in %v", used, took)
	}
}

// cpuTime is what the process has used.
func (c *child) cpuTime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ") // the name may hold anything
	var user, system int64
	columns := strings.Fields(fields)
	if len(columns) < 13 {
		t.Fatalf("/proc/%d/stat: %q", c.cmd.Process.Pid, text)
	}
	fmt.Sscan(columns[11], &user)
	fmt.Sscan(columns[12], &system)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return time.Duration(user+system) * tick
}
