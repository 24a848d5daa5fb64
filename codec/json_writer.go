package codec

import (
	"bytes"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// jsonWriter appends JSON to buf. It knows the grammar and no message: the methods in json_append.go say what to write.
// Keys are given with their quotes and colon. A payload that is not JSON spoils the whole.
type jsonWriter struct {
	buf   []byte
	spoil bool
}

// line ends the message with its delimiter and returns the buffer, or old and ErrNotJSON.
func (w *jsonWriter) line(old []byte) ([]byte, error) {
	if w.spoil {
		return old, ErrNotJSON
	}
	return append(w.buf, '\n'), nil
}

// whole is line for a message that nothing delimits.
func (w *jsonWriter) whole(old []byte) ([]byte, error) {
	if w.spoil {
		return old, ErrNotJSON
	}
	return w.buf, nil
}

// begin opens the outermost object.
func (w *jsonWriter) begin() { w.buf = append(w.buf, '{') }

// enter opens an object as the value of a member, or with an empty key as an element or after a name.
func (w *jsonWriter) enter(key string) { w.key(key); w.buf = append(w.buf, '{') }

// leave closes an object.
func (w *jsonWriter) leave() { w.buf = append(w.buf, '}') }

// enterList opens an array as the value of a member.
func (w *jsonWriter) enterList(key string) { w.key(key); w.buf = append(w.buf, '[') }

// leaveList closes an array.
func (w *jsonWriter) leaveList() { w.buf = append(w.buf, ']') }

// key begins a member, or with an empty key an element, after a comma where one is needed: no value ends in one of the
// three bytes after which none is.
func (w *jsonWriter) key(key string) {
	if c := w.buf[len(w.buf)-1]; c != '{' && c != '[' && c != ':' {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, key...)
}

// name begins a member whose key is data.
func (w *jsonWriter) name(name string) {
	w.key("")
	w.buf = appendString(w.buf, name)
	w.buf = append(w.buf, ':')
}

// text writes a string unless it is empty.
func (w *jsonWriter) text(key, v string) {
	if v != "" {
		w.textAlways(key, v)
	}
}

func (w *jsonWriter) textAlways(key, v string) {
	w.key(key)
	w.buf = appendString(w.buf, v)
}

// raw embeds a payload unless it is empty.
func (w *jsonWriter) raw(key string, v []byte) {
	if len(v) == 0 {
		return
	}
	ok, holds := validJSON(v)
	if !ok {
		w.spoil = true
		return
	}
	w.key(key)
	w.buf = appendRaw(w.buf, v, holds)
}

// bool writes a boolean unless it is false.
func (w *jsonWriter) bool(key string, v bool) {
	if v {
		w.key(key)
		w.buf = append(w.buf, "true"...)
	}
}

// uint writes an integer unless it is zero.
func (w *jsonWriter) uint(key string, v uint64) {
	if v != 0 {
		w.uintAlways(key, v)
	}
}

func (w *jsonWriter) uintAlways(key string, v uint64) {
	w.key(key)
	w.buf = strconv.AppendUint(w.buf, v, 10)
}

// int writes an integer unless it is zero.
func (w *jsonWriter) int(key string, v int64) {
	if v != 0 {
		w.key(key)
		w.buf = strconv.AppendInt(w.buf, v, 10)
	}
}

// appendRaw appends a JSON value without its newlines, which are all white space: inside a string they would be escaped.
// Broken UTF-8 becomes U+FFFD, because a ws client must fail on a text frame that is not UTF-8 (RFC 6455, section 8.1) and
// one publisher could so throw out all subscribers of a channel.
func appendRaw(dst, v []byte, holds content) []byte {
	if holds&nonASCII != 0 && !utf8.Valid(v) {
		v = []byte(validText(string(v)))
	}
	for {
		i := bytes.IndexByte(v, '\n')
		if i < 0 {
			return append(dst, v...)
		}
		dst = append(dst, v[:i]...)
		v = v[i+1:]
	}
}

// validText returns s with each byte that is not UTF-8 replaced by U+FFFD. It copies only if there is one.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// appendString appends s as a JSON string. Besides what JSON asks for it escapes U+2028 and U+2029, which end a line in
// JavaScript, and replaces broken UTF-8 by U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := plainText(s, 0); i < len(s); i = plainText(s, i) {
		if s[i] < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, s[i])
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), "\uFFFD"...)
			start = i + size
		case r == '\u2028':
			dst = append(append(dst, s[start:i]...), `\u2028`...)
			start = i + size
		case r == '\u2029':
			dst = append(append(dst, s[start:i]...), `\u2029`...)
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// AppendJSONText appends text to dst as a JSON string, in the way in which all strings of our messages are written. Broken UTF-8 in
// it becomes U+FFFD, so that only valid UTF-8 comes back as it was.
func AppendJSONText(dst, text []byte) []byte {
	return appendString(dst, alias(text))
}

// plainText returns the index of the first byte of s from i on that appendString must look at, or len(s).
func plainText(s string, i int) int {
	for ; len(s)-i >= 8; i += 8 {
		// The compiler makes one load of this.
		word := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if hits := special(word); hits != 0 {
			return i + bits.TrailingZeros64(hits)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// appendEscape appends an ASCII character in its escaped form.
func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
