package auth

import (
	"encoding/json"
	"errors"
	"unicode/utf8"

	"stentor/codec"
)

// NestingMax is how deep the JSON of a header or of claims may be nested. What a token carries in info goes on to every
// subscriber, whose parsers may recurse.
const NestingMax = 64

var (
	errNotUTF8   = errors.New("is not UTF-8")
	errTooDeep   = errors.New("is nested too deeply")
	errNotObject = errors.New("is not a JSON object")
)

// checkObject reports whether b is a JSON object that [object] may walk.
func checkObject(b []byte) error {
	switch {
	case !utf8.Valid(b):
		return errNotUTF8
	case tooDeep(b):
		return errTooDeep
	case !codec.ValidJSON(b) || b[skipSpace(b, 0)] != '{':
		return errNotObject
	}
	return nil
}

// tooDeep reports whether b is nested deeper than NestingMax. It need not be JSON.
func tooDeep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++ // whatever is escaped, it does not end the string
			}
		case c == '{' || c == '[':
			if depth++; depth > NestingMax {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// object walks the members of a JSON object in order, duplicates included, without building anything. Its bytes must have
// passed checkObject: that is what makes the walk this short.
type object struct {
	b []byte
	i int
}

// members starts a walk.
func members(b []byte) object {
	return object{b, skipSpace(b, 0) + 1}
}

// next returns the next member; both parts alias the object, but for names with escapes. ok is false at the end.
func (o *object) next() (name, value []byte, ok bool) {
	o.i = skipSpace(o.b, o.i)
	if o.b[o.i] == ',' {
		o.i = skipSpace(o.b, o.i+1)
	}
	if o.b[o.i] == '}' {
		return nil, nil, false
	}
	start := o.i
	o.i = skipString(o.b, o.i)
	name = o.b[start+1 : o.i-1]
	for _, c := range name {
		if c == '\\' {
			name = []byte(unquote(o.b[start:o.i]))
			break
		}
	}
	o.i = skipSpace(o.b, o.i) + 1 // the colon
	o.i = skipSpace(o.b, o.i)
	start = o.i
	o.i = skipValue(o.b, o.i)
	return name, o.b[start:o.i], true
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) string {
	text := quoted[1 : len(quoted)-1]
	for _, c := range text {
		if c == '\\' {
			var s string
			// Valid JSON was checked before; a lone surrogate becomes U+FFFD.
			_ = json.Unmarshal(quoted, &s)
			return s
		}
	}
	return string(text)
}

// skipSpace returns the index of the first byte from i on that is not white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that starts at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that starts at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i // a number or a word has ended
			}
			depth--
			i++
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i // likewise
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
}
