package launch

import (
	"bytes"
	"strings"
	"sync"
)

// TailBytesMax is how much of what a server says is kept: its last lines.
const TailBytesMax = 4 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - TailBytesMax; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// String is what was kept, from the beginning of a line if there is more than one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.kept
	if len(b) == TailBytesMax {
		if at := bytes.IndexByte(b, '\n'); at >= 0 && at+1 < len(b) {
			b = b[at+1:]
		}
	}
	return strings.TrimRight(string(b), "\n")
}
