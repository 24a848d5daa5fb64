package attack

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/server/config"
	"stentor/server/session"
)

const (
	largeEntries = 280 // more than a loop encodes by itself
	largeAsked   = 100 // times

	// Bytes of each entry: of replies that can wait for a client by the dozen, by one, and not at all.
	small, middling, tooLarge = 500, 2 << 10, 4 << 10
)

// largeHouse has one loop, so that whoever holds it up holds up the witness, too, and a namespace whose channels may have much in them.
func largeHouse(t *testing.T, queue int) *house {
	kept := config.ChannelOptions{HistorySize: largeEntries, HistoryTTL: config.Duration(time.Hour), AllowHistoryForClient: true,
		Presence: true, AllowPresenceForClient: true, AllowSubscribeForClient: true}
	return guarded(t, func(cfg *config.Config) {
		cfg.Reactor.Loops = 1
		cfg.WebSocket.MessageSizeLimit = 1 << 20
		cfg.Client.QueueMaxSize = queue
		cfg.Channel.Namespaces = []config.Namespace{{Name: "large", ChannelOptions: kept}}
	})
}

// fillPresence brings many clients that say much about themselves, into a channel. They leave at the end of the test.
func (s *scene) fillPresence(t *testing.T, channel string, bytes int) {
	t.Helper()
	token := sign(t, jwt.MapClaims{"sub": "crowd", "info": strings.Repeat("i", bytes)})
	for range largeEntries {
		c := dial(t, s.house)
		c.token = token
		c.upgrade(codec.Protobuf)
		c.join(channel)
	}
}

// fillHistory publishes much into a channel.
func (s *scene) fillHistory(t *testing.T, channel string, bytes int) {
	t.Helper()
	data := `"` + strings.Repeat("p", bytes) + `"`
	for range largeEntries {
		if err := s.publish(channel, data); err != nil {
			t.Fatal(err)
		}
	}
}

func presenceOf(id uint32, channel string) *codec.Command {
	return &codec.Command{ID: id, Method: codec.MethodPresence, Presence: codec.PresenceRequest{Channel: channel}}
}

func historyOf(id uint32, channel string) *codec.Command {
	return &codec.Command{ID: id, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: channel, Limit: -1}}
}

// TestLargeReplies: one client asks for the presence or the history of a large channel, many times in one message, and takes its time
// to read. If the loop made those replies by itself, nobody else on it would be served before the last one. So the longest time in which
// the witness hears nothing is compared with the time that all of them take. The machine may be busy, which is why there are attempts.
func TestLargeReplies(t *testing.T) {
	const attempts = 5
	s := attack(t, largeHouse(t, 64<<20)) // there is room for all of them
	s.fillPresence(t, "large:crowd", small)
	s.fillHistory(t, "large:pile", small)
	for form := range codec.Form(codec.NumForms) {
		for name, ask := range map[string]func(id uint32) *codec.Command{
			"presence": func(id uint32) *codec.Command { return presenceOf(id, "large:crowd") },
			"history":  func(id uint32) *codec.Command { return historyOf(id, "large:pile") },
		} {
			s.row(form.String()+"/"+name, func(t *testing.T) {
				for attempt := 1; ; attempt++ {
					silence, all := s.askMuch(t, form, name, ask)
					if silence < all/2 {
						t.Logf("the witness waited for %v at the most while %d replies were made in %v", silence, largeAsked, all)
						return
					}
					if attempt == attempts {
						t.Fatalf("the witness waited for %v while %d replies were made in %v", silence, largeAsked, all)
					}
				}
			})
		}
	}
	s.row("they ask and leave", func(t *testing.T) {
		for i := range 40 {
			c := joined(t, s.house, codec.Form(i%codec.NumForms))
			c.say(c.commands(presenceOf(9, "large:crowd"), historyOf(10, "large:pile"), presenceOf(11, "large:crowd")))
			c.reset()
		}
	})
}

// sentOf is how many messages of a frame type the server has made.
func sentOf(metrics map[string]int64, frame string) (n int64) {
	for name, value := range metrics {
		if strings.HasPrefix(name, "centrifugo_transport_messages_sent{") && strings.Contains(name, fmt.Sprintf("frame_type=%q", frame)) {
			n += value
		}
	}
	return n
}

