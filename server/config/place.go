package config

import (
	"fmt"
	"slices"
	"strings"
)

// translateFile moves the old names of a file's tree to their new places.
func (l *loader) translateFile(tree map[string]any) {
	granular := isTrue(tree["granular_proxy_mode"])
	take := func(old string) (any, bool) { return takeOld(tree, old) }
	proxies := func(name string) map[string]any { return elementNamed(tree["proxies"], name) }
	l.translateItems(root().find("proxies"), "proxies", tree["proxies"]) // before they are copied
	l.place(tree, "", moves(take, proxies))
	for _, n := range removedNames {
		if _, ok := take(n.old); ok {
			l.warnOld(n.old, "", n.path)
		}
	}
	for _, path := range []string{"channel.namespaces", "rpc.namespaces", "consumers"} {
		l.translateItems(root().find(path), path, dig(tree, path))
	}
	options, ok := dig(tree, "channel.without_namespace").(map[string]any)
	if ok {
		below := func(old string) (any, bool) { return takeOld(options, old) }
		l.place(options, "channel.without_namespace", optionMoves(below))
	}
	if granular {
		namespaces, _ := dig(tree, "channel.namespaces").([]any)
		enableNamedProxies(append([]any{options}, namespaces...))
	}
}

// translateItems moves the old names inside the elements of a list of blocks.
func (l *loader) translateItems(n *node, path string, in any) {
	items, _ := in.([]any)
	for i, item := range items {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		take := func(old string) (any, bool) { return takeOld(m, old) }
		l.place(m, itemPath(n, path, m, i), itemMoves(path, take))
	}
}

func itemMoves(path string, take taker) []move {
	var list []move
	switch path {
	case "channel.namespaces":
		return optionMoves(take)
	case "rpc.namespaces":
		if v, ok := take("rpc_proxy_name"); ok {
			list = append(list, move{"rpc_proxy_name", "proxy_name", v}, move{"rpc_proxy_name", "proxy_enabled", true})
		}
	case "consumers":
		if v, ok := take("disabled"); ok {
			list = append(list, move{"disabled", "enabled", negated(v)})
		}
	case "proxies":
		for _, n := range oldProxyNames {
			if v, ok := take(n.old); ok {
				list = append(list, move{n.old, n.path, v})
			}
		}
	}
	return list
}

// enableNamedProxies turns on the proxies that namespaces name: with granular_proxy_mode the name was enough.
func enableNamedProxies(items []any) {
	for _, item := range items {
		m, _ := item.(map[string]any)
		for _, kind := range []string{"subscribe", "publish", "sub_refresh", "subscribe_stream"} {
			name, _ := m[kind+"_proxy_name"].(string)
			if _, set := m[kind+"_proxy_enabled"]; name != "" && !set {
				m[kind+"_proxy_enabled"] = true
			}
		}
	}
}

// place puts moved values into the tree m, whose path is prefix, and warns of each old name once.
// A value given under its new name stays.
func (l *loader) place(m map[string]any, prefix string, list []move) {
	warned := map[string]bool{}
	for _, mv := range list {
		shown := join(prefix, mv.old)
		if !put(m, mv.path, mv.value) {
			l.warnOld(shown, join(prefix, mv.path), "both are given; the new name holds")
			continue
		}
		if !warned[mv.old] {
			warned[mv.old] = true
			l.warnOld(shown, join(prefix, mv.path), "")
		}
	}
}

// warnOld warns of an old name; path is its new one, "" if there is none, and why overrides the usual advice.
func (l *loader) warnOld(old, path, why string) {
	text := fmt.Sprintf("old option name %s: ", old)
	switch {
	case why == "":
		text += fmt.Sprintf("read as %s; please rename it", path)
	case path == "":
		text += why
	default:
		text += fmt.Sprintf("it is %s now; %s", path, why)
	}
	l.warn(Warning{Topic: OldName, Path: old, Source: l.dec.source, Text: text})
}

// takeOld removes old, which may be name.name, from the tree. A section of version 6 that has the same name is left alone.
func takeOld(m map[string]any, old string) (any, bool) {
	parent, name := cutLast(old)
	if parent != "" {
		below, ok := m[parent].(map[string]any)
		if !ok {
			return nil, false
		}
		v, ok := takeOld(below, name)
		if ok && len(below) == 0 {
			delete(m, parent)
		}
		return v, ok
	}
	v, ok := m[name]
	if _, object := v.(map[string]any); object || v == nil {
		if n := root().byName[name]; n != nil && n.isBlock() {
			return nil, false
		}
	}
	delete(m, name)
	return v, ok
}

// put stores v at path in the tree m. It reports false if something is there already; two objects are merged.
func put(m map[string]any, path string, v any) bool {
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			break
		}
		below, ok := m[name].(map[string]any)
		if !ok {
			if m[name] != nil {
				return false
			}
			below = map[string]any{}
			m[name] = below
		}
		m, path = below, rest
	}
	have, given := m[path]
	if !given || have == nil {
		m[path] = v
		return true
	}
	old, isObject := have.(map[string]any)
	more, merge := v.(map[string]any)
	if !isObject || !merge {
		return false
	}
	for k, v := range more {
		if _, set := old[k]; !set {
			old[k] = v
		}
	}
	return true
}

// dig returns what the tree holds at path, nil if nothing.
func dig(m map[string]any, path string) any {
	parent, name := cutLast(path)
	if parent == "" {
		return m[name]
	}
	below, ok := dig(m, parent).(map[string]any)
	if !ok {
		return nil
	}
	return below[name]
}

func elementNamed(in any, name string) map[string]any {
	items, _ := in.([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok && m["name"] == name {
			return m
		}
	}
	return nil
}

// flatNames are all names of earlier versions that have one new path.
func flatNames() []string {
	names := slices.Clone(oldChannelNames)
	for _, n := range oldNames {
		names = append(names, n.old)
	}
	return names
}

// flatTarget returns the path of version 6 for a name of flatNames.
func flatTarget(name string) string {
	for _, n := range oldNames {
		if n.old == name {
			return n.path
		}
	}
	return "channel.without_namespace." + name
}

// envOld puts the variables with old names into v, before those with new ones, which win.
func (l *loader) envOld(names map[string]bool) []move {
	take := func(old string) (any, bool) {
		key := envKey("", old)
		if names[key] {
			return nil, false
		}
		_, value, ok := l.environ.get(key)
		if !ok {
			return nil, false
		}
		if in, _, err := parseJSON([]byte(value)); err == nil && isComposite(in) {
			return in, true
		}
		return value, true
	}
	list := moves(take, func(string) map[string]any { return nil })
	for _, n := range removedNames {
		if _, ok := take(n.old); ok {
			l.warnOld(n.old, "", n.path)
		}
	}
	return list
}

// isComposite reports that a variable held a JSON object or a list of objects, not a text that looks like JSON.
func isComposite(in any) bool {
	switch in := in.(type) {
	case map[string]any:
		return true
	case []any:
		return len(in) == 0 || !allStrings(in)
	}
	return false
}

func allStrings(in []any) bool {
	return !slices.ContainsFunc(in, func(v any) bool { _, ok := v.(string); return !ok })
}
