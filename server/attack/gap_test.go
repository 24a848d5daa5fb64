package attack

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/codec"
	"stentor/server/config"
)

const (
	gapPublishers = 3
	gapEach       = 400 // publications of each
	gapReaders    = 6
)

// TestGaps is the last part of group 20: readers come back again and again, from where they left, while several publish at once. No
// reader may miss a publication or hear it twice, and those of one publisher stay in their order. In the namespace "cache", which
// recovers the newest only, none is missing after that one.
func TestGaps(t *testing.T) {
	kept := config.ChannelOptions{HistorySize: gapPublishers * gapEach, HistoryTTL: config.Duration(time.Hour), ForceRecovery: true}
	newest := kept
	newest.HistorySize, newest.ForceRecoveryMode = 1, "cache"
	s := attack(t, newHouse(t, func(cfg *config.Config) {
		cfg.Client.RecoveryMaxPublicationLimit = 0 // none
		cfg.Channel.Namespaces = []config.Namespace{{Name: "stream", ChannelOptions: kept}, {Name: "cache", ChannelOptions: newest}}
	}))
	for _, channel := range []string{"stream:x", "cache:x"} {
		s.row(channel, func(t *testing.T) {
			var all sync.WaitGroup
			for p := range gapPublishers {
				all.Go(func() {
					if err := publishGapless(s.house, channel, p); err != nil {
						t.Error(err)
					}
				})
			}
			for i := range gapReaders {
				all.Go(func() {
					r := gapReader{h: s.house, form: codec.Form(i % codec.NumForms), channel: channel, cache: strings.HasPrefix(channel, "cache:")}
					if err := r.run(); err != nil {
						t.Errorf("reader %d: %v", i, err)
					}
				})
			}
			all.Wait()
		})
	}
}

// publishGapless publishes "p n" for each n: the first publisher through the API, the others as clients.
func publishGapless(h *house, channel string, p int) (err error) {
	defer failed(&err)
	var c *client
	if p > 0 {
		c = joined(failures{}, h, codec.Form(p%codec.NumForms))
		defer c.Close()
	}
	for n := range gapEach {
		data := fmt.Sprintf(`"%d %d"`, p, n)
		if c == nil {
			if err := h.publish(channel, data); err != nil {
				return err
			}
			continue
		}
		if code, _ := c.fate(&codec.Command{ID: 9, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: channel, Data: []byte(data)}}); code != 0 {
			return fmt.Errorf("publish: error %d", code)
		}
	}
	return nil
}

// gapReader is a client that comes and goes.
type gapReader struct {
	h       *house
	form    codec.Form
	channel string
	cache   bool

	c     *client
	at    codec.StreamPosition
	heard [gapPublishers]int // one more than the last number of each
}

// run reads until the last publication.
func (r *gapReader) run() (err error) {
	defer failed(&err)
	for visit := 0; r.at.Offset < gapPublishers*gapEach; visit++ {
		if err := r.visit(visit); err != nil {
			return fmt.Errorf("visit %d at %d: %w", visit, r.at.Offset, err)
		}
	}
	if last := [gapPublishers]int{gapEach, gapEach, gapEach}; !r.cache && r.heard != last {
		return fmt.Errorf("heard %v of each", r.heard)
	}
	r.c.Close()
	return nil
}

// visit comes back in one of three ways, stays for some publications and leaves.
func (r *gapReader) visit(n int) error {
	req := codec.SubscribeRequest{Channel: r.channel, Recover: true, Offset: r.at.Offset, Epoch: r.at.Epoch}
	var result *codec.SubscribeResult
	if n%3 == 0 { // as a server-side subscription
		cmd := connectWith("")
		cmd.Connect.Subs = map[string]*codec.SubscribeRequest{r.channel: &req}
		r.c = upgraded(failures{}, r.h, r.form)
		code, reply := r.c.fate(cmd)
		if code != 0 {
			return fmt.Errorf("connect: error %d", code)
		}
		result = reply.Connect.Subs[r.channel]
	} else {
		if n%3 == 1 {
			r.c = joined(failures{}, r.h, r.form)
		}
		code, reply := r.c.fate(subscribeTo(req))
		if code != 0 {
			return fmt.Errorf("subscribe: error %d", code)
		}
		result = reply.Subscribe
	}
	if err := r.recovered(result); err != nil {
		return err
	}
	for stay := rand.IntN(20); stay > 0 && r.at.Offset < gapPublishers*gapEach; {
		for _, reply := range r.c.next() {
			if reply.Push == nil || reply.Push.Pub == nil || reply.Push.Channel != r.channel {
				return fmt.Errorf("heard %+v", reply)
			}
			if err := r.take(reply.Push.Pub); err != nil {
				return err
			}
			stay--
		}
	}
	return r.leave(n)
}

// recovered takes what was missed.
func (r *gapReader) recovered(result *codec.SubscribeResult) error {
	if r.at.Epoch != "" && result.Epoch != r.at.Epoch {
		return fmt.Errorf("epoch %q, want %q", result.Epoch, r.at.Epoch)
	}
	r.at.Epoch = result.Epoch
	pubs := result.Publications
	if r.cache {
		if len(pubs) > 0 {
			r.at.Offset = pubs[0].Offset - 1 // what came before it is over
		}
		r.heard = [gapPublishers]int{-1, -1, -1}
	} else if !result.Recovered {
		return fmt.Errorf("not recovered: %+v", result)
	}
	for _, p := range pubs {
		if err := r.take(p); err != nil {
			return err
		}
	}
	return nil
}

// take checks that p is the next one.
func (r *gapReader) take(p *codec.Publication) error {
	var publisher, n int
	if _, err := fmt.Sscanf(string(p.Data), `"%d %d"`, &publisher, &n); err != nil {
		return fmt.Errorf("publication %s: %w", p.Data, err)
	}
	if p.Offset != r.at.Offset+1 || n != r.heard[publisher] && r.heard[publisher] >= 0 {
		return fmt.Errorf("heard %s with offset %d, want offset %d and number %d", p.Data, p.Offset, r.at.Offset+1, r.heard[publisher])
	}
	r.at.Offset, r.heard[publisher] = p.Offset, n+1
	return nil
}

// leave goes so that the next visit can come in its way. What is on its way meanwhile counts as missed.
func (r *gapReader) leave(n int) error {
	switch n % 3 {
	case 0:
		r.c.reset()
		return nil
	case 2:
		r.c.say(closing(1000))
		r.c.Close()
		return nil
	}
	code, _ := r.c.fate(&codec.Command{ID: 3, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: r.channel}})
	if code != 0 || len(r.c.behind) > 0 {
		return fmt.Errorf("unsubscribe: error %d, and behind the reply %+v", code, r.c.behind)
	}
	return nil
}