// askMuch has a client ask, and says how long the witness waited at the most and how long it took until all replies were made.
func (s *scene) askMuch(t *testing.T, form codec.Form, frame string, ask func(id uint32) *codec.Command) (silence, all time.Duration) {
	t.Helper()
	m, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	before := sentOf(m, frame)
	c := joined(t, s.house, form)
	var commands []*codec.Command
	for id := range uint32(largeAsked) {
		commands = append(commands, ask(100+id))
	}
	done, longest := make(chan struct{}), make(chan time.Duration, 1)
	go func() { longest <- s.listenUntil(done) }()
	start := time.Now()
	c.say(c.commands(commands...))
	if err := s.await("all replies are made", func(m map[string]int64) bool { return sentOf(m, frame) == before+largeAsked }); err != nil {
		t.Error(err)
	}
	all = time.Since(start)
	close(done)
	for id := range uint32(3) {
		c.expectLarge(100 + id)
	}
	c.reset()
	return <-longest, all
}

// listenUntil has the witness hear publications until done, and returns the longest time that one took. It stops at what goes wrong,
// which the next check will report.
func (s *scene) listenUntil(done <-chan struct{}) (longest time.Duration) {
	for {
		select {
		case <-done:
			return longest
		default:
		}
		start := time.Now()
		if s.w.check() != nil {
			return longest
		}
		longest = max(longest, time.Since(start))
	}
}

// expectLarge reads the reply to a command, with all that there is.
func (c *client) expectLarge(id uint32) {
	c.r.Helper()
	all := c.replies()
	if len(all) != 1 || all[0].ID != id || all[0].Error != nil {
		c.r.Fatalf("heard %d replies, the first with id %d and error %v, want the reply to %d", len(all), all[0].ID, all[0].Error, id)
	}
	entries := 0
	if all[0].History != nil {
		entries = len(all[0].History.Publications)
	} else if all[0].Presence != nil {
		entries = len(all[0].Presence.Presence)
	}
	if entries != largeEntries {
		c.r.Fatalf("%d entries in the reply to %d, want %d", entries, id, largeEntries)
	}
}

// TestTooLargeReplies: what would not fit into the queue of a client is refused, and the client goes on. What fits, but is not read, ends
// it.
func TestTooLargeReplies(t *testing.T) {
	s := attack(t, largeHouse(t, config.Default().Client.QueueMaxSize))
	s.fillHistory(t, "large:middling", middling)
	s.fillPresence(t, "large:crowd", tooLarge)
	s.fillHistory(t, "large:pile", tooLarge)
	for form := range codec.Form(codec.NumForms) {
		s.row(form.String(), func(t *testing.T) {
			c := joined(t, s.house, form)
			for range 5 {
				for _, cmd := range []*codec.Command{presenceOf(9, "large:crowd"), historyOf(9, "large:pile")} {
					if code, _ := c.fate(cmd); code != 106 {
						t.Fatalf("%v answered with %d, want 106", cmd.Method, code)
					}
				}
			}
			c.say(closing(1000))
			c.expectClose(1000, "")
		})
	}
	s.row("nobody reads them", func(t *testing.T) {
		c := dialWith(t, s.house, &narrow)
		c.upgrade(codec.JSON)
		c.join()
		var all []*codec.Command
		for id := range uint32(largeAsked) {
			all = append(all, historyOf(100+id, "large:middling"))
		}
		c.say(c.commands(all...))
		if err := s.await("the client is gone", func(m map[string]int64) bool {
			if waits, most := m["stentor_queued_bytes"], int64(s.config.Client.QueueMaxSize+256<<10); waits > most {
				t.Errorf("%d bytes wait for a client that does not read, want %d at the most", waits, most)
			}
			return m["centrifugo_node_num_clients"] == largeEntries+1
		}); err != nil {
			t.Error(err)
		}
	})
}

