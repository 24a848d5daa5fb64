package enginetest

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"stentor/codec"
	"stentor/engine"
)

var publishTests = []testCase{
	{"publish/plain", 0, testPlain},
	{"publish/beside history", engine.History, testPlainBesideHistory},
	{"publish/offsets", engine.History, testOffsets},
	{"publish/all fields", 0, testAllFields},
	{"publish/all fields kept", engine.History, testAllFieldsKept},
	{"publish/refused", engine.History | engine.Admission, testRefused},
	{"publish/refused plain", engine.Admission, testRefusedPlain},
	{"publish/any name", engine.History, testAnyName},
}

// testPlain: without history there is delivery and no position.
func testPlain(f *fixture) {
	ch := f.channel("news")
	for _, data := range []string{"a", "b", "c"} {
		if res := f.publish(ch, data, engine.PublishOptions{}); res != (engine.PublishResult{}) {
			f.Errorf("result %+v, want none", res)
		}
	}
	for _, o := range []engine.PublishOptions{{HistorySize: keep.HistorySize}, {HistoryTTL: keep.HistoryTTL}} {
		f.publish(ch, "half", o)
	}
	f.publishPub(ch, &codec.Publication{Data: []byte("used"), Offset: 7, Epoch: "x"}, engine.PublishOptions{})
	f.expectDelivered(ch, "0:a 0:b 0:c 0:half 0:half 0:used")
	for _, d := range f.rec.Of(ch) {
		if d.Position != (codec.StreamPosition{}) || d.Publication.Epoch != "" || d.Prev != nil {
			f.Errorf("delivery %+v of %s carries a position", d, d.Publication.Data)
		}
	}
}

// testPlainBesideHistory: a publication that skips history does not move the position.
func testPlainBesideHistory(f *fixture) {
	ch := f.channel("news")
	first := f.publish(ch, "a", keep)
	if res := f.publish(ch, "skipped", engine.PublishOptions{}); res != (engine.PublishResult{}) {
		f.Errorf("result %+v, want none", res)
	}
	if got, at := f.history(ch, all); got != "1:a" || at != first.StreamPosition {
		f.Errorf("history %q at %v, want 1:a at %v", got, at, first.StreamPosition)
	}
	f.publish(ch, "b", keep)
	f.expectDelivered(ch, "1:a 0:skipped 2:b")
}

// testOffsets: offsets count from 1; result, delivery and history agree; only the first publication carries the epoch.
func testOffsets(f *fixture) {
	ch := f.channel("news")
	_, start := f.history(ch, top)
	for i, data := range []string{"a", "b", "c"} {
		want := codec.StreamPosition{Offset: uint64(i + 1), Epoch: start.Epoch}
		if res := f.publish(ch, data, keep); res.StreamPosition != want || res.Suppressed != "" {
			f.Errorf("publish %s: %+v, want %v", data, res, want)
		}
		d := f.rec.Wait(f.T, ch, i+1)[i]
		epoch := ""
		if i == 0 {
			epoch = start.Epoch
		}
		if d.Position != want || d.Publication.Offset != want.Offset || d.Publication.Epoch != epoch {
			f.Errorf("delivered %s at %v, want %v and epoch %q in the publication, got %q", data, d.Position, want, epoch, d.Publication.Epoch)
		}
	}
	pubs, at, err := f.Broker.History(context.Background(), ch, all)
	if err != nil || text(pubs) != "1:a 2:b 3:c" || at.Offset != 3 || at.Epoch != start.Epoch {
		f.Fatalf("history %s at %v, %v", text(pubs), at, err)
	}
	if pubs[0].Epoch != start.Epoch || pubs[1].Epoch != "" {
		f.Errorf("epochs in history %q, %q; want %q in the first alone", pubs[0].Epoch, pubs[1].Epoch, start.Epoch)
	}
}

// rich has what a publication carries when a client publishes it.
func rich() *codec.Publication {
	return &codec.Publication{
		Data: []byte("\x00 binary \xff\n"),
		Info: &codec.ClientInfo{User: "u", Client: "c", ConnInfo: []byte(`{"a":1}`), ChanInfo: []byte(`[]`)},
		Tags: map[string]string{"ticker": "GOOG"},
	}
}

