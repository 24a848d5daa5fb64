package redisengine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// other is a node that others have written, on the same Redis as ours.
type other struct {
	*testing.T
	node   *centrifuge.Node
	broker *centrifuge.RedisBroker

	mu    sync.Mutex
	heard []string
}

func newOther(t *testing.T, shard centrifuge.RedisShardConfig, cfg centrifuge.RedisBrokerConfig) *other {
	t.Helper()
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := centrifuge.NewRedisShard(node, shard)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Shards = []*centrifuge.RedisShard{s}
	broker, err := centrifuge.NewRedisBroker(node, cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := &other{T: t, node: node, broker: broker}
	if err := broker.RegisterBrokerEventHandler(o); err != nil {
		t.Fatal(err)
	}
	if err := broker.RegisterControlEventHandler(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Close(context.Background())
		s.Close()
	})
	return o
}

func (o *other) note(format string, args ...any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = append(o.heard, fmt.Sprintf(format, args...))
	return nil
}

func (o *other) hears(want string) {
	o.Helper()
	eventually(o.T, "the other node hears "+want, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return slices.Contains(o.heard, want)
	})
}

func (o *other) HandlePublication(
	ch string, p *centrifuge.Publication, at centrifuge.StreamPosition, delta bool, prev *centrifuge.Publication,
) error {
	base := ""
	if prev != nil {
		base = string(prev.Data)
	}
	return o.note("%s %d %s: %s %v, delta %t of %q", ch, at.Offset, at.Epoch, p.Data, p.Tags, delta, base)
}

func (o *other) HandleJoin(ch string, info *centrifuge.ClientInfo) error {
	return o.note("%s: join of %s", ch, info.ClientID)
}

func (o *other) HandleLeave(ch string, info *centrifuge.ClientInfo) error {
	return o.note("%s: leave of %s", ch, info.ClientID)
}

func (o *other) HandleControl(message []byte) error { return o.note("control: %s", message) }

// TestMixed: nodes of two makes share one Redis: each hears what the other publishes, and both read one history.
func TestMixed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := redistest.Cluster(t, 3, 0)
	alone, cluster := centrifuge.RedisShardConfig{Address: server.Addr}, centrifuge.RedisShardConfig{ClusterAddresses: []string{c.Servers[0].Addr}}
	ours, oursOfCluster := single(server), redislink.Config{ClusterAddress: []string{c.Addrs()}}
	tests := []struct {
		name  string
		shard centrifuge.RedisShardConfig
		link  redislink.Config
		cfg   redisengine.Config
	}{
		{"streams", alone, ours, redisengine.Config{Prefix: "streams"}},
		{"lists", alone, ours, redisengine.Config{Prefix: "lists", HistoryUseLists: true}},
		{"cluster", cluster, oursOfCluster, redisengine.Config{Prefix: "cluster"}},
		{"sharded", cluster, oursOfCluster, redisengine.Config{Prefix: "sharded", ShardedPubSubPartitions: 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.cfg, tt.link)
			o := newOther(t, tt.shard, centrifuge.RedisBrokerConfig{
				Prefix: tt.cfg.Prefix, UseLists: tt.cfg.HistoryUseLists, NumShardedPubSubPartitions: tt.cfg.ShardedPubSubPartitions,
			})
			for _, channel := range news {
				r.subscribe(channel)
				if err := o.broker.Subscribe(channel); err != nil {
					t.Fatal(err)
				}
			}
			testMixedHistory(t, r, o)
			testMixedPlain(t, r, o)
			testMixedKeys(t, r, o, !tt.cfg.HistoryUseLists)
		})
	}
	t.Run("bus", func(t *testing.T) { testMixedBus(t, ours, alone) })
}

