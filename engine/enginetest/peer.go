package enginetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// peerTests are about several nodes over one store.
var peerTests = []testCase{
	{"peer/delivery", 0, testPeerDelivery},
	{"peer/order", engine.History, testPeerOrder},
	{"peer/history", engine.History, testPeerHistory},
	{"peer/joins", engine.Joins, testPeerJoins},
	{"peer/unsubscribe", 0, testPeerUnsubscribe},
	{"peer/presence", presence, testPeerPresence},
	{"peer/bus", 0, testPeerBus},
	{"peer/bus order", 0, testPeerBusOrder},
}

// testPeerDelivery: what one node publishes reaches every node that listens, itself included, and no other.
func testPeerDelivery(f *fixture) {
	p := f.peer()
	both, mine := f.channel("both"), f.channel("mine")
	p.subscribe(both)
	f.publish(both, "a", engine.PublishOptions{})
	p.publish(both, "b", engine.PublishOptions{})
	p.publish(mine, "c", engine.PublishOptions{})
	for _, at := range []*fixture{f, p} {
		got := text(publications(at.rec.Wait(f.T, both, 2)))
		if got != "0:a 0:b" && got != "0:b 0:a" { // two publishers have no order
			f.Errorf("delivered %q", got)
		}
	}
	f.rec.Wait(f.T, mine, 1)
	if got := p.rec.Of(mine); len(got) > 0 {
		f.Errorf("delivered to a node that does not listen: %q", text(publications(got)))
	}
}

// testPeerOrder: two nodes that publish at once give one row of offsets, and both see it.
func testPeerOrder(f *fixture) {
	p := f.peer()
	ch := f.channel("news")
	p.subscribe(ch)
	together(publishers, func(i int) {
		for n := range perChannel {
			[]*fixture{f, p}[i%2].mustPublish(ch, fmt.Sprintf("%d %d", i, n), keep)
		}
	})
	for _, at := range []*fixture{f, p} {
		at.expectRow(publications(at.rec.Wait(f.T, ch, publishers*perChannel)), publishers*perChannel)
	}
	if mine, theirs := text(publications(f.rec.Of(ch))), text(publications(p.rec.Of(ch))); mine != theirs {
		f.Error("two nodes got different data at the same offsets")
	}
}

// testPeerHistory: history and position are the same from everywhere.
func testPeerHistory(f *fixture) {
	p := f.peer()
	ch := f.channel("news")
	f.publish(ch, "a", keep)
	p.publish(ch, "b", keep)
	mine, at := f.history(ch, all)
	theirs, there := p.history(ch, all)
	if mine != "1:a 2:b" || theirs != mine || at != there {
		f.Errorf("%q at %v here, %q at %v there", mine, at, theirs, there)
	}
}

// testPeerJoins: joins and leaves of one node are heard at the other.
func testPeerJoins(f *fixture) {
	p := f.peer()
	ch := f.channel("room")
	p.subscribe(ch)
	ctx := context.Background()
	info := &codec.ClientInfo{Client: "c", User: "u", ConnInfo: []byte(`{"a":1}`)}
	if err := f.Broker.PublishJoin(ctx, ch, info); err != nil {
		f.Fatal(err)
	}
	if err := f.Broker.PublishLeave(ctx, ch, info); err != nil {
		f.Fatal(err)
	}
	got := p.rec.Wait(f.T, ch, 2)
	if got[0].Join == nil || got[0].Join.Client != "c" || string(got[0].Join.ConnInfo) != `{"a":1}` || got[1].Leave == nil {
		f.Errorf("heard %+v", got)
	}
}

// testPeerUnsubscribe: a channel that was left and is subscribed to again is delivered as before.
func testPeerUnsubscribe(f *fixture) {
	p := f.peer()
	ch, witness := f.channel("news"), f.channel("witness")
	for i := range 20 {
		f.Broker.Unsubscribe(ch)
		f.subscribe(ch)
		p.publish(ch, fmt.Sprint(i), engine.PublishOptions{})
		f.rec.Wait(f.T, ch, i+1)
	}
	f.Broker.Unsubscribe(ch)
	before := 0
	f.eventually("the channel is left", func() bool {
		p.publish(ch, "late", engine.PublishOptions{})
		p.publish(witness, "x", engine.PublishOptions{})
		before++
		f.rec.Wait(f.T, witness, before)
		n := len(f.rec.Of(ch))
		p.publish(ch, "later", engine.PublishOptions{})
		p.publish(witness, "x", engine.PublishOptions{})
		before++
		f.rec.Wait(f.T, witness, before)
		return len(f.rec.Of(ch)) == n
	})
}

