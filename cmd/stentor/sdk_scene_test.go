package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/golang-jwt/jwt/v5"
)

// scenario is what an application does with an SDK against the running server, in JSON and in Protobuf. Each has a twin of its name
// in a file of scripts/e2e that has the topic's name.
type scenario struct {
	topic, name string
	run         func(*scene)
}

// scene is where a scenario plays.
type scene struct {
	*testing.T
	ordinary *process // of ordinaryServer
	special  *process // of specialServer
	keys     *tokenKeys
	binary   bool   // Protobuf
	id       string // no other scene has it
}

// playAll plays each scenario in both forms. The scenes share the servers and run beside each other, with channels and users of their own.
func playAll(t *testing.T, scenarios []scenario, set scene) {
	for _, form := range []string{"json", "protobuf"} {
		for i, one := range scenarios {
			t.Run(form+"/"+one.topic+"/"+one.name, func(t *testing.T) {
				t.Parallel()
				s := set
				s.T, s.binary, s.id = t, form == "protobuf", fmt.Sprintf("go-%s-%d", form, i)
				s.ordinary, s.special = set.ordinary.in(t), set.special.in(t)
				one.run(&s)
			})
		}
	}
}

// in is the same server, with failures that belong to t.
func (p *process) in(t *testing.T) *process {
	if p == nil {
		return nil
	}
	same := *p
	same.t = t
	return &same
}

// channel is one of a namespace that no other scene uses.
func (s *scene) channel(namespace string) string { return namespace + ":" + s.id }

// user is one that no other scene has.
func (s *scene) user(name string) string { return s.id + "-" + name }

// token signs a token for the ordinary server. claims are added; "exp" in an hour unless they say otherwise.
func (s *scene) token(user string, claims jwt.MapClaims) string {
	s.Helper()
	return s.keys.sign(s.T, jwt.SigningMethodHS256, user, claims)
}

