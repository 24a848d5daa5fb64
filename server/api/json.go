package api

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/bytedance/sonic"
	"github.com/bytedance/sonic/encoder"

	"stentor/codec"
)

// jsonAPI decodes bodies that are known to be JSON. Strings and raw JSON are copied, for publications outlive the body's buffer.
var jsonAPI = sonic.Config{CopyString: true, NoValidateJSONSkip: true}.Froze()

// decode decodes one JSON text into v, without keeping any of it. Unknown keys are ignored; of equal keys the last one counts.
// Bytes that are not UTF-8 become U+FFFD: raw data with them could not be sent in a text frame.
//
// The text is validated with the codec's own scan first. The library skips what it does not decode too lightly (in strings of more
// than 32 bytes it takes any escape), and nests deeper than the codec does; but raw data that the codec does not take for JSON
// would close every JSON subscriber.
func decode(text string, v any) error {
	if text == "" {
		return io.EOF
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	if !codec.ValidJSON(asBytes(text)) {
		return errNotJSON
	}
	return jsonAPI.UnmarshalFromString(text, v)
}

// cutObject cuts the first JSON object off text, of objects that follow each other with or without white space in between. It
// only looks for where the object ends, so that each byte is decoded once (the library's decoder looks at all that is left for
// each text). A text that begins with something else, or does not end, is returned whole.
func cutObject(text string) (object, rest string) {
	text = strings.TrimLeft(text, " \t\r\n")
	if !strings.HasPrefix(text, "{") {
		return text, ""
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = stringEnd(text, i+1); i < 0 {
				return text, ""
			}
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return text[:i+1], text[i+1:]
			}
		}
	}
	return text, ""
}

// stringEnd is the index of the quote that ends the string which begins at from, or -1.
func stringEnd(text string, from int) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// textError is a decoding error of our own, which can be shown as it is.
type textError string

func (e textError) Error() string { return "api: " + string(e) }

const errNotJSON = textError("the text is not JSON, or nested too deep")

// describe says what was wrong with a text, for logs. The library's errors show the text around the place, which may be a secret
// of the application.
func describe(err error) string {
	var own textError
	switch {
	case err == io.EOF:
		return "the body is empty"
	case errors.As(err, &own):
		return string(own)
	default:
		return "a value is of the wrong type"
	}
}

// appendJSON appends v to the buffer.
func appendJSON(buffer *[]byte, v any) error {
	if isEmpty(v) {
		*buffer = append(*buffer, '{', '}')
		return nil
	}
	err := encoder.EncodeInto(buffer, v, 0)
	*buffer = bytes.TrimSuffix(*buffer, []byte{'\n'}) // some platforms have the encoder of the standard library instead
	return err
}

// isEmpty reports results that need no encoder: those of most publications.
func isEmpty(v any) bool {
	switch r := v.(type) {
	case *EmptyResult:
		return true
	case *PublishResult:
		return *r == PublishResult{}
	default:
		return false
	}
}

// appendText appends text to the buffer.
func appendText(buffer *[]byte, text string) { *buffer = append(*buffer, text...) }

// asString is b without a copy: good only while nobody writes to b.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// asBytes is text without a copy: nobody may write to it.
func asBytes(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
