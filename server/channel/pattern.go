package channel

import (
	"strings"

	"stentor/codec"
)

// Limits of a name with wildcards. They bound how many such names one channel can match, and so what a publication costs: some
// 1,400 at worst.
const (
	PatternTokensMax    = 16
	PatternWildcardsMax = 3
)

// Scope is where the tokens of a name begin: behind the private prefix and the namespace, if it has them. Wildcards match nothing
// before that.
func (r *Rules) Scope(name string) int {
	scope := 0
	if strings.HasPrefix(name, r.privatePrefix) {
		scope = len(r.privatePrefix)
	}
	if r.namespaceBoundary != "" {
		if i := strings.Index(name[scope:], r.namespaceBoundary); i >= 0 {
			scope += i + len(r.namespaceBoundary)
		}
	}
	return scope
}

// IsPattern reports that the name has wildcards and its namespace gives them their meaning: as a token between dots, * stands for any
// one token, and > at the end for one or more. Such a name can be subscribed to; nothing is published there. Resolve must have
// found the options.
func (c Channel) IsPattern() bool {
	_, wildcards, _ := c.tokens()
	return wildcards > 0
}

// checkPattern reports wildcards that have no meaning where they stand, or too many.
func (c Channel) checkPattern() *codec.Error {
	tokens, wildcards, misplaced := c.tokens()
	if wildcards > 0 && (misplaced || tokens > PatternTokensMax || wildcards > PatternWildcardsMax) {
		return codec.ErrorBadRequest
	}
	return nil
}

// tokens counts the tokens of the name and the wildcards among them. misplaced: a > is not the last one. Without wildcards in the
// namespace there are none.
func (c Channel) tokens() (tokens, wildcards int, misplaced bool) {
	if !c.Options.Wildcards {
		return 0, 0, false
	}
	for rest, more := c.Name[c.rules.Scope(c.Name):], true; more; tokens++ {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if token == "*" || token == ">" {
			wildcards++
			misplaced = misplaced || token == ">" && more
		}
	}
	return tokens, wildcards, misplaced
}
