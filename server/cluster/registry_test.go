package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stentor/server/api"
	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// TestNodesMeet: at once, and info has of each what it counts.
func TestNodesMeet(t *testing.T) {
	for n := 2; n <= 5; n++ {
		synctest.Test(t, func(t *testing.T) {
			e := new(ether)
			all := nodes(t, e, strings.Split("a b c d e", " ")[:n]...)
			for i, p := range all {
				if p.Count() != n {
					t.Errorf("%d nodes", p.Count())
				}
				info := p.Info()
				if info[0].UID != p.cfg.UID {
					t.Errorf("%s is not the first of its own info", p.cfg.UID)
				}
				for _, got := range info {
					want := api.NodeInfo{UID: got.UID, Name: "name of " + got.UID, Version: "1.2.3",
						NumClients: 4, NumUsers: 3, NumSubs: 2, NumChannels: 1}
					if got != want {
						t.Errorf("node %d: %+v, want %+v", i, got, want)
					}
				}
			}
		})
	}
}

// TestInfoIsOfNow: this node's own part always, that of the others within three seconds.
func TestInfoIsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		a, b := all[0], all[1]
		a.set(func() { a.gauges.Clients = 100 })
		if own, other := a.Info()[0], b.Info()[1]; own.NumClients != 100 || other.NumClients != 4 {
			t.Errorf("at once: %d and %d clients", own.NumClients, other.NumClients)
		}
		time.Sleep(AnnounceInterval)
		synctest.Wait()
		if other := b.Info()[1]; other.NumClients != 100 || other.Uptime != 3 {
			t.Errorf("later: %+v", other)
		}
	})
}

// TestSilenceIsForgotten: a node that is cut off is forgotten after seven seconds, not before, forgets the others as well, and is back
// with its next announcement.
func TestSilenceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b", "c")
		cut := "c" // guarded by e
		e.set(func() {
			e.lost = func(from, to string, _ *control.Command) bool { return (from == cut) != (to == cut) }
		})
		time.Sleep(ForgetAfter)
		if got := all[0].knows() + "," + all[2].knows(); got != "a b c,a b c" {
			t.Errorf("after %s: %q", ForgetAfter, got)
		}
		time.Sleep(2 * sweepInterval)
		synctest.Wait()
		if got := all[0].knows() + "," + all[1].knows() + "," + all[2].knows(); got != "a b,a b,c" {
			t.Errorf("a while later: %q", got)
		}
		all[0].wants(t, "a node has not been heard of", 1)
		if all[0].Count() != 2 || all[2].Count() != 1 {
			t.Errorf("%d and %d nodes", all[0].Count(), all[2].Count())
		}
		e.set(func() { cut = "" })
		time.Sleep(AnnounceInterval)
		synctest.Wait()
		for _, p := range all {
			if got := p.knows(); got != "a b c" {
				t.Errorf("%s knows %q at the end", p.cfg.UID, got)
			}
		}
	})
}

// TestShutdown: the others forget a node at once, and an announcement that was on its way does not bring it back.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b", "c")
		late := all[1].own()
		all[1].Leave(t.Context())
		all[1].Leave(t.Context()) // once is enough
		for _, p := range []*place{all[0], all[2]} {
			if got := p.knows(); got != "a c" {
				t.Errorf("%s knows %q", p.cfg.UID, got)
			}
			p.wants(t, "a node has gone", 1)
		}
		if err := all[1].end.Broadcast(t.Context(), encoded(t, &control.Command{Uid: "b", Node: messageOf(&late)})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * AnnounceInterval) // it says nothing any more
		synctest.Wait()
		if got := all[0].knows(); got != "a c" {
			t.Errorf("a knows %q", got)
		}
		all[1].stop()
		put(t, e, "b2").run(t) // who comes back has another id
		synctest.Wait()
		if got := all[0].knows(); got != "a b2 c" {
			t.Errorf("a knows %q", got)
		}
		time.Sleep(ForgetAfter + 2*sweepInterval)
		synctest.Wait()
		if n, _, _ := all[0].inside(); n != 2 {
			t.Errorf("%d members are kept", n)
		}
		all[0].wants(t, "a node has not been heard of", 0)
	})
}

