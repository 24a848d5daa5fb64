package redisengine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
)

// ioTimeout is short, so that tests need not wait long for what does not come.
const ioTimeout = time.Second

// rig is a broker at work and the node that it works for.
type rig struct {
	*testing.T
	*redisengine.Broker
	rec *enginetest.Recorder
}

func newRig(t *testing.T, cfg redisengine.Config, link redislink.Config) *rig {
	t.Helper()
	if link.IOTimeout == 0 {
		link.ConnectTimeout, link.IOTimeout = ioTimeout, ioTimeout
	}
	rec := enginetest.NewRecorder()
	r := &rig{T: t, Broker: node(t, cfg, link, rec), rec: rec}
	run(t, r.Broker)
	return r
}

func single(s *redistest.Server) redislink.Config { return redislink.Config{Address: []string{s.Addr}} }

// kept is how these tests publish.
var kept = engine.PublishOptions{HistorySize: 10, HistoryTTL: time.Hour, HistoryMetaTTL: 24 * time.Hour}

// subscribe subscribes until that succeeds, as clients do.
func (r *rig) subscribe(channels ...string) {
	r.Helper()
	for _, channel := range channels {
		eventually(r.T, "subscribed to "+channel, func() bool {
			r.Subscribe(channel)
			return r.rec.WaitSubscribed(r.T, channel) == nil
		})
	}
}

func (r *rig) tryPublish(channel, data string, o engine.PublishOptions) (engine.PublishResult, error) {
	return r.Publish(context.Background(), channel, &codec.Publication{Data: []byte(data)}, o)
}

// publish publishes until that succeeds, under a key that keeps it from happening twice.
func (r *rig) publish(channel, data string) (result engine.PublishResult) {
	r.Helper()
	o := kept
	o.IdempotencyKey = channel + data
	eventually(r.T, "published "+data, func() (done bool) {
		var err error
		result, err = r.tryPublish(channel, data, o)
		if err != nil && !errors.Is(err, engine.ErrUnreachable) {
			r.Fatal(err)
		}
		return err == nil
	})
	return result
}

// hears waits until data came on channel.
func (r *rig) hears(channel, data string) {
	r.Helper()
	eventually(r.T, "heard "+data, func() bool {
		for _, d := range r.rec.Of(channel) {
			if d.Publication != nil && string(d.Publication.Data) == data {
				return true
			}
		}
		return false
	})
}

// works checks that the channels deliver. What is published while a subscription is being made anew is lost, so it is published until
// something is heard.
func (r *rig) works(round string, channels ...string) {
	r.Helper()
	for _, channel := range channels {
		heard := len(r.rec.Of(channel))
		tries := 0
		eventually(r.T, channel+" delivers "+round, func() bool {
			if tries%10 == 0 {
				r.publish(channel, fmt.Sprint(round, " ", tries))
			}
			tries++
			return len(r.rec.Of(channel)) > heard
		})
	}
}

// unreachable checks that everything that can be asked is answered, with the right error.
func (r *rig) unreachable() {
	r.Helper()
	ctx := context.Background()
	_, errPublish := r.tryPublish("x", "x", kept)
	_, errPlain := r.tryPublish("x", "x", engine.PublishOptions{})
	_, _, errHistory := r.History(ctx, "x", engine.HistoryFilter{})
	r.Subscribe("x")
	for what, err := range map[string]error{
		"publish": errPublish, "publish without history": errPlain, "history": errHistory,
		"subscribe": r.rec.WaitSubscribed(r.T, "x"),
		"join":      r.PublishJoin(ctx, "x", &codec.ClientInfo{}),
		"remove":    r.RemoveHistory(ctx, "x"),
		"bus":       r.Broadcast(ctx, []byte("x")),
	} {
		if !errors.Is(err, engine.ErrUnreachable) {
			r.Errorf("%s: %v, want ErrUnreachable", what, err)
		}
	}
}

var news = []string{"news:1", "news:2", "news:3"}

// resumed waits until all news were subscribed to anew n times.
func (r *rig) resumed(n int) {
	r.Helper()
	for _, channel := range news {
		r.rec.WaitResumed(r.T, channel, n)
	}
}

// TestDownAtStart: a broker starts without its server, says so, and works when it comes.
func TestDownAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	r := newRig(t, redisengine.Config{}, single(server))
	r.unreachable()
	if s := r.Stats(); s.Shards[0].Reachable || s.Shards[0].Listening || s.Shards[0].Bus {
		t.Errorf("stats %+v of a server that is down", s)
	}
	server.Restart()
	r.subscribe(news...)
	r.works("up", news...)
	eventually(t, "the bus is connected, too", func() bool { return r.Stats().Shards[0].Bus })
	if s := r.Stats(); !s.Shards[0].Reachable || !s.Shards[0].Listening {
		t.Errorf("stats %+v of a server that is up", s)
	}
}

