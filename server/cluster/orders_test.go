package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/server/api"
	"stentor/server/auth"
	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

var force = codec.DisconnectForceNoReconnect

// everyOrder is each order with all that it can have, and how it arrives elsewhere.
var everyOrder = []struct {
	name string
	give func(context.Context, api.Clients) error
	here string // what the sessions of the same node get
	away string // "" is the same
}{
	{"disconnect", func(ctx context.Context, c api.Clients) error {
		to := api.Target{User: "42", Client: "c", Session: "s", Whitelist: []string{"x", "y"}}
		return c.Disconnect(ctx, to, codec.Disconnect{Code: 4001, Reason: "bye"})
	}, `disconnect {User:42 Client:c Session:s Whitelist:[x y]} 4001 bye`, ""},
	{"disconnect the anonymous", func(ctx context.Context, c api.Clients) error { return c.Disconnect(ctx, api.Target{}, force) },
		`disconnect {User: Client: Session: Whitelist:[]} 3503 force disconnect`, ""},
	{"unsubscribe", func(ctx context.Context, c api.Clients) error {
		return c.Unsubscribe(ctx, api.Target{User: "42", Client: "c", Session: "s"}, "news", codec.Unsubscribe{Code: 2500, Reason: "why"})
	}, `unsubscribe {User:42 Client:c Session:s Whitelist:[]} "news" 2500 why`, ""},
	{"unsubscribe from all", func(ctx context.Context, c api.Clients) error {
		return c.Unsubscribe(ctx, api.Target{User: "42"}, "", codec.UnsubscribeServer)
	}, `unsubscribe {User:42 Client: Session: Whitelist:[]} "" 2000 server unsubscribe`, ""},
	{"subscribe", func(ctx context.Context, c api.Clients) error {
		return c.Subscribe(ctx, api.Target{User: "42", Client: "c", Session: "s"}, api.Subscribe{
			Channel: "news", Info: []byte(`{"i":1}`), Data: []byte(`{"d":1}`), ExpireAt: 1 << 40,
			RecoverSince: &codec.StreamPosition{Offset: 7, Epoch: "e"}, Override: auth.Override{Presence: auth.On, ForceRecovery: auth.On},
		})
	}, `subscribe {User:42 Client:c Session:s Whitelist:[]} "news" info {"i":1} false data {"d":1} false until 1099511627776 since 7/e ` +
		`{Presence:2 JoinLeave:0 ForcePushJoinLeave:0 ForceRecovery:2 ForcePositioning:0}`,
		`subscribe {User:42 Client:c Session:s Whitelist:[]} "news" info {"i":1} false data {"d":1} false until 1099511627776 since 7/e ` +
			`{Presence:2 JoinLeave:1 ForcePushJoinLeave:1 ForceRecovery:2 ForcePositioning:1}`},
	{"subscribe as the namespace says", func(ctx context.Context, c api.Clients) error {
		return c.Subscribe(ctx, api.Target{User: "42"}, api.Subscribe{Channel: "all:1"})
	}, `subscribe {User:42 Client: Session: Whitelist:[]} "all:1" info  true data  true until 0 ` +
		`{Presence:0 JoinLeave:0 ForcePushJoinLeave:0 ForceRecovery:0 ForcePositioning:0}`,
		`subscribe {User:42 Client: Session: Whitelist:[]} "all:1" info  true data  true until 0 ` +
			`{Presence:2 JoinLeave:2 ForcePushJoinLeave:2 ForceRecovery:2 ForcePositioning:2}`},
	{"subscribe against the namespace", func(ctx context.Context, c api.Clients) error {
		return c.Subscribe(ctx, api.Target{User: "42"}, api.Subscribe{Channel: "all:1", Override: auth.Override{
			Presence: auth.Off, JoinLeave: auth.Off, ForcePushJoinLeave: auth.Off, ForceRecovery: auth.Off, ForcePositioning: auth.Off,
		}})
	}, `subscribe {User:42 Client: Session: Whitelist:[]} "all:1" info  true data  true until 0 ` +
		`{Presence:1 JoinLeave:1 ForcePushJoinLeave:1 ForceRecovery:1 ForcePositioning:1}`, ""},
	{"refresh", func(ctx context.Context, c api.Clients) error {
		return c.Refresh(ctx, api.Target{User: "42", Client: "c", Session: "s"}, api.Refresh{ExpireAt: 99, Info: []byte(`[1]`)})
	}, `refresh {User:42 Client:c Session:s Whitelist:[]} false until 99 info [1] false`, ""},
	{"let expire", func(ctx context.Context, c api.Clients) error {
		return c.Refresh(ctx, api.Target{User: "42"}, api.Refresh{Expired: true})
	}, `refresh {User:42 Client: Session: Whitelist:[]} true until 0 info  true`, ""},
}