// TestBadNetwork: whatever gets lost, comes twice, late or in another order, everybody is known some seconds after it ends, and
// nobody who has left.
func TestBadNetwork(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &ether{random: rand.New(rand.NewPCG(seed, 1)), drop: 0.3, twice: 0.2, delay: 2 * time.Second}
				uids := strings.Split("a b c d e", " ")
				var all []*place
				for _, uid := range uids {
					all = append(all, put(t, e, uid).run(t))
					time.Sleep(700 * time.Millisecond)
				}
				time.Sleep(time.Minute)
				e.set(func() { e.drop = 0 })
				time.Sleep(2 * AnnounceInterval)
				synctest.Wait()
				for _, p := range all {
					if got := p.knows(); got != "a b c d e" {
						t.Errorf("%s knows %q", p.cfg.UID, got)
					}
					p.wants(t, "another node uses the id", 0)
				}
				all[4].Leave(t.Context())
				time.Sleep(e.delay)
				synctest.Wait()
				for _, p := range all[:4] {
					if got := p.knows(); got != "a b c d" {
						t.Errorf("%s knows %q", p.cfg.UID, got)
					}
				}
			})
		})
	}
}

// TestTwins: two nodes with one id do not hear each other. Both say so, and others take them for one.
func TestTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		a, twin, b := put(t, e, "a").run(t), put(t, e, "a"), put(t, e, "b").run(t)
		twin.gauges.Clients = 7
		twin.run(t)
		time.Sleep(AnnounceInterval)
		synctest.Wait()
		if got := b.knows(); got != "a b" {
			t.Errorf("b knows %q", got)
		}
		for _, p := range []*place{a, twin} {
			p.wants(t, "another node uses the id", 1)
			if got := p.knows(); got != "a b" {
				t.Errorf("a twin knows %q", got)
			}
		}
		b.wants(t, "another node uses the id", 0)
	})
}

// TestTooManyNodes: what is beyond the limit does not exist, until there is room.
func TestTooManyNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		a := put(t, e, "a").run(t)
		announce := func(i int) {
			info := api.NodeInfo{UID: fmt.Sprint("n", i)}
			a.receive(encoded(t, &control.Command{Uid: info.UID, Node: messageOf(&info)}))
		}
		for i := range NodesMax + 10 {
			announce(i)
		}
		if a.Count() != NodesMax+1 || a.failed(metrics.ControlStranger) != "10" {
			t.Errorf("%d nodes, %s refused", a.Count(), a.failed(metrics.ControlStranger))
		}
		a.receive(encoded(t, &control.Command{Uid: "leaves before it came", Shutdown: &control.Shutdown{}}))
		if n, _, _ := a.inside(); n != NodesMax {
			t.Errorf("%d members", n)
		}
		a.wants(t, "too many are known", 1)
		time.Sleep(ForgetAfter + 2*sweepInterval)
		announce(NodesMax)
		if got := a.knows(); got != "a "+fmt.Sprint("n", NodesMax) {
			t.Errorf("knows %q", got)
		}
	})
}

// TestFigures: the metrics of a node are in info once the interval has passed; the others get them with one announcement, newcomers
// with the greeting.
func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		withFigures := 0 // guarded by e
		e.set(func() {
			e.lost = func(from, to string, c *control.Command) bool {
				if from == "a" && to == "b" && c.Node != nil && c.Node.Metrics != nil {
					withFigures++
				}
				return false
			}
		})
		all := nodes(t, e, "a", "b")
		time.Sleep(59 * time.Second)
		if a, b := all[0].Info()[0].Metrics, all[1].Info()[1].Metrics; a != nil || b != nil {
			t.Errorf("before the interval has passed: %v, %v", a, b)
		}
		all[0].metrics.UserLimit()
		time.Sleep(2 * AnnounceInterval)
		synctest.Wait()
		const item = "centrifugo.node.client_connection_limit"
		for _, got := range []*api.NodeMetrics{all[0].Info()[0].Metrics, all[1].Info()[1].Metrics} {
			if got == nil || got.Interval != 60 || got.Items[item] != 1 {
				t.Fatalf("figures %+v", got)
			}
		}
		c := put(t, e, "c").run(t)
		synctest.Wait()
		if got := c.Info()[1].Metrics; got == nil || got.Items[item] != 1 {
			t.Errorf("a newcomer has %+v", got)
		}
		time.Sleep(30 * time.Second)
		sent := func() (n int) {
			e.set(func() { n = withFigures })
			return n
		}
		if got := all[1].Info()[1].Metrics; got == nil || got.Items[item] != 1 || sent() != 1 {
			t.Errorf("later: %+v, sent %d times", got, sent())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := all[1].Info()[1].Metrics; got.Items[item] != 0 || sent() != 2 {
			t.Errorf("an interval later: %+v, sent %d times", got, sent())
		}
	})
}