// eventually waits until holds does.
func (f *fixture) eventually(what string, holds func() bool) {
	f.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("%s: still not so after %v", what, Patience)
		}
	}
}

// testPeerPresence: who is in a channel is seen from everywhere.
func testPeerPresence(f *fixture) {
	if f.Presence.Local() {
		f.Skip("presence is this node's own")
	}
	p := f.peer()
	ch := f.channel("room")
	ctx := context.Background()
	if err := f.Presence.AddPresence(ctx, ch, [16]byte{1}, engine.PresenceInfo{User: "u"}, time.Minute); err != nil {
		f.Fatal(err)
	}
	if err := p.Presence.AddPresence(ctx, ch, [16]byte{2}, engine.PresenceInfo{User: "u"}, time.Minute); err != nil {
		f.Fatal(err)
	}
	for _, at := range []*fixture{f, p} {
		all, err := at.Presence.Presence(ctx, ch)
		if err != nil || len(all) != 2 {
			f.Errorf("%d clients, %v", len(all), err)
		}
		if stats, err := at.Presence.PresenceStats(ctx, ch); err != nil || stats != (engine.PresenceStats{Clients: 2, Users: 1}) {
			f.Errorf("stats %+v, %v", stats, err)
		}
	}
}

// heard notes the messages of a bus.
type heard struct {
	mu   sync.Mutex
	list []string
}

func (h *heard) take(message []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, string(message))
}

// sorted is what was heard. Messages of different senders have no order.
func (h *heard) sorted() []string {
	list := h.inOrder()
	slices.Sort(list)
	return list
}

// inOrder is what was heard, the first one first.
func (h *heard) inOrder() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

// testPeerBus: a broadcast reaches all nodes, the sender too; a message to one node reaches that one alone.
func testPeerBus(f *fixture) {
	if f.Bus == nil {
		f.Skip("the engine has no bus")
	}
	p := f.peer()
	ctx := context.Background()
	for _, at := range []*fixture{f, p} {
		f.eventually("the bus works", func() bool { // what is sent before all are connected is lost, and may be refused
			_ = f.Bus.Broadcast(ctx, []byte("0 ready"))
			_ = p.Bus.Broadcast(ctx, []byte("0 ready too"))
			_ = f.Bus.Send(ctx, at.name, []byte("0 you"))
			list := at.heard.sorted()
			return slices.Contains(list, "0 ready") && slices.Contains(list, "0 ready too") && slices.Contains(list, "0 you")
		})
	}
	if err := f.Bus.Send(ctx, p.name, []byte("1 to the peer")); err != nil {
		f.Fatal(err)
	}
	if err := p.Bus.Broadcast(ctx, []byte("2 to all")); err != nil {
		f.Fatal(err)
	}
	if err := f.Bus.Broadcast(ctx, []byte("3 end")); err != nil {
		f.Fatal(err)
	}
	news := func(h *heard) (list []string) {
		for _, m := range h.sorted() {
			if m[0] != '0' {
				list = append(list, m)
			}
		}
		return list
	}
	f.eventually("all is heard", func() bool {
		return slices.Equal(news(&f.heard), []string{"2 to all", "3 end"}) &&
			slices.Equal(news(&p.heard), []string{"1 to the peer", "2 to all", "3 end"})
	})
}

// testPeerBusOrder: messages of one sender are heard in order, whether they are for all or for one, and one at a time.
func testPeerBusOrder(f *fixture) {
	if f.Bus == nil {
		f.Skip("the engine has no bus")
	}
	p := f.peer()
	ctx := context.Background()
	f.eventually("the bus works", func() bool {
		_ = f.Bus.Broadcast(ctx, []byte("ready"))
		_ = f.Bus.Send(ctx, p.name, []byte("you"))
		list := p.heard.inOrder()
		return slices.Contains(list, "ready") && slices.Contains(list, "you")
	})
	var want []string
	for i := range perChannel {
		text := fmt.Sprint(i)
		want = append(want, text)
		var err error
		if i%2 == 0 {
			err = f.Bus.Broadcast(ctx, []byte(text))
		} else {
			err = f.Bus.Send(ctx, p.name, []byte(text))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	var got []string
	f.eventually("all is heard", func() bool {
		got = slices.DeleteFunc(p.heard.inOrder(), func(m string) bool { return m == "ready" || m == "you" })
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		f.Errorf("heard %v", got)
	}
}
