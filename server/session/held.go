package session

import (
	"context"
	"time"

	"stentor/codec"
	"stentor/server/metrics"
)

// held is what a session keeps while work for it is under way off the loop: the commands that came meanwhile, as they came. They
// are handled when the work is done, so that a client's commands take effect in their order. Pongs do not wait.
type held struct {
	inbox []byte

	entering *entering // the channels that are being entered far away, or nil
	orders   []any     // of the server API about subscriptions, which begin work themselves if the engine is not local
}

// OrdersMax is how many orders may wait behind work off the loop. A session that gets more is closed, and comes back.
const OrdersMax = 256

// postpones reports that an order has to wait for what is under way, whatever that is: a session has work done one after the other. One
// to end does not wait.
func (s *Session) postpones(order any) bool {
	if !s.busy() || !s.node.remote {
		return false
	}
	switch o := order.(type) {
	case Subscribe:
		return o.matches(s)
	case Unsubscribe:
		return o.matches(s)
	case Refresh:
		return o.matches(s)
	case last: // a client gets its place when it is connected
		e := s.extra.held.entering
		return e != nil && e.method == codec.MethodConnect
	}
	return false
}

func (s *Session) postpone(order any) {
	h := s.extra.held
	if len(h.orders) >= OrdersMax {
		s.close(codec.DisconnectServerError)
		return
	}
	h.orders = append(h.orders, order)
}

// Limits of what waits, in bytes. A client that sends more is closed.
const (
	// HeldBytesMax is what may wait behind the command that work off the loop is done for, which may be as large as a message.
	HeldBytesMax = 64 << 10
	// HeldFarBytesMax is the same where the engine is not local. A client that comes back subscribes to all its channels at once,
	// with a token for each, and they are entered one after the other: room for channel_limit of them, 128, of 2 KiB.
	HeldFarBytesMax = 256 << 10
	// HeldTotalBytesMax is what may wait for all sessions together, those commands included. Strangers are among them.
	HeldTotalBytesMax = 256 << 20
)

// workTimeout is how long work off the loop may wait for another server.
const workTimeout = 10 * time.Second

// pending is the error of a command that cannot be judged before something has been fetched (a key for its token). After Fetch the
// command is tried again, whatever Fetch says.
type pending interface {
	error
	Fetch(ctx context.Context) error
}

// resumed is the order that a fetch is done. fault is what went wrong, for the log.
type resumed struct{ fault error }

// encoded is a reply that was encoded off the loop.
type encoded struct {
	id     uint32
	method codec.Method
	label  uint16 // of the namespace, in metrics
	fault  error  // of the work: there is no reply then
	frame  []byte // HeaderRoom spare bytes and the reply
	err    error  // of encoding it
}

func (s *Session) busy() bool { return s.extra != nil && s.extra.held != nil }

// offload has work done off the loop and holds back commands until its order has come; that is otherwise if work panics. It reports
// false, and does nothing, when there is too much such work.
func (s *Session) offload(to Pool, otherwise any, work func() (order any)) bool {
	l, h := s.loop(), s.handle
	ok := to.Do(func() {
		order := otherwise
		defer func() { l.Order(h, order) }()
		order = work()
	})
	if ok {
		s.holdBack()
	}
	return ok
}

// holdBack begins to hold back commands, if that has not begun.
func (s *Session) holdBack() *held {
	if !s.busy() {
		s.more().held = new(held)
	}
	return s.extra.held
}

// hold keeps a command that came while work is under way.
func (s *Session) hold(command []byte) {
	h := s.extra.held
	most := HeldBytesMax
	if s.node.remote {
		most = HeldFarBytesMax
	}
	more := len(h.inbox) > 0 && len(h.inbox)+len(command) > most
	if more || s.node.held.Load()+int64(len(command)) > HeldTotalBytesMax {
		s.close(codec.DisconnectTooManyRequests)
		return
	}
	before := len(h.inbox)
	h.inbox = append(h.inbox, command...)
	if s.form == codec.JSON && command[len(command)-1] != '\n' {
		h.inbox = append(h.inbox, '\n')
	}
	s.node.held.Add(int64(len(h.inbox) - before))
}

