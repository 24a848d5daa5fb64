package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of a question to the pprof pages.
const (
	pprofTimeout  = 60 * time.Second // a forced collection of a large heap takes its time
	pprofBytesMax = 64 << 20
)

// Pprof asks the /debug/pprof pages of a Go server.
type Pprof struct {
	base string
	http *http.Client
}

// NewPprof takes the address of the pages, such as http://127.0.0.1:8000/debug/pprof. secured is for an https address; nil: whatever the system trusts.
func NewPprof(base string, secured *tls.Config) *Pprof {
	return &Pprof{base: strings.TrimRight(base, "/"), http: &http.Client{Timeout: pprofTimeout, Transport: overTLS(secured)}}
}

// overTLS is what carries questions to a server with such a certificate.
func overTLS(secured *tls.Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if secured != nil {
		t.TLSClientConfig = secured.Clone()
	}
	return t
}

// Heap is what is alive after a collection.
type Heap struct {
	Bytes      int64 `json:"bytes"`   // runtime.MemStats.HeapAlloc
	Objects    int64 `json:"objects"` // runtime.MemStats.HeapObjects
	Sys        int64 `json:"sys"`     // bytes from the system for everything (MemStats.Sys)
	Goroutines int64 `json:"goroutines"`
}

// Heap forces one collection and reads the heap and the number of goroutines.
func (p *Pprof) Heap(ctx context.Context) (Heap, error) {
	text, err := p.page(ctx, "/heap?gc=1&debug=1")
	if err != nil {
		return Heap{}, err
	}
	h, err := parseHeap(text)
	if err != nil {
		return Heap{}, err
	}
	if text, err = p.page(ctx, "/goroutine?debug=1"); err != nil {
		return Heap{}, err
	}
	h.Goroutines, err = parseGoroutines(text)
	return h, err
}

func (p *Pprof) page(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("--pprof-url: %w", err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("pprof: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("pprof: %s answers %s: are the profile pages of the server turned on (debug.enabled)?", p.base+path, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, pprofBytesMax))
}

// parseHeap reads the "# HeapAlloc = 123" lines at the end of the text form of a heap profile.
func parseHeap(text []byte) (h Heap, err error) {
	found := 0
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("# "))
		if !ok {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(string(rest)), " = ")
		if !ok {
			continue
		}
		var into *int64
		switch name {
		case "HeapAlloc":
			into = &h.Bytes
		case "HeapObjects":
			into = &h.Objects
		case "Sys":
			into = &h.Sys
		default:
			continue
		}
		if *into, err = strconv.ParseInt(value, 10, 64); err != nil {
			return Heap{}, fmt.Errorf("pprof: heap: %w", err)
		}
		found++
	}
	if found < 3 {
		return Heap{}, errors.New("pprof: heap: HeapAlloc, HeapObjects or Sys is not there: is this a Go server?")
	}
	return h, nil
}

// parseGoroutines reads "goroutine profile: total 12".
func parseGoroutines(text []byte) (int64, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte("goroutine profile: total "))
	if !ok {
		return 0, errors.New("pprof: goroutine: no total in the first line")
	}
	return strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
}
