package enginetest

import (
	"context"
	"errors"

	"stentor/codec"
	"stentor/engine"
)

// lackTests are about what a broker says that it cannot do.
var lackTests = []testCase{
	{"lack/history", 0, testLacksHistory},
	{"lack/joins", 0, testLacksJoins},
}

// testLacksHistory: without history there is none to read, and publishing goes on without it.
func testLacksHistory(f *fixture) {
	if f.Broker.Abilities().Has(engine.History) {
		f.Skip("the broker has history")
	}
	ch := f.channel("news")
	if _, _, err := f.Broker.History(context.Background(), ch, all); !errors.Is(err, engine.ErrNotAvailable) {
		f.Errorf("history: %v, want ErrNotAvailable", err)
	}
	if err := f.Broker.RemoveHistory(context.Background(), ch); !errors.Is(err, engine.ErrNotAvailable) {
		f.Errorf("history removed: %v, want ErrNotAvailable", err)
	}
	if res := f.publish(ch, "a", keep); res != (engine.PublishResult{}) {
		f.Errorf("result %+v, want none", res)
	}
	f.expectDelivered(ch, "0:a")
}

// testLacksJoins: a broker that carries none says so.
func testLacksJoins(f *fixture) {
	if f.Broker.Abilities().Has(engine.Joins) {
		f.Skip("the broker carries joins")
	}
	ch := f.channel("room")
	if err := f.Broker.PublishJoin(context.Background(), ch, &codec.ClientInfo{Client: "c"}); !errors.Is(err, engine.ErrNotAvailable) {
		f.Errorf("join: %v, want ErrNotAvailable", err)
	}
	if err := f.Broker.PublishLeave(context.Background(), ch, &codec.ClientInfo{Client: "c"}); !errors.Is(err, engine.ErrNotAvailable) {
		f.Errorf("leave: %v, want ErrNotAvailable", err)
	}
}
