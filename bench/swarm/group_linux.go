package swarm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"stentor/bench/measure"
	"stentor/codec"
	"stentor/codec/ws"
)

// group is a Group that is being opened or is open.
type group struct {
	swarm  *Swarm
	number int32 // its place in Swarm.groups
	cfg    Group
	conns  []conn
	words  words
	role   role
	stats  Stats
	born   int64
	due    int64 // the next turn

	// How to dial.
	family int
	server unix.Sockaddr
	source netip.Addr // the first source address; invalid: the kernel chooses

	// Opening. done is nil once it is over.
	done     func(Opened)
	opened   Opened
	plan     measure.Schedule
	dialed   int
	inFlight int
	progress int64 // when a client last got live
	started  int64 // opening

	// Clients that come back, the first to do so first.
	absent []absent

	places *places // of clients that recover; nil: they do not

	// Of the transports that need them; nil elsewhere.
	streams []stream // of clients whose messages come in the bodies of responses
	cut     cut      // tells those apart
	posts   *posts   // of clients that say by POST what they say
	secures []*secure
	tls     *tls.Config
}

// absent is a client without a conn.
type absent struct {
	client int32
	back   int64 // when it connects again
}

// role is what is special about the clients of a group. A client that a role drops stays closed, whatever state it returns.
type role interface {
	// connected says that TCP is there and returns the state of the client from now on.
	connected(i int32) state
	// upgraded likewise after the server's 101.
	upgraded(i int32) state
	// reply is called with each reply to a request, a ws pong included (reply is nil then, id from the pong's payload).
	reply(i int32, id uint32, reply *codec.Reply)
	// turn does what is due and returns the next moment.
	turn(now int64) int64
}

func newGroup(s *Swarm, cfg Group, done func(Opened)) (*group, error) {
	g := &group{swarm: s, cfg: cfg, conns: make([]conn, cfg.Count), born: s.now()}
	g.stats.Latency, g.stats.Opening = measure.NewLatency(), measure.NewLatency()
	if cfg.Recover {
		g.places = newPlaces(cfg.Count)
	}
	if err := g.address(); err != nil {
		return nil, err
	}
	form := codec.JSON
	if cfg.Protobuf {
		form = codec.Protobuf
	}
	if g.cfg.Transport == "" {
		g.cfg.Transport = WebSocket
	}
	g.words = newWords(form, &g.cfg)
	if err := g.equip(); err != nil {
		return nil, err
	}
	for i := range g.conns {
		g.conns[i].fd = -1
		g.conns[i].reader.Peer = ws.FromServer
	}
	switch g.cfg.Role {
	case Subscriber:
		g.role = talker{g}
	case Receiver:
		g.role = receiver{g}
	case Upgrader:
		g.role = upgrader{talker{g}}
	case Churner:
		g.role = &churners{talker: talker{g}}
	case Requester:
		g.role = newRequesters(g)
	case SlowHead, SlowFrame:
		g.role = newTricklers(g)
	case Handshaker:
		return newHandshakers(g, done), nil
	default:
		return nil, fmt.Errorf("group %s: unknown role %q", cfg.Name, cfg.Role)
	}
	g.begin(done)
	return g, nil
}

// equip makes what the transport needs.
func (g *group) equip() (err error) {
	if g.cfg.streamed() {
		g.streams = make([]stream, g.cfg.Count)
		g.cut = cutOf(g.cfg.Transport, g.cfg.Protobuf)
	}
	if g.cfg.TLS != nil {
		g.secures = make([]*secure, g.cfg.Count)
		if g.tls, err = g.cfg.TLS.Config(); err != nil {
			return err
		}
	}
	if g.cfg.Transport.Emulated() {
		g.posts = newPosts(g)
	}
	return nil
}

// begin starts to dial all clients, none of which has a conn.
func (g *group) begin(done func(Opened)) {
	g.done, g.opened, g.dialed, g.inFlight = done, Opened{}, 0, 0
	for i := range g.conns {
		g.conns[i].counted = false
	}
	g.started = g.swarm.now()
	g.progress, g.due = g.started, g.started
	g.plan = measure.Schedule{Start: g.started}
	if g.cfg.ConnectRate > 0 {
		g.plan = measure.Every(g.started, g.cfg.ConnectRate)
	}
}

func (g *group) address() error {
	to, err := netip.ParseAddrPort(g.cfg.Addr)
	if err != nil {
		return fmt.Errorf("group %s: %w", g.cfg.Name, err)
	}
	g.family, g.server = sockaddr(to)
	if g.cfg.Source == "" {
		return nil
	}
	if g.source, err = netip.ParseAddr(g.cfg.Source); err != nil {
		return fmt.Errorf("group %s: source: %w", g.cfg.Name, err)
	}
	if family, _ := sockaddr(netip.AddrPortFrom(g.source, 0)); family != g.family {
		return fmt.Errorf("source %s and server %s are of different kinds (IPv4, IPv6)", g.source, to.Addr())
	}
	return nil
}