func testAllFields(f *fixture) {
	if f.DataAlone {
		f.Skip("the broker carries data alone")
	}
	ch := f.channel("news")
	f.publishPub(ch, rich(), engine.PublishOptions{})
	f.publish(ch, "", engine.PublishOptions{})
	ds := f.rec.Wait(f.T, ch, 2)
	if got := ds[0].Publication; !reflect.DeepEqual(got, rich()) {
		f.Errorf("delivered %+v, want %+v", got, rich())
	}
	if got := ds[1].Publication; len(got.Data) != 0 {
		f.Errorf("delivered %q, want nothing in it", got.Data)
	}
}

func testAllFieldsKept(f *fixture) {
	ch := f.channel("news")
	_, start := f.history(ch, top)
	f.publishPub(ch, rich(), keep)
	f.publish(ch, "", keep)
	f.publish(ch, "plain", keep)
	pubs, _, err := f.Broker.History(context.Background(), ch, all)
	if err != nil || len(pubs) != 3 {
		f.Fatalf("%d publications, %v", len(pubs), err)
	}
	want := rich()
	want.Offset, want.Epoch = 1, start.Epoch
	if !reflect.DeepEqual(pubs[0], want) {
		f.Errorf("kept %+v, want %+v", pubs[0], want)
	}
	if got := text(pubs[1:]); got != "2: 3:plain" {
		f.Errorf("kept %q", got)
	}
	empty := f.channel("empty")
	f.publish(empty, "", keep)
	f.expectHistory(empty, "1:")
}

// testRefused: what the receiver does not admit leaves no trace: no offset, no version, no key.
func testRefused(f *fixture) {
	ch := f.channel("news")
	o := keep
	o.Version, o.IdempotencyKey = 7, "k"
	for _, before := range []uint64{0, 1} {
		f.rec.Refuse(true)
		if _, err := f.Broker.Publish(context.Background(), ch, pub("refused"), o); !errors.Is(err, engine.ErrOverloaded) {
			f.Errorf("error %v, want ErrOverloaded", err)
		}
		if _, at := f.history(ch, top); at.Offset != before {
			f.Errorf("offset %d after a refusal, want %d", at.Offset, before)
		}
		f.rec.Refuse(false)
		if res := f.publish(ch, "taken", o); res.Offset != before+1 || res.Suppressed != "" {
			f.Errorf("result %+v, want offset %d", res, before+1)
		}
		o.Version, o.IdempotencyKey = 8, "other"
	}
	f.expectDelivered(ch, "1:taken 2:taken")
}

func testRefusedPlain(f *fixture) {
	ch := f.channel("news")
	f.rec.Refuse(true)
	if _, err := f.Broker.Publish(context.Background(), ch, pub("refused"), engine.PublishOptions{}); !errors.Is(err, engine.ErrOverloaded) {
		f.Errorf("error %v, want ErrOverloaded", err)
	}
	f.rec.Refuse(false)
	f.expectDelivered(ch, "")
}

// testAnyName: names are bytes. Those that meet in a weak hash, or look like an engine's own keys, are still channels apart.
func testAnyName(f *fixture) {
	if f.PlainNames {
		f.Skip("the broker takes plain names alone")
	}
	names := []string{"a", "a:b", "a.b", "a_b", "{a}", "a*", "a?", "a>", "é", "日本", "a b", "a\x00", "a\x00b", "$a", "#1,2"}
	names = append(names, strings.Repeat("x", 255))
	for i := range 1 << 8 { // "Aa" and "BB" have one polynomial hash, and so has every chain of them
		name := make([]byte, 0, 16)
		for bit := range 8 {
			name = append(name, []string{"Aa", "BB"}[i>>bit&1]...)
		}
		names = append(names, string(name))
	}
	for i := range names {
		names[i] = f.channel(names[i])
	}
	for _, name := range names {
		f.publish(name, "1", keep)
	}
	for i, name := range names {
		if i%2 == 0 {
			f.publish(name, "2", keep)
		}
	}
	for i, name := range names {
		want := "1:1"
		if i%2 == 0 {
			want = "1:1 2:2"
		}
		if got, _ := f.history(name, all); got != want {
			f.Errorf("%q has %q, want %q", name, got, want)
		}
	}
}
