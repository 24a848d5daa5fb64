package session

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// This file is what sessions do when the engine is not local: the same as elsewhere in this package, but off the loop, on lanes. All
// that one session does far away is done in its order.
//
//	subscribe ──► join, silent ──► is the channel live? ──► lane: history, presence ──► place, reply, let in

// laned does the work of one session.
type laned struct {
	lanes Lanes
	key   uint64
}

// Do implements Pool.
func (o laned) Do(work func()) bool { return o.lanes.Do(o.key, work) }

func (s *Session) lane() laned { return laned{s.node.Lanes, uint64(s.handle)} }

// entry is one subscription on its way in.
type entry struct {
	name   string
	permit policy.Subscription
	own    hub.Own

	sub      *hub.Subscription
	presence engine.PresenceInfo
	read     recovery // where the stream stands, and what of it was missed
	result   codec.SubscribeResult
}

// entering is a set of them that goes in together: those of a connect command, or the one of another command or order.
type entering struct {
	method  codec.Method // that is answered then: connect or subscribe; none is an order of the server API
	id      uint32
	label   uint16
	connect connecting
	entries []entry
	live    int   // so many of their channels
	fault   error // all are given up then
}

// enterAllFar is enterAll of a connecting client.
func (s *Session) enterAllFar(list []policy.ServerSubscription, c connecting) error {
	e := &entering{method: codec.MethodConnect, id: c.id, connect: c, entries: make([]entry, len(list))}
	for i := range list {
		e.entries[i] = entry{name: list[i].Channel, permit: list[i].Subscription, own: serverSide}
	}
	return s.enterFar(e)
}

// enterFar is enter for servers far away. After an error nothing is left; otherwise enteredFar follows, now or later.
func (s *Session) enterFar(e *entering) error {
	e.label = s.worker().label
	for i := range e.entries {
		x := &e.entries[i]
		var err error
		if x.sub, err = s.join(x.name, &x.permit, x.own); err != nil {
			s.giveUp(e)
			return err
		}
		x.name = x.sub.Name() // the other one may alias a message
		x.read = newRecovery(&x.permit)
		x.read.from.Epoch = strings.Clone(x.read.from.Epoch)
		x.presence = s.presenceInfo(x.sub)
		if x.permit.Presence && !s.node.Presence.Local() {
			x.sub.Note(present) // before it is so: whoever drops it has to undo what is under way
		}
		s.node.Table.Silence(x.sub, x.permit.Positioned && !s.node.Broker.Local())
	}
	s.holdBack().entering = e
	s.proceed(e)
	return nil
}

// giveUp leaves what has been entered.
func (s *Session) giveUp(e *entering) {
	for i := range e.entries {
		if sub := e.entries[i].sub; sub != nil && s.holds(sub) {
			s.drop(sub)
		}
	}
}

// live goes on when a channel is live, or is not.
func (s *Session) live(o hub.Outcome) {
	if !s.busy() || s.extra.held.entering == nil {
		return
	}
	e := s.extra.held.entering
	if e.entries[e.live].sub != o.Subscription {
		return
	}
	if e.fault = o.Err; o.Err != nil {
		s.enteredFar(e)
		return
	}
	e.live++
	s.proceed(e)
}

// proceed waits until all channels are live, then reads what has to be read.
func (s *Session) proceed(e *entering) {
	for ; e.live < len(e.entries); e.live++ {
		if !s.node.Table.Await(e.entries[e.live].sub, s.handle) {
			return
		}
	}
	if !s.node.needsLane(e) {
		s.enteredFar(e)
		return
	}
	n, id := s.node, s.id()
	ok := s.offload(s.lane(), e, func() any {
		e.fault = codec.ErrorInternal // if what follows panics
		e.fault = n.readAllFar(e, id)
		return e
	})
	if !ok {
		e.fault = codec.ErrorInternal
		s.enteredFar(e)
	}
}

