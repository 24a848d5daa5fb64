package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/codec/delta"
	"stentor/engine"
	"stentor/engine/memengine"
)

// patient is a client with deltas: it keeps the last payload and applies patches to it, as SDKs do.
type patient struct {
	t      testing.TB
	form   codec.Form
	sub    *Subscription
	base   []byte
	got    []string // "full" or "patch", and the head of the payload; ">c" for joins
	failed []Failure
	frames []*codec.Frame
}

func (r *rig) joinDelta(id int, channel string, f codec.Form, o Options) *patient {
	x := &patient{t: r.t, form: f, sub: new(Subscription)}
	o.Delta = true
	r.table.Subscribe(x.sub, r.loops[id], channel, f, x, o)
	return x
}

func (x *patient) Send(f *codec.Frame) {
	x.frames = append(x.frames, f)
	for _, p := range pushes(x.t, f) {
		if p.Pub == nil {
			x.got = append(x.got, word(p))
			continue
		}
		x.got = append(x.got, x.read(p.Pub))
	}
}

func (x *patient) Fail(_ *Subscription, why Failure) { x.failed = append(x.failed, why) }

// read decodes a payload and makes it the base of the next.
func (x *patient) read(p *codec.Publication) string {
	data, kind := p.Data, "full"
	if x.form.Encoding() == codec.JSON {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			x.t.Fatalf("the payload %s is no JSON string", data)
		}
		data = []byte(text)
	}
	if p.Delta {
		kind = "patch"
		target, err := delta.Apply(nil, x.base, data, 1<<24)
		if err != nil {
			x.t.Fatalf("patch %q against %.40q: %v", data, x.base, err)
		}
		data = target
	}
	x.base = data
	return kind + " " + head(data)
}

// head is what stands before the dots of a payload.
func head(data []byte) string {
	s, _, _ := strings.Cut(strings.Trim(string(data), `"`), ".")
	return s
}

func (x *patient) expect(want ...string) {
	x.t.Helper()
	if !slices.Equal(x.got, want) {
		x.t.Errorf("%v: got %q, want %q", x.form, x.got, want)
	}
}

// payload is JSON that begins with head and is long enough for a patch to be worth it.
func payload(head string) string { return `"` + head + strings.Repeat(".", 100) + `"` }

// stream publishes on one channel of an engine.
type stream struct {
	*rig
	engine *memengine.Engine
}

func newStream(t testing.TB, loops int) stream {
	r := newRig(t, loops)
	return stream{r, memengine.New(memengine.Config{Stripes: 1}, r.table)}
}

// say publishes data. How: "d" asks for a delta, "k" keeps the publication in history.
func (s stream) say(data, how string) {
	o := engine.PublishOptions{Delta: strings.Contains(how, "d")}
	if strings.Contains(how, "k") {
		o.HistorySize, o.HistoryTTL = 10, time.Hour
	}
	if _, err := s.engine.Publish(context.Background(), "news", &codec.Publication{Data: []byte(data)}, o); err != nil {
		s.t.Fatal(err)
	}
}

