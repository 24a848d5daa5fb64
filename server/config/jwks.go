package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// Limits of a JWKS endpoint.
const (
	// JWKSEndpointBytesMax is the longest endpoint, with its values filled in.
	JWKSEndpointBytesMax = 2048
	// JWKSValueBytesMax is the longest value of one template variable.
	JWKSValueBytesMax = 128
	// JWKSEndpointsMax is how many endpoints a template may stand for.
	JWKSEndpointsMax = 1024
)

// JWKSEndpoint is jwks_public_endpoint taken apart: the address of a JSON Web Key Set (RFC 7517), in which {{name}} stands for
// what the group of that name in issuer_regex or audience_regex has matched.
//
// Issuer and audience are claims of a token that nobody has verified yet, so a stranger fills in the template. It is safe if
// its groups can match nothing but a list of values, for then the operator wrote down every endpoint: (?P<tenant>one|two). A
// group such as [a-z]+ is not, anywhere in the address: in the host it chooses the server that says which keys are good, in
// the path it may reach another document of that server.
type JWKSEndpoint struct {
	parts []string // text, name, text, name, …, text
}

var jwksName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// JWKSEndpoint returns the endpoint of the block, the zero value without one. It is safe, unless
// insecure_skip_jwks_endpoint_safety_check is set. An error is an *Error whose path is the option in its block.
func (t *Token) JWKSEndpoint() (JWKSEndpoint, error) {
	if t.JWKSPublicEndpoint == "" {
		return JWKSEndpoint{}, nil
	}
	e, err := cutTemplate(t.JWKSPublicEndpoint)
	if err == nil {
		err = e.checkAddress()
	}
	if err == nil {
		err = t.checkGroups(e)
	}
	if err != nil {
		remedy := "write for example https://auth.example.com/jwks.json, or https://auth.example.com/{{tenant}}/jwks.json and a group (?P<tenant>one|two) in issuer_regex"
		return JWKSEndpoint{}, &Error{Path: "jwks_public_endpoint", Value: shown(t.JWKSPublicEndpoint, false), Problem: err.Error(), Remedy: remedy}
	}
	return e, nil
}

// cutTemplate takes a template apart.
func cutTemplate(text string) (e JWKSEndpoint, err error) {
	for {
		before, rest, found := strings.Cut(text, "{{")
		if strings.ContainsAny(before, "{}") {
			return e, errors.New("has a brace that is no part of a {{name}}")
		}
		e.parts = append(e.parts, before)
		if !found {
			return e, nil
		}
		name, after, found := strings.Cut(rest, "}}")
		if !found || !jwksName.MatchString(name) {
			return e, errors.New("has a {{ that does not begin a {{name}}")
		}
		e.parts = append(e.parts, name)
		text = after
	}
}

// checkAddress reports what is wrong whatever the values are. Scheme, port and credentials are never templates.
func (e JWKSEndpoint) checkAddress() error {
	scheme, rest, ok := strings.Cut(e.parts[0], "://")
	if !ok || scheme != "http" && scheme != "https" {
		return errors.New("does not begin with https:// or http://")
	}
	filled, err := e.Fill(func(string) string { return "x" })
	if err != nil {
		return err
	}
	u, err := url.Parse(filled)
	inAuthority := len(e.parts) > 1 && !strings.ContainsAny(rest, "/?#")
	switch {
	case err != nil:
		return errors.New("is not an address") // its own text would repeat credentials
	case u.Hostname() == "":
		return errors.New("names no host")
	case u.Fragment != "":
		return errors.New("has a fragment (#), which is never sent")
	case inAuthority && u.User != nil:
		return errors.New("has a template beside credentials")
	}
	return nil
}

// checkGroups reports a template without a group to fill it, and one that is not safe.
func (t *Token) checkGroups(e JWKSEndpoint) error {
	groups, err := t.groups()
	if err != nil {
		return err
	}
	endpoints := 1
	for _, name := range e.Names() {
		group, ok := groups[name]
		switch {
		case !ok:
			return fmt.Errorf("has {{%s}}, and neither issuer_regex nor audience_regex has a group of that name", name)
		case t.InsecureSkipJWKSEndpointSafetyCheck:
			continue
		}
		values, ok := listed(group)
		if endpoints *= len(values); !ok || endpoints > JWKSEndpointsMax {
			return fmt.Errorf("is not safe: the group %s does not list its values (or more than %d), so strangers could choose where keys come from", name, JWKSEndpointsMax)
		}
		for _, v := range values {
			if !isJWKSValue(v) {
				return fmt.Errorf("is not safe: %q, a value of {{%s}}, has other characters than letters, digits, - _ ~ and dots between them, or is longer than %d bytes",
					v, name, JWKSValueBytesMax)
			}
		}
	}
	return nil
}

