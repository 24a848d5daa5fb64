package session

import (
	"slices"
	"strconv"
	"strings"

	"stentor/codec"
)

// choosing is a tags filter, and what it takes in the oracle's own words.
type choosing struct {
	node  *codec.FilterNode
	takes func(tags map[string]string) bool
}

func leaf(key, cmp, val string, vals ...string) *codec.FilterNode {
	return &codec.FilterNode{Key: key, Cmp: cmp, Val: val, Vals: vals}
}

func both(op string, nodes ...*codec.FilterNode) *codec.FilterNode {
	return &codec.FilterNode{Op: op, Nodes: nodes}
}

// rank is the tag of that name as a number.
func rank(tags map[string]string) (n float64, ok bool) {
	n, err := strconv.ParseFloat(tags["rank"], 64)
	return n, err == nil
}

// choosings: two of them ask the same in another order, so that they are one for the server; one takes nothing and one everything.
var choosings = []*choosing{
	{leaf("kind", "eq", "news"), func(tags map[string]string) bool { return tags["kind"] == "news" }},
	{leaf("kind", "neq", "sport"), func(tags map[string]string) bool { return tags["kind"] != "sport" }},
	{leaf("kind", "in", "", "news", ""), func(tags map[string]string) bool { return slices.Contains([]string{"", "news"}, tags["kind"]) }},
	{leaf("kind", "nin", "", "sport", "newsflash"), func(tags map[string]string) bool {
		return !slices.Contains([]string{"newsflash", "sport"}, tags["kind"])
	}},
	{leaf("rank", "ex", ""), func(tags map[string]string) bool { _, ok := tags["rank"]; return ok }},
	{leaf("rank", "nex", ""), func(tags map[string]string) bool { _, ok := tags["rank"]; return !ok }},
	{leaf("kind", "sw", "news"), func(tags map[string]string) bool { return strings.HasPrefix(tags["kind"], "news") }},
	{leaf("kind", "ew", "port"), func(tags map[string]string) bool { return strings.HasSuffix(tags["kind"], "port") }},
	{leaf("rank", "lte", "12.5"), func(tags map[string]string) bool { n, ok := rank(tags); return ok && n <= 12.5 }},
	{both("and", leaf("kind", "ct", "s"), leaf("rank", "gt", "3")), func(tags map[string]string) bool {
		n, ok := rank(tags)
		return ok && n > 3 && strings.Contains(tags["kind"], "s")
	}},
	{both("and", leaf("rank", "gt", "3"), leaf("kind", "ct", "s")), func(tags map[string]string) bool {
		n, ok := rank(tags)
		return ok && n > 3 && strings.Contains(tags["kind"], "s")
	}},
	{both("or", leaf("kind", "eq", "newsflash"), both("not", leaf("kind", "ex", ""))), func(tags map[string]string) bool {
		kind, ok := tags["kind"]
		return !ok || kind == "newsflash"
	}},
	{leaf("color", "eq", "red"), func(map[string]string) bool { return false }},
	{leaf("color", "neq", "red"), func(map[string]string) bool { return true }},
}

// features are what a subscription is besides a reader of publications.
type features struct {
	positioned, recoverable bool

	cache  bool // recovery is about the newest publication
	delta  bool
	joins  bool // joins and leaves come, too
	filter *choosing
}

// takes reports that a subscription gets x, if it gets anything. A filter would break the chain of patches, so it does nothing then.
func (f *features) takes(x *post) bool {
	if x.move != stays {
		return f.joins
	}
	return f.whole() || f.filter.takes(tagSets[x.tags])
}

// whole reports that all publications come.
func (f *features) whole() bool { return f.filter == nil || f.delta }
