package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// closeTimeout is how long a child may take to end by itself.
const closeTimeout = 10 * time.Second

// question and answer are the lines.
type question struct {
	ID   uint64          `json:"id"`
	Op   string          `json:"op"`
	Body json.RawMessage `json:"body,omitempty"`
}

type answer struct {
	ID    uint64          `json:"id"`
	Error string          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// Command says which program to run as a child.
type Command struct {
	Path string
	Args []string
}

// Self is the running program with other arguments.
func Self(args ...string) (Command, error) {
	path, err := os.Executable()
	return Command{Path: path, Args: args}, err
}

// Child is a running child process. Make it with Start. Its methods are safe for concurrent use.
type Child struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu    sync.Mutex
	lines *json.Encoder
	last  uint64
	open  map[uint64]chan answer
	ended error // set once no answer will come any more

	done chan struct{} // closed when the process is gone
}

// Start runs a child whose standard error is ours.
func Start(c Command) (*Child, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("child process: %w", err)
	}
	child := &Child{cmd: cmd, in: in, lines: json.NewEncoder(in), open: map[uint64]chan answer{}, done: make(chan struct{})}
	go child.read(out)
	return child, nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

func (c *Child) read(out io.Reader) {
	defer close(c.done)
	lines := json.NewDecoder(out)
	var nonsense error
	for {
		var a answer
		if err := lines.Decode(&a); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				nonsense = fmt.Errorf("it says what is no answer: %w", err)
				_ = c.cmd.Process.Kill() // nothing that it says later can be trusted
			}
			break
		}
		c.mu.Lock()
		to := c.open[a.ID]
		delete(c.open, a.ID)
		c.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
	err := c.cmd.Wait()
	switch {
	case nonsense != nil:
		err = nonsense
	case err == nil:
		err = errors.New("it has ended")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = fmt.Errorf("child process %d: %w", c.cmd.Process.Pid, err)
	for id, to := range c.open {
		to <- answer{ID: id, Error: c.ended.Error()}
	}
	clear(c.open)
}

// Call asks one question and reads the answer into result, which may be nil.
func (c *Child) Call(ctx context.Context, op string, body, result any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	to := make(chan answer, 1)
	c.mu.Lock()
	if c.ended != nil {
		c.mu.Unlock()
		return c.ended
	}
	c.last++
	id := c.last
	c.open[id] = to
	err = c.lines.Encode(question{ID: id, Op: op, Body: raw})
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("child process %d: %w", c.PID(), err)
	}
	select {
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.open, id)
		c.mu.Unlock()
		return ctx.Err()
	case a := <-to:
		if a.Error != "" {
			return errors.New(a.Error)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Body, result)
	}
}

// Close ends the child's input and waits for its end; a child that does not end is killed.
func (c *Child) Close() {
	_ = c.in.Close()
	select {
	case <-c.done:
	case <-time.After(closeTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}
