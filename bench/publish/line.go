package publish

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"stentor/bench/response"
)

// Line is one HTTP/1.1 conn to the API with one request at a time. Make it with NewLine. It does what Client does for those who count
// requests per second, for a fraction of the CPU. It is not safe for concurrent use.
type Line struct {
	// Fresh opens a conn for each request in place of keeping one.
	Fresh bool

	addr, path, host, key string
	tls                   *tls.Config // nil: none
	conn                  net.Conn
	in                    *bufio.Reader
	out, body             []byte
}

// NewLine takes the address of the API, such as http://127.0.0.1:8000/api, and its key. secured is for an https address; nil: whatever
// the system trusts.
func NewLine(address, key string, secured *tls.Config) (*Line, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--api-url: %q is not like http://127.0.0.1:8000/api", address)
	}
	l := &Line{path: u.EscapedPath(), host: u.Host, key: key}
	port := "80"
	if u.Scheme == "https" {
		port, l.tls = "443", &tls.Config{}
		if secured != nil {
			l.tls = secured.Clone()
		}
		if l.tls.ServerName == "" {
			l.tls.ServerName = u.Hostname()
		}
	}
	if u.Port() != "" {
		port = u.Port()
	}
	l.addr = net.JoinHostPort(u.Hostname(), port)
	return l, nil
}

// Close ends the conn.
func (l *Line) Close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

// Call sends body, a JSON object, to a method and checks the answer: an *Error that the API gives is returned, also one of a command
// in a batch.
func (l *Line) Call(ctx context.Context, method string, body []byte) error {
	if err := l.Open(ctx); err != nil {
		return err
	}
	l.out = l.appendRequest(l.out[:0], method, body)
	text, status, keep, err := l.exchange()
	if err != nil || !keep || l.Fresh {
		l.Close()
	}
	switch {
	case err != nil:
		return fmt.Errorf("API: %w", err)
	case status != http.StatusOK:
		return &StatusError{Status: status, URL: l.address(method)}
	}
	return firstError(text)
}

// Open connects, unless it is connected. Otherwise the next call does.
func (l *Line) Open(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	c, err := l.dial(ctx)
	if err != nil {
		return fmt.Errorf("API: %w", err)
	}
	l.conn = c
	if l.in == nil {
		l.in = bufio.NewReaderSize(c, response.HeadBytesMax)
	} else {
		l.in.Reset(c)
	}
	return nil
}

func (l *Line) dial(ctx context.Context) (net.Conn, error) {
	if l.tls == nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.addr)
	}
	d := tls.Dialer{Config: l.tls}
	return d.DialContext(ctx, "tcp", l.addr)
}

// address is what the conn leads to, as an error names it.
func (l *Line) address(method string) string {
	scheme := "http://"
	if l.tls != nil {
		scheme = "https://"
	}
	return scheme + l.host + l.path + "/" + method
}

func (l *Line) appendRequest(dst []byte, method string, body []byte) []byte {
	dst = append(dst, "POST "+l.path+"/"+method+" HTTP/1.1\r\nHost: "+l.host+"\r\nContent-Type: application/json\r\n"...)
	if l.key != "" {
		dst = append(dst, "X-API-Key: "+l.key+"\r\n"...)
	}
	if l.Fresh {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// exchange writes the request and reads the answer. text is valid until the next call.
func (l *Line) exchange() (text []byte, status int, keep bool, err error) {
	if err := l.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, 0, false, err
	}
	if _, err := l.conn.Write(l.out); err != nil {
		return nil, 0, false, err
	}
	var h response.Head
	for size := 1; ; size++ {
		if _, err := l.in.Peek(size); err != nil {
			return nil, 0, false, err
		}
		size = l.in.Buffered()
		b, _ := l.in.Peek(size)
		n, ok, err := h.Parse(b)
		if err != nil {
			return nil, 0, false, err
		}
		if ok {
			_, _ = l.in.Discard(n)
			break
		}
	}
	if h.Length < 0 && !h.Chunked {
		return nil, 0, false, errors.New("an answer without a length")
	}
	var body io.Reader = io.LimitReader(l.in, h.Length)
	if h.Chunked {
		body = httputil.NewChunkedReader(l.in)
	}
	l.body, err = readAll(body, l.body[:0])
	if err == nil && h.Chunked {
		_, err = l.in.Discard(len("\r\n")) // the chunked reader leaves the end of the trailer
	}
	return l.body, h.Status, !h.Close, err
}

// readAll is io.ReadAll into the caller's buffer, up to answerMax.
func readAll(r io.Reader, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		case len(b) > answerMax:
			return b, fmt.Errorf("an answer of more than %d bytes", answerMax)
		}
	}
}