// TestCommandsBehindLargeReply: commands that come while a large reply is made wait, and take effect in their order. More than there is
// room for ends the client. All of it is one message, so that it does arrive meanwhile.
func TestCommandsBehindLargeReply(t *testing.T) {
	s := attack(t, largeHouse(t, config.Default().Client.QueueMaxSize))
	s.fillPresence(t, "large:crowd", 0)
	for form := range codec.Form(codec.NumForms) {
		encoder := client{r: t, form: form}
		one := len(encoder.commands(publishNumber(100))) - len(encoder.commands())
		for name, count := range map[string]int{"room for all": session.HeldBytesMax/(one+1) - 10, "one too many": session.HeldBytesMax/(one-1) + 10, "128 KiB": 128 << 10 / one} {
			s.row(form.String()+"/"+name, func(t *testing.T) {
				c := joined(t, s.house, form, "held")
				commands := []*codec.Command{presenceOf(9, "large:crowd")}
				for n := range count {
					commands = append(commands, publishNumber(100+n%800))
				}
				c.say(c.commands(commands...))
				if name != "room for all" {
					c.expectClose(3013, "too many requests")
					if err := s.publish("held", "1"); err != nil {
						t.Fatal(err)
					}
					return
				}
				c.expectLarge(9)
				c.expectNumbers(count)
				c.say(closing(1000))
				c.expectClose(1000, "")
			})
		}
		s.row(form.String()+"/the end behind it", func(t *testing.T) {
			c := joined(t, s.house, form)
			bad := &codec.Command{ID: 10, Method: codec.MethodSubscribe}
			c.say(c.commands(presenceOf(9, "large:crowd"), bad, presenceOf(11, "large:crowd")))
			c.expectLarge(9) // what came first is answered first
			c.expectClose(3501, "bad request")
		})
		s.row(form.String()+"/a close frame behind it", func(t *testing.T) {
			c := joined(t, s.house, form)
			c.say(c.commands(presenceOf(9, "large:crowd"), presenceOf(10, "large:crowd")) + closing(1000))
			for {
				op, _, err := c.hear()
				if err != nil {
					t.Fatal(err)
				}
				if op == ws.OpClose {
					break
				}
			}
			c.expectEnd()
		})
	}
}

// publishNumber publishes a number of three digits, with that number as id.
func publishNumber(n int) *codec.Command {
	return &codec.Command{ID: uint32(n), Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: "held", Data: fmt.Append(nil, n)}}
}

// expectNumbers reads as many publications of publishNumber and the replies to them: each one comes before its reply, all in order.
func (c *client) expectNumbers(count int) {
	c.r.Helper()
	number := func(i int) int { return 100 + i%800 }
	for push, reply := 0, 0; reply < count; {
		for _, r := range c.replies() {
			switch {
			case r.Push != nil && r.Push.Pub != nil && string(r.Push.Pub.Data) == fmt.Sprint(number(push)):
				push++
			case r.Push == nil && r.Error == nil && r.ID == uint32(number(reply)) && push > reply:
				reply++
			default:
				c.r.Fatalf("heard %+v behind %d publications and %d replies", r, push, reply)
			}
		}
	}
}

// TestCommandRate: with client.command_rate_limit a flood of commands is answered with error 111, as far as it is more than the bucket
// held and gained meanwhile. Pongs and other clients are not concerned.
func TestCommandRate(t *testing.T) {
	const perSecond, burst, flood, floods = 10, 40, 2000, 4
	s := attack(t, guarded(t, func(cfg *config.Config) {
		cfg.Client.CommandRateLimit, cfg.Client.CommandRateBurst = perSecond, burst
	}))
	var all sync.WaitGroup
	for i := range floods {
		all.Go(func() {
			if err := floodCommands(s.house, codec.Form(i%codec.NumForms), flood, perSecond, burst); err != nil {
				t.Error(err)
			}
		})
	}
	for range 10 {
		s.witness()
	}
	all.Wait()
}

func floodCommands(h *house, form codec.Form, flood, perSecond, burst int) (err error) {
	defer failed(&err)
	start := time.Now()
	c := joined(failures{}, h, form)
	defer c.Close()
	var commands []*codec.Command
	for id := 100; id < 100+flood; id++ {
		commands = append(commands, &codec.Command{ID: uint32(id), Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: "x"}})
	}
	taken := 1 // connect
	for len(commands) > 0 {
		n := min(len(commands), 500)
		c.say(c.commands(commands[:n]...))
		for answered := 0; answered < n; {
			for _, r := range c.replies() {
				switch {
				case r.ID != commands[answered].ID:
					return fmt.Errorf("heard %+v, want the reply to %d", r, commands[answered].ID)
				case r.Error == nil:
					taken++
				case r.Error.Code != 111 || !r.Error.Temporary:
					return r.Error
				}
				answered++
			}
		}
		commands = commands[n:]
	}
	gained := int(time.Since(start).Seconds()*float64(perSecond)) + 1
	if taken < burst || taken > burst+gained {
		return fmt.Errorf("%d commands were taken, want %d and %d more at the most", taken, burst, gained)
	}
	if code, _ := c.fate(&codec.Command{Method: codec.MethodSend}); code != 3508 {
		return fmt.Errorf("send over the limit: %d, and it has no reply", code)
	}
	return nil
}