func (s stream) top() codec.StreamPosition {
	_, at, err := s.engine.History(context.Background(), "news", engine.HistoryFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

// TestDeltas publishes, one by one and all at once, and looks at who gets what as a patch. Steps are "how head".
func TestDeltas(t *testing.T) {
	tests := []struct {
		name  string
		steps string
		want  string
	}{
		{"a chain", "dk a, dk b, dk c", "full a, patch b, patch c"},
		{"nobody asks", "k a, k b", "full a, full b"},
		{"some ask", "k a, dk b, k c, dk d", "full a, patch b, full c, patch d"},
		{"no history", "d a, d b", "full a, full b"},
		{"one beside history", "dk a, d b, dk c, dk d", "full a, full b, full c, patch d"},
		{"one beside history at the start", "d a, dk b, dk c", "full a, full b, patch c"},
		{"a join between", "dk a, >x, dk b", "full a, >x, patch b"},
	}
	for _, tt := range tests {
		for f := range codec.Form(codec.NumAllForms) {
			for _, batched := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %v, batched %t", tt.name, f, batched), func(t *testing.T) {
					s := newStream(t, 2)
					top := s.top()
					var all []*patient
					for id := range 2 {
						for _, placed := range []bool{false, true, false} {
							x := s.joinDelta(id, "news", f, Options{JoinLeave: true})
							if placed {
								s.table.Position(x.sub, top)
							}
							all = append(all, x)
						}
					}
					plain := s.joinAs(0, "news", f)
					for _, step := range strings.Split(tt.steps, ", ") {
						if step[0] == '>' {
							s.tell("news", step)
						} else {
							how, head, _ := strings.Cut(step, " ")
							s.say(payload(head), how)
						}
						if !batched {
							s.settle()
						}
					}
					s.settle()
					for i, x := range all {
						x.expect(strings.Split(tt.want, ", ")...)
						if n, same := len(x.frames), x.frames[0] == all[i/3*3].frames[0]; batched && n != 1 || !same {
							t.Errorf("%d frames of what met; shared with the others of its loop: %t", n, same)
						}
					}
					for i, p := range strings.Split(strings.Join(plain.got, "+"), "+") {
						if p, _, _ = strings.Cut(p, "@"); !strings.HasPrefix(p, `"`) || len(p) != len(payload("x")) {
							t.Errorf("a plain member got %q as number %d", p, i)
						}
					}
				})
			}
		}
	}
}

// TestFirstOfADelta: whoever comes to a stream that goes on has no base yet, unless its reply ended with one.
func TestFirstOfADelta(t *testing.T) {
	for f := range codec.Form(codec.NumAllForms) {
		s := newStream(t, 1)
		old := s.joinDelta(0, "news", f, Options{})
		s.say(payload("a"), "dk")
		s.settle()
		fresh, placed := s.joinDelta(0, "news", f, Options{}), s.joinDelta(0, "news", f, Options{})
		back := s.joinDelta(0, "news", f, Options{})
		for _, x := range []*patient{placed, back} {
			s.table.Position(x.sub, s.top())
		}
		s.table.Recovered(back.sub)
		back.base = []byte(payload("a"))
		s.say(payload("b"), "dk")
		s.say(payload("c"), "dk")
		s.settle()
		old.expect("full a", "patch b", "patch c")
		fresh.expect("full b", "patch c")
		placed.expect("full b", "patch c")
		back.expect("patch b", "patch c")
	}
}

// TestRecoveredBehind: what is still on its way when a client recovers is dropped, and the chain goes on from what it recovered.
func TestRecoveredBehind(t *testing.T) {
	s := newStream(t, 1)
	s.joinDelta(0, "news", codec.JSON, Options{})
	for _, name := range []string{"a", "b", "c"} {
		s.say(payload(name), "dk")
	}
	x := s.joinDelta(0, "news", codec.JSON, Options{})
	at := s.top()
	at.Offset = 2
	s.table.Position(x.sub, at)
	s.table.Recovered(x.sub)
	x.base = []byte(payload("b"))
	s.say(payload("d"), "dk")
	s.settle()
	x.expect("patch c", "patch d")
}

// TestJoinInAWalk: a member that comes while a batch is handed out does not have it.
func TestJoinInAWalk(t *testing.T) {
	s := newStream(t, 1)
	first, second := s.joinDelta(0, "news", codec.JSON, Options{}), s.joinDelta(0, "news", codec.JSON, Options{})
	s.say(payload("a"), "dk")
	s.turn(0, 1)
	if len(first.got)+len(second.got) != 1 {
		t.Fatal("the walk is not open")
	}
	x := s.joinDelta(0, "news", codec.JSON, Options{})
	s.say(payload("b"), "dk")
	s.settle()
	second.expect("full a", "patch b")
	x.expect("full b")
}

// TestDeltaOfAnotherEpoch: the same offset in a stream that was made anew is another publication.
func TestDeltaOfAnotherEpoch(t *testing.T) {
	for _, batched := range []bool{false, true} {
		r := newRig(t, 1)
		x := r.joinDelta(0, "news", codec.Protobuf, Options{})
		at := func(offset uint64, name string) *codec.Publication {
			return &codec.Publication{Offset: offset, Data: []byte(payload(name))}
		}
		publish := func(p, prev *codec.Publication, epoch string) {
			r.table.Publication("news", p, prev, codec.StreamPosition{Offset: p.Offset, Epoch: epoch})
			if !batched {
				r.settle()
			}
		}
		publish(at(1, "a"), nil, "e")
		publish(at(2, "b"), at(1, "other"), "f")
		publish(at(3, "c"), at(2, "b"), "f")
		publish(at(5, "d"), at(4, "missed"), "f")
		publish(at(7, "e"), at(5, "d"), "f") // not the one before it
		r.settle()
		x.expect("full a", "full b", "patch c", "full d", "full e")
	}
}