// TestFiguresTurnedOff: without an interval there are none, and alone there is nothing to run.
func TestFiguresTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := put(t, nil, "a")
		p.cfg.MetricsInterval = 0
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Leave(t.Context())
		time.Sleep(time.Hour)
		if info := p.Info(); len(info) != 1 || info[0].Metrics != nil || info[0].Uptime != 3600 || p.Count() != 1 || p.Check() != nil {
			t.Errorf("%+v", info)
		}
	})
}

// TestWhatOthersTell: what another node says of itself can be shown, whatever it is.
func TestWhatOthersTell(t *testing.T) {
	long := strings.Repeat("é", TextBytesMax)
	m := &control.Node{Uid: "b", Name: long, Version: "1\xff", Metrics: &control.Metrics{Interval: math.Inf(1), Items: map[string]float64{
		"good": 1, "nan": math.NaN(), "inf": math.Inf(-1), "bad\xff": 1,
	}}}
	got := infoOf(m)
	want := api.NodeInfo{UID: "b", Name: long[:TextBytesMax], Version: "1\ufffd", Metrics: &api.NodeMetrics{Items: map[string]float64{"good": 1}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %+v", got, got.Metrics)
	}
	for i := range 2 * metrics.DigestItemsMax {
		m.Metrics.Items[fmt.Sprint(i)] = 1
	}
	if n := len(infoOf(m).Metrics.Items); n != metrics.DigestItemsMax {
		t.Errorf("%d items", n)
	}
}

// TestBusDown: a bus that takes nothing is tried again soon, complained about now and then, and is all right once it works.
func TestBusDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ether{fault: errors.New("down")}
		a, b := put(t, e, "a").run(t), put(t, e, "b").run(t)
		time.Sleep(complaintInterval + time.Second)
		if err := a.Check(); err == nil || err.Error() != "down" {
			t.Errorf("check says %v", err)
		}
		a.wants(t, "was not sent", 2)
		a.wants(t, "suppressed=", 1)
		e.set(func() { e.fault = nil })
		time.Sleep(announceRetry)
		synctest.Wait()
		if got := a.knows() + "," + b.knows(); got != "a b,a b" || a.Check() != nil {
			t.Errorf("%q, check says %v", got, a.Check())
		}
		a.wants(t, "can be reached again", 1)
	})
}

// TestFrozenBus: a bus that hangs holds nobody up for longer than the time-out, and Leave for less.
func TestFrozenBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		frozen := make(chan struct{})
		e.set(func() { e.frozen = frozen })
		began := time.Now()
		if err := all[0].Clients().Disconnect(t.Context(), api.Target{User: "1"}, force); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took != sendTimeout {
			t.Errorf("after %s", took)
		}
		if got := all[0].mine.take(); got == "" {
			t.Error("the sessions of the node itself did not get the order")
		}
		time.Sleep(AnnounceInterval + sendTimeout)
		if all[0].Check() == nil {
			t.Error("check says nothing")
		}
		began = time.Now()
		all[0].Leave(t.Context())
		if took := time.Since(began); took != leaveTimeout {
			t.Errorf("leaving took %s", took)
		}
		all[0].wants(t, "were not told that this one goes", 1)
		close(frozen)
	})
}

// TestDeaf: a node that does not hear itself says so, and that it knows nothing of the others' channels.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		e.set(func() { all[0].end.deaf = true })
		time.Sleep(ForgetAfter + 2*sweepInterval)
		if err := all[0].Check(); err != errDeaf {
			t.Errorf("check says %v", err)
		}
		if _, err := all[0].Node.Channels(t.Context(), ""); err != errDeaf {
			t.Errorf("channels says %v", err)
		}
		all[0].wants(t, "do not come back", 1)
		if got := all[1].knows(); got != "a b" || all[1].Check() != nil {
			t.Errorf("b knows %q", got)
		}
		e.set(func() { all[0].end.deaf = false })
		time.Sleep(AnnounceInterval)
		synctest.Wait()
		if got := all[0].knows(); got != "a b" || all[0].Check() != nil {
			t.Errorf("a knows %q, check says %v", got, all[0].Check())
		}
	})
}

func encoded(t testing.TB, c *control.Command) []byte {
	t.Helper()
	b, err := c.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
