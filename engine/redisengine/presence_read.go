package redisengine

import (
	"context"

	"github.com/redis/rueidis"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/redisengine/redislink"
)

// pageSize is about how many clients are read at once: Redis does nothing else meanwhile, and the answers of others wait behind this one.
const pageSize = "1000"

// Presence implements engine.Presence. Of a channel that is read in several pages, each client is as it was at one moment in between.
func (p *Presence) Presence(ctx context.Context, channel string) (map[string]*codec.ClientInfo, error) {
	var all map[string]*codec.ClientInfo
	err := p.read(channel, func(s *redislink.Shard, client rueidis.Client, n names, most string) error {
		all = nil
		return p.pages(ctx, client, n, channel, most, func(entries []string) {
			if all == nil { // most often it is the only page
				all = make(map[string]*codec.ClientInfo, len(entries)/2)
			}
			p.decodePage(s, channel, all, entries)
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// PresenceStats implements engine.Presence. Without user mapping it has to look at every client.
func (p *Presence) PresenceStats(ctx context.Context, channel string) (stats engine.PresenceStats, err error) {
	err = p.read(channel, func(s *redislink.Shard, client rueidis.Client, n names, most string) (err error) {
		if p.cfg.UserMapping {
			stats, err = p.counted(ctx, client, n, channel, most)
			return err
		}
		clients, users := make(map[string]struct{}), make(map[string]struct{})
		var info codec.ClientInfo
		err = p.pages(ctx, client, n, channel, most, func(entries []string) {
			for i := 0; i+1 < len(entries); i += 2 {
				if codec.DecodeStoredClientInfo(bytesOf(entries[i+1]), &info) == nil {
					clients[entries[i]] = struct{}{}
					users[info.User] = struct{}{}
				}
			}
		})
		stats = engine.PresenceStats{Clients: len(clients), Users: len(users)}
		return err
	})
	return stats, err
}

// read has fn read from a replica if it may, and from the master if that fails. most is how many entries that are gone fn may have removed.
func (p *Presence) read(channel string, fn func(s *redislink.Shard, client rueidis.Client, n names, most string) error) error {
	s, client, n, err := p.ready(channel)
	if err != nil {
		return err
	}
	if reader, err := s.Reader(); err == nil && reader != client && fn(s, reader, n, cleanNone) == nil {
		return nil
	}
	return p.failed("read the presence of", channel, s, fn(s, client, n, cleanMax))
}

// pages reads clients and infos by turns, page after page. A client may come twice.
func (p *Presence) pages(ctx context.Context, client rueidis.Client, n names, channel, most string, take func(entries []string)) error {
	for cursor := uint64(0); ; {
		c := newCall()
		c.channelKeys(n, channel, p.clients)
		c.number(cursor)
		c.arg(pageSize)
		c.arg(most)
		answer := p.scripts.page.run(ctx, client, n, c)
		page, err := answer.AsScanEntry()
		c.done(answer)
		if err != nil {
			return err
		}
		take(page.Elements)
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}

// decodePage adds what a page says to all. An entry that nobody understands is left out.
func (p *Presence) decodePage(s *redislink.Shard, channel string, all map[string]*codec.ClientInfo, entries []string) {
	infos := make([]codec.ClientInfo, len(entries)/2)
	for i := range infos {
		id, info := entries[2*i], &infos[i]
		if err := codec.DecodeStoredClientInfo(bytesOf(entries[2*i+1]), info); err != nil {
			if p.broken.due() {
				p.log.Warn("an entry of presence cannot be read", "redis", s.Name(), "channel", channel, "client", id, "error", err)
			}
			continue
		}
		info.Client = id
		all[id] = info
	}
}

// counted asks for the numbers that user mapping keeps.
func (p *Presence) counted(ctx context.Context, client rueidis.Client, n names, channel, most string) (engine.PresenceStats, error) {
	c := newCall()
	c.channelKeys(n, channel, p.all)
	c.arg(most)
	answer := p.scripts.stats.run(ctx, client, n, c)
	defer c.done(answer)
	numbers, err := answer.AsIntSlice()
	if err != nil {
		return engine.PresenceStats{}, err
	}
	if len(numbers) != 2 {
		return engine.PresenceStats{}, errAnswer
	}
	return engine.PresenceStats{Clients: int(numbers[0]), Users: int(numbers[1])}, nil
}
