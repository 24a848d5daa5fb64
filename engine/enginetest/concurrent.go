package enginetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"stentor/codec"
	"stentor/engine"
)

var concurrentTests = []testCase{
	{"concurrent/plain order", 0, testPlainOrder},
	{"concurrent/order", engine.History, testOrder},
	{"concurrent/join", engine.History, testJoin},
	{"concurrent/idempotency", engine.History | engine.Idempotency, testConcurrentKeys},
	{"concurrent/versions", engine.History | engine.Versions, testConcurrentVersions},
	{"concurrent/first use", engine.History, testConcurrentFirstUse},
	{"concurrent/subscribing", 0, testConcurrentSubscribing},
}

// Sizes of the concurrent tests: enough to meet, little enough for the race detector.
const (
	publishers = 8
	perChannel = 200 // publications of each publisher
)

// together runs n goroutines that start at the same moment, and waits for them.
func together(n int, work func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			work(i)
		})
	}
	close(start)
	wg.Wait()
}

// mustPublish is publish for goroutines other than the test's.
func (f *fixture) mustPublish(channel, data string, o engine.PublishOptions) engine.PublishResult {
	res, err := f.Broker.Publish(context.Background(), channel, pub(data), o)
	if err != nil {
		f.Errorf("publish: %v", err)
	}
	return res
}

// testPlainOrder: without offsets, what one publisher sends arrives in the order it was sent.
func testPlainOrder(f *fixture) {
	ch := f.channel("news")
	together(publishers, func(i int) {
		for n := range perChannel {
			f.mustPublish(ch, fmt.Sprintf("%d %d", i, n), engine.PublishOptions{})
		}
	})
	var next [publishers]int
	for _, d := range f.rec.Wait(f.T, ch, publishers*perChannel) {
		var i, n int
		if _, err := fmt.Sscan(string(d.Publication.Data), &i, &n); err != nil {
			f.Fatal(err)
		}
		if n != next[i] {
			f.Fatalf("publisher %d: %d delivered, %d was due", i, n, next[i])
		}
		next[i]++
	}
}

// testConcurrentSubscribing: a node subscribes and unsubscribes while it holds a lock that it takes for each delivery, too. An engine that
// delivers under a lock of its own, and wants that one then, stands still here.
func testConcurrentSubscribing(f *fixture) {
	if f.Broker.Local() {
		return
	}
	ch := f.channel("news")
	together(publishers, func(i int) {
		other := fmt.Sprintf("%s-%d", ch, i)
		for n := range perChannel {
			f.mustPublish(ch, "x", engine.PublishOptions{})
			if n%8 > 0 {
				continue
			}
			f.rec.locked(func() { f.Broker.Subscribe(other) })
			if err := f.rec.WaitSubscribed(f.T, other); err != nil {
				f.Errorf("subscribe: %v", err)
				return
			}
			f.rec.locked(func() { f.Broker.Unsubscribe(other) })
		}
	})
	f.rec.Wait(f.T, ch, publishers*perChannel)
}

// testOrder: whoever publishes, offsets are delivered as 1, 2, 3, …, each with the data it was given to.
func testOrder(f *fixture) {
	channels := []string{f.channel("a"), f.channel("b"), f.channel("c")}
	given := make([]map[string]uint64, publishers) // channel and data → offset
	together(publishers, func(i int) {
		given[i] = make(map[string]uint64)
		for n := range perChannel {
			for _, ch := range channels {
				data := fmt.Sprintf("%d %d", i, n)
				given[i][ch+data] = f.mustPublish(ch, data, keep).Offset
			}
		}
	})
	for _, ch := range channels {
		ds := f.rec.Wait(f.T, ch, publishers*perChannel)
		f.expectRow(publications(ds), publishers*perChannel)
		for _, d := range ds {
			var i int
			if _, err := fmt.Sscan(string(d.Publication.Data), &i); err != nil {
				f.Fatal(err)
			}
			if want := given[i][ch+string(d.Publication.Data)]; d.Publication.Offset != want || d.Position.Offset != want {
				f.Fatalf("%s was given %d and delivered at %v", d.Publication.Data, want, d.Position)
			}
		}
	}
}

// expectRow checks that pubs are 1 … n without a gap or a repeat.
func (f *fixture) expectRow(pubs []*codec.Publication, n int) {
	f.Helper()
	if len(pubs) != n {
		f.Fatalf("%d publications, want %d", len(pubs), n)
	}
	for i, p := range pubs {
		if p.Offset != uint64(i+1) {
			f.Fatalf("offset %d at place %d", p.Offset, i+1)
		}
	}
}

