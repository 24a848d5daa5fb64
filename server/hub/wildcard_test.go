package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"stentor/codec"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
)

// scopeOf is the scope of tests: what is up to the first colon.
func scopeOf(name string) int { return strings.IndexByte(name, ':') + 1 }

func (r *rig) joinPattern(id int, name string) *listener {
	return r.joinWith(id, name, codec.JSON, Options{Wildcard: true})
}

// TestWildcards: who gets a publication of a channel. Patterns that it does not match are given too.
func TestWildcards(t *testing.T) {
	tests := []struct{ channel, match, other string }{
		{"ns:news.sport", "ns:news.* ns:news.> ns:*.sport ns:*.* ns:>", "ns:news ns:* ns:*.news ns:news.*.* ns:news.sport.> ns:*.*.* other:> news.* > *"},
		{"ns:news", "ns:* ns:>", "ns:news.* ns:news.> ns:*.* ns:n*"},
		{"ns:a.b.c", "ns:a.*.c ns:a.> ns:a.b.> ns:*.b.* ns:*.> ns:*.*.>", "ns:a.* ns:a.b.c.> ns:a.c.* ns:*.*"},
		{"ns:a..c", "ns:a.*.c ns:a.> ns:*.*.*", "ns:a.* ns:a.c"},
		{"ns:", "ns:* ns:>", "ns:*.*"},
		{"news.sport", "news.* > *.*", "ns:news.* ns:> *"},
		{"ns:a:b.c", "ns:*.c ns:a:b.* ns:>", "ns:a:*"},
		{"ns:news.*", "ns:> ns:*.*", "ns:news.x"},
		{"ns:news.>", "ns:> ns:*.* ns:news.*", "ns:news.x"},
	}
	for _, tt := range tests {
		r := newRig(t, 2)
		r.table.SetScope(scopeOf)
		direct := r.join(0, tt.channel)
		var match, other []*listener
		for i, name := range strings.Fields(tt.match) {
			match = append(match, r.joinPattern(i%2, name), r.joinPattern(0, name))
		}
		for i, name := range strings.Fields(tt.other) {
			other = append(other, r.joinPattern(i%2, name))
		}
		r.publishAt(tt.channel, 7, "e")
		r.settle()
		direct.expect("1@7")
		for _, x := range match {
			if !slices.Equal(x.got, []string{"1"}) {
				t.Errorf("%s: %s got %q", tt.channel, x.sub.Name(), x.got)
			}
		}
		for _, x := range other {
			if x.got != nil {
				t.Errorf("%s: %s got %q", tt.channel, x.sub.Name(), x.got)
			}
		}
		for _, x := range append(match, other...) {
			x.leave()
		}
		if w := &r.table.wild; w.count.Load() != 0 || w.patterns != nil || w.levels != nil {
			t.Errorf("%d patterns, %d levels are left", len(w.patterns), len(w.levels))
		}
		r.publish(tt.channel, 1)
		r.settle()
		direct.expect("1@7", "2")
	}
}

// TestWildcardPush: the push carries the pattern as its channel, and in the publication the channel where it was published; neither
// offset nor epoch. The publication itself stays as it is.
func TestWildcardPush(t *testing.T) {
	for f := range codec.Form(codec.NumAllForms) {
		r := newRig(t, 1)
		r.table.SetScope(scopeOf)
		var all frames
		r.table.Subscribe(new(Subscription), r.loops[0], "ns:news.*", f, &all, Options{Wildcard: true})
		p := &codec.Publication{Data: []byte("1"), Offset: 1, Epoch: "e", Tags: map[string]string{"t": "1"}, Info: &codec.ClientInfo{Client: "c"}}
		channel := []byte("ns:news.sport")
		prev := &codec.Publication{Data: []byte("0"), Offset: 0}
		r.table.Wake(r.table.Publication(aliasing(channel), p, prev, codec.StreamPosition{Offset: 1, Epoch: "e"}))
		copy(channel, "/////////////")
		r.settle()
		got := pushes(t, all.got[0])[0]
		if got.Channel != "ns:news.*" || got.Pub.Channel != "ns:news.sport" || got.Pub.Offset != 0 || got.Pub.Epoch != "" ||
			got.Pub.Info.Client != "c" || got.Pub.Tags["t"] != "1" {
			t.Errorf("%v: %+v of %+v", f, got, got.Pub)
		}
		if p.Offset != 1 || p.Epoch != "e" || p.Channel != "" {
			t.Errorf("the publication was changed: %+v", p)
		}
	}
}

