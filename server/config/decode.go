package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder puts the values of one source into a Config. It goes on after an error, so that all are told at once.
type decoder struct {
	source  string // as in Error.Source; for environment and flags it is set before each option
	quoting bool   // the source tells 8000 from "8000"; only then a number in place of a secret is suspicious

	errs    Errors
	unknown func(path string, siblings *node) // nil: not asked

	given   map[string]string                // path → source; shared by the decoders of one Load
	replace func(name string) (string, bool) // ${name} inside string maps
}

func (d *decoder) fail(path, value, problem, remedy string) {
	d.errs = append(d.errs, &Error{Path: path, Value: value, Source: d.source, Problem: problem, Remedy: remedy})
}

// block puts the names of in into v, a block described by n. null means not given.
func (d *decoder) block(n *node, v reflect.Value, path string, in any) {
	if in == nil {
		return
	}
	m, ok := in.(map[string]any)
	if !ok {
		d.fail(path, scalarText(in), "is a group of options, not a single value", exampleOf(n, path))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		p := join(path, name)
		kid := n.byName[name]
		if kid == nil {
			if d.unknown != nil {
				d.unknown(p, n)
			}
			continue
		}
		d.value(kid, kid.field(v), p, m[name])
	}
}

// value puts in into v, whatever n is.
func (d *decoder) value(n *node, v reflect.Value, path string, in any) {
	switch {
	case in == nil:
	case n.kind == kindBlock:
		d.block(n, v, path, in)
	case n.kind == kindList:
		d.list(n, v, path, in)
	default:
		d.option(n, v, path, in)
	}
}

// list replaces v by the blocks of in.
func (d *decoder) list(n *node, v reflect.Value, path string, in any) {
	d.given[path] = d.source
	items, ok := in.([]any)
	if !ok {
		d.fail(path, scalarText(in), "is a list of objects", `write [{…}, {…}]`)
		return
	}
	all := reflect.MakeSlice(v.Type(), 0, len(items))
	for i, item := range items {
		e := n.newElem()
		d.block(n, e, itemPath(n, path, item, i), item)
		all = reflect.Append(all, e)
	}
	v.Set(all)
}

// itemPath is elemPath before the element is decoded.
func itemPath(n *node, path string, item any, i int) string {
	if m, ok := item.(map[string]any); ok && n.named() {
		if name, ok := m["name"].(string); ok && name != "" {
			return path + "[" + name + "]"
		}
	}
	return path + "[" + strconv.Itoa(i) + "]"
}

// option puts in into the value v of one option.
func (d *decoder) option(n *node, v reflect.Value, path string, in any) {
	d.given[path] = d.source
	var problem *Error
	switch in := in.(type) {
	case string:
		problem = n.parse(v, in)
	default:
		problem = n.set(v, in)
	}
	if problem == nil && n.kind == kindString && n.secret && d.quoting && isNumber(in) {
		problem = &Error{Problem: "a number where a secret is expected", Remedy: "write it in quotes, so that it is taken as it is"}
	}
	if problem == nil && n.kind == kindMap {
		problem = d.substitute(v)
	}
	if problem == nil {
		return
	}
	value := scalarText(in)
	if n.secret {
		value = ""
	}
	d.fail(path, value, problem.Problem, problem.Remedy)
}

// set puts a value that is not a string, as the parsers of JSON, YAML and TOML give it, into v.
func (n *node) set(v reflect.Value, in any) *Error {
	switch n.kind {
	case kindString, kindPEM:
		s, ok := in.(json.Number)
		switch i, isInt := integer(in); {
		case ok:
			v.SetString(s.String())
		case isInt:
			v.SetString(strconv.FormatInt(i, 10))
		default:
			return &Error{Problem: "not a string", Remedy: "write it in quotes"}
		}
	case kindBool:
		b, ok := in.(bool)
		if !ok {
			return notBool
		}
		v.SetBool(b)
	case kindInt:
		i, ok := integer(in)
		return setInt(v, i, ok)
	case kindDuration:
		i, ok := integer(in)
		if !ok {
			return &Error{Problem: "not a duration", Remedy: `write for example "25s"; a bare number would be nanoseconds`}
		}
		v.SetInt(i)
	case kindStrings:
		return n.setStrings(v, in)
	case kindMap:
		return setMap(v, in)
	}
	return nil
}

var notBool = &Error{Problem: "not a boolean", Remedy: "write true or false"}

func setInt(v reflect.Value, i int64, ok bool) *Error {
	if !ok {
		return &Error{Problem: "not a whole number", Remedy: "write digits only"}
	}
	if v.CanUint() {
		if i < 0 || v.OverflowUint(uint64(i)) {
			return &Error{Problem: "out of range", Remedy: "write a number from 0 to 4294967295"}
		}
		v.SetUint(uint64(i))
		return nil
	}
	if v.OverflowInt(i) {
		return &Error{Problem: "out of range", Remedy: "write a smaller number"}
	}
	v.SetInt(i)
	return nil
}

