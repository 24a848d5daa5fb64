package swarm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stentor/bench/measure"
)

// Role is what the clients of a group do.
type Role string

const (
	// Subscriber connects, subscribes, answers pings and notes what it receives.
	Subscriber Role = "subscriber"
	// Receiver is a subscriber without a protocol: it expects ws frames with publications as soon as TCP is connected. It
	// stands before the bare write loop, which speaks to it without an upgrade.
	Receiver Role = "receiver"
	// Upgrader is done once it is upgraded. It stands before the bare server, which does no more.
	Upgrader Role = "upgrader"
	// Requester connects and sends requests on a schedule, one at a time.
	Requester Role = "requester"
	// Churner is a subscriber that goes and comes back at a rate, once Churn says so.
	Churner Role = "churner"
	// SlowHead sends a request head one byte at a time that never ends, and starts again when the server closes.
	SlowHead Role = "slow-head"
	// SlowFrame upgrades, then sends one ws frame likewise; over HTTP, the body of a request.
	SlowFrame Role = "slow-frame"
	// Handshaker secures conns at a rate, once Shake says so, and ends each as soon as it is secure. Until then it dials nobody.
	Handshaker Role = "handshaker"
)

// Request is what a requester asks for.
type Request string

const (
	// Subscribe asks for a subscription and, next time, for its end, and so on.
	Subscribe Request = "subscribe"
	// Unsubscribe ends a subscription that never was: the cheapest request, and one that needs no permission.
	Unsubscribe Request = "unsubscribe"
	// Publish publishes into a channel that nobody is subscribed to.
	Publish Request = "publish"
	// Ping is a ws ping frame; the reply is the pong.
	Ping Request = "ping"
	// Presence, PresenceStats and History ask about the channel.
	Presence      Request = "presence"
	PresenceStats Request = "presence_stats"
	History       Request = "history"
)

// Pipeline is what a client says before it has heard an answer.
type Pipeline string

const (
	// Nothing: each step waits for the answer to the one before, as client libraries do.
	Nothing Pipeline = "none"
	// Commands: connect and all subscribes in one ws frame, after the upgrade; over HTTP, in the first request, which is what an empty
	// Pipeline means there.
	Commands Pipeline = "commands"
	// Everything: that frame right behind the request head, in the same write.
	Everything Pipeline = "all"
)

// Limits of a swarm.
const (
	// MessageBytesMax is the longest message taken from a server.
	MessageBytesMax = 16 << 20
	// FailuresMax ends an Open early: what goes wrong that often will not get better.
	FailuresMax = 20
	// SubscriptionsMax is how many subscriptions one client may have.
	SubscriptionsMax = 200
	// ShakesMax is how many TLS handshakes a swarm has under way at the same time, each with a second descriptor; more wait for their turn.
	ShakesMax = 128

	retryAfter = time.Second // a client that comes back waits so long
)

// Group describes clients First to First+Count−1, all alike. It travels to worker processes as JSON.
type Group struct {
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	First int    `json:"first"`
	Count int    `json:"count"`

	Addr      string    `json:"addr"` // IP address and port
	Host      string    `json:"host"` // Host header
	Path      string    `json:"path"` // with query
	Origin    string    `json:"origin,omitempty"`
	Protobuf  bool      `json:"protobuf,omitempty"`
	Transport Transport `json:"transport,omitempty"` // empty: WebSocket
	Emulation string    `json:"emulation,omitempty"` // path for commands where the transport is emulated; empty: EmulationPath
	TLS       *TLS      `json:"tls,omitempty"`       // nil: plain

	Source       string        `json:"source,omitempty"` // first source address; empty: the kernel chooses
	SourceCount  int           `json:"source_count"`     // so many consecutive ones
	ConnectRate  float64       `json:"connect_rate"`     // conns per second; 0: as fast as InFlightMax allows
	InFlightMax  int           `json:"in_flight_max"`    // conns between dial and live
	Patience     time.Duration `json:"patience"`         // without any progress while opening
	Users        string        `json:"users,omitempty"`  // user id, {n} is the client's number
	TokenSecret  string        `json:"token_secret,omitempty"`
	Channels     string        `json:"channels,omitempty"` // name; {n} group of PerChannel clients, {user}, {s} subscription
	Base         int           `json:"base,omitempty"`     // client whose channel has the number 0
	PerChannel   int           `json:"per_channel"`
	Subscribed   int           `json:"subscribed"` // subscriptions per client
	Recoverable  bool          `json:"recoverable,omitempty"`
	Request      Request       `json:"request,omitempty"`
	TricklePause time.Duration `json:"trickle_pause,omitempty"` // between two bytes of a slow client
	ComeBack     bool          `json:"come_back,omitempty"`     // a client whose conn ends connects again
	Pipeline     Pipeline      `json:"pipeline,omitempty"`      // empty: Nothing
	Recover      bool          `json:"recover,omitempty"`       // clients know their position and go on from there when they return
	JoinLeave    bool          `json:"join_leave,omitempty"`    // ask for joins and leaves of others
	ReceiveBytes int           `json:"receive_bytes,omitempty"` // receive buffer of each socket; 0: the kernel's choice
}

