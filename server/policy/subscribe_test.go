package policy

import (
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
)

func TestSubscribe(t *testing.T) {
	type claims = jwt.MapClaims
	type request = codec.SubscribeRequest
	n := now.Unix()
	insecure := true
	long := strings.Repeat("x", 300)
	filter := &codec.FilterNode{Key: "a", Cmp: "eq", Val: "b"}
	mine := claims{"sub": "42", "channel": "shut:x"}
	tests := []struct {
		name     string
		client   Client
		req      request
		claims   claims // of the token, if not nil
		insecure bool
		err      error
	}{
		{"1: empty", user, request{}, nil, insecure, codec.DisconnectBadRequest},
		{"1: empty before 2", user, request{Type: 4}, nil, insecure, codec.DisconnectBadRequest},

		{"2: shared poll on a stream", user, request{Channel: "open:x", Type: 4}, nil, insecure, codec.ErrorNotAvailable},
		{"2: shared poll on an unknown namespace", user, request{Channel: "no:x", Type: 4}, nil, insecure, codec.ErrorNotAvailable},
		{"2: shared poll on its kind", user, request{Channel: "poll:x", Type: 4}, nil, insecure, codec.ErrorNotAvailable},
		{"2: stream on a shared poll", user, request{Channel: "poll:x"}, nil, insecure, codec.ErrorBadRequest},
		{"2: map on a shared poll", user, request{Channel: "poll:x", Type: 1}, nil, insecure, codec.ErrorBadRequest},
		{"2: before 3", user, request{Channel: "poll:x", Delta: "x"}, nil, insecure, codec.ErrorBadRequest},
		{"2: before 4", user, request{Channel: "open:" + long, Type: 4}, nil, insecure, codec.ErrorNotAvailable},

		{"3: unknown delta", user, request{Channel: "open:x", Delta: "xdelta"}, nil, insecure, codec.DisconnectBadRequest},
		{"3: delta is case-sensitive", user, request{Channel: "open:x", Delta: "Fossil"}, nil, insecure, codec.DisconnectBadRequest},
		{"3: fossil where it is not allowed", user, request{Channel: "open:x", Delta: "fossil"}, nil, false, nil},
		{"3: before 4", user, request{Channel: long, Delta: "x"}, nil, insecure, codec.DisconnectBadRequest},
		{"3: before 7", user, request{Channel: "no:x", Delta: "x"}, nil, insecure, codec.DisconnectBadRequest},

		{"4: length", user, request{Channel: "open:" + long}, nil, insecure, codec.ErrorBadRequest},
		{"4: before 7", user, request{Channel: "no:" + long}, nil, insecure, codec.ErrorBadRequest},

		{"7: unknown namespace", user, request{Channel: "no:x"}, nil, insecure, codec.ErrorUnknownChannel},
		{"7: before 8", user, request{Channel: "no:\n"}, nil, insecure, codec.ErrorUnknownChannel},
		{"7: before 9", user, request{Channel: "no:x", Type: 1}, nil, insecure, codec.ErrorUnknownChannel},
		{"7: before 10", user, request{Channel: "$no:x"}, nil, insecure, codec.ErrorUnknownChannel},
		{"7: before 11", user, request{Channel: "no:x"}, claims{"exp": 1, "channel": "x"}, insecure, codec.ErrorUnknownChannel},

		{"8: control character", user, request{Channel: "open:\n"}, nil, insecure, codec.ErrorBadRequest},
		{"8: NUL", user, request{Channel: "open:\x00"}, nil, insecure, codec.ErrorBadRequest},
		{"8: not ASCII", user, request{Channel: "open:é"}, nil, insecure, codec.ErrorBadRequest},
		{"8: against the regex", user, request{Channel: "regex:x"}, nil, insecure, codec.ErrorBadRequest},
		{"8: by the regex", user, request{Channel: "regex:1"}, nil, false, nil},
		{"8: before 9", user, request{Channel: "open:\n", Type: 1}, nil, insecure, codec.ErrorBadRequest},
		{"8: before 10", user, request{Channel: "$open:\n"}, nil, insecure, codec.ErrorBadRequest},
		{"8: before 11", user, request{Channel: "regex:x"}, claims{"sub": "42", "channel": "regex:x"}, insecure, codec.ErrorBadRequest},

		{"9: map on a stream", user, request{Channel: "open:x", Type: 1}, nil, insecure, codec.ErrorPermissionDenied},
		{"9: stream on a map", user, request{Channel: "map:x"}, nil, insecure, codec.ErrorPermissionDenied},
		{"9: other map", user, request{Channel: "map:x", Type: 2}, nil, insecure, codec.ErrorPermissionDenied},
		{"9: map on a map is not built", user, request{Channel: "map:x", Type: 1}, nil, insecure, codec.ErrorNotAvailable},
		{"9: unknown type", user, request{Channel: "open:x", Type: 5}, nil, insecure, codec.ErrorPermissionDenied},
		{"9: negative type", user, request{Channel: "open:x", Type: -1}, nil, insecure, codec.ErrorPermissionDenied},
		{"9: type beyond a byte", user, request{Channel: "open:x", Type: 256}, nil, insecure, codec.ErrorPermissionDenied},
		{"9: before 11", user, request{Channel: "open:x", Type: 1}, claims{"exp": 1, "channel": "open:x"}, insecure, codec.ErrorPermissionDenied},

		{"10: private without token", user, request{Channel: "$open:x"}, nil, false, codec.ErrorPermissionDenied},
		{"10: private without token, insecure", user, request{Channel: "$open:x"}, nil, insecure, codec.ErrorPermissionDenied},
		{"10: private before 12", user, request{Channel: "$user:#42"}, nil, false, codec.ErrorPermissionDenied},
		{"10: private before 13", user, request{Channel: "$proxy:x"}, nil, false, codec.ErrorPermissionDenied},
		{"10: private with token", user, request{Channel: "$shut:x"}, claims{"sub": "42", "channel": "$shut:x"}, false, nil},

		{"11: token", user, request{Channel: "shut:x"}, mine, false, nil},
		{"11: token of an anonymous user", anon, request{Channel: "shut:x"}, claims{"channel": "shut:x"}, false, nil},
		{"11: expired", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "exp": n}, insecure, codec.ErrorTokenExpired},
		{"11: not yet", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "nbf": n + 1}, insecure, codec.ErrorTokenExpired},
		{"11: expired and for another channel", user, request{Channel: "open:x"}, claims{"sub": "7", "channel": "y", "exp": n}, insecure, codec.ErrorTokenExpired},
		{"11: garbage, although allowed without", user, request{Channel: "open:x", Token: "x"}, nil, insecure, codec.ErrorPermissionDenied},
		{"11: connection token", user, request{Channel: "open:x"}, claims{"sub": "42"}, insecure, codec.ErrorPermissionDenied},
		{"11: bad claim", user, request{Channel: "open:x"}, claims{"sub": 42, "channel": "open:x"}, insecure, codec.ErrorPermissionDenied},
		{"11: other channel", user, request{Channel: "shut:y"}, mine, insecure, codec.DisconnectInvalidToken},
		{"11: other channel, unknown namespace", user, request{Channel: "shut:x"}, claims{"sub": "42", "channel": "no:x"}, insecure, codec.DisconnectInvalidToken},
		{"11: other user", Client{User: "7"}, request{Channel: "shut:x"}, mine, insecure, codec.DisconnectInvalidToken},
		{"11: user's token, anonymous", anon, request{Channel: "shut:x"}, mine, insecure, codec.DisconnectInvalidToken},
		{"11: anonymous token, user", user, request{Channel: "shut:x"}, claims{"channel": "shut:x"}, insecure, codec.DisconnectInvalidToken},
		{"11: own client", user, request{Channel: "shut:x"}, claims{"sub": "42", "channel": "shut:x", "client": clientID}, false, nil},
		{"11: other client", user, request{Channel: "shut:x"}, claims{"sub": "42", "channel": "shut:x", "client": strings.Replace(clientID, "0", "1", 1)}, insecure, codec.DisconnectInvalidToken},
		{"11: before 12", user, request{Channel: "user:#42", Token: "x"}, nil, false, codec.ErrorPermissionDenied},
		{"11: token for a user-limited channel of others", user, request{Channel: "user:#7"}, claims{"sub": "42", "channel": "user:#7"}, false, nil},
		{"11: token before proxy", user, request{Channel: "proxy:x"}, claims{"sub": "42", "channel": "proxy:x"}, false, nil},

		{"12: listed", user, request{Channel: "user:#1,42"}, nil, false, nil},
		{"12: not listed, although subscribing is allowed", user, request{Channel: "user:#1"}, nil, false, codec.ErrorPermissionDenied},
		{"12: not listed, anonymous", anon, request{Channel: "user:#1"}, nil, false, codec.ErrorPermissionDenied},
		{"12: nobody listed, anonymous", anon, request{Channel: "user:#"}, nil, false, codec.ErrorPermissionDenied},
		{"12: not listed, insecure", user, request{Channel: "user:#1"}, nil, insecure, nil},
		{"12: no list", user, request{Channel: "user:x"}, nil, false, nil},
		{"12: lists mean nothing here", user, request{Channel: "open:#1"}, nil, false, nil},
		{"12: lists mean nothing here, either way", user, request{Channel: "shut:#42"}, nil, false, codec.ErrorPermissionDenied},
		{"12: listed before proxy", user, request{Channel: "userproxy:#42"}, nil, false, nil},
		{"12: not listed, proxy not asked", user, request{Channel: "userproxy:#1"}, nil, false, codec.ErrorPermissionDenied},

		{"13: proxy", user, request{Channel: "proxy:x"}, nil, false, codec.ErrorNotAvailable},
		{"13: proxy before insecure", user, request{Channel: "proxy:x"}, nil, insecure, codec.ErrorNotAvailable},
		{"14: stream proxy", user, request{Channel: "stream:x"}, nil, insecure, codec.ErrorNotAvailable},

		{"15: client", user, request{Channel: "open:x"}, nil, false, nil},
		{"15: anonymous", anon, request{Channel: "open:x"}, nil, false, codec.ErrorPermissionDenied},
		{"15: anonymous allowed", anon, request{Channel: "anon:x"}, nil, false, nil},
		{"16: insecure", anon, request{Channel: "shut:x"}, nil, insecure, nil},
		{"17: nothing", user, request{Channel: "shut:x"}, nil, false, codec.ErrorPermissionDenied},
		{"17: without namespace", user, request{Channel: "news"}, nil, false, codec.ErrorPermissionDenied},
		{"17: before 18", user, request{Channel: "shut:x", TF: filter}, nil, false, codec.ErrorPermissionDenied},

		{"18: filter not allowed", user, request{Channel: "open:x", TF: filter}, nil, insecure, codec.ErrorBadRequest},
		{"18: filter", user, request{Channel: "tags:x", TF: filter}, nil, insecure, nil},
		{"18: filter malformed", user, request{Channel: "tags:x", TF: &codec.FilterNode{Key: "a", Cmp: "eq"}}, nil, insecure, codec.ErrorBadRequest},
		{"18: before 19", user, request{Channel: "open:x", TF: filter}, claims{"sub": "42", "channel": "open:x", "expire_at": n}, false, codec.ErrorBadRequest},

		{"19: expire_at is over", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "exp": n + 9, "expire_at": n}, false, codec.ErrorExpired},
		{"19: expire_at is over, insecure", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "expire_at": n - 1}, insecure, codec.ErrorExpired},
		{"19: expire_at off", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "exp": n + 9, "expire_at": 0}, false, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Client.Insecure = test.insecure
			if test.claims != nil {
				test.req.Token = token(t, test.claims)
			}
			got, err := newPolicy(t, cfg, nil).Subscribe(test.client, &test.req, now)
			if err != test.err {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err != nil && !reflect.DeepEqual(got, Subscription{}) {
				t.Errorf("a subscription beside an error: %+v", got)
			}
			if err == nil && got.Options == nil {
				t.Error("no options")
			}
		})
	}
}

