package attack

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// refreshWith is a command with id 2.
func refreshWith(token string) *codec.Command {
	return &codec.Command{ID: 2, Method: codec.MethodRefresh, Refresh: codec.RefreshRequest{Token: token}}
}

// as42 is a client of user 42 that subscribes to channels.
func as42(r reporter, h *house, form codec.Form, claims jwt.MapClaims, channels ...string) *client {
	r.Helper()
	claims["sub"] = "42"
	c := upgraded(r, h, form)
	c.token = sign(r, claims)
	c.join(channels...)
	return c
}

// TestForeignTokens is the first part of group 21: what a client may bring to stay longer, and what throws it out.
func TestForeignTokens(t *testing.T) {
	s := attack(t, guarded(t, func(*config.Config) {}))
	type claims = jwt.MapClaims
	past, soon, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Hour).Unix(), time.Now().Add(2*time.Hour).Unix()
	refresh := func(c claims) *codec.Command { return refreshWith(sign(t, c)) }
	subRefresh := func(channel, token string) *codec.Command {
		return &codec.Command{ID: 2, Method: codec.MethodSubRefresh, SubRefresh: codec.SubRefreshRequest{Channel: channel, Token: token}}
	}
	for _, test := range []struct {
		name string
		cmd  *codec.Command
		code uint32
	}{
		{"its own", refresh(claims{"sub": "42", "exp": soon}), 0},
		{"without an end", refresh(claims{"sub": "42"}), 0},
		{"expire_at of 0", refresh(claims{"sub": "42", "exp": soon, "expire_at": 0}), 0},
		{"expire_at of -2^63", refresh(claims{"sub": "42", "exp": soon, "expire_at": -1 << 63}), 0},
		{"exp beyond all clocks", refresh(claims{"sub": "42", "exp": 1e300}), 0},
		{"expire_at of 2^63-1", refresh(claims{"sub": "42", "expire_at": 1<<63 - 1}), 0},
		{"of another user", refresh(claims{"sub": "7", "exp": soon}), 3500},
		{"of nobody", refresh(claims{"exp": soon}), 3500},
		{"of a longer user", refresh(claims{"sub": "42 "}), 3500},
		{"of another user, and expired", refresh(claims{"sub": "7", "exp": past}), 3005}, // the first that is wrong
		{"for a channel", refresh(claims{"sub": "42", "channel": "x"}), 3500},
		{"expired", refresh(claims{"sub": "42", "exp": past}), 3005},
		{"not yet valid", refresh(claims{"sub": "42", "nbf": future}), 3005},
		{"expire_at in the past", refresh(claims{"sub": "42", "exp": soon, "expire_at": past}), 3005},
		{"with other channels", refresh(claims{"sub": "42", "channels": []string{"y"}}), 3010},
		{"with an unknown channel", refresh(claims{"sub": "42", "channels": []string{"no:y"}}), 102},
		{"of another secret", refreshWith(sign(t, claims{"sub": "42"}) + "A"), 3500},
		{"none", refreshWith(""), 3501},
		{"nonsense", refreshWith("a.b.c"), 3500},

		{"sub/its own", subRefresh("x", sign(t, claims{"sub": "42", "channel": "x", "exp": soon})), 0},
		{"sub/for this client only", subRefresh("x", sign(t, claims{"sub": "42", "channel": "x", "client": "00000000-0000-4000-8000-000000000000"})), 3500},
		{"sub/of another user", subRefresh("x", sign(t, claims{"sub": "7", "channel": "x"})), 3500},
		{"sub/of nobody", subRefresh("x", sign(t, claims{"channel": "x"})), 3500},
		{"sub/for another channel", subRefresh("x", sign(t, claims{"sub": "42", "channel": "y"})), 3500},
		{"sub/for no channel", subRefresh("x", sign(t, claims{"sub": "42"})), 3500},
		{"sub/expired", subRefresh("x", sign(t, claims{"sub": "42", "channel": "x", "exp": past})), 109}, // see docs/protocol.md
		{"sub/expire_at in the past", subRefresh("x", sign(t, claims{"sub": "42", "channel": "x", "exp": soon, "expire_at": past})), 110},
		{"sub/nonsense", subRefresh("x", "a.b.c"), 3500},
		{"sub/no token", subRefresh("x", ""), 107},
		{"sub/of a channel that it is not on", subRefresh("y", sign(t, claims{"sub": "42", "channel": "y"})), 103},
		{"sub/no channel", subRefresh("", sign(t, claims{"sub": "42", "channel": "x"})), 3501},
	} {
		for form := range codec.Form(codec.NumForms) {
			s.row(form.String()+"/"+test.name, func(t *testing.T) {
				c := as42(t, s.house, form, claims{"exp": soon}, "x")
				if code, _ := c.fate(test.cmd); code != test.code {
					t.Fatalf("answered with %d, want %d", code, test.code)
				}
				if test.code < 3000 { // it goes on as before
					if err := s.publish("x", "1"); err != nil {
						t.Fatal(err)
					}
					c.expectPush("x", "1")
					c.say(closing(1000))
					c.expectClose(1000, "")
				}
			})
		}
	}
}

