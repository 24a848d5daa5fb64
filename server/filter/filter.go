// Package filter is tags filters (spec: client-protocol, section 10): what a subscriber says about the tags of publications that it
// wants, checked once and then asked for each publication. The limits keep both cheap, whoever wrote the filter.
package filter

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"stentor/codec"
)

// Limits of one tags filter. Its depth is limited by codec.FilterDepthMax.
const (
	NodesMax = 128     // comparisons and combinations
	BytesMax = 8 << 10 // of all keys and values together, each with textBytes more
)

// textBytes is what a text of a filter costs besides what it says, in bytes.
const textBytes = 16

// Filter is a tags filter (spec: client-protocol, section 10). It never changes, so that any goroutine may ask it.
type Filter struct {
	root  node
	key   string // the same for filters that say the same in the same words
	nodes int
	bytes int // of texts
}

// New checks a filter and makes it ready to be asked. Nothing in it aliases n. An error says what is wrong with n.
func New(n *codec.FilterNode) (*Filter, error) {
	f := new(Filter)
	var err error
	if f.root, err = f.compile(n, 1); err != nil {
		return nil, err
	}
	f.key = string(f.root.appendKey(nil))
	return f, nil
}

// Match reports that the filter takes a publication with these tags.
func (f *Filter) Match(tags map[string]string) bool { return f.root.match(tags) }

// Select is the publications of list that the filter takes, for a subscribe reply. The list stays as it is.
func (f *Filter) Select(list []*codec.Publication) []*codec.Publication {
	selected := make([]*codec.Publication, 0, len(list))
	for _, p := range list {
		if f.Match(p.Tags) {
			selected = append(selected, p)
		}
	}
	return selected
}

// Key is the same for filters that say the same in the same words.
func (f *Filter) Key() string { return f.key }

// Nodes is how many comparisons and combinations f has: what asking it costs.
func (f *Filter) Nodes() int { return f.nodes }

// Bytes is roughly how much memory f takes.
func (f *Filter) Bytes() int { return f.nodes*nodeBytes + f.bytes + 2*len(f.key) }

// nodeBytes is the size of a node.
const nodeBytes = 136

// node is one comparison or combination.
type node struct {
	test test
	key  string
	val  string   // of a comparison with one value
	vals []string // of a comparison with many, sorted
	num  decimal  // val as a number
	kids []node   // of a combination, in the order of their keys
}

// test is what a node asks.
type test uint8

const (
	testEqual test = iota
	testNotEqual
	testIn
	testNotIn
	testExists
	testNotExists
	testStarts
	testEnds
	testContains
	testLess
	testAtMost
	testGreater
	testAtLeast
	testAnd
	testOr
	testNot
)

// comparisons and combinations by their names in the protocol.
var (
	comparisons = map[string]test{
		"eq": testEqual, "neq": testNotEqual, "in": testIn, "nin": testNotIn, "ex": testExists, "nex": testNotExists,
		"sw": testStarts, "ew": testEnds, "ct": testContains,
		"lt": testLess, "lte": testAtMost, "gt": testGreater, "gte": testAtLeast,
	}
	combinations = map[string]test{"and": testAnd, "or": testOr, "not": testNot}
)

func (f *Filter) compile(n *codec.FilterNode, depth int) (node, error) {
	if n == nil {
		return node{}, fmt.Errorf("a node is missing")
	}
	if depth > codec.FilterDepthMax {
		return node{}, fmt.Errorf("nested deeper than %d nodes", codec.FilterDepthMax)
	}
	if f.nodes++; f.nodes > NodesMax {
		return node{}, fmt.Errorf("more than %d nodes", NodesMax)
	}
	if n.Op == "" {
		return f.comparison(n)
	}
	test, ok := combinations[n.Op]
	switch {
	case !ok:
		return node{}, fmt.Errorf("unknown op %.20q: it is empty, and, or, not", n.Op)
	case len(n.Nodes) == 0:
		return node{}, fmt.Errorf("%s of no nodes", n.Op)
	case test == testNot && len(n.Nodes) > 1:
		return node{}, fmt.Errorf("not of %d nodes, it takes one", len(n.Nodes))
	}
	out := node{test: test}
	for _, kid := range n.Nodes {
		k, err := f.compile(kid, depth+1)
		if err != nil {
			return node{}, err
		}
		out.kids = append(out.kids, k)
	}
	// Which of equals comes first changes nothing, but filters that differ in it alone are one.
	slices.SortStableFunc(out.kids, func(a, b node) int {
		return strings.Compare(string(a.appendKey(nil)), string(b.appendKey(nil)))
	})
	return out, nil
}