// after is a time for a claim.
func after(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// client is one of the SDK, with the events it had.
type client struct {
	*centrifuge.Client
	s            *scene
	connecting   noted[centrifuge.ConnectingEvent]
	connected    noted[centrifuge.ConnectedEvent]
	disconnected noted[centrifuge.DisconnectedEvent]

	// Of server-side subscriptions.
	subscribed   noted[centrifuge.ServerSubscribedEvent]
	unsubscribed noted[centrifuge.ServerUnsubscribedEvent]
	published    noted[centrifuge.ServerPublicationEvent]
	joined       noted[centrifuge.ServerJoinEvent]
	left         noted[centrifuge.ServerLeaveEvent]
}

// dial starts a client that connects to url, http://host:port with a query or without.
func (s *scene) dial(url string, cfg centrifuge.Config) *client {
	s.Helper()
	cfg.MinReconnectDelay, cfg.MaxReconnectDelay = 20*time.Millisecond, 200*time.Millisecond
	cfg.ReadTimeout, cfg.HandshakeTimeout = 15*time.Second, 15*time.Second // the machine may be busy
	base, query, _ := strings.Cut(url, "?")
	url = strings.Replace(base, "http", "ws", 1) + "/connection/websocket?" + query
	c := &client{
		Client: centrifuge.NewJsonClient(url, cfg), s: s,
		connecting: events[centrifuge.ConnectingEvent](s.T), connected: events[centrifuge.ConnectedEvent](s.T),
		disconnected: events[centrifuge.DisconnectedEvent](s.T),
		subscribed:   events[centrifuge.ServerSubscribedEvent](s.T), unsubscribed: events[centrifuge.ServerUnsubscribedEvent](s.T),
		published: events[centrifuge.ServerPublicationEvent](s.T),
		joined:    events[centrifuge.ServerJoinEvent](s.T), left: events[centrifuge.ServerLeaveEvent](s.T),
	}
	if s.binary {
		c.Client = centrifuge.NewProtobufClient(url, cfg)
	}
	s.Cleanup(c.Close)
	c.OnConnecting(c.connecting.note)
	c.OnConnected(c.connected.note)
	c.OnDisconnected(c.disconnected.note)
	c.OnSubscribed(c.subscribed.note)
	c.OnUnsubscribed(c.unsubscribed.note)
	c.OnPublication(c.published.note)
	c.OnJoin(c.joined.note)
	c.OnLeave(c.left.note)
	_ = c.Connect() // a failure is an event, too
	if e := c.connecting.next("connecting"); e.Code != 0 {
		s.Errorf("connecting with %d %s", e.Code, e.Reason)
	}
	return c
}

// connect is dial for a client that will be let in. It waits for that and returns the client's id.
func (s *scene) connect(url string, cfg centrifuge.Config) (c *client, id string) {
	s.Helper()
	c = s.dial(url, cfg)
	return c, c.connected.next("connected").ClientID
}

// cut breaks the line and waits until the client has noticed.
func (c *client) cut(n *line) {
	c.s.Helper()
	n.cut()
	if e := c.connecting.next("the cut"); e.Code != 1 {
		c.s.Errorf("the cut was noticed as %d %s", e.Code, e.Reason)
	}
}

// subscription is one of the SDK, with the events it had.
type subscription struct {
	*centrifuge.Subscription
	s            *scene
	subscribing  noted[centrifuge.SubscribingEvent]
	subscribed   noted[centrifuge.SubscribedEvent]
	unsubscribed noted[centrifuge.UnsubscribedEvent]
	published    noted[centrifuge.PublicationEvent]
	joined       noted[centrifuge.JoinEvent]
	left         noted[centrifuge.LeaveEvent]
}

// subscribe starts to subscribe to a channel.
func (c *client) subscribe(channel string, cfg centrifuge.SubscriptionConfig) *subscription {
	c.s.Helper()
	cfg.MinResubscribeDelay, cfg.MaxResubscribeDelay = 20*time.Millisecond, 200*time.Millisecond
	sub, err := c.NewSubscription(channel, cfg)
	if err != nil {
		c.s.Fatal(err)
	}
	t := c.s.T
	n := &subscription{
		Subscription: sub, s: c.s,
		subscribing: events[centrifuge.SubscribingEvent](t), subscribed: events[centrifuge.SubscribedEvent](t),
		unsubscribed: events[centrifuge.UnsubscribedEvent](t), published: events[centrifuge.PublicationEvent](t),
		joined: events[centrifuge.JoinEvent](t), left: events[centrifuge.LeaveEvent](t),
	}
	sub.OnSubscribing(n.subscribing.note)
	sub.OnSubscribed(n.subscribed.note)
	sub.OnUnsubscribed(n.unsubscribed.note)
	sub.OnPublication(n.published.note)
	sub.OnJoin(n.joined.note)
	sub.OnLeave(n.left.note)
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	if e := n.subscribing.next("subscribing to " + channel); e.Code != 0 {
		t.Errorf("subscribing to %s with %d %s", channel, e.Code, e.Reason)
	}
	return n
}

// enter is subscribe for a channel that will be granted. It waits for that.
func (c *client) enter(channel string, cfg centrifuge.SubscriptionConfig) (*subscription, centrifuge.SubscribedEvent) {
	c.s.Helper()
	n := c.subscribe(channel, cfg)
	return n, n.subscribed.next("subscribed to " + channel)
}

// numbered is the data of publication n, which tells how many came before it.
func numbered(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }

// expect waits for the publication that follows, which has to be publication n at this offset.
func (n *subscription) expect(number int, offset uint64) {
	n.s.Helper()
	e := n.published.next("publication " + numbered(number))
	if string(e.Data) != numbered(number) || e.Offset != offset {
		n.s.Fatalf("publication %s at %d, want %s at %d", e.Data, e.Offset, numbered(number), offset)
	}
}

// call calls a method of the server API that has to succeed, and decodes its result into result unless that is nil.
func (p *process) call(method, body string, result any) {
	p.t.Helper()
	status, answer := p.post("/api/"+method, body)
	var reply struct {
		Error  json.RawMessage `json:"error"`
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal([]byte(answer), &reply); err != nil || status != http.StatusOK || reply.Error != nil {
		p.t.Fatalf("%s: %d %s", method, status, answer)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(reply.Result, result); err != nil {
		p.t.Fatalf("%s: %v in %s", method, err, answer)
	}
}
