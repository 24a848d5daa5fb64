package response

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// HeadBytesMax is the longest head of a response.
const HeadBytesMax = 16 << 10

// Head is what matters of the head of a response.
type Head struct {
	Status  int
	Length  int64 // of the body; −1: not told
	Chunked bool
	Close   bool // the conn ends with this response
}

var errHead = errors.New("an answer that is not an HTTP/1 response")

// Parse reads the head at the beginning of b. ok is false while it is not whole; n is its length.
func (h *Head) Parse(b []byte) (n int, ok bool, err error) {
	end := bytes.Index(b[:min(len(b), HeadBytesMax)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= HeadBytesMax {
			return 0, false, fmt.Errorf("an answer with a head of more than %d bytes", HeadBytesMax)
		}
		return 0, false, nil
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	*h = Head{Length: -1}
	if err := h.statusLine(line); err != nil {
		return 0, false, err
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if err := h.field(name, bytes.TrimSpace(value)); err != nil {
			return 0, false, err
		}
	}
	return end + 4, true, nil
}

func (h *Head) statusLine(line []byte) (err error) {
	const version = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte(version)) || line[len(version)+1] != ' ' {
		return errHead
	}
	h.Close = line[len(version)] == '0'
	if h.Status, err = strconv.Atoi(string(line[9:12])); err != nil || h.Status < 100 {
		return errHead
	}
	return nil
}

func (h *Head) field(name, value []byte) (err error) {
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if h.Length, err = strconv.ParseInt(string(value), 10, 32); err != nil || h.Length < 0 {
			return errHead
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.Chunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Connection")):
		h.Close = h.Close || bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// Bodiless is true for a response that has no body whatever its head says.
func (h *Head) Bodiless() bool { return h.Status < 200 || h.Status == 204 || h.Status == 304 }
