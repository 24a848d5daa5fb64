package natsengine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"stentor/codec"
)

// SubjectBytesMax bounds a subject. A line of the NATS protocol has at most 4,096 bytes by default, and a server closes a connection
// that brings a longer one.
const SubjectBytesMax = 2048

// names turns channels into subjects.
type names struct {
	base      string // of the subjects of channels
	replace   *strings.Replacer
	spellings []string // what stands in a channel for * or >, with replacements; the longest first
	wildcards bool
	own       string // begins the subjects of nodes, which a bare channel must not reach; empty unless channels are bare
}

func newNames(cfg *Config) (names, error) {
	if err := checkSubject(cfg.Prefix); err != nil || strings.ContainsAny(cfg.Prefix, "*>") {
		return names{}, fmt.Errorf("broker.nats.prefix = %q: not the beginning of a NATS subject; use letters, digits, - and _, with single dots between",
			cfg.Prefix)
	}
	n := names{base: cfg.Prefix + ".client.", wildcards: cfg.AllowWildcards}
	if !cfg.Raw.Enabled {
		return n, nil
	}
	n.base = cfg.Raw.Prefix
	if err := checkSubject(n.base + "x"); err != nil || strings.ContainsAny(n.base, "*>") {
		return names{}, fmt.Errorf("broker.nats.raw_mode.prefix = %q: not the beginning of a NATS subject; "+
			"use letters, digits, - and _, with single dots between, for example \"updates.\"", n.base)
	}
	if n.own = cfg.Prefix + "."; n.reserved(n.base + "x") {
		return names{}, fmt.Errorf("broker.nats.raw_mode.prefix = %q: these are subjects of NATS or of the nodes; choose another beginning", n.base)
	}
	if len(cfg.Raw.Replacements) > 0 {
		n.setReplacements(cfg.Raw.Replacements)
	}
	return n, nil
}

// setReplacements replaces the longest text that fits, whatever the order of the map.
func (n *names) setReplacements(replacements map[string]string) {
	olds := slices.DeleteFunc(slices.Collect(maps.Keys(replacements)), func(old string) bool { return old == "" })
	slices.SortFunc(olds, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, old := range olds {
		pairs = append(pairs, old, replacements[old])
	}
	n.replace = strings.NewReplacer(pairs...)
	for _, text := range append(olds, "*", ">") {
		if now := n.replace.Replace(text); now == "*" || now == ">" {
			n.spellings = append(n.spellings, text)
		}
	}
}

// nameError is a channel that cannot be a subject. To a client it is error 107.
type nameError struct{ channel, problem string }

func (e *nameError) Error() string {
	return fmt.Sprintf("natsengine: channel %.100q cannot be a NATS subject: %s", e.channel, e.problem)
}

func (e *nameError) Unwrap() error { return codec.ErrorBadRequest }

// subject is where channel is subscribed to.
func (n *names) subject(channel string) (string, error) {
	subject, wild, err := n.of(channel)
	switch {
	case err != nil:
		return "", err
	case wild && !n.wildcards:
		return "", &nameError{channel, "* and > are wildcards, which broker.nats.allow_wildcards turns on"}
	case wild && !wellPlaced(subject):
		return "", &nameError{channel, "* and > are wildcards only as a whole token between dots, > as the last one"}
	}
	return subject, nil
}

// isPattern reports that channel has wildcards and may have them.
func (n *names) isPattern(channel string) bool {
	if !n.wildcards {
		return false
	}
	_, wild, err := n.of(channel)
	return wild && err == nil
}

// publishSubject is where publications of channel go.
func (n *names) publishSubject(channel string) (string, error) {
	subject, wild, err := n.of(channel)
	if err == nil && wild {
		err = &nameError{channel, "* and > are wildcards, and nothing is published to a pattern"}
	}
	return subject, err
}

// of is the subject of channel, with wildcards or without.
func (n *names) of(channel string) (subject string, wild bool, err error) {
	if channel == "" {
		return "", false, &nameError{channel, "it is empty"}
	}
	name := channel
	if n.replace != nil {
		name = n.replace.Replace(channel)
	}
	subject = n.base + name
	if err := checkSubject(subject); err != nil {
		return "", false, &nameError{channel, err.Error()}
	}
	if n.reserved(subject) {
		return "", false, &nameError{channel, "it is a subject of NATS or of the nodes"}
	}
	return subject, strings.ContainsAny(subject, "*>"), nil
}

// reserved reports that a bare subject is not for clients: who publishes to the nodes can give them orders, and who publishes to the
// server's own can change it.
func (n *names) reserved(subject string) bool {
	return n.own != "" && (strings.HasPrefix(subject, n.own) || strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, "_INBOX."))
}