// letGo ends the holding back of commands and orders and returns those that were.
func (s *Session) letGo() (commands []byte, orders []any) {
	h := s.extra.held
	s.extra.held = nil
	s.node.held.Add(-int64(len(h.inbox)))
	if s.extra.empty() {
		s.extra = nil // with an engine that is not local, every session has waited for something
	}
	return h.inbox, h.orders
}

// await fetches what a command needs and tries it again then.
func (s *Session) await(command []byte, p pending) error {
	ok := s.offload(s.node.Fetches, resumed{}, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
		defer cancel()
		return resumed{p.Fetch(ctx)}
	})
	if !ok {
		return codec.ErrorInternal
	}
	s.hold(command)
	return nil
}

// fetched goes on after await. Many may have waited for the same key.
func (s *Session) fetched(fault error) {
	if fault != nil {
		if suppressed, ok := s.worker().keyless.Due(s.node.Now()); ok {
			s.node.Log.Warn("a key for tokens could not be fetched", "error", fault, "suppressed", suppressed)
		}
	}
	s.resume()
}

// resume handles what was held back, orders first: they have waited at the server's side. It may be held back again.
func (s *Session) resume() {
	if !s.busy() {
		return
	}
	commands, orders := s.letGo()
	for _, order := range orders {
		switch {
		case s.state == closed:
		case s.postpones(order):
			s.postpone(order)
		default:
			s.act(order)
		}
	}
	s.take(commands, again)
}

// Limits of a reply that is made on the loop. It may list so many publications or clients, of so many bytes.
const (
	entriesMax   = 256
	loopBytesMax = 64 << 10
)

// replyWith answers command id with what work makes. If that is large it would hold up the loop, so it is encoded off it; with large,
// which says that there may be many entries, it is made there, too, as it is if the engine is not local.
func (s *Session) replyWith(to codec.Method, id uint32, large bool, work func(ctx context.Context) (codec.Reply, error)) error {
	if large || s.node.remote {
		return s.replyFromAfar(to, id, work)
	}
	r, err := work(context.Background())
	if err != nil {
		return s.engineFault(to.String(), "", err)
	}
	if sizeOf(&r) > loopBytesMax {
		return s.replyFromAfar(to, id, func(context.Context) (codec.Reply, error) { return r, nil })
	}
	r.ID = id
	s.reply(to, &r)
	return nil
}

// replyFromAfar is replyWith off the loop.
func (s *Session) replyFromAfar(to codec.Method, id uint32, work func(ctx context.Context) (codec.Reply, error)) error {
	form, label, most := s.form, s.worker().label, s.node.Settings.ReplyBytesMax
	otherwise := encoded{id: id, method: to, label: label, fault: codec.ErrorInternal}
	ok := s.offload(s.helpers(), otherwise, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
		defer cancel()
		e := encoded{id: id, method: to, label: label}
		r, err := work(ctx)
		if err == nil && sizeOf(&r) > most {
			err = codec.ErrorLimitExceeded
		}
		if e.fault = err; err != nil {
			return e
		}
		r.ID = id
		e.frame, e.err = codec.AppendReply(make([]byte, codec.HeaderRoom), form, &r)
		return e
	})
	if !ok {
		return codec.ErrorInternal
	}
	return nil
}

// helpers do work off the loop: far away, in order, if the engine is there.
func (s *Session) helpers() Pool {
	if s.node.remote {
		return s.lane()
	}
	return s.node.Pool
}

// answer sends a reply that was encoded off the loop, unless it is more than a client may have queued.
func (s *Session) answer(e encoded) {
	size := len(e.frame) - codec.HeaderRoom
	s.worker().label = e.label
	switch {
	case e.fault != nil:
		s.failed(&codec.Command{ID: e.id, Method: e.method}, nil, s.engineFault(e.method.String(), "", e.fault))
	case e.err != nil:
		s.close(codec.DisconnectInappropriateProtocol)
	case size > s.node.Settings.ReplyBytesMax:
		s.refuse(e.id, e.method, codec.ErrorLimitExceeded)
	default:
		s.flush()
		s.node.Metrics.Sent(s.handle.Loop(), s.transport, metrics.FrameOf(e.method), 1, size)
		s.write(codec.NewFrame(s.form, e.frame))
	}
	s.resume()
}
