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

// order tells the server API to do something with user 42, and wants it done.
func (h *house) order(r reporter, method, fields string) {
	r.Helper()
	status, answer, err := h.call("/api/"+method, `{"user":"42"`+fields+`}`)
	if err != nil || status != 200 || strings.Contains(answer, `"error"`) {
		r.Fatalf("%s %.200s: answered %d %s (%v)", method, fields, status, answer, err)
	}
}

// TestBothSides is the last part of group 19: one channel that client and server both subscribe the client to. There is one
// subscription then, whoever came first, and each publication comes once.
func TestBothSides(t *testing.T) {
	s := attack(t, guarded(t, func(cfg *config.Config) {
		cfg.Channel.Namespaces = []config.Namespace{{Name: "shut"}}
	}))
	wanting := func(t *testing.T, form codec.Form, claims jwt.MapClaims, wants ...string) *client {
		claims["sub"] = "42"
		cmd := connectWith(sign(t, claims))
		cmd.Connect.Subs = map[string]*codec.SubscribeRequest{}
		for _, name := range wants {
			cmd.Connect.Subs[name] = new(codec.SubscribeRequest)
		}
		c := upgraded(t, s.house, form)
		if code, _ := c.fate(cmd); code != 0 {
			t.Fatalf("connect: %d", code)
		}
		return c
	}
	leave := func(channel string) *codec.Command {
		return &codec.Command{ID: 3, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: channel}}
	}
	for form := range codec.Form(codec.NumForms) {
		for _, test := range []struct {
			name    string
			claims  jwt.MapClaims
			wants   []string
			channel string
		}{
			{"in the connect command", jwt.MapClaims{}, []string{"x"}, "x"},
			{"in the token", jwt.MapClaims{"channels": []string{"x"}}, nil, "x"},
			{"twice in the token", jwt.MapClaims{"channels": []string{"x", "x"}}, nil, "x"},
			{"in both lists of the token", jwt.MapClaims{"channels": []string{"x"}, "subs": jwt.MapClaims{"x": jwt.MapClaims{}}}, nil, "x"},
			{"everywhere", jwt.MapClaims{"channels": []string{"x"}, "subs": jwt.MapClaims{"x": jwt.MapClaims{}}}, []string{"x"}, "x"},
			{"of another user", jwt.MapClaims{"channels": []string{"shut:x#7"}}, nil, "shut:x#7"}, // the server may
			{"private", jwt.MapClaims{"channels": []string{"$shut:x"}}, []string{"$shut:x"}, "$shut:x"},
		} {
			s.row(form.String()+"/"+test.name, func(t *testing.T) {
				c := wanting(t, form, test.claims, test.wants...)
				if code, _ := c.fate(subscribeTo(codec.SubscribeRequest{Channel: test.channel})); code != 105 {
					t.Errorf("subscribe answered with %d, want 105", code)
				}
				s.order(t, "subscribe", fmt.Sprintf(`,"channel":%q`, test.channel)) // nothing changes, so nothing is pushed
				if err := s.publish(test.channel, "1"); err != nil {
					t.Fatal(err)
				}
				c.expectPush(test.channel, "1")
				if code, _ := c.fate(leave(test.channel)); code != 0 {
					t.Errorf("unsubscribe answered with %d", code)
				}
				if err := s.publish(test.channel, "2"); err != nil {
					t.Fatal(err)
				}
				s.order(t, "disconnect", "")
				c.expectClose(3503, "force disconnect") // and no publication before it
			})
		}
	}
	s.row("closed to the client", func(t *testing.T) {
		c := wanting(t, codec.JSON, jwt.MapClaims{}, "shut:x", "$x", "x#7", "shut:"+strings.Repeat("x", 251), "$", "a\x00b", "")
		for _, name := range []string{"shut:x", "$x"} {
			if code, _ := c.fate(subscribeTo(codec.SubscribeRequest{Channel: name})); code != 103 {
				t.Errorf("%q: subscribe answered with %d, want 103", name, code)
			}
		}
		if m, err := s.metrics(); err != nil || m["centrifugo_node_num_subscriptions"] != 2 { // the witness's, and x#7, which means nothing here
			t.Errorf("%d subscriptions (%v)", m["centrifugo_node_num_subscriptions"], err)
		}
	})
	s.row("ordered", func(t *testing.T) {
		c := as42(t, s.house, codec.JSON, jwt.MapClaims{})
		// The API looks at the namespace, as the reference does, and sessions at the rest of the name.
		for channel, want := range map[string]int{"no:x": 102, "": 107, strings.Repeat("x", 256): 0, `a\u0000b`: 0, `\ud800`: 0, "ü": 0} {
			_, answer, err := s.call("/api/subscribe", `{"user":"42","channel":"`+channel+`"}`)
			if err != nil {
				t.Fatal(err)
			}
			if code, _, err := answerOf(answer); code != want || err != nil {
				t.Errorf("%.20q: answered %s (%v), want error %d", channel, answer, err, want)
			}
		}
		s.order(t, "subscribe", `,"channel":"shut:x"`)
		if all := c.replies(); len(all) != 1 || all[0].Push == nil || all[0].Push.Channel != "shut:x" || all[0].Push.Subscribe == nil {
			t.Errorf("heard %+v, want that it is subscribed to shut:x and to nothing else", all)
		}
	})
}

