package hub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/server/filter"
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

func mustFilter(t testing.TB, n *codec.FilterNode) *filter.Filter {
	t.Helper()
	f, err := filter.New(n)
	if err != nil {
		t.Fatal(err)
	}
	return f
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
	one := int64(groupBytes + mustFilter(t, leaf("t", "eq", "1")).Bytes())
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
			own := x.sub.channel.list.special.groups[x.sub.index].filter
			want = strings.Join(slices.DeleteFunc([]string{"1", "2"}, func(word string) bool {
				return !own.Match(map[string]string{"t": word})
			}), "+")
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
	if len(b.asking.asked) != 3 || len(b.asking.choices) != 2 {
		t.Errorf("%d filters were asked, their choices are %d; want 3 and 2", len(b.asking.asked), len(b.asking.choices))
	}
	r.settle()
	for _, g := range c.list.special.filters {
		if g.choice != nil {
			t.Error("a choice outlives its batch")
		}
	}
	spare := r.table.locals[0].spare[0]
	if a := spare.batch.asking; len(a.choices) != 0 || len(a.asked) != 0 || slices.ContainsFunc(a.asked[:cap(a.asked)], func(g *group) bool { return g != nil }) {
		t.Error("a spare pending keeps what filters said")
	}
}

// TestFilterCostsItsTurn: asking many filters is charged to the turn, so that they cannot hold the loop.
func TestFilterCostsItsTurn(t *testing.T) {
	r := newRig(t, 1)
	wide := func(i int) *codec.FilterNode {
		n := combined("or", slices.Repeat([]*codec.FilterNode{leaf("t", "eq", fmt.Sprint(i))}, filter.NodesMax-1)...)
		return n
	}
	for i := range 100 {
		r.joinFiltered(0, "news", wide(i), Options{})
	}
	r.tagged("news", 0, "x")
	r.turn(0, 10*(1+filter.NodesMax/nodesPerVisit))
	if asked := len(r.channel(0, "news").pending.batch.asking.asked); asked != 10 {
		t.Errorf("%d filters were asked in a turn for 10", asked)
	}
	r.settle()
}

// TestChoicesAreBounded: members who all choose differently get what they chose, and what is made for each of them alone neither
// piles up until the walk ends nor comes free.
func TestChoicesAreBounded(t *testing.T) {
	const words, size = 10, 5000
	r := newRig(t, 1)
	var said []string
	for k := range words {
		said = append(said, strings.Repeat(string(rune('a'+k)), size))
	}
	var all []*listener
	var want []string
	deliveries := 0
	for i := 1; i <= 300; i++ {
		var nodes []*codec.FilterNode
		var chosen []string
		for k := range words {
			if i>>k&1 != 0 {
				nodes = append(nodes, leaf("t", "sw", said[k][:1]))
				chosen = append(chosen, said[k])
			}
		}
		all = append(all, r.joinFiltered(0, "news", combined("or", nodes...), Options{}))
		want = append(want, strings.Join(chosen, "+"))
		deliveries += len(chosen)
	}
	most := 0
	for _, x := range all {
		x.onSend = func() {
			held := 0
			for _, c := range r.channel(0, "news").pending.batch.asking.choices {
				for _, f := range c.frames {
					if f != nil && f.Joined() > 1 {
						held += len(f.Messages())
					}
				}
			}
			most = max(most, held)
		}
	}
	r.tagged("news", 0, said...)
	r.turn(0, 1000)
	if asked := len(r.channel(0, "news").pending.batch.asking.asked); asked > 1000/(2*size/joinedPerVisit) {
		t.Errorf("frames for %d members were joined in a turn for 1000", asked)
	}
	r.settle()
	if most > choicesBytesMax+batchBytesMax {
		t.Errorf("choices held %d bytes, want at most %d and a batch", most, choicesBytesMax)
	}
	for i, x := range all {
		if got := strings.Join(x.got, "+"); got != want[i] {
			t.Errorf("member %d got %d bytes, want %d", i, len(got), len(want[i]))
		}
	}
	if n := int(r.table.FilteredOut()); n != len(all)*words-deliveries {
		t.Errorf("%d were filtered out, want %d", n, len(all)*words-deliveries)
	}
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
