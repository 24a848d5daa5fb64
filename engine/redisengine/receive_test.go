package redisengine_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// TestJunk: what another application publishes under our names is counted, and hurts nobody.
func TestJunk(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news...)
	junk := []string{
		"{\"data\":1}", "__", "__p1:", "__p1:x:y__", "__p1:1:e", "__p1:99999999999999999999:e__", "__p2:1:e__x", "__d1:1:e:5:abc",
		"__d1:1:e:-1::0:", "__d1:1:e:0::99999999999999999999:x", "__d1:1:e:0::0:x", "__j__\xff", "__l__\x0a\x05x", "__p1:1:e__\x80", "\xff\xff",
	}
	for _, message := range junk {
		server.Must("PUBLISH", "centrifugo.client."+news[0], message)
	}
	r.works("after junk", news[0])
	if got := r.Stats().Malformed; got != uint64(len(junk)) {
		t.Errorf("%d messages are counted as malformed, want %d", got, len(junk))
	}
	for _, d := range r.rec.Of(news[0])[:len(r.rec.Of(news[0]))-1] {
		t.Errorf("junk is delivered: %+v", d)
	}
	server.Must("XADD", "centrifugo.stream.junk", "7-0", "d", "\xff\xff")
	server.Must("HSET", "centrifugo.stream.meta.junk", "e", "e", "s", "7")
	if pubs, _, err := r.History(t.Context(), "junk", engine.HistoryFilter{Limit: -1}); err == nil {
		t.Errorf("junk in a stream is read as %+v", pubs)
	}
	server.Must("SET", "centrifugo.stream.meta.text", "x")
	if result, err := r.tryPublish("text", "x", kept); err == nil {
		t.Errorf("published to a key of another kind: %+v", result)
	}
}

// TestAppPublishes: an application may publish to channels in Redis itself, as a bare publication.
func TestAppPublishes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news[0])
	p := &codec.Publication{Data: []byte("from outside"), Offset: 7, Epoch: "forged", Delta: true, Tags: map[string]string{"a": "b"}}
	server.Must("PUBLISH", "centrifugo.client."+news[0], string(codec.AppendStoredPublication(nil, p)))
	d := r.rec.Wait(t, news[0], 1)[0]
	if got := d.Publication; string(got.Data) != "from outside" || got.Tags["a"] != "b" || got.Offset != 0 || got.Epoch != "" || got.Delta {
		t.Errorf("delivered %+v: only a frame gives positions", got)
	}
	if d.Position != (codec.StreamPosition{}) {
		t.Errorf("position %v without history", d.Position)
	}
}

// TestNoRoom: a node that has no room makes the line wait, but not for ever.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news...)
	r.rec.Refuse(true)
	for i := range 20 {
		r.publish(news[0], fmt.Sprint("refused ", i))
	}
	eventually(t, "all is dropped", func() bool { return r.Stats().Dropped == 20 })
	r.rec.Refuse(false)
	r.works("room again", news...)
}

// relay passes connections on to a server, a new one when told so: connections that are there stay where they are.
type relay struct {
	listener net.Listener

	mu    sync.Mutex
	to    string
	conns map[net.Conn]string // by where they lead
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: to, conns: make(map[net.Conn]string)}
	go r.accept()
	t.Cleanup(func() {
		l.Close()
		r.cut(func(net.Conn, string) bool { return true })
	})
	return r
}

func (r *relay) accept() {
	for {
		from, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		address := r.to
		r.conns[from] = address
		r.mu.Unlock()
		to, err := net.Dial("tcp", address)
		if err != nil {
			from.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				pair[0].Close()
				pair[1].Close()
			}()
		}
	}
}