// TestPatchIsShorter: a patch that is as long as the payload on the wire is not sent.
func TestPatchIsShorter(t *testing.T) {
	for f := range codec.Form(codec.NumAllForms) {
		s := newStream(t, 1)
		x := s.joinDelta(0, "news", f, Options{})
		for _, data := range []string{`"a."`, `"b."`, payload("c"), payload("d"), `"e."`} {
			s.say(data, "dk")
		}
		s.settle()
		x.expect("full a", "full b", "full c", "patch d", "full e")
	}
}

// TestPatchLimits: payloads above PatchBytesMax are not compared, on either side.
func TestPatchLimits(t *testing.T) {
	sized := func(head string, n int) string { return `"` + head + strings.Repeat(".", n-len(head)-2) + `"` }
	s := newStream(t, 1)
	x := s.joinDelta(0, "news", codec.Protobuf, Options{})
	for i, n := range []int{PatchBytesMax, PatchBytesMax, PatchBytesMax + 1, PatchBytesMax, PatchBytesMax} {
		s.say(sized(string(rune('a'+i)), n), "dk")
	}
	s.settle()
	x.expect("full a", "patch b", "full c", "full d", "patch e")
}

// TestDeltaText: what is no UTF-8 is neither the base nor the content of a patch in JSON; what is no JSON ends JSON subscribers.
func TestDeltaText(t *testing.T) {
	s := newStream(t, 1)
	text, binary := s.joinDelta(0, "news", codec.JSON, Options{}), s.joinDelta(0, "news", codec.Protobuf, Options{})
	for _, name := range []string{"a", "日本", "日語", "b\xff", "c", "d"} {
		s.say(payload(name), "dk")
	}
	s.settle()
	text.expect("full a", "patch 日本", "patch 日語", "full b\ufffd", "full c", "patch d")
	binary.expect("full a", "patch 日本", "patch 日語", "patch b\xff", "patch c", "patch d")

	s.say(payload("e"), "dk")
	s.say("{"+payload("f"), "dk")
	s.settle()
	if text.got[len(text.got)-1] != "full e" && text.got[len(text.got)-1] != "patch e" || !slices.Equal(text.failed, []Failure{Unencodable}) {
		t.Errorf("got %q, failed with %v", text.got, text.failed)
	}
	if got := binary.got[len(binary.got)-1]; got != `patch {"f` || binary.failed != nil {
		t.Errorf("the binary member got %q", got)
	}
}

// TestDeltaEmpty: a payload of nothing is no base.
func TestDeltaEmpty(t *testing.T) {
	s := newStream(t, 1)
	x := s.joinDelta(0, "news", codec.JSON, Options{})
	s.say("", "dk")
	s.say(payload("a"), "dk")
	s.settle()
	x.expect("full ", "full a")
}

// TestDeltaCatchesUp: who is ordered to leave gets what it may be sure to read.
func TestDeltaCatchesUp(t *testing.T) {
	s := newStream(t, 1)
	free, placed := s.joinDelta(0, "news", codec.JSON, Options{}), s.joinDelta(0, "news", codec.JSON, Options{})
	s.table.Position(placed.sub, s.top())
	for _, name := range []string{"a", "b", "c"} {
		s.say(payload(name), "dk")
	}
	s.inMail(0, func() {
		for _, x := range []*patient{free, placed} {
			s.table.CatchUp(x.sub)
			s.table.Unsubscribe(x.sub)
		}
	})
	free.expect("full a", "full b", "full c")
	placed.expect("full a", "patch b", "patch c")
}

