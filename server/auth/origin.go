package auth

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/gobwas/glob"
)

// OriginBytesMax is the longest Origin that is compared with patterns; longer ones are refused. The longest of the web is
// "https://", a host name of 253 bytes and ":65535". It bounds the time of a match: patterns with several alternatives
// backtrack.
const OriginBytesMax = 320

// Origins says which sites may open connections from a browser (client.allowed_origins). Immutable.
type Origins struct {
	any      bool
	patterns []*glob.Pattern
}

// NewOrigins compiles glob patterns: '*' stands for any text, dots and slashes included. It warns in log about patterns
// that allow more, or less, than they seem to; about "*" and patterns without a scheme package config does.
func NewOrigins(patterns []string, log *slog.Logger) (*Origins, error) {
	o := &Origins{any: slices.Contains(patterns, "*")}
	for i, pattern := range patterns {
		p, err := glob.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("client.allowed_origins[%d]: %q: %w", i, pattern, err)
		}
		o.patterns = append(o.patterns, p)
		if doubt, remedy := doubtOrigin(pattern); doubt != "" {
			log.Warn("client.allowed_origins: "+doubt, "pattern", pattern, "remedy", remedy)
		}
	}
	return o, nil
}

// Allowed reports whether a request with this value of the header Origin may be served. No header, "", always may: only
// browsers send it, and only they need the check. Patterns are compared with the lower-cased value, scheme included.
func (o *Origins) Allowed(origin string) bool {
	if origin == "" || o.any {
		return true
	}
	if len(origin) > OriginBytesMax {
		return false
	}
	origin = strings.ToLower(origin)
	for _, p := range o.patterns {
		if p.Match(origin) {
			return true
		}
	}
	return false
}

// doubtOrigin says what may be wrong with a pattern and what to write in its place; "" if nothing is.
func doubtOrigin(pattern string) (doubt, remedy string) {
	scheme, host, hasScheme := strings.Cut(pattern, "://")
	star := strings.IndexByte(pattern, '*')
	switch {
	case pattern != strings.ToLower(pattern):
		return "a pattern with upper case never matches", "write it in lower case"
	case pattern == "null":
		return "any site can send the origin null, from a sandboxed frame", "list the sites that may connect"
	case hasScheme && strings.HasSuffix(host, "/") && !strings.HasSuffix(scheme, "file"):
		return "an origin has no path, so this pattern never matches", "remove the slash at the end"
	case star >= 0 && star+1 < len(pattern) && isHostByte(pattern[star+1]):
		return "the pattern also matches other domains with this ending", "put a dot behind the asterisk: https://*.example.com"
	case hasScheme && strings.HasSuffix(host, "*") && !strings.HasSuffix(host, ":*") && host != "*":
		return "the pattern also matches longer host names, of other domains", "end the pattern with the whole host name, or with :* for any port"
	}
	return "", ""
}

// isHostByte reports a byte that continues a label of a host name.
func isHostByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-'
}