// TestServerKilled: subscriptions outlive their server, and a server without memory has new epochs.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news...)
	first := r.publish(news[0], "before")
	for round := 1; round <= 3; round++ {
		server.Kill()
		r.unreachable()
		server.Restart()
		r.resumed(round)
		r.works(fmt.Sprint("round ", round), news...)
	}
	_, at, err := r.History(t.Context(), news[0], engine.HistoryFilter{})
	if err != nil || at.Epoch == first.Epoch || at.Offset != 1 {
		t.Errorf("position %v, %v after all was lost in epoch %s", at, err, first.Epoch)
	}
}

// TestServerFrozen: a server that says nothing any more keeps nobody waiting, and is listened to again when it goes on.
func TestServerFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news...)
	server.Freeze()
	r.unreachable()
	eventually(t, "the connection is given up", func() bool { return !r.Stats().Shards[0].Listening })
	r.unreachable()
	server.Thaw()
	r.resumed(1)
	r.works("thawed", news...)
}

// TestUnknownOutcome: a publication that got no answer can be repeated under its key, and happens once.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news[0])
	o := kept
	o.IdempotencyKey = "once"
	server.Freeze()
	if _, err := r.tryPublish(news[0], "a", o); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("error %v, want ErrUnreachable", err)
	}
	server.Thaw() // what was sent is in its socket: now it happens
	eventually(t, "repeated", func() bool {
		result, err := r.tryPublish(news[0], "a", o)
		return err == nil && result.Offset == 1
	})
	r.publish(news[0], "b")
	pubs, _, err := r.History(t.Context(), news[0], engine.HistoryFilter{Limit: -1})
	if err != nil || len(pubs) != 2 || string(pubs[0].Data) != "a" || string(pubs[1].Data) != "b" {
		t.Errorf("history %+v, %v", pubs, err)
	}
}

// TestFlushed: without its keys a channel begins anew, and its subscription stays.
func TestFlushed(t *testing.T) {
	t.Parallel()
	for _, lists := range []bool{false, true} {
		server := redistest.Start(t)
		r := newRig(t, redisengine.Config{HistoryUseLists: lists}, single(server))
		r.subscribe(news[0])
		r.publish(news[0], "a")
		before := r.publish(news[0], "b")
		server.Must("FLUSHALL")
		server.Must("SCRIPT", "FLUSH")
		after := r.publish(news[0], "c")
		if after.Offset != 1 || after.Epoch == before.Epoch {
			t.Errorf("lists=%t: %v after %v", lists, after, before)
		}
		r.hears(news[0], "c")
	}
}

// TestMetaLost: when only the position was evicted, what is left of the old epoch is not seen in the new one.
func TestMetaLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, lists := range []bool{false, true} {
		for _, first := range []string{"read", "publish"} {
			r := newRig(t, redisengine.Config{HistoryUseLists: lists, Prefix: fmt.Sprint(first, lists)}, single(server))
			r.subscribe(news[0])
			r.publish(news[0], "a")
			r.publish(news[0], "b")
			part := map[bool]string{false: "stream", true: "list"}[lists]
			server.Must("DEL", fmt.Sprintf("%s%t.%s.meta.%s", first, lists, part, news[0]))
			want := "1:c"
			if first == "read" {
				want = ""
			} else {
				r.publish(news[0], "c")
			}
			pubs, at, err := r.History(t.Context(), news[0], engine.HistoryFilter{Limit: -1})
			got := ""
			for _, p := range pubs {
				got += fmt.Sprintf("%d:%s", p.Offset, p.Data)
			}
			if err != nil || got != want || at.Offset != uint64(len(pubs)) {
				t.Errorf("lists=%t, %s first: %q at %v, %v; want %q", lists, first, got, at, err, want)
			}
		}
	}
}

// TestConnectionKilled: Redis cuts connections that do not read fast enough; all is subscribed to anew.
func TestConnectionKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news...)
	for round := 1; round <= 5; round++ {
		server.Must("CLIENT", "KILL", "TYPE", "pubsub")
		r.resumed(round)
		r.works(fmt.Sprint("round ", round), news...)
	}
	if s := r.Stats(); s.Resubscribed < uint64(5*len(news)) {
		t.Errorf("%d resubscribed, want at least %d", s.Resubscribed, 5*len(news))
	}
}