// Check says what is wrong with g.
func (g *Group) Check() error {
	switch {
	case g.Count < 1:
		return fmt.Errorf("group %s: no clients", g.Name)
	case g.Subscribed > SubscriptionsMax:
		return fmt.Errorf("%d subscriptions per client are more than this generator follows: %d", g.Subscribed, SubscriptionsMax)
	case g.Subscribed > 1 && !strings.Contains(g.Channels, "{s}"):
		return fmt.Errorf("with %d subscriptions per client, the channel %q needs {s} in it to give different names", g.Subscribed, g.Channels)
	case g.TokenSecret != "" && g.Users == "":
		return errors.New("tokens need a user")
	case g.Recover && g.Subscribed != 1:
		return errors.New("clients that recover have one subscription each")
	case !slices.Contains([]Pipeline{"", Nothing, Commands, Everything}, g.Pipeline):
		return fmt.Errorf("pipeline %q is not none, commands or all", g.Pipeline)
	case g.uni() && g.Role == Requester:
		return fmt.Errorf("requests need a transport in both directions, not %s", g.Transport)
	case g.Request == Ping && g.Transport != "" && g.Transport != WebSocket:
		return fmt.Errorf("a ping of a ws frame needs the transport websocket, not %s", g.Transport)
	case g.Protobuf && g.Transport != "" && !g.Transport.Binary():
		return fmt.Errorf("%s carries JSON only", g.Transport)
	case g.Role == Upgrader && g.streamed():
		return fmt.Errorf("an upgrade needs a transport of ws frames, not %s", g.Transport)
	case g.Role == Handshaker && g.TLS == nil:
		return errors.New("handshakes need TLS")
	case g.SourceCount < 1 || g.PerChannel < 1 || g.InFlightMax < 1 || g.Patience <= 0:
		return fmt.Errorf("group %s: source addresses, clients per channel, conns in flight and patience must be at least 1", g.Name)
	}
	return nil
}

// pipelined is true if a client sends its subscribes without waiting for the connect reply.
func (g *Group) pipelined() bool {
	return g.Pipeline == Commands || g.Pipeline == Everything || g.Pipeline == "" && g.streamed()
}

// streamed is true if messages come in the body of a response.
func (g *Group) streamed() bool { return g.Transport != "" && !g.Transport.Framed() }

// uni is true if the clients only listen.
func (g *Group) uni() bool { return g.Transport.Uni() }

// User is the id of client n; empty for an anonymous one.
func (g *Group) User(n int) string {
	return strings.ReplaceAll(g.Users, "{n}", strconv.Itoa(n))
}

// ChannelNumber is that of client n's channel.
func (g *Group) ChannelNumber(n int) int { return (n - g.Base) / g.PerChannel }

// Channel names subscription s (from 0) of client n.
func (g *Group) Channel(n, s int) string {
	return strings.NewReplacer(
		"{n}", strconv.Itoa(g.ChannelNumber(n)), "{user}", g.User(n), "{s}", strconv.Itoa(s),
	).Replace(g.Channels)
}

// channels names all subscriptions of client n.
func (g *Group) channels(n int) []string {
	names := make([]string, g.Subscribed)
	for s := range names {
		names[s] = g.Channel(n, s)
	}
	return names
}

// Last is the number of the newest publication in the channel of client n. last holds it by number of the channel, or once for all.
func (g *Group) Last(last []int, n int) (int, error) {
	if len(last) == 1 {
		return last[0], nil
	}
	if c := g.ChannelNumber(n); c < len(last) {
		return last[c], nil
	}
	return 0, fmt.Errorf("group %s: client %d has a channel beyond the %d that are counted", g.Name, n, len(last))
}

// Deliveries is how many publications reach the clients in all, with last as for Last.
func (g *Group) Deliveries(last []int) (sum uint64, err error) {
	if len(last) == 1 {
		return uint64(g.Count) * uint64(last[0]), nil
	}
	for i := range g.Count {
		n, err := g.Last(last, g.First+i)
		if err != nil {
			return 0, err
		}
		sum += uint64(n)
	}
	return sum, nil
}

// Opened is how the opening of a group ended.
type Opened struct {
	Live   int            `json:"live"`
	Errors map[string]int `json:"errors,omitempty"` // what went wrong, how often
	Took   time.Duration  `json:"took"`
}

// Err is nil if every client is live, else the most frequent reason.
func (o Opened) Err() error {
	if len(o.Errors) == 0 {
		return nil
	}
	total, worst := 0, ""
	for text, n := range o.Errors {
		total += n
		if n > o.Errors[worst] || n == o.Errors[worst] && text < worst {
			worst = text
		}
	}
	return fmt.Errorf("%d clients are live, %d failed: %s", o.Live, total, worst)
}

// Merge adds what another worker opened.
func (o *Opened) Merge(other Opened) {
	o.Live += other.Live
	o.Took = max(o.Took, other.Took)
	o.Errors = addCounts(o.Errors, other.Errors)
}

