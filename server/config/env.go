package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// The prefixes of our variables; the first wins.
var envPrefixes = []string{"STENTOR_", "CENTRIFUGO_"}

// variable is a reference to a variable in the value of a string map.
var variable = regexp.MustCompile(`\$\{(STENTOR|CENTRIFUGO)_VAR_[A-Za-z0-9_]+\}`)

// serviceLink matches the names (without prefix) that Kubernetes injects for services called stentor-… or
// centrifugo-…; portLink those of them that could also be an option, and are recognized by their value.
var (
	serviceLink = regexp.MustCompile(`^([A-Z0-9_]*_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	portLink    = regexp.MustCompile(`^(tcp|udp|sctp)://[^/ ]+:[0-9]+$`)
)

// environment is the variables with one of our prefixes.
type environment struct {
	vars map[string]string
	used map[string]bool
}

// newEnvironment reads lines of the form NAME=value; of two with the same name the later holds.
func newEnvironment(lines []string) *environment {
	e := &environment{vars: map[string]string{}, used: map[string]bool{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		for _, prefix := range envPrefixes {
			rest, ours := strings.CutPrefix(name, prefix)
			if ours && rest != "" && !isServiceLink(rest, value) {
				e.vars[name] = value
			}
		}
	}
	return e
}

func isServiceLink(rest, value string) bool {
	return serviceLink.MatchString(rest) || strings.HasSuffix("_"+rest, "_PORT") && portLink.MatchString(value)
}

// get returns the variable of the option whose key is given ("CLIENT_TOKEN_AUDIENCE"), and its full name.
func (e *environment) get(key string) (name, value string, ok bool) {
	for _, prefix := range slices.Backward(envPrefixes) {
		if v, set := e.vars[prefix+key]; set {
			name, value, ok = prefix+key, v, true
			e.used[name] = true
		}
	}
	return name, value, ok
}

// lookup finds a variable by its full name, for ${…}.
func (e *environment) lookup(name string) (string, bool) {
	v, ok := e.vars[name]
	return v, ok
}

var envName = strings.NewReplacer(".", "_", "-", "_")

// envKey returns the environment key of an option below the one with key parent, or of an element's name there.
func envKey(parent, name string) string {
	name = envName.Replace(strings.ToUpper(name))
	if parent == "" {
		return name
	}
	return parent + "_" + name
}

// env puts the variables of the block n and of all below it into v.
func (l *loader) env(n *node, v reflect.Value, path, key string) {
	for _, kid := range n.kids {
		f, p, k := kid.field(v), join(path, kid.name), envKey(key, kid.name)
		if kid.kind == kindBlock {
			l.env(kid, f, p, k)
			continue
		}
		l.envKeys = append(l.envKeys, k)
		if name, value, ok := l.environ.get(k); ok {
			l.dec.source = "environment " + name
			if kid.kind == kindList {
				l.envList(kid, f, p, value)
			} else {
				l.dec.option(kid, f, p, value)
			}
		}
		if kid.named() {
			for i := range f.Len() {
				e := f.Index(i)
				l.env(kid, e, kid.elemPath(p, e, i), envKey(k, kid.byName["name"].field(e).String()))
			}
		}
	}
}

// envList takes a list of blocks: JSON text, or the names of the elements with a space between them.
func (l *loader) envList(n *node, v reflect.Value, path, value string) {
	value = strings.TrimSpace(value)
	if n.named() && !strings.HasPrefix(value, "[") {
		var items []any
		for _, name := range strings.Fields(value) {
			items = append(items, map[string]any{"name": name})
		}
		l.dec.list(n, v, path, append([]any{}, items...))
		return
	}
	in, _, err := parseJSON([]byte(value))
	if err != nil {
		remedy := "write [{…}, {…}]"
		if n.named() {
			remedy += ` or the names with spaces between them`
		}
		l.dec.fail(path, value, "not a JSON list: "+err.Error(), remedy)
		return
	}
	l.translateItems(n, path, in)
	l.dec.list(n, v, path, in)
}

// unknownEnv warns of the variables that nothing has asked for.
func (l *loader) unknownEnv() {
	for _, name := range slices.Sorted(maps.Keys(l.environ.vars)) {
		prefix := envPrefixes[0]
		if !strings.HasPrefix(name, prefix) {
			prefix = envPrefixes[1]
		}
		key := strings.TrimPrefix(name, prefix)
		if l.environ.used[name] || strings.HasPrefix(key, "VAR_") || l.overridden(key) {
			continue
		}
		text := "unknown key in environment: " + name
		if near := nearest(key, l.envKeys); near != "" {
			text += fmt.Sprintf("; did you mean %s?", prefix+near)
		}
		l.warn(Warning{Topic: UnknownKey, Path: name, Text: text})
	}
}

// overridden reports that key was given with both prefixes, so that one of them was not asked for.
func (l *loader) overridden(key string) bool {
	for _, prefix := range envPrefixes {
		if l.environ.used[prefix+key] {
			return true
		}
	}
	return false
}