// TestOrders: the sessions of all nodes get an order once, with all that it says, and those of the caller before it returns.
func TestOrders(t *testing.T) {
	for _, tt := range everyOrder {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := nodes(t, new(ether), "a", "b", "c")
				if err := tt.give(t.Context(), all[0].Clients()); err != nil {
					t.Fatal(err)
				}
				if got := all[0].mine.take(); got != tt.here {
					t.Errorf("here\n%s\nwant\n%s", got, tt.here)
				}
				synctest.Wait()
				want := tt.away
				if want == "" {
					want = tt.here
				}
				for _, p := range all[1:] {
					if got := p.theirs.take(); got != want {
						t.Errorf("%s got\n%s\nwant\n%s", p.cfg.UID, got, want)
					}
				}
				if got := all[0].theirs.take() + all[1].mine.take(); got != "" {
					t.Errorf("and also %s", got)
				}
			})
		})
	}
}

// TestOrdersAlone: without a bus they are those of this node, by way of nothing.
func TestOrdersAlone(t *testing.T) {
	p := put(t, nil, "a")
	if c := p.Clients(); c != api.Clients(&p.mine) {
		t.Errorf("orders go to %T", c)
	}
}

// TestOrdersWithoutBus: the caller learns that others may not have the order; the sessions of the node have it.
func TestOrdersWithoutBus(t *testing.T) {
	for _, tt := range everyOrder {
		synctest.Test(t, func(t *testing.T) {
			down := errors.New("down")
			all := nodes(t, new(ether), "a", "b")
			all[0].end.ether.set(func() { all[0].end.ether.fault = down })
			if err := tt.give(t.Context(), all[0].Clients()); !errors.Is(err, down) {
				t.Errorf("%s: error %v", tt.name, err)
			}
			if got := all[0].mine.take(); got != tt.here {
				t.Errorf("%s: here %s", tt.name, got)
			}
			synctest.Wait()
			if got := all[1].theirs.take(); got != "" || all[0].failed(metrics.ControlUnsent) != "1" {
				t.Errorf("%s: elsewhere %q, %s not sent", tt.name, got, all[0].failed(metrics.ControlUnsent))
			}
		})
	}
}

// TestOrdersOfCallersWhoLeft: an order that has begun is given to all nodes.
func TestOrdersOfCallersWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e.set(func() { e.frozen = make(chan struct{}) })
		time.AfterFunc(time.Second, func() { close(e.frozen) })
		if err := all[0].Clients().Disconnect(ctx, api.Target{User: "1"}, force); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if all[1].theirs.take() == "" {
			t.Error("the other node did not get it")
		}
	})
}

// TestUnknownNamespace: what is to hold for the channel is decided where the order is given.
func TestUnknownNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(t, new(ether), "a", "b")
		if err := all[0].Clients().Subscribe(t.Context(), api.Target{User: "1"}, api.Subscribe{Channel: "no:1"}); !errors.Is(err, codec.ErrorUnknownChannel) {
			t.Errorf("error %v", err)
		}
		synctest.Wait()
		if got := all[0].mine.take() + all[1].theirs.take(); got != "" {
			t.Errorf("ordered %s", got)
		}
	})
}

// TestOrderOfOrders: those of one node are carried out in the order in which they were given.
func TestOrderOfOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(t, new(ether), "a", "b")
		var want []string
		for i := range 3 * OrdersBurst {
			user := fmt.Sprint(i)
			if err := all[0].Clients().Disconnect(t.Context(), api.Target{User: user}, force); err != nil {
				t.Fatal(err)
			}
			want = append(want, "disconnect {User:"+user+" Client: Session: Whitelist:[]} 3503 force disconnect")
		}
		synctest.Wait()
		if got := all[1].theirs.take(); got != strings.Join(want, "\n") {
			t.Errorf("got %d bytes, want %d", len(got), len(strings.Join(want, "\n")))
		}
	})
}

// TestOrdersOverABadNetwork: each order arrives at most as often as the bus brings it, and never in part.
func TestOrdersOverABadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		e.set(func() { e.random, e.drop, e.twice, e.delay = rand.New(rand.NewPCG(1, 2)), 0.3, 0.2, time.Second })
		const rounds = 200
		for range rounds {
			for _, tt := range everyOrder {
				if err := tt.give(t.Context(), all[0].Clients()); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(e.delay)
		synctest.Wait()
		counts := map[string]int{}
		for line := range strings.SplitSeq(all[1].theirs.take(), "\n") {
			counts[line]++
		}
		for _, tt := range everyOrder {
			want := tt.away
			if want == "" {
				want = tt.here
			}
			if n := counts[want]; n < rounds/2 || n > rounds*13/10 {
				t.Errorf("%s came %d times", tt.name, n)
			}
			delete(counts, want)
		}
		if len(counts) > 0 {
			t.Errorf("came too: %v", counts)
		}
	})
}

