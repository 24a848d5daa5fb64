package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// member is one name and its value in an object; the value is an object, a list ([]any), a string, a bool or an int64.
type member struct {
	name  string
	value any
}

// object keeps the order of the tree, which maps would lose.
type object []member

// export returns the value v of the node n in the shape that the writers take.
func (n *node) export(v reflect.Value) any {
	switch n.kind {
	case kindBlock:
		return n.exportBlock(v)
	case kindList:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = n.exportBlock(v.Index(i))
		}
		return list
	case kindBool:
		return v.Bool()
	case kindInt:
		if v.CanUint() {
			return int64(v.Uint())
		}
		return v.Int()
	case kindDuration:
		return Duration(v.Int()).String()
	case kindStrings:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = v.Index(i).String()
		}
		return list
	case kindMap:
		m := v.Interface().(MapStringString)
		o := make(object, 0, len(m))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			o = append(o, member{k, m[k]})
		}
		return o
	default:
		return v.String()
	}
}

func (n *node) exportBlock(v reflect.Value) object {
	o := make(object, 0, len(n.kids))
	for _, kid := range n.kids {
		o = append(o, member{kid.name, kid.export(kid.field(v))})
	}
	return o
}

// encode writes o in format f, with a newline at the end.
func encode(f Format, o object) ([]byte, error) {
	switch f {
	case JSON:
		return append(appendJSON(nil, o, "\n"), '\n'), nil
	case YAML:
		var b bytes.Buffer
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		err := e.Encode(yamlNode(o))
		return b.Bytes(), err
	case TOML:
		return appendTOML(nil, o, ""), nil
	}
	return nil, fmt.Errorf("unknown format %q; use json, yaml or toml", f)
}

// compactJSON writes a value of export on one line.
func compactJSON(v any) []byte { return appendJSON(nil, v, "") }

// appendJSON appends v; newline is "\n" and the indentation so far, or "" for one line.
func appendJSON(dst []byte, v any, newline string) []byte {
	deeper, colon := "", ":"
	if newline != "" {
		deeper, colon = newline+"  ", ": "
	}
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(append(dst, deeper...), m.name)
			dst = appendJSON(append(dst, colon...), m.value, deeper)
		}
		if len(v) > 0 {
			dst = append(dst, newline...)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(append(dst, deeper...), item, deeper)
		}
		if len(v) > 0 {
			dst = append(dst, newline...)
		}
		return append(dst, ']')
	case string:
		return appendString(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case bool:
		return strconv.AppendBool(dst, v)
	}
	return append(dst, "null"...)
}

// appendString appends s in quotes, with escapes that JSON and TOML share.
func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string always encodes
	quoted := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return append(dst, bytes.ReplaceAll(quoted, []byte("\x7f"), []byte(`\u007f`))...)
}

func yamlNode(v any) *yaml.Node {
	switch v := v.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, m := range v {
			n.Content = append(n.Content, yamlNode(m.name), yamlNode(m.value))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v {
			n.Content = append(n.Content, yamlNode(item))
		}
		return n
	}
	n := new(yaml.Node)
	if err := n.Encode(v); err != nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	return n
}

// appendTOML appends the members of the table at path: its own values first, as TOML wants it, then the tables below.
func appendTOML(dst []byte, o object, path string) []byte {
	for _, m := range o {
		if !isTable(m.value) {
			dst = append(appendKey(dst, m.name), " = "...)
			dst = append(appendInline(dst, m.value), '\n')
		}
	}
	for _, m := range o {
		p := string(appendKey([]byte(path), m.name))
		switch v := m.value.(type) {
		case object:
			dst = fmt.Appendf(dst, "\n[%s]\n", p)
			dst = appendTOML(dst, v, p+".")
		case []any:
			if !isTable(v) {
				continue
			}
			for _, item := range v {
				dst = fmt.Appendf(dst, "\n[[%s]]\n", p)
				dst = appendTOML(dst, item.(object), p+".")
			}
		}
	}
	return dst
}

// isTable reports that v cannot stand behind a "=" of its own: it is an object or a list of objects.
func isTable(v any) bool {
	if list, ok := v.([]any); ok {
		return len(list) > 0 && isTable(list[0])
	}
	_, ok := v.(object)
	return ok
}

// appendInline appends a scalar or a list of them.
func appendInline(dst []byte, v any) []byte {
	list, ok := v.([]any)
	if !ok {
		return appendJSON(dst, v, "")
	}
	dst = append(dst, '[')
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendJSON(dst, item, "")
	}
	return append(dst, ']')
}

// appendKey appends a TOML key, in quotes where it needs them.
func appendKey(dst []byte, name string) []byte {
	bare := func(r rune) bool {
		return r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	if name != "" && strings.TrimFunc(name, bare) == "" {
		return append(dst, name...)
	}
	return appendString(dst, name)
}
