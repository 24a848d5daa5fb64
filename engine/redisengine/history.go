package redisengine

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"stentor/codec"
	"stentor/engine"
)

// UnusedTTL is how long the position of a channel without any publication yet outlives the last read, if its MetaTTL is not shorter:
// clients can read channels of any name.
const UnusedTTL = 10 * time.Minute

// History implements engine.Broker.
func (b *Broker) History(ctx context.Context, channel string, f engine.HistoryFilter) ([]*codec.Publication, codec.StreamPosition, error) {
	s := b.shard(channel)
	client, n, err := s.ready(channel)
	if err != nil {
		return nil, codec.StreamPosition{}, err
	}
	pubs, at, err := b.history(ctx, s, client, n, channel, f)
	if err != nil {
		return nil, codec.StreamPosition{}, s.failed("read the history of", channel, err)
	}
	if since := f.Since; since != nil && since.Epoch != "" && since.Epoch != at.Epoch {
		return nil, at, engine.ErrEpoch
	}
	return pubs, at, nil
}

func (b *Broker) history(
	ctx context.Context, s *shard, client rueidis.Client, n names, channel string, f engine.HistoryFilter,
) ([]*codec.Publication, codec.StreamPosition, error) {
	if reader, err := s.link.Reader(); err == nil && reader != client {
		pubs, at, err := b.read(ctx, reader, n, channel, f, true)
		if err == nil && at.Epoch != "" {
			return pubs, at, nil
		}
		// The replica cannot be asked, is too old for scripts that only read, or does not know enough.
	}
	return b.read(ctx, client, n, channel, f, false)
}

// read runs the script of history, which makes an epoch if there is none, but not on a replica.
func (b *Broker) read(
	ctx context.Context, client rueidis.Client, n names, channel string, f engine.HistoryFilter, replica bool,
) ([]*codec.Publication, codec.StreamPosition, error) {
	c := newCall()
	history, meta := b.cfg.historyParts()
	c.key(n, history, channel)
	c.key(n, meta, channel)
	if b.cfg.HistoryUseLists {
		c.flagDigit(f.Limit != 0)
	} else {
		c.selection(f)
	}
	c.milliseconds(f.MetaTTL)
	c.milliseconds(min(f.MetaTTL, UnusedTTL))
	var answer rueidis.RedisResult
	if replica {
		c.arg("")
		answer = b.scripts(n).history.runOnReplica(ctx, client, n, c)
	} else {
		c.epoch()
		answer = b.scripts(n).history.run(ctx, client, n, c)
	}
	defer c.done(answer)
	list, err := answer.ToArray()
	if err != nil {
		return nil, codec.StreamPosition{}, err
	}
	if len(list) < 2 {
		return nil, codec.StreamPosition{}, errAnswer
	}
	top, err1 := list[0].AsUint64()
	epoch, err2 := list[1].ToString()
	if err := errors.Join(err1, err2); err != nil {
		return nil, codec.StreamPosition{}, err
	}
	at := codec.StreamPosition{Offset: top, Epoch: epoch}
	if b.cfg.HistoryUseLists {
		pubs, err := selectItems(list[2:], f)
		return pubs, at, err
	}
	pubs, err := decodeEntries(list[2:], epoch)
	return pubs, at, err
}

// flagDigit adds 0 or 1.
func (c *call) flagDigit(yes bool) {
	if yes {
		c.arg("1")
	} else {
		c.arg("0")
	}
}

// selection adds start, count and direction of a read of a stream.
func (c *call) selection(f engine.HistoryFilter) {
	start, count := uint64(0), f.Limit
	switch since := f.Since; {
	case since == nil:
		if f.Reverse {
			start = math.MaxUint64
		}
	case f.Reverse:
		if since.Offset <= 1 {
			count = 0
		} else {
			start = since.Offset - 1
		}
	case since.Offset == math.MaxUint64:
		count = 0
	default:
		start = since.Offset + 1
	}
	c.number(start)
	c.arg(strconv.Itoa(max(count, -1)))
	c.flag(f.Reverse)
}

// decodeEntries reads id and payload of each entry of a stream.
func decodeEntries(list []rueidis.RedisMessage, epoch string) ([]*codec.Publication, error) {
	if len(list) == 0 {
		return nil, nil
	}
	pubs := make([]*codec.Publication, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		id, err1 := list[i].ToString()
		payload, err2 := list[i+1].ToString()
		number, _, _ := strings.Cut(id, "-")
		offset, err3 := strconv.ParseUint(number, 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		p, err := decodePublication(payload, offset)
		if err != nil {
			return nil, err
		}
		if offset == 1 {
			p.Epoch = epoch
		}
		pubs = append(pubs, p)
	}
	return pubs, nil
}

// selectItems reads the items of a list, the newest of which comes first, and takes those that are asked for.
func selectItems(list []rueidis.RedisMessage, f engine.HistoryFilter) ([]*codec.Publication, error) {
	var pubs []*codec.Publication
	if f.Limit == 0 {
		return nil, nil
	}
	if !f.Reverse {
		slices.Reverse(list)
	}
	for i := range list {
		item, err := list[i].ToString()
		if err != nil {
			return nil, err
		}
		frame, err := parseFrame(item)
		if err != nil {
			return nil, err
		}
		if since := f.Since; since != nil && (f.Reverse && frame.at.Offset >= since.Offset || !f.Reverse && frame.at.Offset <= since.Offset) {
			continue
		}
		p, err := frame.publication()
		if err != nil {
			return nil, err
		}
		if pubs = append(pubs, p); len(pubs) == f.Limit {
			break
		}
	}
	return pubs, nil
}

// RemoveHistory implements engine.Broker. The position is in another key, and stays.
func (b *Broker) RemoveHistory(ctx context.Context, channel string) error {
	s := b.shard(channel)
	client, n, err := s.ready(channel)
	if err != nil {
		return err
	}
	history, _ := b.cfg.historyParts()
	key := string(n.append(nil, history, channel))
	if err := client.Do(ctx, client.B().Unlink().Key(key).Build()).Error(); err != nil {
		return s.failed("remove the history of", channel, err)
	}
	return nil
}
