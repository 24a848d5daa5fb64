package enginetest

import (
	"strings"

	"stentor/engine"
)

var suppressTests = []testCase{
	{"idempotency/repeat", engine.History | engine.Idempotency, testRepeat},
	{"idempotency/without history", engine.Idempotency, testRepeatPlain},
	{"idempotency/keys are a channel's", engine.History | engine.Idempotency, testKeysApart},
	{"version/older", engine.History | engine.Versions, testVersions},
	{"version/carried", engine.History | engine.Versions, testVersionCarried},
	{"version/outlives history", engine.History | engine.Versions, testVersionOutlivesHistory},
	{"version/with key", engine.History | engine.Versions | engine.Idempotency, testVersionWithKey},
}

func testRepeat(f *fixture) {
	ch := f.channel("news")
	o := keep
	o.IdempotencyKey = "k"
	first := f.publish(ch, "a", o)
	f.publish(ch, "b", keep)
	for range 3 {
		if res := f.publish(ch, "repeat", o); res.StreamPosition != first.StreamPosition || res.Suppressed != engine.SuppressIdempotency {
			f.Errorf("repeat: %+v, want %v", res, first.StreamPosition)
		}
	}
	o.IdempotencyKey = "other"
	if res := f.publish(ch, "c", o); res.Offset != 3 || res.Suppressed != "" {
		f.Errorf("another key: %+v, want offset 3", res)
	}
	f.expectHistory(ch, "1:a 2:b 3:c")
	f.expectDelivered(ch, "1:a 2:b 3:c")
}

func testRepeatPlain(f *fixture) {
	ch := f.channel("news")
	o := engine.PublishOptions{IdempotencyKey: "k"}
	f.publish(ch, "a", o)
	if res := f.publish(ch, "repeat", o); res.Suppressed != engine.SuppressIdempotency || res.Offset != 0 {
		f.Errorf("repeat: %+v", res)
	}
	f.expectDelivered(ch, "0:a")
}

// testKeysApart: a key belongs to its channel, however the two are put together inside.
func testKeysApart(f *fixture) {
	base := f.channel("a")
	pairs := [][2]string{
		{base, "b_c"}, {base + "_b", "c"}, {base, "b\x00c"}, {base + "\x00b", "c"},
		{base, "bc"}, {base + "b", "c"}, {base, ".b.c"}, {base + ".b", "c"},
	}
	for _, p := range pairs {
		if f.PlainNames && strings.Contains(p[0], "\x00") {
			continue
		}
		o := keep
		o.IdempotencyKey = p[1]
		if res := f.publish(p[0], "x", o); res.Suppressed != "" {
			f.Errorf("channel %q, key %q taken for a repeat", p[0], p[1])
		}
		if res := f.publish(p[0], "x", o); res.Suppressed != engine.SuppressIdempotency {
			f.Errorf("channel %q, key %q not remembered", p[0], p[1])
		}
	}
}

func testVersions(f *fixture) {
	ch := f.channel("news")
	steps := []struct {
		version uint64
		epoch   string
		pass    bool
	}{
		{5, "", true},
		{5, "", false},
		{4, "", false},
		{0, "", true}, // without a version nothing is compared
		{5, "", false},
		{6, "", true},
		{6, "x", true}, // another version epoch starts anew
		{3, "x", false},
		{7, "x", true},
		{1, "", true},
		{7, "x", true},
		{1 << 63, "x", true},
		{1<<63 - 1, "x", false},
	}
	var last engine.PublishResult
	want := uint64(0)
	for i, s := range steps {
		o := keep
		o.Version, o.VersionEpoch = s.version, s.epoch
		res := f.publish(ch, "v", o)
		if s.pass {
			want++
		}
		if res.Offset != want || (res.Suppressed == "") != s.pass {
			f.Errorf("step %d, version %d of %q: %+v, want pass=%t at %d", i, s.version, s.epoch, res, s.pass, want)
		}
		if !s.pass && (res.Suppressed != engine.SuppressVersion || res.StreamPosition != last.StreamPosition) {
			f.Errorf("step %d: %+v, want the top %v", i, res, last.StreamPosition)
		}
		last = res
	}
	f.expectDelivered(ch, "1:v 2:v 3:v 4:v 5:v 6:v 7:v 8:v")
}

func testVersionCarried(f *fixture) {
	ch := f.channel("news")
	o := keep
	f.publish(ch, "a", o)
	o.Version = 42
	f.publish(ch, "b", o)
	ds := f.rec.Wait(f.T, ch, 2)
	if a, b := ds[0].Publication.Version, ds[1].Publication.Version; a != 0 || b != 42 {
		f.Errorf("versions %d and %d delivered, want 0 and 42", a, b)
	}
	pubs, _, err := f.Broker.History(f.Context(), ch, all)
	if err != nil || len(pubs) != 2 || pubs[0].Version != 0 || pubs[1].Version != 42 {
		f.Errorf("history %s, %v: want versions 0 and 42", text(pubs), err)
	}
}

func testVersionOutlivesHistory(f *fixture) {
	ch := f.channel("news")
	o := keep
	o.Version = 2
	first := f.publish(ch, "a", o)
	if err := f.Broker.RemoveHistory(f.Context(), ch); err != nil {
		f.Fatal(err)
	}
	if res := f.publish(ch, "b", o); res.Suppressed != engine.SuppressVersion || res.StreamPosition != first.StreamPosition {
		f.Errorf("after removal: %+v, want it suppressed at %v", res, first.StreamPosition)
	}
}

// testVersionWithKey: a publication that its version suppressed did not happen, so its key is free.
func testVersionWithKey(f *fixture) {
	ch := f.channel("news")
	o := keep
	o.Version, o.IdempotencyKey = 5, "a"
	f.publish(ch, "a", o)
	if res := f.publish(ch, "repeat", o); res.Suppressed != engine.SuppressIdempotency {
		f.Errorf("repeat of key and version: %+v, want the key to speak first", res)
	}
	o.Version, o.IdempotencyKey = 4, "b"
	if res := f.publish(ch, "old", o); res.Suppressed != engine.SuppressVersion {
		f.Errorf("older version: %+v", res)
	}
	o.Version = 6
	if res := f.publish(ch, "new", o); res.Suppressed != "" || res.Offset != 2 {
		f.Errorf("newer version with the key of a suppressed one: %+v", res)
	}
	f.expectDelivered(ch, "1:a 2:new")
}