// testMixedHistory: offsets go on from one to the other, with the same epoch and the base of deltas.
func testMixedHistory(t *testing.T, r *rig, o *other) {
	ch := news[0]
	options := centrifuge.PublishOptions{HistorySize: 10, HistoryTTL: time.Hour, UseDelta: true, Tags: map[string]string{"by": "other"}}
	delta := kept
	delta.Delta = true
	first, err := o.broker.Publish(ch, []byte("1"), options)
	if err != nil {
		t.Fatal(err)
	}
	epoch := first.Epoch
	mine, err := r.tryPublish(ch, "2", delta)
	if err != nil || mine.Offset != 2 || mine.Epoch != epoch {
		t.Fatalf("%+v, %v after %+v", mine, err, first)
	}
	if third, err := o.broker.Publish(ch, []byte("3"), options); err != nil || third.Offset != 3 || third.Epoch != epoch {
		t.Fatalf("%+v, %v", third, err)
	}
	mine, err = r.tryPublish(ch, "4", kept)
	if err != nil || mine.Offset != 4 {
		t.Fatalf("%+v, %v", mine, err)
	}
	o.hears(fmt.Sprintf(`%s 2 %s: 2 map[], delta true of "1"`, ch, epoch))
	o.hears(fmt.Sprintf(`%s 4 %s: 4 map[], delta false of ""`, ch, epoch))
	heard := r.rec.Wait(t, ch, 4)
	for i, d := range heard {
		at := codec.StreamPosition{Offset: uint64(i + 1), Epoch: epoch}
		if string(d.Publication.Data) != fmt.Sprint(i+1) || d.Position != at || d.Publication.Offset != at.Offset {
			t.Errorf("heard %s at %v, want %d at %v", d.Publication.Data, d.Position, i+1, at)
		}
		if wantPrev := 0 < i && i < 3; (d.Prev != nil) != wantPrev || wantPrev && string(d.Prev.Data) != fmt.Sprint(i) {
			t.Errorf("with %d came %+v as the previous one", i+1, d.Prev)
		}
	}
	if heard[2].Publication.Tags["by"] != "other" || heard[2].Publication.Time == 0 {
		t.Errorf("heard %+v", heard[2].Publication)
	}
	pubs, at, err := r.History(t.Context(), ch, engine.HistoryFilter{Limit: -1})
	theirs, there, errTheirs := o.broker.History(ch, centrifuge.HistoryOptions{Filter: centrifuge.HistoryFilter{Limit: -1}})
	if err != nil || errTheirs != nil || len(pubs) != 4 || len(theirs) != 4 || at.Offset != there.Offset || at.Epoch != there.Epoch {
		t.Fatalf("%d publications at %v, %v; the other has %d at %v, %v", len(pubs), at, err, len(theirs), there, errTheirs)
	}
	for i := range pubs {
		if pubs[i].Offset != theirs[i].Offset || string(pubs[i].Data) != string(theirs[i].Data) {
			t.Errorf("history has %d:%s, the other %d:%s", pubs[i].Offset, pubs[i].Data, theirs[i].Offset, theirs[i].Data)
		}
	}
}

