package attack

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/server/config"
)

const (
	recoveryLimit = 5  // of the house of this file, for recovery and for history
	historyKept   = 10 // publications
	historyTop    = 14 // the offset of the last one
)

func recoveryHouse(t *testing.T) *house {
	kept := config.ChannelOptions{HistorySize: historyKept, HistoryTTL: config.Duration(patience), ForceRecovery: true}
	newest := kept
	newest.ForceRecoveryMode = "cache"
	return newHouse(t, func(cfg *config.Config) {
		cfg.Client.RecoveryMaxPublicationLimit, cfg.Client.HistoryMaxPublicationLimit = recoveryLimit, recoveryLimit
		cfg.Channel.Namespaces = []config.Namespace{{Name: "stream", ChannelOptions: kept}, {Name: "cache", ChannelOptions: newest}}
	})
}

// fill publishes offsets 1 to top into a channel and returns its epoch.
func (h *house) fill(t *testing.T, channel string, top int) (epoch string) {
	t.Helper()
	commands := make([]string, top)
	for i := range commands {
		commands[i] = fmt.Sprintf(`{"publish":{"channel":%q,"data":%d}}`, channel, i+1)
	}
	status, answer, err := h.call("/api/batch", `{"commands":[`+strings.Join(commands, ",")+`]}`)
	if err != nil || status != 200 || strings.Contains(answer, `"error"`) {
		t.Fatalf("answered %d %s (%v)", status, answer, err)
	}
	status, answer, err = h.call("/api/history", fmt.Sprintf(`{"channel":%q}`, channel))
	if err != nil || status != 200 {
		t.Fatalf("answered %d %s (%v)", status, answer, err)
	}
	_, result, err := answerOf(answer)
	if err != nil || len(fmt.Sprint(result["epoch"])) != 8 {
		t.Fatalf("answered %s (%v)", answer, err)
	}
	return fmt.Sprint(result["epoch"])
}

// What rows say instead of an epoch.
const (
	right   = "right"
	another = "of another channel"
)

// offsetsOf writes the offsets of publications with the data that goes with them.
func offsetsOf(t *testing.T, pubs []*codec.Publication) string {
	t.Helper()
	var list []string
	for _, p := range pubs {
		if string(p.Data) != fmt.Sprint(p.Offset) {
			t.Errorf("publication %d has data %s", p.Offset, p.Data)
		}
		list = append(list, fmt.Sprint(p.Offset))
	}
	return strings.Join(list, " ")
}

