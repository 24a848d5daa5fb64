package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Limits of the memory that bodies and responses use.
const (
	// bufferKeptMax is the largest buffer, in bytes, that is kept for the next request.
	bufferKeptMax = 64 << 10
	// largeBytes is the size, in bytes, from which on a body is large.
	largeBytes = 1 << 20
	// largeMax is how many large bodies are read and worked on at once; others wait.
	largeMax = 8
)

// buffers are kept between requests.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) <= bufferKeptMax {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// body is what came with one request. Its bytes are good until done.
type body struct {
	buffer *[]byte
	large  chan struct{} // where the place of a large body is given back; nil if it has none
}

func (b *body) text() string { return asString(*b.buffer) }

func (b *body) done() {
	putBuffer(b.buffer)
	if b.large != nil {
		<-b.large
	}
}

// read reads the whole body of r. When it cannot be had, it answers and reports false.
func (h *HTTP) read(w http.ResponseWriter, r *http.Request) (_ body, ok bool) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		// Inflating would let a small request cost much memory; API clients do not compress.
		httpError(w, http.StatusUnsupportedMediaType)
		return body{}, false
	}
	if r.ContentLength > BodyBytesMax {
		refuseLarge(w)
		return body{}, false
	}
	b := body{buffer: getBuffer()}
	if err := h.fill(&b, w, r); err != nil {
		b.done()
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			refuseLarge(w)
		} else {
			h.cfg.Log.Debug("reading the body of an API request failed", "error", err)
			httpError(w, http.StatusBadRequest)
		}
		return body{}, false
	}
	return b, true
}

func refuseLarge(w http.ResponseWriter) {
	w.Header().Set("Connection", "close") // the rest of the body is not worth reading
	httpError(w, http.StatusRequestEntityTooLarge)
}

func (h *HTTP) fill(b *body, w http.ResponseWriter, r *http.Request) error {
	from := http.MaxBytesReader(w, r.Body, BodyBytesMax)
	to := (*b.buffer)[:0]
	defer func() { *b.buffer = to }()
	for {
		if len(to) >= largeBytes && b.large == nil {
			select {
			case h.large <- struct{}{}:
				b.large = h.large
			case <-r.Context().Done():
				return r.Context().Err()
			}
		}
		if len(to) == cap(to) {
			to = grow(to, r.ContentLength)
		}
		n, err := from.Read(to[len(to):cap(to)])
		to = to[:len(to)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow makes room: for the announced length while that is small, else twice what came so far. An announcement alone, without
// bytes behind it, must not cost much.
func grow(b []byte, announced int64) []byte {
	room := max(2*len(b), 512)
	if announced >= 0 && announced < largeBytes {
		room = max(room, int(announced)+1) // one more, so that the end is seen without growing again
	}
	return append(make([]byte, 0, room), b...)
}