func (r *relay) lead(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

func (r *relay) cut(which func(c net.Conn, to string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c, to := range r.conns {
		if which(c, to) {
			c.Close()
			delete(r.conns, c)
		}
	}
}

// TestLeftBehind: a server that answers although nobody publishes there any more, as after some failovers, is noticed.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	before, after := redistest.Start(t), redistest.Start(t)
	relay := newRelay(t, before.Addr)
	cfg := redisengine.Config{}.WithProbeInterval(300 * time.Millisecond)
	r := newRig(t, cfg, redislink.Config{Address: []string{relay.listener.Addr().String()}})
	r.subscribe(news...)
	r.works("before", news...)
	relay.lead(after.Addr)
	before.Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") // the connection for commands, not that for subscriptions
	r.resumed(1)
	r.works("after", news...)
	if s := before.Must("PUBSUB", "CHANNELS", "centrifugo.client.*"); s != "" {
		t.Errorf("%s are still subscribed to where nobody publishes", s)
	}
}

// TestProbed: silent connections are probed, in all forms of pub/sub, and go on to work.
func TestProbed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := redistest.Cluster(t, 2, 0)
	cfg := redisengine.Config{}.WithProbeInterval(200 * time.Millisecond)
	sharded := cfg
	sharded.ShardedPubSubPartitions = 8
	rigs := []*rig{
		newRig(t, cfg, single(server)),
		newRig(t, cfg, redislink.Config{ClusterAddress: []string{c.Addrs()}}),
		newRig(t, sharded, redislink.Config{ClusterAddress: []string{c.Addrs()}}),
	}
	for _, r := range rigs {
		r.subscribe(news...)
	}
	for _, s := range c.Servers {
		eventually(t, "probes are sent", func() bool { return calls(s, "spublish") > 2 && calls(server, "publish") > 2 })
	}
	for _, r := range rigs {
		r.works("after probes", news...)
		if n := r.Stats().Malformed; n != 0 {
			t.Errorf("%d probes are taken for junk", n)
		}
	}
}

// calls is how often a server ran a command.
func calls(s *redistest.Server, command string) (n int) {
	for line := range strings.Lines(s.Must("INFO", "commandstats")) {
		_, _ = fmt.Sscanf(line, "cmdstat_"+command+":calls=%d,", &n)
	}
	return n
}

// TestReplicaReads: history comes from replicas where they have it, and from the master what they do not.
func TestReplicaReads(t *testing.T) {
	t.Parallel()
	group := redistest.Sentinel(t)
	for _, lists := range []bool{false, true} {
		r := newRig(t, redisengine.Config{HistoryUseLists: lists, Prefix: fmt.Sprint("lists", lists)}, redislink.Config{
			SentinelAddress: []string{group.Addrs()}, SentinelMasterName: redistest.MasterName, ReplicaReads: true,
		})
		r.subscribe(news[0])
		first := r.publish(news[0], "a")
		master, replica := group.Servers[0], group.Servers[1]
		eventually(t, "the replica is read", func() bool {
			before, beforeMaster := calls(replica, "evalsha_ro"), calls(master, "evalsha")
			pubs, at, err := r.History(context.Background(), news[0], engine.HistoryFilter{Limit: -1, MetaTTL: time.Hour})
			return err == nil && len(pubs) == 1 && at == first.StreamPosition &&
				calls(replica, "evalsha_ro") > before && calls(master, "evalsha") == beforeMaster
		})
		_, at, err := r.History(t.Context(), "unused", engine.HistoryFilter{Limit: -1})
		if err != nil || at.Epoch == "" {
			t.Errorf("lists=%t: an unused channel has %v, %v: the master makes its epoch", lists, at, err)
		}
		if _, again, err := r.History(t.Context(), "unused", engine.HistoryFilter{Limit: -1}); err != nil || again != at {
			t.Errorf("lists=%t: then it has %v, %v", lists, again, err)
		}
		// A read keeps the position alive: when half of the time has passed, that takes the master.
		r.History(t.Context(), news[0], engine.HistoryFilter{MetaTTL: 1000 * time.Hour})
		key := fmt.Sprintf("lists%t.%s.meta.%s", lists, map[bool]string{false: "stream", true: "list"}[lists], news[0])
		if ttl, err := master.Do("TTL", key).AsInt64(); err != nil || ttl < 900*3600 {
			t.Errorf("lists=%t: the position lives for %d s, %v", lists, ttl, err)
		}
	}
}
