package hub

import (
	"strings"
	"sync"
	"sync/atomic"

	"stentor/codec"
	"stentor/engine"
)

// wildcards are the channel names with wildcards that somebody on this node is subscribed to, as a tree of their tokens. A token *
// stands for any one token, and > at the end for one or more. A name that is not there yet takes some 100 bytes for each token; how
// many tokens and wildcards it may have, and so how many names one channel can match, is for the caller of Subscribe to limit. The lock
// is never held while another one is taken.
type wildcards struct {
	count atomic.Int32                          // of patterns; while it is 0 nobody looks any further
	scope atomic.Pointer[func(name string) int] // where the tokens of a name begin; nil: at its start

	mu       sync.RWMutex
	patterns map[string]*pattern
	levels   map[edge]*level
}

// pattern is a name with wildcards.
type pattern struct {
	scope         int
	subscriptions int
}

// level is a place in the tree, edge the way to it. The levels below no other are scopes: what names have before their tokens.
type level struct {
	edge
	below   int    // levels
	pattern string // that ends here, or empty
}

type edge struct {
	above *level
	token string
}

// SetScope says where the tokens of a channel's name begin: behind its namespace. Wildcards match nothing before that. Subscriptions
// that exist keep the scope that they began with.
func (t *Table) SetScope(scope func(name string) int) { t.wild.scope.Store(&scope) }

func (w *wildcards) scopeOf(name string) int {
	if scope := w.scope.Load(); scope != nil {
		return (*scope)(name)
	}
	return 0
}

// add counts one more subscription to name, which may alias a read buffer.
func (w *wildcards) add(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.patterns[name]; p != nil {
		p.subscriptions++
		return
	}
	if w.patterns == nil {
		w.patterns, w.levels = make(map[string]*pattern), make(map[edge]*level)
	}
	name = strings.Clone(name)
	p := &pattern{scope: w.scopeOf(name), subscriptions: 1}
	w.patterns[name] = p
	at := w.grow(nil, name[:p.scope])
	for token := range strings.SplitSeq(name[p.scope:], ".") {
		at = w.grow(at, token)
	}
	at.pattern = name
	w.count.Add(1)
}

// grow finds or makes the level below another.
func (w *wildcards) grow(above *level, token string) *level {
	way := edge{above, token}
	l := w.levels[way]
	if l == nil {
		l = &level{edge: way}
		w.levels[way] = l
		if above != nil {
			above.below++
		}
	}
	return l
}

// remove counts one subscription to name less.
func (w *wildcards) remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.patterns[name]
	if p.subscriptions--; p.subscriptions > 0 {
		return
	}
	delete(w.patterns, name)
	at := w.levels[edge{nil, name[:p.scope]}]
	for token := range strings.SplitSeq(name[p.scope:], ".") {
		at = w.levels[edge{at, token}]
	}
	at.pattern = ""
	for at != nil && at.below == 0 && at.pattern == "" {
		delete(w.levels, at.edge)
		if at = at.above; at != nil {
			at.below--
		}
	}
	if w.count.Add(-1) == 0 {
		w.patterns, w.levels = nil, nil // a map never gives memory back by itself
	}
}

// match appends the patterns that name matches to found, itself if it is one.
func (w *wildcards) match(name string, found []string) []string {
	scope := w.scopeOf(name)
	w.mu.RLock()
	defer w.mu.RUnlock()
	if l := w.levels[edge{nil, name[:scope]}]; l != nil {
		return w.matchBelow(l, name[scope:], found)
	}
	return found
}

func (w *wildcards) matchBelow(l *level, rest string, found []string) []string {
	token, tail, more := strings.Cut(rest, ".")
	if k := w.levels[edge{l, ">"}]; k != nil && k.pattern != "" {
		found = append(found, k.pattern)
	}
	next := [2]string{token, "*"}
	ways := next[:]
	if token == "*" || token == ">" { // nobody publishes there, but what if
		ways = next[1:]
	}
	for _, way := range ways {
		k := w.levels[edge{l, way}]
		switch {
		case k == nil:
		case more:
			found = w.matchBelow(k, tail, found)
		case k.pattern != "":
			found = append(found, k.pattern)
		}
	}
	return found
}

// matchesRoom is for how many matches no memory is allocated.
const matchesRoom = 8

// toPatterns leaves p with every loop that listens to a pattern that channel matches. It has neither offset nor epoch there, and
// tells where it was published in its field Channel.
func (t *Table) toPatterns(channel string, p *codec.Publication) (wake engine.Wake) {
	var room [matchesRoom]string
	found := t.wild.match(channel, room[:0])
	if len(found) == 0 {
		return 0
	}
	q := *p
	q.Offset, q.Epoch, q.Channel = 0, "", strings.Clone(channel)
	for _, name := range found {
		if name != channel {
			wake |= t.deliver(name, &q, nil, 0)
		}
	}
	return wake
}

// patternsAdmit is Admit of the patterns that channel matches.
func (t *Table) patternsAdmit(channel string) bool {
	var room [matchesRoom]string
	for _, name := range t.wild.match(channel, room[:0]) {
		if !t.admits(name) {
			return false
		}
	}
	return true
}
