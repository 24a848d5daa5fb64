package attack

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// TestTooManySubscriptions is the first part of group 19: a client that subscribes to whatever it can think of.
func TestTooManySubscriptions(t *testing.T) {
	s := attack(t, common)
	limit := common.config.Client.ChannelLimit
	for form, count := range map[codec.Form]int{codec.JSON: 100_000, codec.Protobuf: 20_000} {
		s.row(form.String(), func(t *testing.T) {
			c := joined(t, common, form)
			for next := 1; next <= count; {
				said := c.subscribeMany(next, count)
				for next <= said {
					next = c.expectRefusals(next, limit)
				}
			}
			if m, err := common.metrics(); err != nil || m["centrifugo_node_num_subscriptions"] != int64(limit)+2 {
				t.Errorf("%d subscriptions (%v)", m["centrifugo_node_num_subscriptions"], err)
			}
			c.say(closing(1000))
			c.expectClose(1000, "")
		})
	}
}

// subscribeMany subscribes to as many channels as fit into a message, with ids from first to count at the most, and returns the last id.
func (c *client) subscribeMany(first, count int) (last int) {
	c.r.Helper()
	var message []byte
	for last = first - 1; last < count && len(message) < 60_000; {
		last++
		cmd := subscribeTo(codec.SubscribeRequest{Channel: fmt.Sprint("many-", last)})
		cmd.ID = uint32(last)
		var err error
		if message, err = codec.AppendCommand(message, c.form, cmd); err != nil {
			c.r.Fatalf("encode: %v", err)
		}
	}
	c.say(frame(c.opCode(), true, string(message)))
	return last
}

// expectRefusals reads a message of replies from an id on, which are refusals beyond the limit, and returns the id that is next.
func (c *client) expectRefusals(next, limit int) int {
	c.r.Helper()
	for _, r := range c.replies() {
		want := uint32(0)
		if next > limit {
			want = 106
		}
		if r.ID != uint32(next) || errorCode(&r) != want {
			c.r.Fatalf("heard %+v, want the reply to %d with error %d", r, next, want)
		}
		next++
	}
	return next
}

// TestSubscribeRace is the second part of group 19: many clients enter and leave one channel all the time while others publish there.
// Between its two replies each one hears every publication once, in order, and outside of them none.
func TestSubscribeRace(t *testing.T) {
	const clients, rounds, publishers = 8, 60, 2
	s := attack(t, common)
	stop := make(chan struct{})
	var publishing, entering sync.WaitGroup
	var mu sync.Mutex // orders the numbers of publications
	number := 0
	for range publishers {
		publishing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				number++
				err := common.publish("raced", fmt.Sprint(number))
				mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range clients {
		entering.Go(func() {
			if err := enterAndLeave(codec.Form(i%codec.NumForms), rounds); err != nil {
				t.Error(err)
			}
		})
	}
	entering.Wait()
	close(stop)
	publishing.Wait()
	if err := s.await("all have left", func(m map[string]int64) bool { return m["centrifugo_node_num_subscriptions"] == 2 }); err != nil {
		t.Error(err)
	}
}

// enterAndLeave subscribes and unsubscribes in turn, in one message or in two.
func enterAndLeave(form codec.Form, rounds int) (err error) {
	defer failed(&err)
	c := joined(failures{}, common, form)
	defer c.Close()
	id := uint32(10)
	for round := range rounds {
		in := subscribeTo(codec.SubscribeRequest{Channel: "raced"})
		out := &codec.Command{ID: id + 1, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: "raced"}}
		in.ID = id
		late := round%2 == 1 // the second message follows when three publications were heard
		if late {
			c.say(c.commands(in))
		} else {
			c.say(c.commands(in, out))
		}
		if err := c.hearBetween(id, late, out); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		id += 2
	}
	return nil
}

func (c *client) hearBetween(in uint32, late bool, out *codec.Command) error {
	inside, heard, last := false, 0, 0
	for {
		for _, r := range c.replies() {
			var n int
			switch {
			case r.Error != nil:
				return r.Error
			case r.ID == in && !inside && heard == 0:
				inside = true
			case r.ID == out.ID && inside:
				return nil
			case r.Push == nil || r.Push.Pub == nil || !inside:
				return fmt.Errorf("heard %+v, inside: %v", r, inside)
			default:
				if _, err := fmt.Sscan(string(r.Push.Pub.Data), &n); err != nil {
					return err
				}
				if last > 0 && n != last+1 {
					return fmt.Errorf("heard publication %d after %d", n, last)
				}
				last = n
				if heard++; heard == 3 && late {
					c.say(c.commands(out))
				}
			}
		}
	}
}

