package redisengine

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/engine/enginetest"
	"stentor/engine/redisengine/redislink"
)

func TestNames(t *testing.T) {
	plain := names{prefix: "P"}
	tagged := names{prefix: "P", form: taggedNames}
	parted := names{prefix: "P", form: partitionedNames, partitions: 8}
	tests := []struct {
		names         names
		channel       string
		topic, stream string
	}{
		{plain, "news", "P.client.news", "P.stream.news"},
		{plain, "{a}.b", "P.client.{a}.b", "P.stream.{a}.b"},
		{plain, "", "P.client.", "P.stream."},
		{tagged, "news", "P.client.{news}", "P.stream.{news}"},
		{tagged, "{a}", "P.client.{{a}}", "P.stream.{{a}}"},
		{tagged, "a}b", "P.client.{a}b}", "P.stream.{a}b}"},
		{parted, "news", "P.client.{3}.news", "P.stream.{3}.news"},
		{parted, "{a}.b", "P.client.{0}.{a}.b", "P.stream.{0}.{a}.b"},
		{parted, "}.x", "P.client.{4}.}.x", "P.stream.{4}.}.x"},
	}
	for _, tt := range tests {
		if got := tt.names.topic(tt.channel); got != tt.topic {
			t.Errorf("topic of %q: %q, want %q", tt.channel, got, tt.topic)
		}
		if got := string(tt.names.append(nil, streamPart, tt.channel)); got != tt.stream {
			t.Errorf("stream of %q: %q, want %q", tt.channel, got, tt.stream)
		}
		if got, ok := tt.names.channel(tt.topic); !ok || got != tt.channel {
			t.Errorf("channel of %q: %q, %t; want %q", tt.topic, got, ok, tt.channel)
		}
	}
	for _, bad := range []struct {
		names names
		topic string
	}{
		{plain, "P.shard.x"}, {plain, "Q.client.x"}, {tagged, "P.client.x"}, {tagged, "P.client.{"}, {tagged, "P.client.{x"}, {parted, "P.client.x"},
	} {
		if got, ok := bad.names.channel(bad.topic); ok {
			t.Errorf("%q is taken for the topic of %q", bad.topic, got)
		}
	}
	if err := tagged.check("}a"); !errors.Is(err, codec.ErrorBadRequest) {
		t.Errorf("a channel without a slot: %v", err)
	}
	for _, n := range []names{plain, parted} {
		if err := n.check("}a"); err != nil {
			t.Errorf("form %d: %v", n.form, err)
		}
	}
}

// TestSlot: the values of the specification of Redis Cluster, and some that a server gave.
func TestSlot(t *testing.T) {
	for tag, want := range map[string]int64{"123456789": 12739, "": 0, "0": 13907, "1": 9842, "foo": 12182, "user1000": 3443} {
		if got := slot(tag); got != want {
			t.Errorf("slot of %q is %d, want %d", tag, got, want)
		}
	}
}

func TestOwner(t *testing.T) {
	ranges := []slotRange{{0, 99, "a:1"}, {200, 16383, "b:2"}}
	for slot, want := range map[int64]string{0: "a:1", 99: "a:1", 100: noOwner, 199: noOwner, 200: "b:2", 16383: "b:2"} {
		if got := owner(ranges, slot); got != want {
			t.Errorf("slot %d is of %s, want %s", slot, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	link, err := redislink.New(redislink.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		cfg  Config
		says string
	}{
		{Config{ShardedPubSubPartitions: -1}, "between 0 and 16384"},
		{Config{ShardedPubSubPartitions: 20000}, "between 0 and 16384"},
		{Config{Prefix: "a{b}"}, "neither { nor }"},
	} {
		_, err := New(bad.cfg, link, enginetest.NewRecorder(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%+v: error %v, want %q in it", bad.cfg, err, bad.says)
		}
	}
}