// A session asks for rows 1 to 4 before it looks at its own subscriptions.
func TestPrecheck(t *testing.T) {
	p := newPolicy(t, testConfig(), nil)
	for _, test := range []struct {
		req codec.SubscribeRequest
		err error
	}{
		{codec.SubscribeRequest{}, codec.DisconnectBadRequest},
		{codec.SubscribeRequest{Channel: "open:x", Type: 4}, codec.ErrorNotAvailable},
		{codec.SubscribeRequest{Channel: "poll:x"}, codec.ErrorBadRequest},
		{codec.SubscribeRequest{Channel: "open:x", Delta: "x"}, codec.DisconnectBadRequest},
		{codec.SubscribeRequest{Channel: strings.Repeat("x", 256)}, codec.ErrorBadRequest},
		{codec.SubscribeRequest{Channel: "no:x"}, nil},
		{codec.SubscribeRequest{Channel: "shut:\n", Type: 1}, nil},
		{codec.SubscribeRequest{Channel: "open:x", Delta: "fossil"}, nil},
	} {
		if err := p.Precheck(user, &test.req); err != test.err {
			t.Errorf("%+v: %v, want %v", test.req, err, test.err)
		}
	}
}

func TestSubscriptionOptions(t *testing.T) {
	type claims = jwt.MapClaims
	type request = codec.SubscribeRequest
	on, off := claims{"value": true}, claims{"value": false}
	n := now.Unix()
	tests := []struct {
		name     string
		client   Client
		req      request
		claims   claims
		insecure bool
		want     Subscription
	}{
		{"plain", user, request{Channel: "open:x"}, nil, false, Subscription{}},
		{"asks in vain", user, request{Channel: "open:x", Positioned: true, Recoverable: true, JoinLeave: true}, nil, false, Subscription{}},
		{"asks, insecure", user, request{Channel: "open:x", Positioned: true, Recoverable: true, JoinLeave: true}, nil, true,
			Subscription{Positioned: true, Recoverable: true}},
		{"positioned", user, request{Channel: "ask:x", Positioned: true}, nil, false, Subscription{Positioned: true, JoinLeave: true}},
		{"recoverable implies positioned", user, request{Channel: "ask:x", Recoverable: true}, nil, false,
			Subscription{Positioned: true, Recoverable: true, JoinLeave: true}},
		{"asks for nothing", user, request{Channel: "ask:x"}, nil, false, Subscription{JoinLeave: true}},
		{"joins of others", user, request{Channel: "ask:x", JoinLeave: true}, nil, false, Subscription{JoinLeave: true, PushJoinLeave: true}},
		{"recover without asking to be recoverable", user, request{Channel: "ask:x", Recover: true, Offset: 3}, nil, false, Subscription{JoinLeave: true}},
		{"history right of a subscriber to be", user, request{Channel: "hist:x", Positioned: true}, nil, false, Subscription{Positioned: true}},
		{"history right, recoverable", user, request{Channel: "hist:x", Recoverable: true}, nil, false, Subscription{Positioned: true, Recoverable: true}},
		{"forced", user, request{Channel: "force:x"}, nil, false,
			Subscription{Positioned: true, Presence: true, JoinLeave: true, PushJoinLeave: true}},
		{"forced recovery", user, request{Channel: "recover:x"}, nil, false, Subscription{Positioned: true, Recoverable: true}},

		{"token", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "exp": n + 9, "info": 1, "data": 2}, false,
			Subscription{Info: []byte("1"), Data: []byte("2"), ExpireAt: n + 9}},
		{"token turns on", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "override": claims{
			"presence": on, "join_leave": on, "force_push_join_leave": on, "force_positioning": on}}, false,
			Subscription{Positioned: true, Presence: true, JoinLeave: true, PushJoinLeave: true}},
		{"token turns recovery on", user, request{Channel: "open:x"}, claims{"sub": "42", "channel": "open:x", "override": claims{"force_recovery": on}}, false,
			Subscription{Positioned: true, Recoverable: true}},
		{"token turns off", user, request{Channel: "force:x"}, claims{"sub": "42", "channel": "force:x", "override": claims{
			"presence": off, "join_leave": off, "force_push_join_leave": off, "force_positioning": off}}, false, Subscription{}},
		{"token leaves the rest", user, request{Channel: "force:x"}, claims{"sub": "42", "channel": "force:x", "override": claims{"presence": off}}, false,
			Subscription{Positioned: true, JoinLeave: true, PushJoinLeave: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Client.Insecure = test.insecure
			p := newPolicy(t, cfg, nil)
			if test.claims != nil {
				test.req.Token = token(t, test.claims)
			}
			got, err := p.Subscribe(test.client, &test.req, now)
			if err != nil {
				t.Fatal(err)
			}
			ch, _ := p.rules.Resolve(test.req.Channel)
			test.want.Options = ch.Options
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestSubRefresh(t *testing.T) {
	type claims = jwt.MapClaims
	p := newPolicy(t, testConfig(), nil)
	n := now.Unix()
	tests := []struct {
		name    string
		client  Client
		channel string
		token   string
		want    int64
		err     error
	}{
		{"prolonged", user, "shut:x", token(t, claims{"sub": "42", "channel": "shut:x", "exp": n + 9}), n + 9, nil},
		{"for ever", user, "shut:x", token(t, claims{"sub": "42", "channel": "shut:x"}), 0, nil},
		{"own client", user, "shut:x", token(t, claims{"sub": "42", "channel": "shut:x", "client": clientID}), 0, nil},
		{"expired", user, "shut:x", token(t, claims{"sub": "42", "channel": "shut:x", "exp": n}), 0, codec.ErrorTokenExpired},
		{"expire_at is over", user, "shut:x", token(t, claims{"sub": "42", "channel": "shut:x", "expire_at": n}), 0, codec.ErrorExpired},
		{"garbage", user, "shut:x", "x", 0, codec.DisconnectInvalidToken},
		{"connection token", user, "shut:x", token(t, claims{"sub": "42"}), 0, codec.DisconnectInvalidToken},
		{"other channel", user, "shut:x", token(t, claims{"sub": "42", "channel": "shut:y"}), 0, codec.DisconnectInvalidToken},
		{"other user", user, "shut:x", token(t, claims{"sub": "7", "channel": "shut:x"}), 0, codec.DisconnectInvalidToken},
		{"other client", Client{User: "42"}, "shut:x", token(t, claims{"sub": "42", "channel": "shut:x", "client": clientID}), 0, codec.DisconnectInvalidToken},
		{"namespace gone", user, "no:x", token(t, claims{"sub": "42", "channel": "no:x"}), 0, codec.ErrorUnknownChannel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := p.SubRefresh(test.client, test.channel, test.token, now)
			if got != test.want || err != test.err {
				t.Errorf("got %d, %v; want %d, %v", got, err, test.want, test.err)
			}
		})
	}
}
