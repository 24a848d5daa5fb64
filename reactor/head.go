package reactor

import (
	"bytes"
	"iter"
	"strings"
	"unsafe"
)

// Head is one parsed and checked request head. Its strings alias the read buffer: they are valid during Route only, so clone
// what stays.
type Head struct {
	Method string // a token, as sent
	Target string // origin form, or "*" of OPTIONS; as sent
	Path   string // Target up to the first '?', not unescaped
	Query  string // Target after the first '?'
	Proto  string // "HTTP/1.1" or "HTTP/1.0"
	Host   string // "" only in HTTP/1.0, or if the client sent an empty one

	fields  []field
	length  int64 // Content-Length
	chunked bool  // there is a Transfer-Encoding, which is that

	conn   *Conn  // asked for the peer's address
	peer   string // the address, if there is no conn
	secure bool   // TLS, if there is no conn
}

type field struct{ name, value string }

// headError is why a head is refused; the client sees it as the body of a 400.
type headError string

func (e headError) Error() string { return string(e) }

// All of these end the conn: nobody knows where the next request would begin (RFC 9112 sections 2.2, 5 and 6).
const (
	errHeadSize     headError = "request head too large"
	errHeadFields   headError = "too many header fields"
	errHeadLine     headError = "a line of the request head does not end with CR LF"
	errRequestLine  headError = "malformed request line"
	errTarget       headError = "malformed request target"
	errHTTPVersion  headError = "unsupported HTTP version"
	errFieldLine    headError = "malformed header field"
	errFieldFold    headError = "header field folded over lines"
	errFieldValue   headError = "control character in a header field"
	errHostCount    headError = "exactly one Host header is required"
	errHostValue    headError = "malformed Host header"
	errLengthCount  headError = "more than one Content-Length"
	errLengthValue  headError = "malformed Content-Length"
	errCoding       headError = "unsupported Transfer-Encoding"
	errCodingLength headError = "both Transfer-Encoding and Content-Length"
	errTrailer      headError = "forbidden trailer field"
)

// Header returns the first value of a header, "" if there is none. The name's case does not matter.
func (h *Head) Header(name string) string {
	for i := range h.fields {
		if equalFold(h.fields[i].name, name) {
			return h.fields[i].value
		}
	}
	return ""
}

// Joined returns all values of a header, joined by commas (RFC 9110 section 5.3).
func (h *Head) Joined(name string) string {
	joined, count := "", 0
	for v := range h.Values(name) {
		if count++; count == 1 {
			joined = v
		} else {
			joined += ", " + v
		}
	}
	return joined
}

// Values goes through the values of a header in their order.
func (h *Head) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range h.fields {
			if equalFold(h.fields[i].name, name) && !yield(h.fields[i].value) {
				return
			}
		}
	}
}

// Fields goes through all header fields, names and values as sent.
func (h *Head) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range h.fields {
			if !yield(h.fields[i].name, h.fields[i].value) {
				return
			}
		}
	}
}

// RemoteAddr is the peer's "host:port".
func (h *Head) RemoteAddr() string {
	if h.conn != nil {
		return h.conn.RemoteAddr()
	}
	return h.peer
}

// headEnd looks for the empty line that ends a head, in what has arrived of it. seen says how many bytes an earlier call has
// already looked at. It returns the size of the head, 0 while it goes on, and fails at the first line that ends with a bare LF.
func headEnd(b []byte, seen int) (size int, err error) {
	for i := seen; ; i++ {
		next := bytes.IndexByte(b[i:], '\n')
		if next < 0 {
			return 0, nil
		}
		i += next
		if i == 0 || b[i-1] != '\r' {
			return 0, errHeadLine
		}
		if i == 1 || b[i-2] == '\n' {
			return i + 1, nil
		}
	}
}

// parse reads a whole head, its last empty line included, into h. headEnd has found its end, and that all of its lines end with CR LF.
func (h *Head) parse(b []byte, fieldsMax int) error {
	*h = Head{fields: h.fields[:0]}
	text := unsafe.String(unsafe.SliceData(b), len(b))
	line, text := cutLine(text)
	if err := h.parseRequestLine(line); err != nil {
		return err
	}
	for {
		line, text = cutLine(text)
		if line == "" {
			return nil
		}
		if len(h.fields) == fieldsMax {
			return errHeadFields
		}
		if err := h.parseField(line); err != nil {
			return err
		}
	}
}