// TestServerFull: what a full server says is told, and is no reason to try again.
func TestServerFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	r := newRig(t, redisengine.Config{}, single(server))
	eventually(t, "connected", func() bool { return r.Stats().Shards[0].Reachable })
	once := engine.PublishOptions{IdempotencyKey: "k"}
	for _, o := range []engine.PublishOptions{kept, once} {
		_, err := r.tryPublish(news[0], "a", o)
		if err == nil || errors.Is(err, engine.ErrUnreachable) || !strings.Contains(err.Error(), "OOM") || !strings.Contains(err.Error(), news[0]) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := r.tryPublish(news[0], "a", engine.PublishOptions{}); err != nil {
		t.Errorf("without history nothing is stored, yet: %v", err)
	}
	server.Must("CONFIG", "SET", "maxmemory", "0")
	for _, o := range []engine.PublishOptions{kept, once} {
		if result, err := r.tryPublish(news[0], "a", o); err != nil || result.Suppressed != "" {
			t.Errorf("%+v, %v: what was refused left a trace", result, err)
		}
	}
}

// TestStorm: many subscriptions take few commands, when they are made and when they are made anew.
func TestStorm(t *testing.T) {
	t.Parallel()
	const channels, commandsMax = 100_000, 100_000 / 256
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, redislink.Config{Address: []string{server.Addr}, IOTimeout: 10 * time.Second})
	r.subscribe("first")
	commands := func() int { return calls(server, "subscribe") }
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("storm:%d", i)
	}
	before := commands()
	for _, name := range names {
		r.Subscribe(name)
	}
	for _, name := range names {
		if err := r.rec.WaitSubscribed(t, name); err != nil {
			t.Fatal(err)
		}
	}
	if n := commands() - before; n > commandsMax {
		t.Errorf("%d commands for %d subscriptions, want at most %d", n, channels, commandsMax)
	}
	before = commands()
	server.Must("CLIENT", "KILL", "TYPE", "pubsub")
	for _, name := range names {
		r.rec.WaitResumed(t, name, 1)
	}
	if n := commands() - before; n > commandsMax {
		t.Errorf("%d commands to restore %d subscriptions, want at most %d", n, channels, commandsMax)
	}
	r.works("after", names[0], names[channels/2], names[channels-1])
	for _, name := range names {
		r.Unsubscribe(name)
	}
	eventually(t, "all is left", func() bool {
		return server.Must("PUBSUB", "CHANNELS", "centrifugo.client.storm:*") == "" && r.Stats().Subscriptions == 1
	})
}

// TestSubscribedWhileAway: what is subscribed to and left while there is no server is right when it comes back.
func TestSubscribedWhileAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news...)
	server.Kill()
	eventually(t, "the loss is noticed", func() bool { return !r.Stats().Shards[0].Listening })
	r.Unsubscribe(news[0])
	r.Unsubscribe(news[1])
	r.Subscribe(news[1])
	r.Subscribe("new")
	for _, channel := range []string{news[1], "new"} {
		if err := r.rec.WaitSubscribed(t, channel); !errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("%s: %v, want ErrUnreachable", channel, err)
		}
	}
	server.Restart()
	r.rec.WaitResumed(t, news[2], 1)
	list, err := server.Do("PUBSUB", "CHANNELS", "centrifugo.client.*").AsStrSlice()
	if err != nil || len(list) != 1 || list[0] != "centrifugo.client."+news[2] {
		t.Errorf("subscribed to %v, %v; want what was confirmed and not left", list, err)
	}
	r.subscribe(news[1], "new")
	r.works("back", news[1], news[2], "new")
}

// TestEndsWhileFrozen: the end of Run waits for no server.
func TestEndsWhileFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := newRig(t, redisengine.Config{}, single(server))
	r.subscribe(news[0])
	server.Freeze() // until it is killed, after Run has ended
}

// TestForbidden: what the server's access list does not allow is said, and hurts nothing else.
func TestForbidden(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Must("ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "resetchannels", "&centrifugo.client.news:*")
	link := single(server)
	link.User, link.Password = "limited", "secret"
	r := newRig(t, redisengine.Config{}, link)
	r.subscribe(news...)
	r.works("allowed", news...)
	r.Subscribe("forbidden")
	err := r.rec.WaitSubscribed(t, "forbidden")
	if err == nil || errors.Is(err, engine.ErrUnreachable) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("subscribed to what is forbidden: %v", err)
	}
	if _, err := r.tryPublish("forbidden", "x", engine.PublishOptions{}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("published to what is forbidden: %v", err)
	}
	o := engine.PublishOptions{IdempotencyKey: "k"}
	for range 2 {
		if result, err := r.tryPublish("forbidden", "x", o); err == nil {
			t.Errorf("published under a key to what is forbidden: %+v: what did not happen is not remembered", result)
		}
	}
	r.works("still allowed", news...)
	server.Must("CLIENT", "KILL", "TYPE", "pubsub")
	r.resumed(1)
	r.works("after a loss", news...)
}
