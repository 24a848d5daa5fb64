package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// kind is what a node of the option tree holds.
type kind uint8

const (
	kindBlock    kind = iota // names below it
	kindList                 // list of blocks
	kindString               // string
	kindBool                 // bool
	kindInt                  // int, int32, int64, uint32
	kindDuration             // Duration
	kindStrings              // []string
	kindMap                  // MapStringString
	kindPEM                  // PEMData
)

// node is one name of the option tree as the fields of Config and their tags describe it.
type node struct {
	name  string
	index []int // of the field in the value of the parent node; more than one number for embedded structs
	kind  kind
	typ   reflect.Type // of the field; of one element for a list of blocks

	kids   []*node // in the order of the fields
	byName map[string]*node

	def      string
	min, max string
	enum     []string
	seconds  bool
	secret   bool
	desc     string
}

// root is the tree of Config. A tag that makes no sense panics here, so any test would find it.
var root = sync.OnceValue(func() *node {
	n := &node{kind: kindBlock, typ: reflect.TypeFor[Config]()}
	n.grow(n.typ, nil)
	return n
})

// grow adds the fields of t as kids; prefix is the way to them from the value of n.
func (n *node) grow(t reflect.Type, prefix []int) {
	if n.byName == nil {
		n.byName = make(map[string]*node)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int{}, prefix...), i)
		if f.Anonymous {
			n.grow(f.Type, index)
			continue
		}
		kid := newNode(f, index)
		n.kids = append(n.kids, kid)
		n.byName[kid.name] = kid
	}
}

func newNode(f reflect.StructField, index []int) *node {
	n := &node{
		name:    f.Tag.Get("json"),
		index:   index,
		typ:     f.Type,
		def:     f.Tag.Get("default"),
		min:     f.Tag.Get("min"),
		max:     f.Tag.Get("max"),
		seconds: f.Tag.Get("unit") == "s",
		secret:  f.Tag.Get("secret") == "true",
		desc:    f.Tag.Get("desc"),
	}
	if e := f.Tag.Get("enum"); e != "" {
		n.enum = strings.Split(e, "|")
	}
	switch f.Type {
	case reflect.TypeFor[Duration]():
		n.kind = kindDuration
		return n
	case reflect.TypeFor[MapStringString]():
		n.kind = kindMap
		return n
	case reflect.TypeFor[PEMData]():
		n.kind = kindPEM
		return n
	case reflect.TypeFor[[]string]():
		n.kind = kindStrings
		return n
	}
	switch f.Type.Kind() {
	case reflect.Struct:
		n.kind = kindBlock
		n.grow(f.Type, nil)
	case reflect.Slice:
		n.kind = kindList
		n.typ = f.Type.Elem()
		n.grow(n.typ, nil)
	case reflect.String:
		n.kind = kindString
	case reflect.Bool:
		n.kind = kindBool
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32:
		n.kind = kindInt
	default:
		panic(fmt.Sprintf("config: field %s has a type that no option can have", f.Name))
	}
	return n
}

// isBlock reports that n has names below it.
func (n *node) isBlock() bool { return n.kind == kindBlock || n.kind == kindList }

// find returns the node at path, which may go through lists ("channel.namespaces.name"); nil if there is none.
func (n *node) find(path string) *node {
	for name := range strings.SplitSeq(path, ".") {
		if n = n.byName[name]; n == nil {
			return nil
		}
	}
	return n
}

// at returns the option or block of c at path, which must exist and not go through a list.
func (c *Config) at(path string) (*node, reflect.Value) {
	n, v := root(), reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(path, ".") {
		n = n.byName[name]
		v = n.field(v)
	}
	return n, v
}

// field returns the value of n inside the value of its parent.
func (n *node) field(parent reflect.Value) reflect.Value { return parent.FieldByIndex(n.index) }

// named reports that the elements of a list of blocks have a name.
func (n *node) named() bool { return n.kind == kindList && n.byName["name"] != nil }

// setDefaults gives v, the zero value of a block, the defaults of its tags.
func (n *node) setDefaults(v reflect.Value) {
	for _, kid := range n.kids {
		f := kid.field(v)
		switch {
		case kid.kind == kindBlock:
			kid.setDefaults(f)
		case kid.kind != kindList && kid.def != "":
			if problem := kid.parse(f, kid.def); problem != nil {
				panic("config: default of " + kid.name + ": " + problem.Problem)
			}
		}
	}
}

// newElem returns a new element of a list of blocks, with its defaults.
func (n *node) newElem() reflect.Value {
	v := reflect.New(n.typ).Elem()
	n.setDefaults(v)
	return v
}

// Default returns the configuration of a server that was told nothing.
func Default() *Config {
	c := new(Config)
	root().setDefaults(reflect.ValueOf(c).Elem())
	return c
}

// walk calls visit for every option of v with its path. Elements of a list of blocks are written as
// list[name], or list[0] where they have no name. A list itself is visited only when it is empty.
func (n *node) walk(v reflect.Value, path string, visit func(n *node, path string, v reflect.Value)) {
	for _, kid := range n.kids {
		f, p := kid.field(v), join(path, kid.name)
		switch {
		case kid.kind == kindBlock:
			kid.walk(f, p, visit)
		case kid.kind == kindList && f.Len() > 0:
			for i := range f.Len() {
				kid.walk(f.Index(i), kid.elemPath(p, f.Index(i), i), visit)
			}
		default:
			visit(kid, p, f)
		}
	}
}

// elemPath returns the path of the element v, number i, of the list n at path.
func (n *node) elemPath(path string, v reflect.Value, i int) string {
	if n.named() {
		if name := n.byName["name"].field(v).String(); name != "" {
			return path + "[" + name + "]"
		}
	}
	return path + "[" + strconv.Itoa(i) + "]"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// text returns the value of an option as --help, the environment and messages show it.
func (n *node) text(v reflect.Value) string {
	switch n.kind {
	case kindDuration:
		return Duration(v.Int()).String()
	case kindInt, kindBool, kindString, kindPEM:
		return fmt.Sprint(v.Interface())
	case kindStrings:
		return strings.Join(v.Interface().([]string), " ")
	default:
		return string(compactJSON(n.export(v)))
	}
}