// testJoin: a subscriber first listens, then reads history. What it read and what it heard beyond that make one row without a
// gap, whenever it came.
func testJoin(f *fixture) {
	const subscribers = 20
	ch := f.channel("news")
	o := keep
	o.HistorySize = publishers * perChannel
	heardFrom := make([]int, subscribers)
	read := make([][]*codec.Publication, subscribers)
	at := make([]codec.StreamPosition, subscribers)
	published := make(chan struct{})
	go func() {
		defer close(published)
		together(publishers, func(i int) {
			for n := range perChannel {
				f.mustPublish(ch, fmt.Sprintf("%d %d", i, n), o)
			}
		})
	}()
	for s := range subscribers {
		f.rec.Wait(f.T, ch, s*publishers*perChannel/subscribers) // they come one after another, all along
		heardFrom[s] = len(f.rec.Of(ch))
		var err error
		if read[s], at[s], err = f.Broker.History(context.Background(), ch, all); err != nil {
			f.Errorf("history: %v", err)
		}
	}
	<-published
	heard := publications(f.rec.Wait(f.T, ch, publishers*perChannel))
	for s := range subscribers {
		merged := slices.Clone(read[s])
		if n := len(merged); n > 0 && merged[n-1].Offset != at[s].Offset {
			f.Fatalf("read up to %d with the top %d", merged[n-1].Offset, at[s].Offset)
		}
		for _, p := range heard[heardFrom[s]:] {
			if p.Offset > at[s].Offset {
				merged = append(merged, p)
			}
		}
		f.expectRow(merged, publishers*perChannel)
		if got, want := text(merged), text(heard); got != want {
			f.Fatalf("subscriber %d has other data at the same offsets", s)
		}
	}
}

// testConcurrentKeys: of publishes with one key that race, one happens and all have its result.
func testConcurrentKeys(f *fixture) {
	ch := f.channel("news")
	const keys = 50
	results := make([][keys]engine.PublishResult, publishers)
	together(publishers, func(i int) {
		for k := range keys {
			o := keep
			o.IdempotencyKey = fmt.Sprint(k)
			results[i][k] = f.mustPublish(ch, fmt.Sprint(k), o)
		}
	})
	for k := range keys {
		happened := 0
		for i := range publishers {
			if results[i][k].Suppressed == "" {
				happened++
			}
			if results[i][k].StreamPosition != results[0][k].StreamPosition {
				f.Errorf("key %d: positions %v and %v", k, results[i][k].StreamPosition, results[0][k].StreamPosition)
			}
		}
		if happened != 1 {
			f.Errorf("key %d was published %d times", k, happened)
		}
	}
	f.expectRow(publications(f.rec.Wait(f.T, ch, keys)), keys)
}

// testConcurrentVersions: versions that race are delivered rising, up to the highest.
func testConcurrentVersions(f *fixture) {
	ch := f.channel("news")
	together(publishers, func(i int) {
		for n := range perChannel {
			o := keep
			o.Version = uint64(n*publishers + i + 1)
			f.mustPublish(ch, "v", o)
		}
	})
	_, at := f.history(ch, top)
	version := uint64(0)
	for _, d := range f.rec.Wait(f.T, ch, int(at.Offset)) {
		if d.Publication.Version <= version {
			f.Fatalf("version %d delivered after %d", d.Publication.Version, version)
		}
		version = d.Publication.Version
	}
	if version != publishers*perChannel {
		f.Errorf("last version %d, want %d", version, publishers*perChannel)
	}
}

// testConcurrentFirstUse: readers and publishers who meet a new channel at once find one epoch.
func testConcurrentFirstUse(f *fixture) {
	for range 50 {
		ch := f.channel("news")
		epochs := make([]string, publishers)
		together(publishers, func(i int) {
			if i%2 == 0 {
				epochs[i] = f.mustPublish(ch, "x", keep).Epoch
				return
			}
			_, at, err := f.Broker.History(context.Background(), ch, all)
			if err != nil {
				f.Errorf("history: %v", err)
			}
			epochs[i] = at.Epoch
		})
		slices.Sort(epochs)
		if epochs[0] == "" || epochs[0] != epochs[publishers-1] {
			f.Fatalf("epochs %v", epochs)
		}
		f.expectRow(publications(f.rec.Wait(f.T, ch, publishers/2)), publishers/2)
	}
}