func cutLine(text string) (line, rest string) {
	end := strings.IndexByte(text, '\n')
	return text[:end-1], text[end+1:]
}

func (h *Head) parseRequestLine(line string) error {
	method, rest, ok1 := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || !isToken(method) {
		return errRequestLine
	}
	if proto != "HTTP/1.1" && proto != "HTTP/1.0" {
		return errHTTPVersion
	}
	h.Method, h.Target, h.Proto = method, target, proto
	h.splitTarget()
	return h.checkTarget()
}

func (h *Head) splitTarget() { h.Path, h.Query, _ = strings.Cut(h.Target, "?") }

// checkTarget takes the origin form and the asterisk form of OPTIONS. The absolute form is for proxies, which we are not, and
// would give a request two hosts.
func (h *Head) checkTarget() error {
	if h.Target == "*" && h.Method == "OPTIONS" {
		return nil
	}
	if h.Target == "" || h.Target[0] != '/' {
		return errTarget
	}
	for i := range len(h.Target) {
		if c := h.Target[i]; c <= ' ' || c == 0x7f {
			return errTarget
		}
	}
	for i := range len(h.Path) {
		if h.Path[i] == '%' && (i+2 >= len(h.Path) || !isHex(h.Path[i+1]) || !isHex(h.Path[i+2])) {
			return errTarget
		}
	}
	return nil
}

func (h *Head) parseField(line string) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFieldFold
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || !isToken(name) {
		return errFieldLine // a space before the colon is no token either (RFC 9112 section 5.1)
	}
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return errFieldValue
		}
	}
	h.fields = append(h.fields, field{name, value})
	return nil
}

// check refuses what two HTTP implementations could read in two ways: several hosts, several lengths, a length beside a
// coding, a coding that is not "chunked" alone.
func (h *Head) check() error {
	var hosts, lengths, codings int
	var length, coding string
	for i := range h.fields {
		name, value := h.fields[i].name, h.fields[i].value
		switch {
		case equalFold(name, "Host"):
			hosts++
			h.Host = value
		case equalFold(name, "Content-Length"):
			lengths++
			length = value
		case equalFold(name, "Transfer-Encoding"):
			codings++
			coding = value
		case equalFold(name, "Trailer") && !validTrailer(value):
			return errTrailer
		}
	}
	http11 := h.Proto == "HTTP/1.1"
	switch {
	case hosts > 1, hosts == 0 && http11:
		return errHostCount
	case !validHost(h.Host):
		return errHostValue
	case lengths > 1:
		return errLengthCount
	case lengths == 1 && !validLength(length):
		return errLengthValue
	case codings > 0 && lengths > 0:
		return errCodingLength
	case codings > 1, codings == 1 && (!equalFold(coding, "chunked") || !http11):
		return errCoding
	}
	h.chunked = codings > 0
	for i := range len(length) {
		h.length = 10*h.length + int64(length[i]-'0')
	}
	return nil
}

// hasBody reports whether there is a body that is not known to be empty.
func (h *Head) hasBody() bool { return h.chunked || h.length > 0 }

// lengthDigitsMax keeps every Content-Length within an int64.
const lengthDigitsMax = 18

func validLength(s string) bool {
	if s == "" || len(s) > lengthDigitsMax {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// validTrailer refuses the announcement of trailers that would change how the message is read.
func validTrailer(list string) bool {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.Trim(name, " \t")
		if equalFold(name, "Transfer-Encoding") || equalFold(name, "Content-Length") || equalFold(name, "Trailer") {
			return false
		}
	}
	return true
}

// byteClass says what a byte may be part of.
type byteClass uint8

const (
	inToken byteClass = 1 << iota // RFC 9110 section 5.6.2
	inHost                        // RFC 3986 section 3.2.2, with a port
	inHex
)

var classes = func() (t [256]byteClass) {
	mark := func(chars string, class byteClass) {
		for i := range len(chars) {
			t[chars[i]] |= class
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	mark(alnum+"!#$%&'*+-.^_`|~", inToken)
	mark(alnum+"!$%&'()*+,-.:;=[]_~", inHost)
	mark("0123456789ABCDEFabcdef", inHex)
	return t
}()

func isHex(c byte) bool { return classes[c]&inHex != 0 }

func isToken(s string) bool { return s != "" && all(s, inToken) }

func validHost(s string) bool { return all(s, inHost) }

func all(s string, class byteClass) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// equalFold compares header names, which are ASCII.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x != y && (lower(x) != lower(y)) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
