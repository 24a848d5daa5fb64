package enginetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"stentor/codec"
	"stentor/engine"
)

var joinTests = []testCase{
	{"join/delivered", engine.Joins, testJoinDelivered},
	{"join/no position", engine.History | engine.Joins, testJoinNoPosition},
	{"join/in order", engine.Joins, testJoinInOrder},
	{"join/refused", engine.Admission | engine.Joins, testJoinRefused},
}

// tell publishes a join, or a leave.
func (f *fixture) tell(channel string, join bool, info *codec.ClientInfo) error {
	if join {
		return f.Broker.PublishJoin(context.Background(), channel, info)
	}
	return f.Broker.PublishLeave(context.Background(), channel, info)
}

func (f *fixture) mustTell(channel string, join bool, info *codec.ClientInfo) {
	f.Helper()
	if err := f.tell(channel, join, info); err != nil {
		f.Errorf("join %t of %s: %v", join, info.Client, err)
	}
}

// testJoinDelivered: all of the client's info arrives, as a join or as a leave, on that channel alone.
func testJoinDelivered(f *fixture) {
	ch, other := f.channel("news"), f.channel("other")
	full := func() *codec.ClientInfo {
		return &codec.ClientInfo{User: "u", Client: "c", ConnInfo: []byte(`{"a":1}`), ChanInfo: []byte("\x00 binary \xff")}
	}
	f.mustTell(ch, true, full())
	f.mustTell(ch, false, full())
	f.mustTell(ch, true, &codec.ClientInfo{Client: "anonymous"})
	ds := f.rec.Wait(f.T, ch, 3)
	for i, want := range []Delivery{{Join: full()}, {Leave: full()}, {Join: &codec.ClientInfo{Client: "anonymous"}}} {
		if !reflect.DeepEqual(ds[i], want) {
			f.Errorf("delivered %+v, want %+v", ds[i], want)
		}
	}
	f.expectDelivered(other, "")
}

// testJoinNoPosition: joins and leaves move no position and are in no history.
func testJoinNoPosition(f *fixture) {
	ch := f.channel("news")
	f.publish(ch, "a", keep)
	f.mustTell(ch, true, &codec.ClientInfo{Client: "c"})
	f.mustTell(ch, false, &codec.ClientInfo{Client: "c"})
	if res := f.publish(ch, "b", keep); res.Offset != 2 {
		f.Errorf("offset %d after a join and a leave, want 2", res.Offset)
	}
	f.expectHistory(ch, "1:a 2:b")
	if got := order(f.rec.Wait(f.T, ch, 4)); got != "a +c -c b" {
		f.Errorf("delivered %q", got)
	}
}

// order is deliveries as data of publications, +client of joins and -client of leaves.
func order(ds []Delivery) string {
	words := make([]string, len(ds))
	for i, d := range ds {
		switch {
		case d.Join != nil:
			words[i] = "+" + d.Join.Client
		case d.Leave != nil:
			words[i] = "-" + d.Leave.Client
		default:
			words[i] = string(d.Publication.Data)
		}
	}
	return strings.Join(words, " ")
}

// testJoinInOrder: what one producer does arrives in the order it was done: join, publication, leave.
func testJoinInOrder(f *fixture) {
	const rounds = perChannel / 3
	ch := f.channel("news")
	together(publishers, func(i int) {
		info := &codec.ClientInfo{Client: fmt.Sprint(i)}
		for range rounds {
			f.mustTell(ch, true, info)
			f.mustPublish(ch, fmt.Sprint(i), engine.PublishOptions{})
			f.mustTell(ch, false, info)
		}
	})
	var done [publishers]int
	for _, word := range strings.Fields(order(f.rec.Wait(f.T, ch, 3*publishers*rounds))) {
		var i int
		if _, err := fmt.Sscan(strings.Trim(word, "+-"), &i); err != nil {
			f.Fatal(err)
		}
		if want := []string{"+", "", "-"}[done[i]%3] + fmt.Sprint(i); word != want {
			f.Fatalf("%s delivered, %s was due", word, want)
		}
		done[i]++
	}
}

func testJoinRefused(f *fixture) {
	ch := f.channel("news")
	f.rec.Refuse(true)
	for _, join := range []bool{true, false} {
		if err := f.tell(ch, join, &codec.ClientInfo{Client: "c"}); !errors.Is(err, engine.ErrOverloaded) {
			f.Errorf("error %v, want ErrOverloaded", err)
		}
	}
	f.rec.Refuse(false)
	f.expectDelivered(ch, "")
	if n := len(f.rec.Of(ch)); n != 1 {
		f.Errorf("%d deliveries, want the publication alone", n)
	}
}