// Stats is what the clients of a group have seen since they were opened; Latency and Opening since they were last reset.
type Stats struct {
	Live         int              `json:"live"`
	Deliveries   uint64           `json:"deliveries"` // publications, each counted once per client
	Duplicates   uint64           `json:"duplicates"`
	Late         uint64           `json:"late"`          // publications that came after one with a higher number
	Frames       uint64           `json:"frames"`        // ws frames, or parts of a body that came by themselves, with publications
	Bytes        uint64           `json:"bytes"`         // read from sockets
	Records      uint64           `json:"records"`       // of TLS, with data
	Pings        uint64           `json:"pings"`         // of the protocol, all answered at once
	PingInterval time.Duration    `json:"ping_interval"` // as the server says in whole seconds; 0: shorter, none, or nobody has connected
	Replies      uint64           `json:"replies"`
	Posts        uint64           `json:"posts"`        // requests to the emulation endpoint that were answered
	Reposted     uint64           `json:"reposted"`     // those that were sent again, on another conn
	Shaken       uint64           `json:"shaken"`       // handshakes of handshakers
	Unanswered   uint64           `json:"unanswered"`   // requests without a reply when asking ended
	Reopened     uint64           `json:"reopened"`     // clients that came back
	Churned      uint64           `json:"churned"`      // clients that went to come back
	Subscribed   uint64           `json:"subscribed"`   // requests for a subscription that were granted, those while opening left out
	Unsubscribed uint64           `json:"unsubscribed"` // likewise for their ends
	Joins        uint64           `json:"joins"`
	Leaves       uint64           `json:"leaves"`
	Recovered    uint64           `json:"recovered"`         // publications that came with a subscription
	Lost         uint64           `json:"lost"`              // clients that could not recover
	Closes       map[string]int   `json:"closes,omitempty"`  // conns that ended, by code and reason
	Faults       map[string]int   `json:"faults,omitempty"`  // what a server should not send
	Secured      map[string]int   `json:"secured,omitempty"` // handshakes, by version and cipher suite
	Latency      *measure.Latency `json:"latency,omitempty"`
	Opening      *measure.Latency `json:"opening,omitempty"` // from dialing to live
	Sample       []byte           `json:"sample,omitempty"`  // the first ws frame with exactly one publication, header included
}

// Merge adds what another worker saw.
func (s *Stats) Merge(other Stats) {
	s.Live += other.Live
	s.Deliveries += other.Deliveries
	s.Duplicates += other.Duplicates
	s.Late += other.Late
	s.Frames += other.Frames
	s.Bytes += other.Bytes
	s.Records += other.Records
	s.Pings += other.Pings
	s.PingInterval = max(s.PingInterval, other.PingInterval)
	s.Replies += other.Replies
	s.Posts += other.Posts
	s.Reposted += other.Reposted
	s.Shaken += other.Shaken
	s.Unanswered += other.Unanswered
	s.Reopened += other.Reopened
	s.Churned += other.Churned
	s.Subscribed += other.Subscribed
	s.Unsubscribed += other.Unsubscribed
	s.Joins += other.Joins
	s.Leaves += other.Leaves
	s.Recovered += other.Recovered
	s.Lost += other.Lost
	s.Closes = addCounts(s.Closes, other.Closes)
	s.Faults = addCounts(s.Faults, other.Faults)
	s.Secured = addCounts(s.Secured, other.Secured)
	s.Latency = mergeLatency(s.Latency, other.Latency)
	s.Opening = mergeLatency(s.Opening, other.Opening)
	if s.Sample == nil {
		s.Sample = other.Sample
	}
}

func mergeLatency(to, from *measure.Latency) *measure.Latency {
	if to == nil {
		to = measure.NewLatency()
	}
	if from != nil {
		to.Merge(from)
	}
	return to
}

// Tally is what did not arrive, per client, of publications 1 to the last one of its channel.
type Tally struct {
	Missing        uint64 `json:"missing"`         // at clients that are still connected
	MissingClients int    `json:"missing_clients"` // how many of them miss any
	MissingWorst   uint32 `json:"missing_worst"`   // at one client
	Duplicate      uint64 `json:"duplicate"`
	DupClients     int    `json:"duplicate_clients"`
	Gone           int    `json:"gone"`         // clients that lost their conn
	GoneMissing    uint64 `json:"gone_missing"` // what those did not get
}

// Merge adds another worker's clients.
func (t *Tally) Merge(other Tally) {
	t.Missing += other.Missing
	t.MissingClients += other.MissingClients
	t.MissingWorst = max(t.MissingWorst, other.MissingWorst)
	t.Duplicate += other.Duplicate
	t.DupClients += other.DupClients
	t.Gone += other.Gone
	t.GoneMissing += other.GoneMissing
}

func addCounts(to, from map[string]int) map[string]int {
	if to == nil && len(from) > 0 {
		to = make(map[string]int, len(from))
	}
	for k, n := range from {
		to[k] += n
	}
	return to
}