// needsLane reports that something of e has to be asked far away.
func (n *Node) needsLane(e *entering) bool {
	for i := range e.entries {
		p := &e.entries[i].permit
		if p.Positioned && !n.Broker.Local() || p.Presence && !n.Presence.Local() {
			return true
		}
	}
	return false
}

// readAllFar does what entering takes far away. It runs on a lane.
func (n *Node) readAllFar(e *entering, id [16]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
	defer cancel()
	for i := range e.entries {
		if err := n.readFar(ctx, &e.entries[i], id); err != nil {
			return err
		}
	}
	return nil
}

// readFar is readAllFar for one of the entries.
func (n *Node) readFar(ctx context.Context, x *entry, id [16]byte) error {
	if x.permit.Positioned && !n.Broker.Local() {
		if err := x.read.read(ctx, n, x.name, &x.permit); err != nil {
			return err
		}
	}
	if x.permit.Presence && !n.Presence.Local() {
		return n.Presence.AddPresence(ctx, x.name, id, x.presence, n.Settings.PresenceTTL)
	}
	return nil
}

// enteredFar completes what enterFar began.
func (s *Session) enteredFar(e *entering) {
	if !s.busy() || s.extra.held.entering != e {
		return
	}
	s.extra.held.entering = nil
	s.worker().label = e.label
	fault := e.fault
	for i := 0; i < len(e.entries) && fault == nil; i++ {
		fault = s.complete(&e.entries[i])
	}
	if fault != nil {
		s.notEntered(e, s.engineFault("a channel was not entered", e.entries[min(e.live, len(e.entries)-1)].name, fault))
	} else {
		s.tellEntered(e)
	}
	s.resume()
}

// complete makes x a full subscription, but for its silence.
func (s *Session) complete(x *entry) error {
	if !s.holds(x.sub) {
		return codec.ErrorInternal // it was lost meanwhile; the client comes back
	}
	if x.permit.Positioned {
		if s.node.Broker.Local() {
			if err := x.read.read(context.Background(), s.node, x.name, &x.permit); err != nil {
				return err
			}
		}
		if err := s.place(x.sub, &x.permit, &x.read, &x.result); err != nil {
			return err
		}
	}
	if x.permit.Presence && s.node.Presence.Local() {
		if err := s.appear(x.sub); err != nil {
			return err
		}
	}
	s.settle(x.sub, &x.permit, &x.result)
	return nil
}

// notEntered answers what could not be done.
func (s *Session) notEntered(e *entering, err error) {
	switch e.method {
	case codec.MethodNone:
		s.giveUp(e)
		s.notTakenIn(e.entries[0].name, err)
	case codec.MethodConnect:
		s.letGo() // nothing is served any more
		s.takeBack(err)
		s.failed(&codec.Command{ID: e.id, Method: e.method}, nil, err)
	default:
		s.giveUp(e)
		s.failed(&codec.Command{ID: e.id, Method: e.method}, nil, err)
	}
}

// tellEntered answers what was done, and ends the silence.
func (s *Session) tellEntered(e *entering) {
	first := &e.entries[0]
	switch e.method {
	case codec.MethodNone:
		s.tookIn(first.sub, &first.permit, &first.result)
	case codec.MethodConnect:
		c := e.connect
		c.result.Subs = make(map[string]*codec.SubscribeResult, len(e.entries))
		for i := range e.entries {
			x := &e.entries[i]
			c.result.Subs[x.name] = &x.result
			c.subs = append(c.subs, entered{x.sub, &x.permit})
		}
		s.connected(c)
	default:
		s.subscribed(e.id, first.sub, &first.permit, &first.result)
	}
	s.flush() // what comes now is to come after the reply
	for i := range e.entries {
		if sub := e.entries[i].sub; s.state != closed && s.holds(sub) {
			s.node.Table.LetIn(sub)
		}
	}
}