// TestWildcardOptions: filters and deltas of a pattern; a delta is always in full.
func TestWildcardOptions(t *testing.T) {
	s := newStream(t, 1)
	x := s.joinDelta(0, "*", codec.JSON, Options{Wildcard: true})
	y := s.joinWith(0, "*", codec.JSON, Options{Wildcard: true, Filter: mustFilter(t, leaf("t", "eq", "1"))})
	s.say(payload("a"), "dk")
	s.say(payload("b"), "dk")
	s.settle()
	x.expect("full a", "full b")
	y.expect()
	s.tagged("news", 0, "1", "2")
	s.settle()
	y.expect("1")
}

// TestWildcardModel compares with matching token by token, while patterns come and go.
func TestWildcardModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	name := func(tokens ...string) string {
		words := make([]string, 1+rnd.IntN(4))
		for i := range words {
			words[i] = tokens[rnd.IntN(len(tokens))]
		}
		return []string{"", "ns:", "other:"}[rnd.IntN(3)] + strings.Join(words, ".")
	}
	r := newRig(t, 1)
	r.table.SetScope(scopeOf)
	var all []*listener
	for range 3000 {
		switch n := rnd.IntN(10); {
		case n < 4:
			pattern := name("a", "b", "*")
			if rnd.IntN(3) == 0 {
				pattern += ".>"
			}
			if strings.ContainsAny(pattern, "*>") {
				all = append(all, r.joinPattern(0, pattern))
			}
		case n < 7 && len(all) > 0:
			i := rnd.IntN(len(all))
			all[i].leave()
			all = slices.Delete(all, i, i+1)
		default:
			channel := name("a", "b", "c")
			for _, x := range all {
				x.got = nil
			}
			r.publish(channel, 1)
			r.settle()
			for _, x := range all {
				if want := matches(x.sub.Name(), channel); (len(x.got) == 1) != want || len(x.got) > 1 {
					t.Fatalf("%s on %s: got %q, match %t", channel, x.sub.Name(), x.got, want)
				}
			}
		}
	}
	for _, x := range all {
		x.leave()
	}
	if w := &r.table.wild; w.count.Load() != 0 || w.levels != nil {
		t.Errorf("%d levels are left", len(w.levels))
	}
}

// matches is the plainest way to match.
func matches(pattern, name string) bool {
	if a, b := scopeOf(pattern), scopeOf(name); pattern[:a] != name[:b] {
		return false
	}
	p, n := strings.Split(pattern[scopeOf(pattern):], "."), strings.Split(name[scopeOf(name):], ".")
	for i, token := range p {
		switch {
		case i >= len(n):
			return false
		case token == ">":
			return true
		case token != "*" && token != n[i]:
			return false
		}
	}
	return len(p) == len(n)
}

// TestWildcardAdmit: a full loop refuses what it would hear through a pattern.
func TestWildcardAdmit(t *testing.T) {
	r := newRig(t, 0)
	r.addLoop(loop.New(0, loop.Config{Ring: func() {}, ItemsMax: 2}))
	r.table = NewTable(r.loops)
	x := r.joinPattern(0, "news.*")
	r.publish("news.a", 2)
	for channel, want := range map[string]bool{"news.b": false, "sport.b": true} {
		if got := r.table.Admit(channel); got != want {
			t.Errorf("Admit(%q) is %t", channel, got)
		}
	}
	x.leave()
	if !r.table.Admit("news.b") {
		t.Error("a pattern of nobody refuses")
	}
}