// TestBothSidesRace: the server subscribes and unsubscribes a client all the time, and the client does the same with that channel.
// What the client hears must make sense at every moment.
func TestBothSidesRace(t *testing.T) {
	const rounds = 150
	s := attack(t, guarded(t, func(*config.Config) {}))
	for form := range codec.Form(codec.NumForms) {
		s.row(form.String(), func(t *testing.T) {
			c := upgraded(t, s.house, form)
			c.token = sign(t, jwt.MapClaims{"sub": "42"})
			c.join()
			var others sync.WaitGroup
			for _, call := range []string{
				`{"subscribe":{"user":"42","channel":"both"}},{"publish":{"channel":"both","data":1}}`,
				`{"unsubscribe":{"user":"42","channel":"both"}},{"publish":{"channel":"both","data":1}}`,
			} {
				others.Go(func() {
					for range rounds {
						if status, answer, err := s.call("/api/batch", `{"commands":[`+call+`]}`); err != nil || status != 200 || strings.Contains(answer, "error") {
							t.Errorf("answered %d %s (%v)", status, answer, err)
						}
					}
				})
			}
			id, subscribed := uint32(10), false
			for range rounds {
				in := subscribeTo(codec.SubscribeRequest{Channel: "both"})
				in.ID = id
				out := &codec.Command{ID: id + 1, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: "both"}}
				c.say(c.commands(in, out))
				subscribed = c.expectSense(id, subscribed)
				id += 2
			}
			others.Wait()
			s.order(t, "disconnect", "")
			c.untilClose(3503)
			if err := s.await("it has left", func(m map[string]int64) bool { return m["centrifugo_node_num_subscriptions"] == 1 }); err != nil {
				t.Error(err)
			}
		})
	}
}

// expectSense reads up to the reply to an unsubscribe command, whose id follows that of a subscribe command, and returns whether the
// client is subscribed then.
func (c *client) expectSense(id uint32, subscribed bool) bool {
	c.r.Helper()
	for {
		all := c.replies()
		for i, r := range all {
			ok := false
			switch {
			case r.ID == id: // subscribed by now, or already
				ok = !subscribed && errorCode(&r) == 0 || subscribed && errorCode(&r) == 105
				subscribed = true
			case r.ID == id+1:
				if i != len(all)-1 {
					c.r.Fatalf("heard more behind the reply to unsubscribe in one message: %+v", all[i:])
				}
				return false
			case r.Push == nil:
			case r.Push.Subscribe != nil:
				ok, subscribed = !subscribed, true
			case r.Push.Unsubscribe != nil:
				ok, subscribed = subscribed, false
			case r.Push.Pub != nil:
				ok = subscribed
			}
			if !ok {
				c.r.Fatalf("heard %+v, and subscribed: %v", r, subscribed)
			}
		}
	}
}