// TestForgedPositions is the first part of group 20: clients that say they left a stream where they never were.
func TestForgedPositions(t *testing.T) {
	s := attack(t, recoveryHouse(t))
	otherEpoch := s.fill(t, "stream:another", historyTop)
	for _, test := range []struct {
		namespace string
		top       int
		offset    uint64
		epoch     string
		recovered bool
		missed    string
	}{
		{"stream", historyTop, 14, right, true, ""},
		{"stream", historyTop, 14, "", true, ""},
		{"stream", historyTop, 13, "", true, "14"},
		{"stream", historyTop, 9, right, true, "10 11 12 13 14"},
		{"stream", historyTop, 8, right, false, ""}, // more than the limit
		{"stream", historyTop, 4, right, false, ""}, // all that is kept, and more than the limit
		{"stream", historyTop, 3, right, false, ""}, // more than is kept
		{"stream", historyTop, 0, right, false, ""},
		{"stream", historyTop, 0, "", false, ""},
		{"stream", historyTop, 15, right, false, ""},
		{"stream", historyTop, 15, "", false, ""},
		{"stream", historyTop, math.MaxUint32, right, false, ""},
		{"stream", historyTop, math.MaxInt64, right, false, ""},
		{"stream", historyTop, math.MaxInt64 + 1, "", false, ""},
		{"stream", historyTop, math.MaxUint64 - 1, "", false, ""},
		{"stream", historyTop, math.MaxUint64, right, false, ""},
		{"stream", historyTop, math.MaxUint64, "", false, ""},
		{"stream", historyTop, 14, "zzzzzzzz", false, ""},
		{"stream", historyTop, 14, another, false, ""},
		{"stream", historyTop, 9, another, false, ""},
		{"stream", historyTop, 14, " ", false, ""},
		{"stream", historyTop, 14, "\x00", false, ""},
		{"stream", historyTop, 14, strings.Repeat("e", 50_000), false, ""},
		{"stream", 0, 0, "", true, ""},
		{"stream", 0, 0, right, true, ""},
		{"stream", 0, 0, another, false, ""},
		{"stream", 0, 1, "", false, ""},
		{"stream", 0, math.MaxUint64, "", false, ""},

		{"cache", historyTop, 14, right, true, ""},
		{"cache", historyTop, 14, "", true, "14"}, // not the same position
		{"cache", historyTop, 14, "zzzzzzzz", true, "14"},
		{"cache", historyTop, 14, another, true, "14"},
		{"cache", historyTop, 13, right, true, "14"},
		{"cache", historyTop, 0, "", true, "14"},
		{"cache", historyTop, 15, right, true, "14"},
		{"cache", historyTop, math.MaxUint64, right, true, "14"},
		{"cache", historyTop, math.MaxUint64, "", true, "14"},
		{"cache", historyTop, math.MaxInt64, another, true, "14"},
		{"cache", 0, 0, "", false, ""},
		{"cache", 0, 0, right, false, ""},
		{"cache", 0, 1, right, false, ""},
		{"cache", 0, math.MaxUint64, another, false, ""},
	} {
		for form := range codec.Form(codec.NumForms) {
			channel := fmt.Sprintf("%s:%v %d %d %.9q", test.namespace, form, test.top, test.offset, test.epoch)
			s.row(channel, func(t *testing.T) {
				epoch := s.fill(t, channel, test.top)
				req := codec.SubscribeRequest{Channel: channel, Recover: true, Offset: test.offset, Epoch: test.epoch}
				switch test.epoch {
				case right:
					req.Epoch = epoch
				case another:
					req.Epoch = otherEpoch
				}
				forged(t, s.house, form, req, codec.SubscribeResult{
					Recovered: test.recovered, Epoch: epoch, Offset: uint64(test.top), WasRecovering: true, Recoverable: true, Positioned: true,
				}, test.missed)
			})
		}
	}
}

// forged subscribes from a position, first for better or worse and then strictly, and hears what is published next.
func forged(t *testing.T, h *house, form codec.Form, req codec.SubscribeRequest, want codec.SubscribeResult, missed string) {
	c := joined(t, h, form)
	code, reply := c.fate(subscribeTo(req))
	if code != 0 || reply.Subscribe == nil {
		t.Fatalf("error %d", code)
	}
	got := *reply.Subscribe
	if pubs := offsetsOf(t, got.Publications); pubs != missed {
		t.Errorf("recovered publications %q, want %q", pubs, missed)
	}
	if len(got.Publications) > 1 || missed != "" && strings.HasPrefix(req.Channel, "stream:") {
		want.Offset = req.Offset // the client goes on through the publications
	}
	if got.Recovered != want.Recovered || got.Epoch != want.Epoch || got.Offset != want.Offset || got.WasRecovering != want.WasRecovering ||
		got.Recoverable != want.Recoverable || got.Positioned != want.Positioned {
		t.Errorf("got %+v, want %+v", got, want)
	}
	leave := &codec.Command{ID: 3, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: req.Channel}}
	if code, _ := c.fate(leave); code != 0 {
		t.Errorf("unsubscribe: %d", code)
	}
	req.Flag = codec.SubscribeRejectUnrecoverable
	strict, _ := c.fate(subscribeTo(req))
	switch {
	case want.Recovered && strict != 0, !want.Recovered && strict != 112:
		t.Errorf("answered with %d when it wants all or nothing", strict)
	case strict == 112:
		if code, _ := c.fate(subscribeTo(codec.SubscribeRequest{Channel: req.Channel})); code != 0 { // it is not on the channel
			t.Errorf("subscribe after that: %d", code)
		}
	}
	if err := h.publish(req.Channel, `"next"`); err != nil {
		t.Fatal(err)
	}
	c.expectPush(req.Channel, `"next"`)
	c.say(closing(1000))
	c.expectClose(1000, "")
}