// testMixedPlain: publications without history, joins and leaves.
func testMixedPlain(t *testing.T, r *rig, o *other) {
	ch := news[1]
	if _, err := r.tryPublish(ch, "plain", engine.PublishOptions{Delta: true}); err != nil {
		t.Fatal(err)
	}
	o.hears(ch + ` 0 : plain map[], delta true of ""`)
	if _, err := o.broker.Publish(ch, []byte("theirs"), centrifuge.PublishOptions{UseDelta: true}); err != nil {
		t.Fatal(err)
	}
	d := r.rec.Wait(t, ch, 2)[1]
	if string(d.Publication.Data) != "theirs" || d.Publication.Delta || d.Position.Offset != 0 {
		t.Errorf("heard %+v", d)
	}
	info := &codec.ClientInfo{Client: "c1", User: "u1"}
	if err := r.PublishJoin(t.Context(), ch, info); err != nil {
		t.Fatal(err)
	}
	if err := r.PublishLeave(t.Context(), ch, info); err != nil {
		t.Fatal(err)
	}
	o.hears(ch + ": join of c1")
	o.hears(ch + ": leave of c1")
	if err := o.broker.PublishJoin(ch, &centrifuge.ClientInfo{ClientID: "c2", UserID: "u2", ConnInfo: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if err := o.broker.PublishLeave(ch, &centrifuge.ClientInfo{ClientID: "c2"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the joins of the other are heard", func() bool {
		all := r.rec.Of(ch)
		return slices.ContainsFunc(all, func(d enginetest.Delivery) bool { return d.Join != nil && d.Join.Client == "c2" && d.Join.User == "u2" }) &&
			slices.ContainsFunc(all, func(d enginetest.Delivery) bool { return d.Leave != nil && d.Leave.Client == "c2" })
	})
}

// testMixedKeys: idempotency keys and versions of one are known to the other.
func testMixedKeys(t *testing.T, r *rig, o *other, versions bool) {
	ch := news[2]
	once := kept
	once.IdempotencyKey = "k"
	mine, err := r.tryPublish(ch, "a", once)
	if err != nil {
		t.Fatal(err)
	}
	theirs := centrifuge.PublishOptions{HistorySize: 10, HistoryTTL: time.Hour, IdempotencyKey: "k"}
	result, err := o.broker.Publish(ch, []byte("a"), theirs)
	if err != nil || !result.Suppressed || result.Offset != mine.Offset || result.Epoch != mine.Epoch {
		t.Errorf("the other repeats a publication of ours: %+v, %v", result, err)
	}
	theirs.IdempotencyKey = "k2"
	if result, err = o.broker.Publish(ch, []byte("b"), theirs); err != nil || result.Offset != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	once.IdempotencyKey = "k2"
	mine, err = r.tryPublish(ch, "b", once)
	if err != nil || mine.Suppressed != engine.SuppressIdempotency || mine.Offset != 2 {
		t.Errorf("we repeat a publication of the other: %+v, %v", mine, err)
	}
	plain := engine.PublishOptions{IdempotencyKey: "k3"}
	if _, err := o.broker.Publish(ch, []byte("c"), centrifuge.PublishOptions{IdempotencyKey: "k3"}); err != nil {
		t.Fatal(err)
	}
	if mine, err = r.tryPublish(ch, "c", plain); err != nil || mine.Suppressed != engine.SuppressIdempotency {
		t.Errorf("we repeat a publication of the other without history: %+v, %v", mine, err)
	}
	if !versions {
		return
	}
	versioned := kept
	versioned.Version, versioned.VersionEpoch = 7, "e"
	if _, err := r.tryPublish(ch, "v7", versioned); err != nil {
		t.Fatal(err)
	}
	result, err = o.broker.Publish(ch, []byte("v7"), centrifuge.PublishOptions{
		HistorySize: 10, HistoryTTL: time.Hour, Version: 7, VersionEpoch: "e",
	})
	if err != nil || !result.Suppressed {
		t.Errorf("the other publishes a version that we have published: %+v, %v", result, err)
	}
	if _, err = o.broker.Publish(ch, []byte("v9"), centrifuge.PublishOptions{
		HistorySize: 10, HistoryTTL: time.Hour, Version: 9, VersionEpoch: "e",
	}); err != nil {
		t.Fatal(err)
	}
	versioned.Version = 8
	if mine, err = r.tryPublish(ch, "v8", versioned); err != nil || mine.Suppressed != engine.SuppressVersion {
		t.Errorf("we publish a version older than the other's: %+v, %v", mine, err)
	}
}

// testMixedBus: the control messages of both makes meet on the same topics.
func testMixedBus(t *testing.T, link redislink.Config, shard centrifuge.RedisShardConfig) {
	rec := enginetest.NewRecorder()
	b := node(t, redisengine.Config{Prefix: "bus"}, link, rec)
	var mu sync.Mutex
	var heard []string
	b.Listen("ours", func(message []byte) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, string(message))
	})
	run(t, b)
	o := newOther(t, shard, centrifuge.RedisBrokerConfig{Prefix: "bus"})
	hears := func(want string) func() bool {
		return func() bool {
			if err := o.broker.PublishControl([]byte("to all"), "", ""); err != nil {
				t.Fatal(err)
			}
			if err := o.broker.PublishControl([]byte("to ours"), "ours", ""); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(heard, want)
		}
	}
	eventually(t, "a broadcast of the other is heard", hears("to all"))
	eventually(t, "a message to our node is heard", hears("to ours"))
	theyHear := func(what, want string, send func() error) {
		eventually(t, what, func() bool { // the other node may still be connecting
			if err := send(); err != nil {
				t.Fatal(err)
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			return slices.Contains(o.heard, want)
		})
	}
	theyHear("our broadcast is heard", "control: from ours", func() error { return b.Broadcast(t.Context(), []byte("from ours")) })
	theyHear("a message of ours is heard", "control: for theirs", func() error {
		return b.Send(t.Context(), o.node.ID(), []byte("for theirs"))
	})
}
