package redisnats_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/enginetest"
	"stentor/engine/enginetest/natstest"
	"stentor/engine/enginetest/redistest"
	"stentor/engine/natsengine"
	"stentor/engine/redisengine"
	"stentor/engine/redisengine/redislink"
	"stentor/engine/redisnats"
)

// open makes a broker over the two servers.
func open(t *testing.T, redis, nats, prefix string, n engine.Node) enginetest.Subject {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	link, err := redislink.New(redislink.Config{Address: []string{redis}}, log)
	if err != nil {
		t.Fatal(err)
	}
	store, err := redisengine.New(redisengine.Config{Prefix: prefix}, link, enginetest.NewRecorder(), log)
	if err != nil {
		t.Fatal(err)
	}
	sorter := redisnats.NewSorter(n)
	sorter.Hold = 10 * time.Second // the machine may be busy, and what is missing comes
	carrier, err := natsengine.New(natsengine.Config{URL: nats, Prefix: prefix, Positions: true}, sorter, log)
	if err != nil {
		t.Fatal(err)
	}
	return enginetest.Subject{Broker: patient{redisnats.New(store, carrier, sorter)}, Bus: carrier, PlainNames: true}
}

// patient subscribes when Redis has been reached: the suite takes what is subscribed to for a sign that all is ready.
type patient struct{ *redisnats.Broker }

func (p patient) Subscribe(channel string) {
	go func() {
		for end := time.Now().Add(enginetest.Patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if _, _, err := p.History(context.Background(), "is Redis there", engine.HistoryFilter{MetaTTL: time.Minute}); err == nil {
				break
			}
		}
		p.Broker.Subscribe(channel)
	}()
}

func TestSuite(t *testing.T) {
	redis, nats := redistest.Start(t), natstest.Start(t)
	count := 0
	enginetest.Run(t, func(t *testing.T, n engine.Node) enginetest.Subject {
		count++
		prefix := fmt.Sprint("test", count)
		s := open(t, redis.Addr, nats.URL(), prefix, n)
		s.Peer = func(t *testing.T, n engine.Node) enginetest.Subject {
			return open(t, redis.Addr, nats.URL(), prefix, n)
		}
		return s
	})
}

// TestHalf: when one of the two servers is gone, publishing says so; what was kept and not carried is in history.
func TestHalf(t *testing.T) {
	redis, nats := redistest.Start(t), natstest.Start(t)
	rec := enginetest.NewRecorder()
	b := open(t, redis.Addr, nats.URL(), "test", rec).Broker
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	b.Subscribe("news")
	if err := rec.WaitSubscribed(t, "news"); err != nil {
		t.Fatal(err)
	}
	keep := engine.PublishOptions{HistorySize: 10, HistoryTTL: 1e12, HistoryMetaTTL: 1e13}
	publish := func(data string) error {
		_, err := b.Publish(ctx, "news", &codec.Publication{Data: []byte(data)}, keep)
		return err
	}
	eventually := func(what string, err func() error) {
		t.Helper()
		var last error
		for range 200 {
			if last = err(); last == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s: %v", what, last)
	}
	eventually("both are there", func() error { return publish("a") })
	rec.Wait(t, "news", 1)
	nats.Kill()
	eventually("the loss of NATS is noticed", func() error {
		if err := publish("b"); errors.Is(err, engine.ErrUnreachable) {
			return nil
		}
		return errors.New("published")
	})
	nats.Restart()
	rec.WaitResumed(t, "news", 1)
	_, top, err := b.History(ctx, "news", engine.HistoryFilter{})
	if err != nil || top.Offset < 2 {
		t.Fatalf("top %v, %v: what was kept is not there", top, err)
	}
	eventually("NATS is back", func() error { return publish("c") })
	ds := rec.Wait(t, "news", 2)
	if last := ds[len(ds)-1]; last.Position.Offset != top.Offset+1 {
		t.Errorf("delivered %v after the top %v: the gap does not show", last.Position, top)
	}
	redis.Kill()
	eventually("the loss of Redis is noticed", func() error {
		if err := publish("d"); errors.Is(err, engine.ErrUnreachable) {
			return nil
		}
		return errors.New("published")
	})
}
