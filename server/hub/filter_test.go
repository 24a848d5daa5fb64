package hub

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
	f, err := NewFilter(n)
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

func TestNewFilterRefuses(t *testing.T) {
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
		if f, err := NewFilter(tt.node); err == nil || !strings.Contains(err.Error(), tt.want) {
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
		return leaf("k", "eq", strings.Repeat("x", bytes-1-2*filterTextBytes))
	}
	many := func(vals int) *codec.FilterNode {
		return &codec.FilterNode{Cmp: "in", Vals: make([]string, vals)}
	}
	for name, edge := range map[string]struct {
		make func(int) *codec.FilterNode
		max  int
	}{
		"depth": {nest, codec.FilterDepthMax},
		"nodes": {wide, FilterNodesMax},
		"bytes": {long, FilterBytesMax},
		"vals":  {many, FilterBytesMax/filterTextBytes - 2},
	} {
		if _, err := NewFilter(edge.make(edge.max)); err != nil {
			t.Errorf("%s: %d are refused: %v", name, edge.max, err)
		}
		if _, err := NewFilter(edge.make(edge.max + 1)); err == nil {
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

// tagged publishes with a tag "t" of each word, which is the payload too.
func (r *rig) tagged(channel string, offset uint64, words ...string) {
	for i, word := range words {
		p := &codec.Publication{Data: []byte(word), Tags: map[string]string{"t": word}}
		if offset > 0 {
			p.Offset = offset + uint64(i)
		}
		r.table.Wake(r.table.Publication(channel, p, nil, codec.StreamPosition{Offset: p.Offset, Epoch: "e"}))
	}
}

func (r *rig) joinFiltered(id int, channel string, n *codec.FilterNode, o Options) *listener {
	o.Filter = mustFilter(r.t, n)
	return r.joinWith(id, channel, codec.Protobuf, o)
}

// TestFilters: each member gets what its filter takes, in one frame of what met; positions advance past the rest.
func TestFilters(t *testing.T) {
	for _, batched := range []bool{false, true} {
		r := newRig(t, 2)
		odd, low := leaf("t", "in", "1,3,5"), leaf("t", "lt", "3")
		tests := []struct {
			x    *listener
			want string
		}{
			{r.joinFiltered(0, "news", odd, Options{}), "1@1+3@3+5@5"},
			{r.joinFiltered(0, "news", low, Options{}), "1@1+2@2"},
			{r.joinFiltered(1, "news", odd, Options{}), "1@1+3@3+5@5"},
			{r.joinFiltered(0, "news", leaf("t", "ex", ""), Options{}), "1@1+2@2+3@3+4@4+5@5"},
			{r.joinFiltered(0, "news", leaf("other", "ex", ""), Options{}), ""},
			{r.joinFiltered(0, "news", odd, Options{JoinLeave: true}), "1@1+>x+3@3+5@5"},
			{r.joinFiltered(0, "news", leaf("other", "ex", ""), Options{JoinLeave: true}), ">x"},
			{r.joinFiltered(0, "news", odd, Options{}), "3@3+5@5"},
			{r.joinFiltered(0, "news", low, Options{}), "1@1+2@2"},
			{r.joinAs(0, "news", codec.Protobuf), "1@1+2@2+3@3+4@4+5@5"},
		}
		r.table.Position(tests[7].x.sub, codec.StreamPosition{Offset: 2, Epoch: "e"})
		r.table.Position(tests[8].x.sub, codec.StreamPosition{Offset: 0, Epoch: "e"})
		for i := range 5 {
			if r.tagged("news", uint64(i+1), fmt.Sprint(i+1)); i == 1 {
				r.tell("news", ">x")
			}
			if !batched {
				r.settle()
			}
		}
		r.settle()
		for i, tt := range tests {
			if got := strings.Join(tt.x.got, "+"); got != tt.want {
				t.Errorf("batched %t: member %d got %q, want %q", batched, i, got, tt.want)
			}
			tt.x.expectFailed()
		}
		if a, b := tests[7].x.sub.Offset(), tests[8].x.sub.Offset(); a != 5 || b != 5 {
			t.Errorf("positions %d and %d, want 5", a, b)
		}
		r.tagged("news", 6, "1")
		r.settle()
		tests[8].x.expectFailed()
		if dropped, want := r.table.FilteredOut(), uint64(2+3+2+0+5+2+5+1+3+2); dropped != want {
			t.Errorf("batched %t: %d publications are counted as filtered out, want %d", batched, dropped, want)
		}
	}
}

// TestFilterGroups: equal filters are one, and what they take is that; all is given back.
func TestFilterGroups(t *testing.T) {
	r := newRig(t, 2)
	var all []*listener
	for i := range 40 {
		all = append(all, r.joinFiltered(0, "news", leaf("t", "eq", fmt.Sprint(i%4)), Options{}))
		all = append(all, r.join(0, "news"))
	}
	single := r.joinFiltered(1, "alone", leaf("t", "eq", "1"), Options{})
	x := r.channel(0, "news").list.special
	one := int64(groupBytes + mustFilter(t, leaf("t", "eq", "1")).size())
	if len(x.filters) != 4 || len(x.groups) != len(r.channel(0, "news").list.all) || r.table.FilterBytes() != 5*one {
		t.Errorf("%d filters, %d groups of %d members, %d bytes", len(x.filters), len(x.groups), len(r.channel(0, "news").list.all), r.table.FilterBytes())
	}
	rnd := rand.New(rand.NewPCG(9, 10))
	for len(all) > 0 {
		i := rnd.IntN(len(all))
		all[i].leave()
		all = slices.Delete(all, i, i+1)
		if len(all)%7 == 0 {
			r.checkGroups(all)
		}
	}
	single.leave()
	if n := r.table.FilterBytes(); n != 0 {
		t.Errorf("%d bytes of filters of nobody", n)
	}
}

// checkGroups publishes and checks who gets it.
func (r *rig) checkGroups(all []*listener) {
	r.t.Helper()
	for _, x := range all {
		x.got = nil
	}
	r.tagged("news", 0, "1", "2")
	r.settle()
	for _, x := range all {
		want := "1+2"
		if x.sub.flags&filtered != 0 {
			want = x.sub.channel.list.special.groups[x.sub.index].filter.root.val
			if want != "1" && want != "2" {
				want = ""
			}
		}
		if got := strings.Join(x.got, "+"); got != want {
			r.t.Errorf("a member got %q, want %q", got, want)
		}
	}
}

// TestFiltersWhileAWalkIsOpen: members come and go while a walk is open; everybody keeps the filter it came with.
func TestFiltersWhileAWalkIsOpen(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		r := newRig(t, 1)
		var all []*listener
		join := func() {
			if rnd.IntN(3) == 0 {
				all = append(all, r.join(0, "news"))
			} else {
				all = append(all, r.joinFiltered(0, "news", leaf("t", "eq", fmt.Sprint(rnd.IntN(3))), Options{}))
			}
		}
		for range 12 {
			join()
		}
		r.tagged("news", 0, "0", "1")
		r.turn(0, 1+rnd.IntN(6))
		for range 8 {
			if i := rnd.IntN(len(all)); rnd.IntN(2) == 0 {
				all[i].leave()
				all = slices.Delete(all, i, i+1)
			} else {
				join()
			}
		}
		r.settle()
		r.checkGroups(all)
		for _, x := range all {
			x.leave()
		}
		if n := r.table.FilterBytes(); n != 0 || t.Failed() {
			t.Fatalf("seed %d: %d bytes of filters are left", seed, n)
		}
	}
}

// TestFilterIsAskedOnce for a publication, however many share it; what it took is forgotten with the batch.
func TestFilterIsAskedOnce(t *testing.T) {
	r := newRig(t, 1)
	for range 100 {
		r.joinFiltered(0, "news", leaf("t", "eq", "1"), Options{})
		r.joinFiltered(0, "news", combined("and", leaf("t", "eq", "1")), Options{})
		r.joinFiltered(0, "news", leaf("t", "eq", "2"), Options{})
	}
	r.tagged("news", 0, "1", "2")
	r.turn(0, 10)
	c := r.channel(0, "news")
	b := &c.pending.batch
	if len(b.asked) != 3 || len(b.choices) != 2 {
		t.Errorf("%d filters were asked, their choices are %d; want 3 and 2", len(b.asked), len(b.choices))
	}
	r.settle()
	for _, g := range c.list.special.filters {
		if g.choice != nil {
			t.Error("a choice outlives its batch")
		}
	}
	spare := r.table.locals[0].spare[0]
	if b := &spare.batch; len(b.choices) != 0 || len(b.asked) != 0 || slices.ContainsFunc(b.asked[:cap(b.asked)], func(g *group) bool { return g != nil }) {
		t.Error("a spare pending keeps what filters said")
	}
}

// TestFilterCostsItsTurn: asking many filters is charged to the turn, so that they cannot hold the loop.
func TestFilterCostsItsTurn(t *testing.T) {
	r := newRig(t, 1)
	wide := func(i int) *codec.FilterNode {
		n := combined("or", slices.Repeat([]*codec.FilterNode{leaf("t", "eq", fmt.Sprint(i))}, FilterNodesMax-1)...)
		return n
	}
	for i := range 100 {
		r.joinFiltered(0, "news", wide(i), Options{})
	}
	r.tagged("news", 0, "x")
	r.turn(0, 10*(1+FilterNodesMax/nodesPerVisit))
	if asked := len(r.channel(0, "news").pending.batch.asked); asked != 10 {
		t.Errorf("%d filters were asked in a turn for 10", asked)
	}
	r.settle()
}

// TestFilterWithDelta: the chain needs every publication, so the filter is not applied.
func TestFilterWithDelta(t *testing.T) {
	s := newStream(t, 1)
	x := s.joinDelta(0, "news", codec.JSON, Options{Filter: mustFilter(t, leaf("t", "eq", "1"))})
	s.say(payload("a"), "dk")
	s.say(payload("b"), "dk")
	s.settle()
	x.expect("full a", "patch b")
	if n := s.table.FilterBytes(); n != 0 {
		t.Errorf("%d bytes of filters", n)
	}
}

// TestUnencodableIsFilteredOut: a payload that a member does not want cannot end it.
func TestUnencodableIsFilteredOut(t *testing.T) {
	r := newRig(t, 1)
	f := Options{Filter: mustFilter(t, leaf("t", "neq", "x"))}
	x, y := r.joinWith(0, "news", codec.JSON, f), r.joinWith(0, "news", codec.JSON, f)
	r.table.Position(y.sub, codec.StreamPosition{Offset: 0, Epoch: "e"})
	r.tagged("news", 1, "1", "x", "3")
	r.settle()
	for _, each := range []*listener{x, y} {
		each.expect("1@1+3@3")
		each.expectFailed()
	}
	r.tagged("news", 4, "4", "y", "6")
	r.settle()
	x.expect("1@1+3@3", "4@4")
	x.expectFailed(Unencodable)
}

// TestFilteredDeliveryAllocates: to hand out what is encoded allocates nothing, whether filters take it or not.
func TestFilteredDeliveryAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r, c := specialCrowd(t, 100, func(i int) Options {
		return Options{Filter: mustFilter(t, leaf("t", "eq", fmt.Sprint(i%10)))}
	})
	e := encoded(r, 0)
	e.pub.Tags = map[string]string{"t": "3"}
	r.handOut(c, e)
	if n := testing.AllocsPerRun(100, func() { r.handOut(c, e) }); n != 0 {
		t.Errorf("%v allocations", n)
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
		filter, err := NewFilter(c.Subscribe.TF)
		if err != nil {
			return
		}
		tags := map[string]string{key: val}
		not, err := NewFilter(combined("not", c.Subscribe.TF))
		if err == nil && filter.Match(tags) == not.Match(tags) {
			t.Error("a filter and its opposite agree")
		}
		if again, _ := NewFilter(c.Subscribe.TF); again.key != filter.key || again.Match(tags) != filter.Match(tags) {
			t.Error("the same filter is another one")
		}
	})
}