// TestOddHistory is the part of group 20 about the history command.
func TestOddHistory(t *testing.T) {
	s := attack(t, recoveryHouse(t))
	epoch := s.fill(t, "stream:x", historyTop)
	otherEpoch := s.fill(t, "stream:another", historyTop)
	const oldest, newest = "5 6 7 8 9", "14 13 12 11 10"
	since := func(offset uint64, epoch string) *codec.StreamPosition {
		return &codec.StreamPosition{Offset: offset, Epoch: epoch}
	}
	for _, test := range []struct {
		limit   int32
		since   *codec.StreamPosition
		reverse bool
		want    string
		code    uint32
	}{
		{0, nil, false, "", 0},
		{1, nil, false, "5", 0},
		{-1, nil, false, oldest, 0},
		{math.MinInt32, nil, false, oldest, 0},
		{math.MaxInt32, nil, false, oldest, 0},
		{0, nil, true, "", 0},
		{1, nil, true, "14", 0},
		{math.MinInt32, nil, true, newest, 0},
		{math.MaxInt32, nil, true, newest, 0},
		{-1, since(0, ""), false, oldest, 0},
		{-1, since(0, epoch), false, oldest, 0},
		{-1, since(0, ""), true, "", 107},
		{-1, since(0, "zzzzzzzz"), true, "", 107},
		{-1, since(1, ""), true, "", 0}, // no longer there
		{-1, since(6, ""), true, "5", 0},
		{-1, since(12, epoch), false, "13 14", 0},
		{-1, since(14, epoch), false, "", 0},
		{-1, since(14, epoch), true, "13 12 11 10 9", 0},
		{-1, since(15, epoch), true, newest, 0},
		{-1, since(15, epoch), false, "", 0},
		{math.MinInt32, since(math.MaxUint64, epoch), false, "", 0},
		{math.MinInt32, since(math.MaxUint64, epoch), true, newest, 0},
		{math.MaxInt32, since(math.MaxUint64-1, ""), true, newest, 0},
		{math.MinInt32, since(math.MaxInt64, ""), false, "", 0},
		{math.MinInt32, since(math.MaxInt64+1, ""), true, newest, 0},
		{1, since(0, "zzzzzzzz"), false, "", 112},
		{0, since(14, "zzzzzzzz"), false, "", 112},
		{1, since(14, otherEpoch), true, "", 112},
		{1, since(14, strings.Repeat("e", 50_000)), false, "", 112},
	} {
		for form := range codec.Form(codec.NumForms) {
			at := "the start"
			if test.since != nil {
				at = fmt.Sprintf("%d %.9q", test.since.Offset, test.since.Epoch)
			}
			s.row(fmt.Sprintf("%v/%d from %s, reverse %v", form, test.limit, at, test.reverse), func(t *testing.T) {
				c := joined(t, s.house, form)
				code, reply := c.fate(&codec.Command{ID: 2, Method: codec.MethodHistory, History: codec.HistoryRequest{
					Channel: "stream:x", Limit: test.limit, Since: test.since, Reverse: test.reverse,
				}})
				if code != test.code {
					t.Fatalf("error %d, want %d", code, test.code)
				}
				if code != 0 {
					return
				}
				if got := offsetsOf(t, reply.History.Publications); got != test.want || reply.History.Offset != historyTop || reply.History.Epoch != epoch {
					t.Errorf("got %q at %d %q, want %q", got, reply.History.Offset, reply.History.Epoch, test.want)
				}
				c.say(closing(1000))
				c.expectClose(1000, "")
			})
		}
	}
}