// publishedFar is the order that a publication far away has succeeded, or not.
type publishedFar struct {
	id      uint32
	label   uint16
	channel string
	fault   error
}

// publishFar publishes off the loop. The reply comes when the broker has it; that may be before the publication comes back from there to
// a publisher who is subscribed.
func (s *Session) publishFar(id uint32, channel string, p *codec.Publication, o engine.PublishOptions) error {
	broker, done := s.node.Broker, publishedFar{id: id, label: s.worker().label, channel: channel}
	otherwise := done
	otherwise.fault = codec.ErrorInternal
	ok := s.offload(s.lane(), otherwise, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
		defer cancel()
		_, done.fault = broker.Publish(ctx, channel, p, o)
		return done
	})
	if !ok {
		s.node.Metrics.Overloaded()
		return codec.ErrorTooManyRequests
	}
	return nil
}

func (s *Session) publishedFar(done publishedFar) {
	s.worker().label = done.label
	if done.fault != nil {
		err := s.engineFault("publication failed", done.channel, done.fault)
		s.failed(&codec.Command{ID: done.id, Method: codec.MethodPublish}, nil, err)
	} else {
		s.node.Metrics.MessageSent(s.handle.Loop(), s.namespace(), metrics.MessagePublication)
		s.replyPublished(done.id)
	}
	s.resume()
}

// engineFault is what a client is told of an error of the engine. If nobody can be told what it was, the log is.
func (s *Session) engineFault(what, channel string, err error) error {
	var known *codec.Error
	var end codec.Disconnect
	switch {
	case errors.As(err, &known), errors.As(err, &end):
		return err
	case errors.Is(err, engine.ErrNotAvailable):
		return codec.ErrorNotAvailable
	case errors.Is(err, engine.ErrOverloaded):
		s.node.Metrics.Overloaded()
		return codec.ErrorTooManyRequests
	}
	if suppressed, ok := s.worker().unreached.Due(s.node.Now()); ok {
		s.node.Log.Error("the engine failed: "+what, "channel", channel, "user", s.user, "error", err, "suppressed", suppressed)
	}
	return codec.ErrorInternal
}

// appearFar enters the client into presence far away, or says it anew.
func (s *Session) appearFar(sub *hub.Subscription) {
	n, name, id, info := s.node, sub.Name(), s.id(), s.presenceInfo(sub)
	s.doFar("presence could not be entered", name, func(ctx context.Context) error {
		return n.Presence.AddPresence(ctx, name, id, info, n.Settings.PresenceTTL)
	})
	sub.Note(present)
}

// disappearFar undoes that. If it does not succeed, the entry goes after its time.
func (s *Session) disappearFar(sub *hub.Subscription) {
	n, name, id, user := s.node, sub.Name(), s.id(), s.user
	s.doFar("presence could not be left", name, func(ctx context.Context) error {
		return n.Presence.RemovePresence(ctx, name, id, user)
	})
}

// tellFar publishes a join or leave.
func (s *Session) tellFar(
	sub *hub.Subscription, publish func(engine.Broker, context.Context, string, *codec.ClientInfo) error, kind metrics.MessageType,
) {
	n, name, info := s.node, sub.Name(), s.info(sub)
	s.doFar("a join or leave was not published", name, func(ctx context.Context) error {
		return publish(n.Broker, ctx, name, info)
	})
	n.Metrics.MessageSent(s.handle.Loop(), n.Metrics.NamespaceOf(name), kind)
}

// doFar does something that nobody waits for.
func (s *Session) doFar(what, channel string, work func(ctx context.Context) error) {
	n := s.node
	ok := s.lane().Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
		defer cancel()
		if err := work(ctx); err != nil {
			n.faults.Say(n.Log, slog.LevelError, what, "channel", channel, "error", err)
		}
	})
	if !ok {
		n.faults.Say(n.Log, slog.LevelError, what, "channel", channel, "error", engine.ErrOverloaded)
	}
}