func (f *Filter) comparison(n *codec.FilterNode) (node, error) {
	test, ok := comparisons[n.Cmp]
	if !ok {
		return node{}, fmt.Errorf("unknown cmp %.20q", n.Cmp)
	}
	many, none := test == testIn || test == testNotIn, test == testExists || test == testNotExists
	switch {
	case many && len(n.Vals) == 0:
		return node{}, fmt.Errorf("%s needs vals", n.Cmp)
	case !many && len(n.Vals) > 0:
		return node{}, fmt.Errorf("%s takes no vals", n.Cmp)
	case none && n.Val != "":
		return node{}, fmt.Errorf("%s takes no val", n.Cmp)
	case !many && !none && n.Val == "":
		return node{}, fmt.Errorf("%s needs val", n.Cmp)
	}
	if err := f.charge(n); err != nil {
		return node{}, err
	}
	out := node{test: test, key: strings.Clone(n.Key)}
	if many {
		for _, v := range n.Vals {
			out.vals = append(out.vals, strings.Clone(v))
		}
		slices.Sort(out.vals)
		out.vals = slices.Compact(out.vals)
		return out, nil
	}
	out.val = strings.Clone(n.Val)
	out.num, _ = parseDecimal(out.val)
	return out, nil
}

// charge counts the texts of a comparison, before any is copied.
func (f *Filter) charge(n *codec.FilterNode) error {
	f.bytes += len(n.Key) + len(n.Val) + 2*textBytes
	for _, v := range n.Vals {
		f.bytes += len(v) + textBytes
	}
	if f.bytes > BytesMax {
		return fmt.Errorf("keys and values of more than %d bytes", BytesMax)
	}
	return nil
}

// appendKey appends what n asks, unambiguously.
func (n *node) appendKey(dst []byte) []byte {
	dst = append(dst, byte(n.test))
	if n.test >= testAnd {
		dst = binary.AppendUvarint(dst, uint64(len(n.kids)))
		for i := range n.kids {
			dst = n.kids[i].appendKey(dst)
		}
		return dst
	}
	dst = appendText(dst, n.key)
	dst = appendText(dst, n.val)
	dst = binary.AppendUvarint(dst, uint64(len(n.vals)))
	for _, v := range n.vals {
		dst = appendText(dst, v)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (n *node) match(tags map[string]string) bool {
	switch n.test {
	case testAnd:
		for i := range n.kids {
			if !n.kids[i].match(tags) {
				return false
			}
		}
		return true
	case testOr:
		for i := range n.kids {
			if n.kids[i].match(tags) {
				return true
			}
		}
		return false
	case testNot:
		return !n.kids[0].match(tags)
	}
	v, ok := tags[n.key]
	return n.compare(v, ok)
}

// compare is a comparison with the tag's value v, or with a tag that is missing.
func (n *node) compare(v string, ok bool) bool {
	switch n.test {
	case testEqual:
		return ok && v == n.val
	case testNotEqual:
		return !ok || v != n.val
	case testIn: // a missing tag counts as an empty one
		return n.lists(v)
	case testNotIn:
		return !ok || !n.lists(v)
	case testExists:
		return ok
	case testNotExists:
		return !ok
	case testStarts:
		return ok && strings.HasPrefix(v, n.val)
	case testEnds:
		return ok && strings.HasSuffix(v, n.val)
	case testContains:
		return ok && strings.Contains(v, n.val)
	}
	return ok && n.compareNumber(v)
}

func (n *node) lists(v string) bool {
	_, found := slices.BinarySearch(n.vals, v)
	return found
}

// compareNumber is false unless both are numbers.
func (n *node) compareNumber(v string) bool {
	d, ok := parseDecimal(v)
	if !ok || !n.num.valid {
		return false
	}
	order := d.compare(n.num)
	switch n.test {
	case testLess:
		return order < 0
	case testAtMost:
		return order <= 0
	case testGreater:
		return order > 0
	}
	return order >= 0
}