// badSubject is why a text is no subject.
type badSubject string

func (e badSubject) Error() string { return string(e) }

// checkSubject keeps everything from the wire that the server would take for the end of a word or line, or not take at all.
func checkSubject(s string) error {
	if len(s) > SubjectBytesMax {
		return badSubject(fmt.Sprintf("it has %d bytes, and %d are the most", len(s), SubjectBytesMax))
	}
	before := byte('.')
	for i := range len(s) {
		c := s[i]
		switch {
		case c <= ' ' || c == 0x7f:
			return badSubject("it has a space or control character")
		case c == '.' && before == '.':
			return badSubject("an empty token: a dot at the start or end, or two in a row")
		}
		before = c
	}
	if before == '.' {
		return badSubject("an empty token: a dot at the start or end, or two in a row")
	}
	return nil
}

// wellPlaced reports that all wildcards of a subject are what NATS takes for some.
func wellPlaced(subject string) bool {
	for rest, more := subject, true; more; {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if strings.ContainsAny(token, "*>") && token != "*" && (token != ">" || more) {
			return false
		}
	}
	return true
}

// origin is the channel that a message is for and, if that is a pattern, the one where it was published; ok is false if the subscription
// has gone, or the pattern reached too far.
func (e *Engine) origin(m *nats.Msg) (channel, published string, ok bool) {
	asked, came := m.Sub.Subject, m.Subject
	if len(came) < len(e.names.base) {
		return "", "", false
	}
	if e.names.replace == nil {
		channel = asked[len(e.names.base):]
	} else if channel, ok = e.routes.channel(m.Sub); !ok {
		return "", "", false
	}
	if !e.names.wildcards || asked == came {
		return channel, "", true
	}
	if e.names.reserved(came) {
		return "", "", false
	}
	return channel, e.names.unreplaced(channel, came[len(e.names.base):]), true
}

// unreplaced is the channel behind name, which the pattern channel matches: the pattern itself says what its own text was before
// replacements. What wildcards stand for stays as it came.
func (n *names) unreplaced(pattern, name string) string {
	if n.replace == nil {
		return name
	}
	var channel strings.Builder
	rest := name
	for {
		text, wildcard, tail := n.cutWildcard(pattern)
		var fits bool
		if rest, fits = strings.CutPrefix(rest, n.replace.Replace(text)); !fits {
			return name // replacements went over the borders of wildcards
		}
		channel.WriteString(text)
		if wildcard == "" {
			break
		}
		token := rest
		if n.replace.Replace(wildcard) == "*" {
			token, _, _ = strings.Cut(rest, ".")
		}
		channel.WriteString(token)
		pattern, rest = tail, rest[len(token):]
	}
	if rest != "" {
		return name
	}
	return channel.String()
}

// cutWildcard cuts pattern around its first wildcard, which is empty if there is none.
func (n *names) cutWildcard(pattern string) (before, wildcard, after string) {
	at := len(pattern)
	for _, one := range n.spellings {
		if i := strings.Index(pattern, one); i >= 0 && i < at {
			at, wildcard = i, one
		}
	}
	return pattern[:at], wildcard, pattern[at+len(wildcard):]
}

// routes are the channels of subscriptions, where subjects do not tell them.
type routes struct {
	mu       sync.RWMutex
	channels map[*nats.Subscription]string
}

func (r *routes) channel(s *nats.Subscription) (string, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	channel, ok := r.channels[s]
	return channel, ok
}

// add subscribes and notes the channel before its first message can be asked for.
func (r *routes) add(channel string, subscribe func() (*nats.Subscription, error)) (*nats.Subscription, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := subscribe()
	if err != nil {
		return nil, err
	}
	if r.channels == nil {
		r.channels = make(map[*nats.Subscription]string)
	}
	r.channels[s] = channel
	return s, nil
}

func (r *routes) remove(s *nats.Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.channels, s)
}