// TestScopeMayChange while there are subscriptions: they are taken out where they were put in.
func TestScopeMayChange(t *testing.T) {
	r := newRig(t, 1)
	r.table.SetScope(scopeOf)
	x := r.joinPattern(0, "ns:news.*")
	r.table.SetScope(func(string) int { return 0 })
	y := r.joinPattern(0, "ns:news.*")
	x.leave()
	r.publish("ns:news.a", 1)
	y.leave()
	if w := &r.table.wild; w.count.Load() != 0 || w.levels != nil {
		t.Errorf("%d levels are left", len(w.levels))
	}
}

// TestWildcardsConcurrently is for the race detector: publishers meet patterns that come and go; whoever comes hears of a channel without
// gaps, and one that stays hears all.
func TestWildcardsConcurrently(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var running, work sync.WaitGroup
	runners := []*runner{newRunner(0), newRunner(1)}
	for _, r := range runners {
		running.Go(func() { r.run(ctx) })
	}
	table := NewTable([]*loop.Loop{runners[0].loop, runners[1].loop})
	broker := memengine.New(memengine.Config{}, table)
	stays := new(counter)
	sub := new(Subscription)
	runners[0].do(func() { table.Subscribe(sub, runners[0].loop, "news.>", codec.JSON, stays, Options{Wildcard: true}) })
	const each = 300
	for i := range 3 {
		work.Go(func() { publishSome(t, broker, []string{fmt.Sprint("news.", i), "news.x"}, each) })
	}
	for _, r := range runners {
		work.Go(func() {
			for range 200 {
				guest, f := new(Subscription), &follower{t: t, last: map[string]int{}}
				r.do(func() { table.Subscribe(guest, r.loop, "news.*", codec.JSON, f, Options{Wildcard: true}) })
				r.do(func() { table.Unsubscribe(guest) })
			}
		})
	}
	work.Wait()
	runners[0].do(func() {})
	for waits := true; waits; {
		runners[0].do(func() { waits = sub.channel.pending != nil })
	}
	if stays.got != 3*2*each {
		t.Errorf("%d publications, want %d", stays.got, 3*2*each)
	}
	runners[0].do(func() { table.Unsubscribe(sub) })
	stop()
	running.Wait()
}

// follower checks that the publications of a channel, numbered by their one publisher, have no gaps. Several publish to news.x.
type follower struct {
	t    *testing.T
	last map[string]int
}

func (f *follower) Send(frame *codec.Frame) {
	for _, p := range decode(f.t, frame) {
		n, err := strconv.Atoi(head(p.Data))
		if last, known := f.last[p.Channel]; err != nil || known && n != last+1 && p.Channel != "news.x" {
			f.t.Errorf("%s: %d (%v) after %d", p.Channel, n, err, last)
		}
		f.last[p.Channel] = n
	}
}

func (f *follower) Fail(*Subscription, Failure) {}

// counter counts publications.
type counter struct{ got int }

func (c *counter) Send(f *codec.Frame)         { c.got += f.Joined() }
func (c *counter) Fail(*Subscription, Failure) {}

// patternLife looks at the tree of patterns at the moments when a pattern gets its first subscriber and has lost its last one.
type patternLife struct {
	silence
	table *Table
	seen  []string // what a publication matched then
}

func (l *patternLife) Occupied(int, string) { l.look("came") }
func (l *patternLife) Vacated(int, string)  { l.look("left") }

func (l *patternLife) look(when string) {
	l.seen = append(l.seen, when)
	l.seen = l.table.wild.match("news.a", l.seen)
}

// TestPatternsAreFoundBeforeTheyAreHeard: as long as a publication could be delivered to a pattern it is looked for, so that whoever
// hears one hears all that follow. Its name may be in a buffer that is used again.
func TestPatternsAreFoundBeforeTheyAreHeard(t *testing.T) {
	r := newRig(t, 2)
	life := &patternLife{table: r.table}
	r.table.Watch(life)
	name := []byte("news.*")
	x := r.joinPattern(0, aliasing(name))
	copy(name, "//////")
	y := r.joinPattern(1, "news.*")
	x.leave()
	r.publish("news.a", 1)
	r.settle()
	y.expect("1")
	y.leave()
	if want := []string{"came", "news.*", "left", "news.*"}; !slices.Equal(life.seen, want) {
		t.Errorf("got %q, want %q", life.seen, want)
	}
}