// groups returns the named groups of both patterns.
func (t *Token) groups() (map[string]*syntax.Regexp, error) {
	groups := map[string]*syntax.Regexp{}
	for _, pattern := range []string{t.IssuerRegex, t.AudienceRegex} {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return nil, errors.New("needs issuer_regex and audience_regex to be regular expressions")
		}
		for _, g := range captures(re) {
			if groups[g.Name] != nil {
				return nil, fmt.Errorf("finds the group %s in both issuer_regex and audience_regex", g.Name)
			}
			groups[g.Name] = g.Sub[0]
		}
	}
	return groups, nil
}

// captures returns the named groups in re.
func captures(re *syntax.Regexp) (list []*syntax.Regexp) {
	if re.Op == syntax.OpCapture && re.Name != "" {
		list = append(list, re)
	}
	for _, sub := range re.Sub {
		list = append(list, captures(sub)...)
	}
	return list
}

// listed returns all that re can match; false if that is no list, or one of more than JWKSEndpointsMax values.
func listed(re *syntax.Regexp) (values []string, ok bool) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, re.Flags&syntax.FoldCase == 0
	case syntax.OpCharClass: // one|ono is on[eo] to the parser
		for i := 0; i < len(re.Rune); i += 2 {
			if int(re.Rune[i+1]-re.Rune[i]) >= JWKSEndpointsMax {
				return nil, false
			}
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				values = append(values, string(r))
			}
		}
	case syntax.OpCapture:
		return listed(re.Sub[0])
	case syntax.OpQuest:
		values, ok = listed(re.Sub[0])
		return append(values, ""), ok
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			more, ok := listed(sub)
			if !ok {
				return nil, false
			}
			values = append(values, more...)
		}
	case syntax.OpConcat:
		return joined(re.Sub)
	default:
		return nil, false
	}
	return values, len(values) <= JWKSEndpointsMax
}

// joined returns all that the parts can match one after the other.
func joined(parts []*syntax.Regexp) (values []string, ok bool) {
	values = []string{""}
	for _, part := range parts {
		ends, ok := listed(part)
		if !ok || len(values)*len(ends) > JWKSEndpointsMax {
			return nil, false
		}
		var longer []string
		for _, v := range values {
			for _, end := range ends {
				longer = append(longer, v+end)
			}
		}
		values = longer
	}
	return values, true
}

// isJWKSValue reports that v stays what it is wherever it stands in an address: one label, or a part of one, between two
// slashes or dots.
func isJWKSValue(v string) bool {
	if v == "" || len(v) > JWKSValueBytesMax || v[0] == '.' || v[len(v)-1] == '.' || strings.Contains(v, "..") {
		return false
	}
	for _, c := range []byte(v) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '~', c == '.':
		default:
			return false
		}
	}
	return true
}

// Names returns the variables of the template, each once.
func (e JWKSEndpoint) Names() (names []string) {
	for i := 1; i < len(e.parts); i += 2 {
		if !slices.Contains(names, e.parts[i]) {
			names = append(names, e.parts[i])
		}
	}
	return names
}

// Fill returns the address with the value of each variable in it. Values that would change the address are refused, whatever
// the safety check has said.
func (e JWKSEndpoint) Fill(value func(name string) string) (string, error) {
	var b strings.Builder
	for i, part := range e.parts {
		if i%2 == 1 {
			v := value(part)
			if !isJWKSValue(v) {
				return "", fmt.Errorf("the value of {{%s}} cannot be a part of an address", part)
			}
			part = v
		}
		b.WriteString(part)
	}
	if b.Len() > JWKSEndpointBytesMax {
		return "", fmt.Errorf("is longer than %d bytes", JWKSEndpointBytesMax)
	}
	return b.String(), nil
}