func (n *node) setStrings(v reflect.Value, in any) *Error {
	items, ok := in.([]any)
	if !ok {
		return &Error{Problem: "not a list of strings", Remedy: `write ["a", "b"] or "a b"`}
	}
	all := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return &Error{Problem: "holds something that is not a string", Remedy: `write ["a", "b"]`}
		}
		all = append(all, s)
	}
	v.Set(reflect.ValueOf(all))
	return nil
}

// setMap takes both forms: an object, and a list of {key, value}.
func setMap(v reflect.Value, in any) *Error {
	out := MapStringString{}
	bad := &Error{Problem: "not a map of strings", Remedy: `write {"key": "value"} or [{"key": "key", "value": "value"}]`}
	switch in := in.(type) {
	case map[string]any:
		for k, item := range in {
			s, ok := item.(string)
			if !ok {
				return bad
			}
			out[k] = s
		}
	case []any:
		for _, item := range in {
			m, _ := item.(map[string]any)
			k, isKey := m["key"].(string)
			s, isValue := m["value"].(string)
			if !isKey || !isValue || len(m) != 2 {
				return bad
			}
			out[k] = s
		}
	default:
		return bad
	}
	v.Set(reflect.ValueOf(out))
	return nil
}

// parse puts the text form of an option into v.
func (n *node) parse(v reflect.Value, s string) *Error {
	switch n.kind {
	case kindString, kindPEM:
		v.SetString(s)
	case kindBool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return notBool
		}
		v.SetBool(b)
	case kindInt:
		i, err := strconv.ParseInt(s, 10, 64)
		return setInt(v, i, err == nil)
	case kindDuration:
		d, err := parseDuration(s)
		if err != nil {
			return &Error{Problem: err.Error()}
		}
		v.SetInt(int64(d))
	case kindStrings:
		// A JSON list is taken as well: it is an easy mistake, and "[::1]:9092" is not valid JSON.
		if in, _, err := parseJSON([]byte(s)); err == nil && n.setStrings(v, in) == nil {
			return nil
		}
		v.Set(reflect.ValueOf(append([]string{}, strings.Fields(s)...)))
	case kindMap:
		if strings.TrimSpace(s) == "" {
			s = "{}"
		}
		in, _, err := parseJSON([]byte(s))
		if err != nil {
			return &Error{Problem: "not JSON: " + err.Error(), Remedy: `write {"key": "value"}`}
		}
		return setMap(v, in)
	}
	return nil
}

// substitute puts the values of variables in place of ${NAME} in the values of a string map.
// Only names of the form STENTOR_VAR_… and CENTRIFUGO_VAR_… are variables.
func (d *decoder) substitute(v reflect.Value) *Error {
	m := v.Interface().(MapStringString)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		var missing string
		m[k] = variable.ReplaceAllStringFunc(m[k], func(ref string) string {
			name := ref[2 : len(ref)-1]
			value, ok := d.replace(name)
			if !ok {
				missing = name
			}
			return value
		})
		if missing != "" {
			return &Error{Problem: "key " + k + " uses the variable " + missing + ", which is not set",
				Remedy: "set it in the environment"}
		}
	}
	return nil
}

// integer returns in as a whole number if it is one: every form in which the three parsers give numbers.
func integer(in any) (int64, bool) {
	switch in := in.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(in.String(), 10, 64); err == nil {
			return i, true
		}
		f, err := in.Float64()
		return wholeFloat(f, err == nil)
	case int:
		return int64(in), true
	case int64:
		return in, true
	case uint64:
		return int64(in), in <= math.MaxInt64
	case float64:
		return wholeFloat(in, true)
	}
	return 0, false
}

// wholeFloat accepts 1e6 and 5.0 while a float holds every whole number.
func wholeFloat(f float64, ok bool) (int64, bool) {
	const exact = 1 << 53
	if !ok || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, false
	}
	return int64(f), true
}

func isNumber(in any) bool {
	_, ok := integer(in)
	return ok
}

// scalarText shows what a file held in place of an option.
func scalarText(in any) string {
	switch in := in.(type) {
	case nil:
		return "null"
	case string:
		return in
	case map[string]any:
		return "{…}"
	case []any:
		return "[…]"
	case time.Time:
		return in.Format(time.RFC3339)
	}
	return fmt.Sprint(in)
}

// exampleOf tells how an option of the block n is written.
func exampleOf(n *node, path string) string {
	for _, kid := range n.kids {
		if !kid.isBlock() {
			return "set its options, for example " + join(path, kid.name)
		}
	}
	return "write an object"
}