// TestForeignOrders: what a node of another kind may say that our own API does not.
func TestForeignOrders(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *control.Command
		want string
		why  metrics.ControlFailure // if nothing is wanted
	}{
		{"a code that no frame carries", &control.Command{Disconnect: &control.Disconnect{User: "1", Code: 70000, Reason: "x"}},
			"disconnect {User:1 Client: Session: Whitelist:[]} 3503 force disconnect", 0},
		{"no code", &control.Command{Disconnect: &control.Disconnect{User: "1"}},
			"disconnect {User:1 Client: Session: Whitelist:[]} 3503 force disconnect", 0},
		{"unsubscribe without a code", &control.Command{Unsubscribe: &control.Unsubscribe{User: "1", Channel: "c"}},
			`unsubscribe {User:1 Client: Session: Whitelist:[]} "c" 2000 server unsubscribe`, 0},
		{"all users, but one is named", &control.Command{Disconnect: &control.Disconnect{User: "1", Code: 3000, AllUsers: true}},
			"disconnect {User:1 Client: Session: Whitelist:[]} 3000 ", 0},
		{"empty info", &control.Command{Refresh: &control.Refresh{User: "1", Info: []byte{}}},
			"refresh {User:1 Client: Session: Whitelist:[]} false until 0 info  true", 0},

		{"disconnect all users", &control.Command{Disconnect: &control.Disconnect{AllUsers: true}}, "", metrics.ControlRefused},
		{"unsubscribe all users", &control.Command{Unsubscribe: &control.Unsubscribe{AllUsers: true}}, "", metrics.ControlRefused},
		{"subscribe all users", &control.Command{Subscribe: &control.Subscribe{Channel: "c", AllUsers: true}}, "", metrics.ControlRefused},
		{"refresh all users", &control.Command{Refresh: &control.Refresh{AllUsers: true}}, "", metrics.ControlRefused},
		{"disconnect by label", &control.Command{Disconnect: &control.Disconnect{User: "1", LabelFilter: []byte{1}}}, "", metrics.ControlRefused},
		{"unsubscribe by label", &control.Command{Unsubscribe: &control.Unsubscribe{User: "1", LabelFilter: []byte{1}}}, "", metrics.ControlRefused},
		{"subscribe by label", &control.Command{Subscribe: &control.Subscribe{User: "1", Channel: "c", LabelFilter: []byte{1}}}, "", metrics.ControlRefused},
		{"refresh by label", &control.Command{Refresh: &control.Refresh{User: "1", LabelFilter: []byte{1}}}, "", metrics.ControlRefused},
		{"subscribe to nothing", &control.Command{Subscribe: &control.Subscribe{User: "1"}}, "", metrics.ControlJunk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := put(t, new(ether), "a").run(t)
				tt.c.Uid = "foreigner"
				p.receive(encoded(t, tt.c))
				synctest.Wait()
				if got := p.theirs.take(); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if tt.want == "" && p.failed(tt.why) != "1" {
					t.Errorf("%s are counted as %s", p.failed(tt.why), tt.why)
				}
			})
		})
	}
}

// TestOrdersFlood: when the loops do not keep up, orders wait up to the limits; the rest is dropped, counted and complained about, and
// the bus is never held up.
func TestOrdersFlood(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int // of an order, about
		want int // that many are kept
	}{
		{"many", 0, OrdersMax + OrdersBurst},
		{"large", 1 << 20, OrdersBurst + InboxBytesMax>>20 - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := put(t, new(ether), "a").run(t)
				stuck := make(chan struct{})
				p.theirs.hang(func() { <-stuck })
				ordered := func(size int) []byte {
					return encoded(t, &control.Command{Uid: "b", Refresh: &control.Refresh{User: "1", Info: make([]byte, size)}})
				}
				small, order := ordered(0), ordered(tt.size)
				for range OrdersBurst {
					p.receive(small)
				}
				synctest.Wait()
				for range tt.want - OrdersBurst + 10 {
					p.receive(order)
				}
				if got := p.failed(metrics.ControlDropped); got != "10" {
					t.Errorf("%s dropped", got)
				}
				p.wants(t, "too many wait already", 1)
				p.theirs.hang(nil)
				close(stuck)
				synctest.Wait()
				if n := strings.Count(p.theirs.take(), "refresh"); n != tt.want {
					t.Errorf("%d carried out, want %d", n, tt.want)
				}
				if left := p.inboxBytes.Load(); left != 0 {
					t.Errorf("%d bytes are still counted", left)
				}
			})
		})
	}
}

// TestPanicInAnOrder: one order that breaks something does not end the others.
func TestPanicInAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := put(t, new(ether), "a").run(t)
		broken := true
		p.theirs.hold = func() {
			if broken {
				broken = false
				panic("broken")
			}
		}
		for _, user := range []string{"1", "2"} {
			p.receive(encoded(t, &control.Command{Uid: "b", Disconnect: &control.Disconnect{User: user, Code: 3000}}))
		}
		synctest.Wait()
		if got := p.theirs.take(); got != "disconnect {User:2 Client: Session: Whitelist:[]} 3000 " || p.inboxBytes.Load() != 0 {
			t.Errorf("got %q", got)
		}
		p.wants(t, "panic in an order", 1)
	})
}
