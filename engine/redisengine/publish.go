package redisengine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"stentor/codec"
	"stentor/engine"
)

// Publish implements engine.Broker. It sends one command, and never twice: if no answer comes, only the caller knows whether a second
// publication does harm, and can prevent that with an idempotency key.
func (b *Broker) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	s := b.shard(channel)
	client, n, err := s.ready(channel)
	if err != nil {
		return engine.PublishResult{}, err
	}
	// Offset and epoch travel in the frame, where they were given.
	p.Offset, p.Epoch, p.Version = 0, "", o.Version
	p.Delta = o.Delta && !o.HasHistory()
	c := newCall()
	from := len(c.buf)
	c.buf = codec.AppendStoredPublication(c.buf, p)
	payload := c.text(from)

	var answer rueidis.RedisResult
	switch {
	case o.HasHistory():
		b.keptCall(c, n, channel, payload, o)
		answer = b.scripts(n).publish.run(ctx, client, n, c)
	case o.IdempotencyKey != "":
		onceCall(c, n, channel, payload, o)
		answer = b.scripts(n).publishOnce.run(ctx, client, n, c)
	default:
		answer = c.publish(ctx, client, n, channel, payload)
	}
	defer c.done(answer)
	if err := answer.Error(); err != nil {
		return engine.PublishResult{}, s.failed("publish", channel, err)
	}
	b.counters.published.Add(1)
	if !o.HasHistory() && o.IdempotencyKey == "" {
		return engine.PublishResult{}, nil
	}
	text, err := answer.ToString()
	if err == nil {
		var result engine.PublishResult
		if result, err = parseResult(text); err == nil {
			return result, nil
		}
	}
	return engine.PublishResult{}, s.failed("publish", channel, err)
}

// keptCall makes the call of publish_stream.lua or publish_list.lua.
func (b *Broker) keptCall(c *call, n names, channel, payload string, o engine.PublishOptions) {
	history, meta := b.cfg.historyParts()
	c.key(n, history, channel)
	c.key(n, meta, channel)
	if o.IdempotencyKey != "" {
		c.result(n, channel, o.IdempotencyKey)
	}
	topic := c.topicKey(n, channel)
	c.arg(payload)
	c.number(uint64(o.HistorySize))
	c.milliseconds(o.HistoryTTL)
	c.milliseconds(o.HistoryMetaTTL)
	c.epoch()
	c.arg(topic)
	c.resultTTL(o)
	c.flag(o.Delta)
	if o.Version != 0 && !b.cfg.HistoryUseLists {
		c.number(o.Version)
		c.arg(o.VersionEpoch)
	}
	c.trim()
}

// onceCall makes the call of publish_once.lua.
func onceCall(c *call, n names, channel, payload string, o engine.PublishOptions) {
	c.result(n, channel, o.IdempotencyKey)
	topic := c.topicKey(n, channel)
	c.arg(payload)
	c.arg(topic)
	c.resultTTL(o)
}

func (c *call) resultTTL(o engine.PublishOptions) {
	if o.IdempotencyKey == "" {
		c.arg("")
	} else {
		c.milliseconds(engine.IdempotencyTTL)
	}
}

// topicKey is the topic of a channel, and with sharded pub/sub one of the keys. There is no such key: so while its slot moves from one
// node to another, the new one refuses the script until all subscribers have followed, instead of publishing to nobody.
func (c *call) topicKey(n names, channel string) string {
	topic := c.name(n, topicPart, channel)
	if n.form == partitionedNames {
		c.keys = append(c.keys, topic)
	}
	return topic
}

// publish publishes a payload as it is. In a cluster it goes where the scripts of the channel run: what one node publishes arrives in
// order, what two do may not.
func (c *call) publish(ctx context.Context, client rueidis.Client, n names, channel, payload string) rueidis.RedisResult {
	topic := c.name(n, topicPart, channel)
	answer := client.Do(ctx, publishCommand(client, n, topic, payload))
	if notSent(ctx, answer) {
		answer = client.Do(ctx, publishCommand(client, n, topic, payload))
	}
	return answer
}

func publishCommand(client rueidis.Client, n names, topic, payload string) rueidis.Completed {
	switch n.form {
	case partitionedNames:
		return client.B().Spublish().Channel(topic).Message(payload).Build()
	case taggedNames:
		return client.B().Publish().Channel(topic).Message(payload).Build().SetSlot(topic)
	}
	return client.B().Publish().Channel(topic).Message(payload).Build()
}

// epochDigits are what epochs consist of.
const epochDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// epochSize is the length of an epoch, in bytes.
const epochSize = 8

// epoch adds an epoch for the case that the channel has none.
func (c *call) epoch() {
	from := len(c.buf)
	const base = uint64(len(epochDigits))
	n := rand.Uint64() // 62^8 is 2^47.6, so the digits come out even to 1 in 80,000
	for range epochSize {
		c.buf = append(c.buf, epochDigits[n%base])
		n /= base
	}
	c.arg(c.text(from))
}

// errAnswer is an answer that our scripts never give.
var errAnswer = errors.New("answer of Redis not understood")

// parseResult reads what the publishing scripts answer: p, i or v, then :<offset>:<epoch>.
func parseResult(s string) (engine.PublishResult, error) {
	what, s, _ := strings.Cut(s, ":")
	offset, epoch, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(offset, 10, 64)
	if !ok || err != nil {
		return engine.PublishResult{}, errAnswer
	}
	result := engine.PublishResult{StreamPosition: codec.StreamPosition{Offset: n, Epoch: epoch}}
	switch what {
	case "p":
	case "i":
		result.Suppressed = engine.SuppressIdempotency
	case "v":
		result.Suppressed = engine.SuppressVersion
	default:
		return engine.PublishResult{}, errAnswer
	}
	return result, nil
}

// PublishJoin implements engine.Broker.
func (b *Broker) PublishJoin(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return b.tell(ctx, "publish a join", joinPrefix, channel, info)
}

// PublishLeave implements engine.Broker.
func (b *Broker) PublishLeave(ctx context.Context, channel string, info *codec.ClientInfo) error {
	return b.tell(ctx, "publish a leave", leavePrefix, channel, info)
}

func (b *Broker) tell(ctx context.Context, what, prefix, channel string, info *codec.ClientInfo) error {
	s := b.shard(channel)
	client, n, err := s.ready(channel)
	if err != nil {
		return err
	}
	c := newCall()
	from := len(c.buf)
	c.buf = codec.AppendStoredClientInfo(append(c.buf, prefix...), info)
	payload := c.text(from)
	answer := c.publish(ctx, client, n, channel, payload)
	defer c.done(answer)
	if err := answer.Error(); err != nil {
		return s.failed(what, channel, err)
	}
	b.counters.published.Add(1)
	return nil
}