func sockaddr(a netip.AddrPort) (family int, sa unix.Sockaddr) {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// sourceOf is the address that client i calls from.
func (g *group) sourceOf(i int32) unix.Sockaddr {
	ip := g.source
	for range (g.cfg.First + int(i)) % g.cfg.SourceCount {
		ip = ip.Next()
	}
	_, sa := sockaddr(netip.AddrPortFrom(ip, 0))
	return sa
}

// turn does what is due by the clock: dial more clients, give up, and whatever the role has to do.
func (g *group) turn(now int64) {
	g.due = min(g.role.turn(now), g.welcome(now))
	if g.posts != nil {
		g.posts.flush()
	}
	if g.done == nil {
		return
	}
	for g.dialed < g.cfg.Count && g.inFlight < g.cfg.InFlightMax && g.done != nil {
		if at := g.plan.Due(int64(g.dialed)); at > now {
			g.due = min(g.due, at)
			break
		}
		i := int32(g.dialed)
		g.dialed++
		g.inFlight++
		g.dial(i)
	}
	if g.done == nil {
		return
	}
	patience := g.progress + int64(g.cfg.Patience)
	if now >= patience {
		g.giveUp()
		return
	}
	g.due = min(g.due, patience)
}

// leave notes that client i, which was live, has lost its conn.
func (g *group) leave(i int32) {
	if !g.cfg.ComeBack {
		return
	}
	// Those that went together come back at the pace at which they came.
	back := g.swarm.now() + int64(retryAfter)
	if n := len(g.absent); n > 0 {
		back = max(back, g.absent[n-1].back+int64(g.plan.Period))
	}
	g.absent = append(g.absent, absent{i, back})
	g.due = min(g.due, g.absent[0].back)
}

// welcome dials for the clients that come back now, and returns when the next one does.
func (g *group) welcome(now int64) int64 {
	for len(g.absent) > 0 {
		if g.absent[0].back > now {
			return g.absent[0].back
		}
		i := g.absent[0].client
		g.absent = g.absent[1:]
		g.stats.Reopened++
		g.dial(i)
	}
	g.absent = nil
	return never
}

// ready notes that client i is live.
func (g *group) ready(i int32) {
	c := &g.conns[i]
	if c.counted || g.done == nil {
		return
	}
	c.counted = true
	g.inFlight--
	g.opened.Live++
	g.progress = g.swarm.now()
	g.due = 0 // room for the next
	g.finish()
}

// failed notes that client i will not become live while the group opens.
func (g *group) failed(i int32, why string) {
	c := &g.conns[i]
	if c.counted || g.done == nil {
		return
	}
	c.counted = true
	g.inFlight--
	g.opened.Errors = addCounts(g.opened.Errors, map[string]int{why: 1})
	g.due = 0
	failures := 0
	for _, n := range g.opened.Errors {
		failures += n
	}
	if failures >= FailuresMax {
		g.over()
		return
	}
	g.finish()
}

func (g *group) finish() {
	if g.dialed == g.cfg.Count && g.inFlight == 0 {
		g.over()
	}
}

// over reports the end of opening.
func (g *group) over() {
	done := g.done
	g.done = nil
	g.opened.Took = time.Duration(g.swarm.now() - g.started)
	done(g.opened)
}

// giveUp reports what each client waits for.
func (g *group) giveUp() {
	for i := range g.conns[:g.dialed] {
		if c := &g.conns[i]; !c.counted {
			why := fmt.Sprintf("nothing happened for %v while waiting for %s", g.cfg.Patience, c.state)
			g.opened.Errors = addCounts(g.opened.Errors, map[string]int{why: 1})
		}
	}
	g.over()
}

func (g *group) live() int {
	n := 0
	for i := range g.conns {
		if g.conns[i].state.live() {
			n++
		}
	}
	return n
}

func (g *group) close() {
	g.cfg.ComeBack = false
	g.hangUpAll()
	if g.posts != nil {
		g.posts.close()
	}
}

// hangUpAll ends all conns. An opening that is under way ends with them.
func (g *group) hangUpAll() {
	g.absent = nil
	for i := range g.conns {
		g.hangUp(int32(i))
	}
	if g.done != nil {
		g.opened.Errors = addCounts(g.opened.Errors, map[string]int{"closed by the generator": 1})
		g.over()
	}
}

func (g *group) tally(last []int) (t Tally, err error) {
	for i := range g.conns {
		c := &g.conns[i]
		n, err := g.cfg.Last(last, g.cfg.First+i)
		if err != nil {
			return t, err
		}
		missing := c.window.Missing(uint32(n))
		if c.window.Duplicate > 0 {
			t.Duplicate += uint64(c.window.Duplicate)
			t.DupClients++
		}
		switch {
		case c.state != stateLive:
			t.Gone++
			t.GoneMissing += uint64(missing)
		case missing > 0:
			t.Missing += uint64(missing)
			t.MissingClients++
			t.MissingWorst = max(t.MissingWorst, missing)
		}
	}
	return t, nil
}

// fault notes something that a server of the protocol should not do.
func (g *group) fault(what string) {
	g.stats.Faults = addCounts(g.stats.Faults, map[string]int{what: 1})
}

// remedy adds to an error of the kernel what can be done about it.
func remedy(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return err.Error() + ": raise the limit of open files (ulimit -n) or spread the clients over more --workers"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return err.Error() + ": local ports ran out or the source address is not this machine's: more --source-count, or another --source"
	case errors.Is(err, unix.ECONNREFUSED):
		return err.Error() + ": does the server listen there? see --target"
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.ETIMEDOUT):
		return err.Error() + ": the server's accept queue may have overflowed: try a lower --connect-rate"
	}
	return err.Error()
}