// TestDeltasOfAList: the first in full, the next as patches, up to a limit; the list stays as it is.
func TestDeltasOfAList(t *testing.T) {
	for f := range codec.Form(codec.NumAllForms) {
		var list []*codec.Publication
		for i, name := range []string{"a", "b", "c", "d"} {
			list = append(list, &codec.Publication{Offset: uint64(i + 1), Data: []byte(payload(name)), Tags: map[string]string{"n": name}})
		}
		list[3].Data = []byte(`"d."`)
		deltas, ok := Deltas(f, list)
		x := &patient{t: t, form: f}
		for i, p := range deltas {
			x.got = append(x.got, x.read(p))
			if p.Offset != list[i].Offset || p.Tags["n"] != list[i].Tags["n"] || list[i].Delta || list[i].Data[0] != '"' {
				t.Errorf("publication %d is %+v, of %+v", i, p, list[i])
			}
		}
		if x.expect("full a", "patch b", "patch c", "full d"); !ok {
			t.Error("not ok")
		}
		large := &codec.Publication{Data: []byte(`"` + strings.Repeat("x", PatchBytesMax-2) + `"`)}
		deltas, _ = Deltas(f, slices.Repeat([]*codec.Publication{large}, DeltaListBytesMax/PatchBytesMax+2))
		for i, p := range deltas {
			if want := i > 0 && i < DeltaListBytesMax/PatchBytesMax; p.Delta != want {
				t.Errorf("%v: number %d is a patch: %t", f, i, p.Delta)
			}
		}
		deltas, ok = Deltas(f, []*codec.Publication{{Data: []byte("x")}})
		if ok != (f.Encoding() == codec.Protobuf) || ok != (deltas != nil) {
			t.Errorf("%v: what is no JSON: %v, %t", f, deltas, ok)
		}
		if deltas, ok = Deltas(f, nil); len(deltas) != 0 || !ok {
			t.Errorf("of nothing: %v, %t", deltas, ok)
		}
	}
}

// TestDeltaMark: the mark of a patch takes what Deltas thinks it takes.
func TestDeltaMark(t *testing.T) {
	for f := range codec.Form(codec.NumAllForms) {
		var size [2]int
		for i, mark := range []bool{false, true} {
			out, err := codec.AppendPublication(nil, f, "c", &codec.Publication{Data: []byte(`"x"`), Delta: mark, Offset: 1})
			if err != nil {
				t.Fatal(err)
			}
			size[i] = len(out)
		}
		if got := size[1] - size[0]; got != deltaMark(f) {
			t.Errorf("%v: a mark takes %d bytes, not %d", f, got, deltaMark(f))
		}
	}
}

// TestProtobufInFull: without a patch a delta subscriber of Protobuf gets the very frame that others get.
func TestProtobufInFull(t *testing.T) {
	s := newStream(t, 1)
	plain := new(frames)
	s.table.Subscribe(new(Subscription), s.loops[0], "news", codec.Protobuf, plain, Options{})
	x := s.joinDelta(0, "news", codec.Protobuf, Options{})
	s.say(payload("a"), "k")
	s.settle()
	if len(plain.got) != 1 || plain.got[0] != x.frames[0] {
		t.Error("the same was encoded twice")
	}
}

// TestDeltaAllocates: to hand out what is encoded allocates nothing.
func TestDeltaAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r, c := specialCrowd(t, 100, func(int) Options { return Options{Delta: true} })
	e := encoded(r, 0)
	for x := range encoding(numEncodings) {
		if x < patchJSON {
			e.frame(x)
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.handOut(c, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// specialCrowd is crowd with options for each member.
func specialCrowd(t testing.TB, members int, options func(i int) Options) (*rig, *Channel) {
	r := newRig(t, 1)
	for i := range members {
		r.table.Subscribe(new(Subscription), r.loops[0], "news", codec.Form(i%codec.NumForms), new(sink), options(i))
	}
	return r, r.channel(0, "news")
}

// TestDeltaWeighs: an event keeps its base alive.
func TestDeltaWeighs(t *testing.T) {
	e := &event{channel: "news", kind: codec.Publications, pub: new(codec.Publication), prev: &codec.Publication{Data: make([]byte, 1000)}}
	if got := e.cost(); got != 4+1000+eventBytes {
		t.Errorf("%d bytes", got)
	}
}