// TestRefreshStorm is the second part of group 21: a client that refreshes all the time, with a new token each time and then with one
// and the same.
func TestRefreshStorm(t *testing.T) {
	const frames, each = 10, 300
	s := attack(t, guarded(t, func(*config.Config) {}))
	end := time.Now().Add(time.Hour).Unix()
	for form := range codec.Form(codec.NumForms) {
		for _, fresh := range []bool{true, false} {
			s.row(fmt.Sprintf("%v/new tokens: %v", form, fresh), func(t *testing.T) {
				c := as42(t, s.house, form, jwt.MapClaims{"exp": end})
				token := sign(t, jwt.MapClaims{"sub": "42", "exp": end})
				for n := range frames {
					var all []*codec.Command
					for i := range each {
						if fresh {
							token = sign(t, jwt.MapClaims{"sub": "42", "exp": end, "jti": fmt.Sprint(n, " ", i)})
						}
						cmd := refreshWith(token)
						cmd.ID = uint32(1000 + i)
						all = append(all, cmd)
					}
					c.say(c.commands(all...))
					for next := uint32(1000); next < 1000+each; {
						for _, r := range c.replies() {
							if r.ID != next || r.Refresh == nil || !r.Refresh.Expires || r.Refresh.TTL > 3600 || r.Refresh.TTL < 3000 {
								t.Fatalf("heard %+v, want the reply to %d", r, next)
							}
							next++
						}
					}
				}
				c.say(closing(1000))
				c.expectClose(1000, "")
			})
		}
	}
}

// TestRefreshAtTheEnd is the third part of group 21: a refresh and the end of the connection meet. Either comes first; whoever got a
// reply stays, and whoever did not is told 3005.
func TestRefreshAtTheEnd(t *testing.T) {
	const grace = 200 * time.Millisecond
	s := attack(t, guarded(t, func(cfg *config.Config) { cfg.Client.ExpiredCloseDelay = config.Duration(grace) }))
	end := time.Now().Add(1500 * time.Millisecond).Truncate(time.Second)
	old, longer := sign(t, jwt.MapClaims{"sub": "42", "exp": end.Unix()}), sign(t, jwt.MapClaims{"sub": "42", "exp": end.Unix() + 3600})
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			next := longer
			if i%4 < 2 {
				next = old
			}
			at := end.Add(time.Duration(rand.Int64N(int64(2*grace))) - grace/4)
			if err := refreshAt(s.house, codec.Form(i%codec.NumForms), old, next, at, next == longer); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func refreshAt(h *house, form codec.Form, token, next string, at time.Time, lasts bool) (err error) {
	defer failed(&err)
	c := upgraded(failures{}, h, form)
	defer c.Close()
	if code, _ := c.fate(connectWith(token)); code == 109 {
		return nil // the machine is so slow that the time was over before
	} else if code != 0 {
		return fmt.Errorf("connect: %d", code)
	}
	time.Sleep(time.Until(at))
	code, reply := c.fate(refreshWith(next))
	switch {
	case code == 3005:
		return nil
	case code != 0 || !reply.Refresh.Expires:
		return fmt.Errorf("refresh: %d %+v", code, reply)
	case !lasts:
		c.untilClose(3005)
		return nil
	}
	time.Sleep(500 * time.Millisecond) // the first end is over by now
	if code, _ := c.fate(&codec.Command{ID: 9, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: "x"}}); code != 0 {
		return fmt.Errorf("after a refresh: %d", code)
	}
	return nil
}

// TestRefreshOrders is the last part of group 21: server API and client both change the end of a connection all the time. Each order is
// pushed and each command answered, and when the API says that it is over, it is.
func TestRefreshOrders(t *testing.T) {
	const rounds = 100
	s := attack(t, guarded(t, func(cfg *config.Config) { cfg.Channel.WithoutNamespace.Presence = true }))
	for form := range codec.Form(codec.NumForms) {
		for _, last := range []string{`,"expired":true`, fmt.Sprintf(`,"expire_at":%d`, time.Now().Unix()-1)} {
			s.row(form.String()+"/"+last, func(t *testing.T) {
				end := time.Now().Add(time.Hour).Unix()
				c := as42(t, s.house, form, jwt.MapClaims{"exp": end}, "x")
				ordered := make(chan error, 1)
				go func() { ordered <- s.orderRefreshes(rounds, end) }()
				token := sign(t, jwt.MapClaims{"sub": "42", "exp": end, "info": 1})
				pushes, replies := 0, 0
				for replies < rounds || pushes < 2*rounds {
					if replies < rounds {
						c.say(c.commands(refreshWith(token)))
					}
					for answered := replies; answered == replies && (replies < rounds || pushes < 2*rounds); {
						for _, r := range c.replies() {
							switch {
							case r.Refresh != nil && r.ID == 2 && r.Refresh.Expires:
								replies++
							case r.Push != nil && r.Push.Refresh != nil:
								pushes++
							default:
								t.Fatalf("heard %+v", r)
							}
						}
					}
				}
				if err := <-ordered; err != nil {
					t.Fatal(err)
				}
				c.say(c.commands(refreshWith(token)))
				s.order(t, "refresh", last)
				_ = c.trySay(c.commands(refreshWith(token))) // it may be thrown out by now
				c.untilClose(3005)
			})
		}
	}
}

// orderRefreshes tells user 42 by turns that it never expires and when it does.
func (s *scene) orderRefreshes(rounds int, end int64) error {
	for range rounds {
		body := fmt.Sprintf(`{"commands":[{"refresh":{"user":"42","expire_at":0}},{"refresh":{"user":"42","expire_at":%d,"info":{"n":1}}}]}`, end)
		if status, answer, err := s.call("/api/batch", body); err != nil || status != 200 || strings.Contains(answer, "error") {
			return fmt.Errorf("answered %d %s (%v)", status, answer, err)
		}
	}
	return nil
}