// TestChannelNames is the third part of group 19: names that might slip through a rule. The client is user 42; channels without
// namespace and in "shut" are closed to it, except as their names say.
func TestChannelNames(t *testing.T) {
	s := attack(t, namedHouse(t))
	sub := func(channel string) string {
		return sign(t, jwt.MapClaims{"sub": "42", "channel": channel})
	}
	long := strings.Repeat("n", 255)
	for _, test := range []struct {
		channel, token string
		code           uint32
	}{
		{"open:x", "", 0},
		{"shut:x", "", 103},
		{"", "", 3501},

		{"open:" + long[5:], "", 0},
		{"open:" + long[4:], "", 107},
		{long + long, "", 107},
		{"any:" + strings.Repeat("é", 125), "", 0},
		{"any:" + strings.Repeat("é", 126), "", 107}, // bytes count, not letters

		{"shut:x#42", "", 0}, {"shut:#42", "", 0}, {"shut:x#7,42", "", 0}, {"shut:x#42,7", "", 0}, {"shut:x#7#42", "", 0}, {"shut:x##42", "", 0},
		{"shut:x#42,,", "", 0},
		{"shut:x#", "", 103}, {"shut:x#,", "", 103}, {"shut:x#4", "", 103}, {"shut:x#421", "", 103}, {"shut:x#042", "", 103}, {"shut:x# 42", "", 103},
		{"shut:x#42 ", "", 103}, {"shut:x#7, 42", "", 103}, {"shut:x#42#7", "", 103}, {"shut:x#42#", "", 103}, {"shut:#42:x", "", 103},
		{"shut:x#42;7", "", 103}, {"shut:x#7;42", "", 103}, {"shut:x%2342", "", 103}, {"shut:x#4\x002", "", 107}, {"shut:x＃42", "", 107},
		{"plain:x#42", "", 103}, {"open:x#7", "", 0}, // no meaning there

		{"$open:x", "", 103}, {"$", "", 103}, {"$$open:x", "", 102}, {"$$", "", 103}, {"$shut:x#42", "", 103}, {"$#42", "", 103},
		{"open:$x", "", 0}, {" $open:x", "", 102},
		{"$open:x", sub("$open:x"), 0},
		{"$shut:x#7", sub("$shut:x#7"), 0}, // a token is stronger than a list
		{"$open:x", sub("open:x"), 3500},
		{"open:x", sub("$open:x"), 3500},
		{"$shut:x", sub("$shut:x "), 3500},
		{"$shut:x", sub(""), 103},
		{"$shut:x", "x", 103},

		{"open:", "", 0}, {"open::x", "", 0}, {"open:x:y", "", 0}, {"open:shut:x", "", 0},
		{":open:x", "", 103}, {":", "", 103}, {"::", "", 103}, {"$:open:x", "", 103}, // without namespace, where nobody may
		{"open", "", 103}, {"openx", "", 103},
		{"Open:x", "", 102}, {"open :x", "", 102}, {"ope:x", "", 102}, {"openn:x", "", 102}, {"no:open:x", "", 102}, {"open\x00:x", "", 102},
		{"#42", "", 103}, {"#42:open", "", 102},
	} {
		for form := range codec.Form(codec.NumForms) {
			s.row(fmt.Sprintf("%v/%.40q", form, test.channel), func(t *testing.T) {
				c := upgraded(t, s.house, form)
				c.token = sign(t, jwt.MapClaims{"sub": "42"})
				c.join()
				req := codec.SubscribeRequest{Channel: test.channel, Token: test.token}
				if code, _ := c.fate(subscribeTo(req)); code != test.code {
					t.Fatalf("%q answered with %d, want %d", test.channel, code, test.code)
				}
				if test.code >= 3000 {
					return
				}
				again := uint32(105)
				if test.code != 0 {
					again = test.code
				}
				if code, _ := c.fate(subscribeTo(req)); code != again {
					t.Errorf("%q answered with %d for the second time, want %d", test.channel, code, again)
				}
				c.say(closing(1000))
				c.expectClose(1000, "")
			})
		}
	}
}

func namedHouse(t *testing.T) *house {
	h := guarded(t, func(cfg *config.Config) {
		cfg.Channel.WithoutNamespace = config.ChannelOptions{AllowSubscribeForAnonymous: true} // which means nothing alone
		cfg.Channel.Namespaces = []config.Namespace{
			{Name: "open", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true}},
			{Name: "any", ChannelOptions: config.ChannelOptions{AllowSubscribeForClient: true, ChannelRegex: "^.*$"}},
			{Name: "shut", ChannelOptions: config.ChannelOptions{AllowUserLimitedChannels: true}},
			{Name: "plain"},
		}
	})
	h.open = "open:"
	return h
}
