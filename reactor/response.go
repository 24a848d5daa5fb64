package reactor

import (
	"net/http"
	"strconv"
	"time"

	"stentor/reactor/loop"
)

// Response is what a request is answered with. It is copied: all of it is the caller's again.
type Response struct {
	Status int // 200 if 0
	// Header is further header fields as they are sent, each ended by CR LF. Date, Connection, Content-Length and
	// Transfer-Encoding are not among them.
	Header []byte
	// Body is left out where there can be none: to HEAD, and with 204 and 304. Of a stream it is the first bytes.
	Body []byte
	// Close ends the conn after the response, even if the client wants to go on.
	Close bool
}

// framing says where a body ends.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byEnd // of the conn
)

// appendHead appends the head of a response with a body of size bytes.
func (r *Response) appendHead(dst []byte, date string, body framing, size int) []byte {
	status := r.status()
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\nDate: "...)
	dst = append(dst, date...)
	dst = append(dst, "\r\n"...)
	dst = append(dst, r.Header...)
	if r.Close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	switch {
	case !hasBody(status):
	case body == byLength:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(size), 10)
		dst = append(dst, "\r\n"...)
	case body == byChunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func (r *Response) status() int {
	if r.Status == 0 {
		return http.StatusOK
	}
	return r.Status
}

func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// date is the value of a Date header. It is made anew when the loop's time has moved on.
type date struct {
	text string
	at   loop.Time
}

func (d *date) get(now loop.Time) string {
	if d.text == "" || d.at != now {
		d.text, d.at = time.Now().UTC().Format(http.TimeFormat), now
	}
	return d.text
}
