package session

import (
	"bytes"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

// Conn is all that a session knows of the pipe under it.
type Conn interface {
	// Send queues f and returns at once. False means that f will not be sent: the peer is too slow, or the pipe is closing for
	// another reason. The pipe then ends itself.
	Send(f *codec.Frame) bool
	// Close sends what is queued, tells the peer why if the transport can, and ends the pipe.
	Close(d codec.Disconnect)
	// Arm has Expire called at a moment, replacing an earlier one; 0 takes it away.
	Arm(at loop.Time)
}

// Pinger is a Conn whose pings replace those of the protocol, because the client has asked for that. It tells the session of a
// pong with Session.Pong.
type Pinger interface {
	// Ping sends a ping. False as in Send.
	Ping() bool
}

// Replier is a Conn that takes replies without keeping their bytes.
type Replier interface {
	// Reply sends buf, which is as for codec.NewFrame and the session's again after the call. False as in Send.
	Reply(f codec.Form, buf []byte) bool
}

// CloseCoder is a Conn that knows how it ended.
type CloseCoder interface {
	// CloseCode is the code of the close frame, from whichever side it came first; 0 is none.
	CloseCode() uint16
}

// Session is one client. Its loop owns it. There may be a million of them: see TestSizes before adding a field.
type Session struct {
	node   *Node
	conn   Conn
	handle loop.Handle       // names the session, and makes its id
	user   string            // until connect, the user that an HTTP header named
	subs   *hub.Subscription // all subscriptions, linked by Next
	extra  *extra            // what few sessions have

	beat loop.Time // when pinging goes on; 0 is never
	end  loop.Time // to close: stale, expired, or done after a failed connect; 0 is never

	class     metrics.Class
	form      codec.Form
	transport metrics.Transport
	traits    traits
	state     state
	pinging   pinging
	firstUsed bool

	first hub.Subscription // room for the first subscription: most sessions have just one
}

// Options are what a pipe knows of its client.
type Options struct {
	Form       codec.Form // a bare one: the client only listens, and connects with ConnectUni
	Transport  metrics.Transport
	Version    HTTPVersion // of the request that opened the pipe
	HeaderUser string      // the user that a trusted HTTP header named, or empty
	// Emulated says that the pipe goes one way: after connect the client's commands come from elsewhere, by Node.Emulate.
	Emulated bool
}

// HTTPVersion is that of a request.
type HTTPVersion uint8

// The versions. Where there is no HTTP, HTTP1 serves.
const (
	HTTP1 HTTPVersion = iota
	HTTP2
	HTTP3
)

// String is the version as ALPN names it, but for the oldest, which metrics leave out.
func (v HTTPVersion) String() string { return [...]string{"", "h2", "h3"}[v] }

// traits are what Options say of few sessions: the version of HTTP, and more.
type traits uint8

const (
	emulated traits = 1 << 7
	version         = emulated - 1
)

func (o *Options) traits() traits {
	t := traits(o.Version)
	if o.Emulated {
		t |= emulated
	}
	return t
}

type state uint8

const (
	fresh     state = iota // waits for connect
	connected              // serves commands
	failed                 // connect was answered with an error; input is ignored and the pipe ends soon
	closed
)

// failedCloseDelay is how long a client has to leave by itself after connect was answered with an error.
const failedCloseDelay = 5 * time.Second

// Replies are joined into one frame: so many, or fewer when they have so many bytes.
const (
	repliesPerFrame  = 16
	repliesBytesFull = 64 << 10
)

// New starts a session on the loop of h, which must be where it is called.
func New(n *Node, c Conn, h loop.Handle, o Options) *Session {
	s := &Session{node: n, conn: c, handle: h, form: o.Form, transport: o.Transport, traits: o.traits(), user: o.HeaderUser}
	s.end = s.loop().Now().After(n.Settings.StaleCloseDelay)
	s.arm()
	return s
}

// Transport is that of the pipe, as metrics name it.
func (s *Session) Transport() metrics.Transport { return s.transport }

func (s *Session) loop() *loop.Loop       { return s.node.Loops[s.handle.Loop()] }
func (s *Session) worker() *worker        { return &s.node.workers[s.handle.Loop()] }
func (s *Session) policy() *policy.Policy { return s.node.policy.Load() }

// id is the public id. It follows from the handle, which no other session of the process has, so that nothing is kept for it.
func (s *Session) id() [16]byte { return s.node.sealID(s.worker(), s.handle) }

// clientID is the id in its printed form.
func (s *Session) clientID() string { return uuid.UUID(s.id()).String() }

// namespace is that of the channel that the command under way is about, as metrics number it.
func (s *Session) namespace() metrics.Namespace { return metrics.Namespace(s.worker().label) }

// serves reports whether commands are taken.
func (s *Session) serves() bool { return s.state == fresh || s.state == connected }

// Receive takes one message of the transport: one or more delimited commands. They are decoded and handled one at a time, so
// that those before a bad one have their effect and their replies. Of a client that only listens it takes one, the request to connect.
func (s *Session) Receive(msg []byte) {
	if s.form.Uni() {
		s.receiveUni(msg)
		return
	}
	s.begin()
	if len(msg) == 0 && s.serves() {
		s.close(codec.DisconnectBadRequest)
	}
	s.take(msg, arrived)
	s.flush()
}

// round tells whether commands come for the first time.
type round bool

const (
	arrived round = false
	again   round = true // they were held back
)

// take handles the commands of msg, or holds them back while work for the session is under way.
func (s *Session) take(msg []byte, r round) {
	w := s.worker()
	for len(msg) > 0 && s.serves() {
		rest, err := codec.DecodeCommand(s.form, msg, &w.command)
		if err != nil && s.busy() {
			s.hold(msg) // those before it come first
			return
		}
		if err != nil {
			s.tellMalformed(err)
			s.close(codec.DisconnectBadRequest)
			return
		}
		command := msg[:len(msg)-len(rest)]
		if r == arrived {
			s.node.Metrics.Received(s.handle.Loop(), s.transport, metrics.FrameOf(w.command.Method), len(command))
		}
		if s.busy() && w.command.Method != codec.MethodNone {
			s.hold(command)
		} else {
			s.handleCommand(&w.command, command)
		}
		msg = rest
	}
}

func (s *Session) tellMalformed(err error) {
	if suppressed, ok := s.worker().malformed.Due(s.node.Now()); ok {
		s.node.Log.Info("client sent a malformed command", "user", s.user, "error", err, "suppressed", suppressed)
	}
}

// begin makes the loop's worker ready for this session. After a panic it may still hold the replies of another one.
func (s *Session) begin() *worker {
	w := s.worker()
	w.out, w.replies = w.out[:codec.HeaderRoom], 0
	s.prepare()
	return w
}

// prepare makes the worker ready for a command or an order.
func (s *Session) prepare() {
	w := s.worker()
	w.label, w.room = 0, s.node.Settings.ReplyBytesMax
}

// handleCommand runs one command, whose bytes are text. A command that fails has two fates: it is answered, or the client is
// closed. One that lacks something is tried again when that has been fetched.
func (s *Session) handleCommand(c *codec.Command, text []byte) {
	start := time.Now()
	s.prepare()
	err := s.dispatch(c)
	s.node.Metrics.Command(s.handle.Loop(), s.namespace(), c.Method, time.Since(start))
	if err != nil {
		s.failed(c, text, err)
	}
}

// failed gives a command that failed its fate.
func (s *Session) failed(c *codec.Command, text []byte, err error) {
	var lacking pending
	if errors.As(err, &lacking) {
		if s.form.Uni() {
			text, _ = codec.AppendCommand(nil, s.form, c) // it was decoded from this form, so it can be written in it
		}
		if err = s.await(text, lacking); err == nil {
			if s.extra != nil { // otherwise it was closed: too much is held back
				s.node.Settings.CommandRate.giveBack(&s.extra.rested)
			}
			return
		}
	}
	var answer *codec.Error
	var end codec.Disconnect
	if !errors.As(err, &end) && !errors.As(err, &answer) {
		s.node.faults.Say(s.node.Log, slog.LevelError, "command failed", "method", c.Method.String(), "user", s.user, "client", s.clientID(), "error", err)
		answer = codec.ErrorInternal
	}
	switch {
	case s.form.Uni():
		s.notConnected(answer, end)
	case answer != nil:
		s.refuse(c.ID, c.Method, answer)
	default:
		s.close(end)
	}
	if c.Method == codec.MethodConnect && s.state == fresh {
		s.fail()
	}
}

// codeOf is the code with which failed answers err, or closes.
func codeOf(err error) uint32 {
	var answer *codec.Error
	var end codec.Disconnect
	switch {
	case errors.As(err, &end):
		return end.Code
	case errors.As(err, &answer):
		return answer.Code
	}
	return codec.ErrorInternal.Code
}

// refuse answers a command with an error.
func (s *Session) refuse(id uint32, m codec.Method, e *codec.Error) {
	s.node.Metrics.ReplyError(s.namespace(), m, e.Code)
	s.reply(m, &codec.Reply{ID: id, Error: e})
}

func (s *Session) dispatch(c *codec.Command) error {
	if c.ID == 0 && c.Method != codec.MethodSend {
		return s.pongCame()
	}
	if s.state == fresh && c.Method != codec.MethodConnect {
		return codec.DisconnectBadRequest
	}
	if c.Method == codec.MethodSend {
		return codec.DisconnectNotAvailable // also over the limit of commands, as it has no reply that could say so
	}
	if r := s.node.Settings.CommandRate; r.every > 0 && !r.allows(&s.more().rested, s.node.Now()) {
		return codec.ErrorTooManyRequests
	}
	switch c.Method {
	case codec.MethodConnect:
		return s.connect(c.ID, &c.Connect)
	case codec.MethodSubscribe:
		return s.subscribe(c.ID, &c.Subscribe)
	case codec.MethodUnsubscribe:
		return s.unsubscribe(c.ID, &c.Unsubscribe)
	case codec.MethodPublish:
		return s.publish(c.ID, &c.Publish)
	case codec.MethodRefresh:
		return s.refresh(c.ID, &c.Refresh)
	case codec.MethodSubRefresh:
		return s.subRefresh(c.ID, &c.SubRefresh)
	case codec.MethodHistory:
		return s.history(c.ID, &c.History)
	case codec.MethodPresence:
		return s.presence(c.ID, &c.Presence)
	case codec.MethodPresenceStats:
		return s.presenceStats(c.ID, &c.PresenceStats)
	case codec.MethodRPC:
		return s.rpc(c.ID, &c.RPC)
	default:
		return codec.DisconnectBadRequest
	}
}

// reply notes the reply to a command; it is sent with those of the same message.
func (s *Session) reply(to codec.Method, r *codec.Reply) {
	out, err := codec.AppendReply(s.worker().out, s.form, r)
	s.noted(metrics.FrameOf(to), out, err)
}

// push notes a push; it is sent with what else the same call notes.
func (s *Session) push(kind metrics.FrameType, p *codec.Push) {
	out, err := codec.AppendPush(s.worker().out, s.form, p)
	s.noted(kind, out, err)
}

func (s *Session) noted(kind metrics.FrameType, out []byte, err error) {
	if err != nil {
		s.close(codec.DisconnectInappropriateProtocol)
		return
	}
	w := s.worker()
	s.node.Metrics.Sent(s.handle.Loop(), s.transport, kind, 1, len(out)-len(w.out))
	w.out = out
	if w.replies++; w.replies == repliesPerFrame || len(w.out) >= repliesBytesFull {
		s.flush()
	}
}

// flush sends what was noted.
func (s *Session) flush() {
	w := s.worker()
	if len(w.out) == codec.HeaderRoom {
		return
	}
	out := w.out
	w.out, w.replies = w.out[:codec.HeaderRoom], 0
	if cap(w.out) > outKeptMax {
		w.out = make([]byte, codec.HeaderRoom, 4<<10)
	}
	if r, takes := s.conn.(Replier); !takes {
		s.write(codec.NewFrame(s.form, bytes.Clone(out)))
	} else if s.state != closed && !r.Reply(s.form, out) {
		s.leave(s.pipeCode())
	}
}

// outKeptMax is the largest reply buffer, in bytes, that a loop keeps.
const outKeptMax = 64 << 10

// Send sends what a channel's fan-out brings.
func (s *Session) Send(f *codec.Frame) {
	s.countSent(f, codec.Publications, metrics.FramePushPublication)
	if f.Mixed() {
		s.countSent(f, codec.Joins, metrics.FramePushJoin)
		s.countSent(f, codec.Leaves, metrics.FramePushLeave)
	}
	s.write(f)
}

func (s *Session) countSent(f *codec.Frame, k codec.Kind, t metrics.FrameType) {
	messages, size := f.Count(k)
	s.node.Metrics.Sent(s.handle.Loop(), s.transport, t, messages, size)
}

// write sends a frame. A session whose pipe takes no more has nothing left to do.
func (s *Session) write(f *codec.Frame) {
	if s.state != closed && !s.conn.Send(f) {
		s.leave(s.pipeCode())
	}
}

// close ends the session and tells the client why.
func (s *Session) close(d codec.Disconnect) {
	if s.state == closed {
		return
	}
	s.flush()
	if s.state == closed {
		return // the pipe ends itself, for a reason of its own
	}
	s.node.Metrics.Disconnect(d.Code)
	s.leave(d.Code)
	s.conn.Close(d)
}

// fail ends a session whose connect was answered with an error: clients close by themselves then, and get time for it.
func (s *Session) fail() {
	s.state = failed
	s.beat, s.end = 0, s.loop().Now().After(failedCloseDelay)
	s.arm()
}

// Closed tells that the pipe has gone.
func (s *Session) Closed() { s.leave(s.pipeCode()) }

// pipeCode is the code of the close frame that ended the pipe, if it knows.
func (s *Session) pipeCode() uint32 {
	if c, knows := s.conn.(CloseCoder); knows {
		return uint32(c.CloseCode())
	}
	return 0
}

// leave gives back all that the session holds; code says why it ends. After a panic on the way, Closed does the rest.
func (s *Session) leave(code uint32) {
	s.giveBack(closed, code)
	for s.subs != nil {
		s.drop(s.subs)
	}
	if s.busy() {
		s.letGo()
	}
	s.extra = nil
}

// takeBack undoes a connect that failed on its way, with err. The command is answered with an error then.
func (s *Session) takeBack(err error) {
	for s.subs != nil {
		s.drop(s.subs)
	}
	s.giveBack(fresh, codeOf(err))
	s.user, s.extra = "", nil
}

// giveBack gives back what makes a session a connected one.
func (s *Session) giveBack(next state, code uint32) {
	was := s.state
	s.state = next
	if was == connected {
		s.node.clients.Add(-1)
		s.node.Metrics.Left(s.handle.Loop(), s.class, code)
		s.node.Users.Release(s.user, s.handle)
	}
}
