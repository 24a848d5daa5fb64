package ws

import "strings"

const (
	// ExtensionsBytesMax and ExtensionsMax bound the extension offers that are looked at: together in bytes, and in number.
	// Beyond them nothing is accepted.
	ExtensionsBytesMax = 4096
	ExtensionsMax      = 16

	deflateName   = "permessage-deflate"
	deflateAnswer = deflateName + "; server_no_context_takeover; client_no_context_takeover"
	// deflateAnswerBits is for clients that name the largest window, 15 bits, as the most that they take: they want it confirmed.
	deflateAnswerBits = deflateAnswer + "; server_max_window_bits=15"
)

// ChooseDeflate answers the first offer of permessage-deflate that can be accepted (RFC 7692 section 7.1), "" if there is none.
// offers is the value of Sec-WebSocket-Extensions. No context is taken over on either side, so that a conn needs no window of
// its own, whatever the client offers about that.
//
// An offer with a parameter that is unknown, repeated or has a wrong value is declined, and so is one that wants our window
// smaller than 32 KiB, because our compressor has no other. What the client says about its own window is a hint that a reader
// with the largest window does not need. In a header that does not keep to the grammar nothing is accepted from there on: that
// is less than a client may expect, and never an error.
func ChooseDeflate(offers string) (answer string) {
	if len(offers) > ExtensionsBytesMax {
		return ""
	}
	p := extensionParser{offers}
	for range ExtensionsMax {
		name, ok := p.name()
		if !ok {
			return ""
		}
		var o deflateOffer
		if !p.parameters(&o) {
			return ""
		}
		if equalFold(name, deflateName) && !o.declined {
			return o.answer()
		}
		if !p.next(',') {
			return ""
		}
	}
	return ""
}

// deflateOffer is what the parameters of one offer say.
type deflateOffer struct {
	seen     [len(deflateParameters)]bool
	declined bool
}

// deflateParameters are the parameters of permessage-deflate.
var deflateParameters = [...]string{
	"server_no_context_takeover", "client_no_context_takeover", serverWindow, clientWindow,
}

const (
	serverWindow = "server_max_window_bits"
	clientWindow = "client_max_window_bits"
)

// add takes one parameter. hasValue tells an empty value from none.
func (o *deflateOffer) add(name, value string, hasValue bool) {
	for i, known := range deflateParameters {
		if !equalFold(name, known) {
			continue
		}
		if o.seen[i] || !validDeflateValue(known, value, hasValue) {
			o.declined = true
		}
		o.seen[i] = true
		return
	}
	o.declined = true
}

func validDeflateValue(name, value string, hasValue bool) bool {
	switch name {
	case serverWindow:
		return hasValue && value == "15"
	case clientWindow:
		return !hasValue || isWindowBits(value)
	default:
		return !hasValue
	}
}

// isWindowBits says whether s is a number from 8 to 15 as section 7.1.2 wants it written.
func isWindowBits(s string) bool {
	return len(s) == 1 && (s == "8" || s == "9") || len(s) == 2 && s[0] == '1' && '0' <= s[1] && s[1] <= '5'
}

func (o *deflateOffer) answer() string {
	for i, name := range deflateParameters {
		if name == serverWindow && o.seen[i] {
			return deflateAnswerBits
		}
	}
	return deflateAnswer
}

// extensionParser reads a Sec-WebSocket-Extensions (RFC 6455 section 9.1): extensions separated by commas, each a token followed
// by parameters behind semicolons, whose values are tokens, quoted or not.
type extensionParser struct{ rest string }

func (p *extensionParser) skipBlanks() { p.rest = strings.TrimLeft(p.rest, " \t") }

// next takes c, with blanks around it, and reports whether it was there.
func (p *extensionParser) next(c byte) bool {
	p.skipBlanks()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	p.skipBlanks()
	return true
}

func (p *extensionParser) token() (token string, ok bool) {
	n := 0
	for n < len(p.rest) && isToken(p.rest[n:n+1]) {
		n++
	}
	token, p.rest = p.rest[:n], p.rest[n:]
	return token, n > 0
}

// name takes the name of an extension, behind empty elements of the list, which mean nothing.
func (p *extensionParser) name() (name string, ok bool) {
	p.skipBlanks()
	for p.next(',') {
	}
	return p.token()
}

// parameters takes all parameters of one extension. false: this is not the grammar.
func (p *extensionParser) parameters(o *deflateOffer) bool {
	for p.next(';') {
		name, ok := p.token()
		if !ok {
			return false
		}
		hasValue, value := p.next('='), ""
		if hasValue {
			if value, ok = p.value(); !ok {
				return false
			}
		}
		o.add(name, value, hasValue)
	}
	return true
}

// value takes a token or a quoted one.
func (p *extensionParser) value() (value string, ok bool) {
	if p.rest == "" || p.rest[0] != '"' {
		return p.token()
	}
	value, rest, ok := strings.Cut(p.rest[1:], `"`)
	p.rest = rest
	return value, ok && isToken(value)
}
