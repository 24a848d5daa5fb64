package filter

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"stentor/codec"
)

func aliasing(b []byte) string { return unsafe.String(&b[0], len(b)) }

// leaf is a comparison; vals are given where val has commas.
func leaf(key, cmp, val string) *codec.FilterNode {
	n := &codec.FilterNode{Key: key, Cmp: cmp, Val: val}
	if cmp == "in" || cmp == "nin" {
		n.Val, n.Vals = "", strings.Split(val, ",")
	}
	return n
}

func combined(op string, nodes ...*codec.FilterNode) *codec.FilterNode {
	return &codec.FilterNode{Op: op, Nodes: nodes}
}

func mustFilter(t testing.TB, n *codec.FilterNode) *Filter {
	t.Helper()
	f, err := New(n)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestComparisons asks each comparison about a tag k. "-" stands for a missing tag.
func TestComparisons(t *testing.T) {
	tests := []struct{ cmp, val, takes, leaves string }{
		{"eq", "a", "a", "b A aa - ''"},
		{"neq", "a", "b A - ''", "a"},
		{"in", "a,b", "a b", "c ab - ''"},
		{"in", "b,a,b", "a b", "c"},
		{"in", "a,", "a '' -", "b"},
		{"nin", "a,b", "c '' -", "a b"},
		{"nin", "a,", "c -", "a ''"},
		{"ex", "", "a ''", "-"},
		{"nex", "", "-", "a ''"},
		{"sw", "ab", "ab abc", "a xab - ''"},
		{"ew", "bc", "bc abc", "b bcx - ''"},
		{"ct", "bc", "bc abcd", "b cb - ''"},
		{"lt", "10", "9 9.99 -1 1e0 09 0", "10 10.0 11 1e1 x - '' 10x"},
		{"lte", "10", "9 10 10.0 1e1 010 +10", "10.0000000000000000000000000000001 11 x - ''"},
		{"gt", "0.1", "0.10000000000000000000000000000000001 1 1e9", "0.1 .1 1e-1 0 -1 x - ''"},
		{"gte", "-0.5", "-.5 0 -0 -0.4 9", "-0.6 -1 NaN Inf - ''"},
		{"gt", "9007199254740992", "9007199254740993", "9007199254740992 9007199254740991"},
		{"gt", "1e400", "1e401 11e399", "1e400 9 1e399"},
		{"lt", "x", "", "1 x - ''"},
		{"gte", "1e99999999999", "", "1 1e99999999999 -"},
	}
	for _, tt := range tests {
		f := mustFilter(t, leaf("k", tt.cmp, tt.val))
		for want, list := range map[bool]string{true: tt.takes, false: tt.leaves} {
			for _, word := range strings.Fields(list) {
				tags := map[string]string{"k": strings.Trim(word, "'")}
				if word == "-" {
					tags = map[string]string{"other": tt.val}
				}
				if got := f.Match(tags); got != want {
					t.Errorf("%s %q of %s: %t", tt.cmp, tt.val, word, got)
				}
			}
		}
		if got, want := f.Match(nil), f.Match(map[string]string{"other": "x"}); got != want {
			t.Errorf("%s: without any tags %t", tt.cmp, got)
		}
	}
}

func TestCombinations(t *testing.T) {
	a, b := leaf("a", "eq", "1"), leaf("b", "eq", "1")
	tests := []struct {
		node *codec.FilterNode
		want [4]bool // for neither, a, b, both
	}{
		{combined("and", a, b), [4]bool{false, false, false, true}},
		{combined("or", a, b), [4]bool{false, true, true, true}},
		{combined("and", a), [4]bool{false, true, false, true}},
		{combined("not", a), [4]bool{true, false, true, false}},
		{combined("not", combined("and", a, b)), [4]bool{true, true, true, false}},
		{combined("or", combined("and", a, combined("not", b)), combined("and", b, combined("not", a))), [4]bool{false, true, true, false}},
	}
	for i, tt := range tests {
		f := mustFilter(t, tt.node)
		for bits, want := range tt.want {
			tags := map[string]string{}
			if bits&1 != 0 {
				tags["a"] = "1"
			}
			if bits&2 != 0 {
				tags["b"] = "1"
			}
			if got := f.Match(tags); got != want {
				t.Errorf("number %d of %v: %t", i, tags, got)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ok := leaf("k", "ex", "")
	tests := []struct {
		node *codec.FilterNode
		want string
	}{
		{nil, "a node is missing"},
		{&codec.FilterNode{}, "unknown cmp"},
		{leaf("k", "equals", "a"), "unknown cmp"},
		{combined("xor", ok), "unknown op"},
		{combined("AND", ok), "unknown op"},
		{combined("and"), "of no nodes"},
		{combined("or"), "of no nodes"},
		{combined("not"), "of no nodes"},
		{combined("not", ok, ok), "takes one"},
		{combined("and", ok, nil), "a node is missing"},
		{combined("and", ok, leaf("k", "", "")), "unknown cmp"},
		{leaf("k", "ex", "a"), "takes no val"},
		{leaf("k", "nex", "a"), "takes no val"},
		{&codec.FilterNode{Cmp: "ex", Vals: []string{"a"}}, "takes no vals"},
		{&codec.FilterNode{Cmp: "in", Val: "a"}, "needs vals"},
		{&codec.FilterNode{Cmp: "nin"}, "needs vals"},
	}
	for _, cmp := range []string{"eq", "neq", "sw", "ew", "ct", "lt", "lte", "gt", "gte"} {
		tests = append(tests, struct {
			node *codec.FilterNode
			want string
		}{leaf("k", cmp, ""), "needs val"}, struct {
			node *codec.FilterNode
			want string
		}{&codec.FilterNode{Cmp: cmp, Val: "1", Vals: []string{"2"}}, "takes no vals"})
	}
	for i, tt := range tests {
		if f, err := New(tt.node); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("number %d: %v, %v, want %q", i, f, err, tt.want)
		}
	}
}

// TestFilterLimits: depth, nodes and bytes, each at its edge.
func TestFilterLimits(t *testing.T) {
	nest := func(depth int) *codec.FilterNode {
		n := leaf("k", "ex", "")
		for range depth - 1 {
			n = combined("not", n)
		}
		return n
	}
	wide := func(nodes int) *codec.FilterNode {
		return combined("or", slices.Repeat([]*codec.FilterNode{leaf("k", "ex", "")}, nodes-1)...)
	}
	long := func(bytes int) *codec.FilterNode {
		return leaf("k", "eq", strings.Repeat("x", bytes-1-2*textBytes))
	}
	many := func(vals int) *codec.FilterNode {
		return &codec.FilterNode{Cmp: "in", Vals: make([]string, vals)}
	}
	for name, edge := range map[string]struct {
		make func(int) *codec.FilterNode
		max  int
	}{
		"depth": {nest, codec.FilterDepthMax},
		"nodes": {wide, NodesMax},
		"bytes": {long, BytesMax},
		"vals":  {many, BytesMax/textBytes - 2},
	} {
		if _, err := New(edge.make(edge.max)); err != nil {
			t.Errorf("%s: %d are refused: %v", name, edge.max, err)
		}
		if _, err := New(edge.make(edge.max + 1)); err == nil {
			t.Errorf("%s: %d are taken", name, edge.max+1)
		}
	}
	if got := int(unsafe.Sizeof(node{})); got != nodeBytes {
		t.Errorf("a node takes %d bytes, not %d", got, nodeBytes)
	}
}

// TestFilterKeys: filters that ask the same have the same key, others have not.
func TestFilterKeys(t *testing.T) {
	a, b := leaf("a", "eq", "1"), leaf("b", "eq", "1")
	same := [][2]*codec.FilterNode{
		{leaf("a", "eq", "1"), a},
		{combined("and", a, b), combined("and", b, a)},
		{leaf("a", "in", "1,2"), leaf("a", "in", "2,1,2")},
		{combined("not", combined("or", a, combined("and", b, a))), combined("not", combined("or", combined("and", a, b), a))},
	}
	for i, pair := range same {
		if mustFilter(t, pair[0]).key != mustFilter(t, pair[1]).key {
			t.Errorf("pair %d has two keys", i)
		}
	}
	keys := map[string]int{}
	for i, n := range []*codec.FilterNode{
		a, b, combined("and", a, b), combined("or", a, b), combined("and", a), combined("not", a), combined("and", combined("and", a), b),
		combined("and", a, a), leaf("a", "in", "1,2"), leaf("a", "in", "12"), leaf("a", "in", "1"), leaf("a", "nin", "1"), leaf("a1", "eq", "1"),
		leaf("a", "eq", "11"), leaf("a", "neq", "1"), leaf("a", "ex", ""), leaf("", "ex", ""), leaf("a", "lt", "1"), leaf("a", "lt", "1.0"),
	} {
		key := mustFilter(t, n).key
		if before, there := keys[key]; there {
			t.Errorf("numbers %d and %d share a key", before, i)
		}
		keys[key] = i
	}
}

// TestFilterIsCopied: texts come out of read buffers.
func TestFilterIsCopied(t *testing.T) {
	buffer := []byte("key-val-one")
	f := mustFilter(t, combined("or",
		&codec.FilterNode{Key: aliasing(buffer[:3]), Cmp: "eq", Val: aliasing(buffer[4:7])},
		&codec.FilterNode{Key: aliasing(buffer[:3]), Cmp: "in", Vals: []string{aliasing(buffer[8:])}}))
	copy(buffer, "///////////")
	for val, want := range map[string]bool{"val": true, "one": true, "///": false} {
		if f.Match(map[string]string{"key": val}) != want {
			t.Errorf("%s: %t", val, !want)
		}
	}
}

// TestDecimals compares random numbers with package big.
func TestDecimals(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	number := func() string {
		digits := func(n int) (s string) {
			for range r.IntN(n + 1) {
				s += string("0001239"[r.IntN(7)])
			}
			return s
		}
		s := []string{"", "+", "-"}[r.IntN(3)] + digits(4)
		if r.IntN(2) == 0 {
			s += "." + digits(4)
		}
		if r.IntN(3) == 0 {
			s += fmt.Sprintf("%c%d", "eE"[r.IntN(2)], r.IntN(7)-3)
		}
		return s
	}
	valid := 0
	for range 200_000 {
		a, b := number(), number()
		x, okX := parseDecimal(a)
		y, okY := parseDecimal(b)
		p, okP := new(big.Rat).SetString(a)
		q, okQ := new(big.Rat).SetString(b)
		if okX != okP || okY != okQ {
			t.Fatalf("%q is a number: %t, %q: %t; by big %t and %t", a, okX, b, okY, okP, okQ)
		}
		if !okX || !okY {
			continue
		}
		valid++
		if got, want := x.compare(y), p.Cmp(q); got != want {
			t.Fatalf("%s against %s: %d, want %d", a, b, got, want)
		}
	}
	if valid < 100_000 {
		t.Errorf("only %d pairs were numbers", valid)
	}
	for _, s := range []string{"", " ", ".", "-", "+.", "e1", ".e1", "1e", "1e+", "1 ", " 1", "1_0", "0x1", "1e0x1", "--1", "1.2.3", "1e1.0", "NaN", "inf", "١", "1e2147483648"} {
		if _, ok := parseDecimal(s); ok {
			t.Errorf("%q counts as a number", s)
		}
	}
}

// TestMatchAllocates: asking allocates nothing.
func TestMatchAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	f := mustFilter(t, combined("and", leaf("price", "gt", "10.5"), combined("or", leaf("k", "in", "a,b,c"), leaf("k", "ct", "x"))))
	tags := map[string]string{"price": "1000000000000000000000.01", "k": "b"}
	if n := testing.AllocsPerRun(100, func() {
		if !f.Match(tags) {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSelect(t *testing.T) {
	var list []*codec.Publication
	for i := range 6 {
		list = append(list, &codec.Publication{Offset: uint64(i + 1), Tags: map[string]string{"n": fmt.Sprint(i)}})
	}
	before := slices.Clone(list)
	got := mustFilter(t, leaf("n", "in", "1,4")).Select(list)
	if len(got) != 2 || got[0] != list[1] || got[1] != list[4] || !slices.Equal(list, before) {
		t.Errorf("selected %v", got)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte(`{"id":1,"subscribe":{"channel":"x","tf":{"op":"and","nodes":[{"key":"k","cmp":"gt","val":"1.5"},{"key":"k","cmp":"in","vals":["a","b"]}]}}}`), "k", "2")
	f.Fuzz(func(t *testing.T, command []byte, key, val string) {
		var c codec.Command
		if len(command) == 0 {
			return
		}
		if _, err := codec.DecodeCommand(codec.JSON, command, &c); err != nil || c.Subscribe.TF == nil {
			return
		}
		filter, err := New(c.Subscribe.TF)
		if err != nil {
			return
		}
		tags := map[string]string{key: val}
		not, err := New(combined("not", c.Subscribe.TF))
		if err == nil && filter.Match(tags) == not.Match(tags) {
			t.Error("a filter and its opposite agree")
		}
		if again, _ := New(c.Subscribe.TF); again.key != filter.key || again.Match(tags) != filter.Match(tags) {
			t.Error("the same filter is another one")
		}
	})
}
