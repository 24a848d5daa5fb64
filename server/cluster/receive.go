package cluster

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// The fields of control.Command.
const (
	fieldUID            protowire.Number = 1
	fieldNode           protowire.Number = 4
	fieldUnsubscribe    protowire.Number = 5
	fieldDisconnect     protowire.Number = 6
	fieldShutdown       protowire.Number = 7
	fieldSurveyRequest  protowire.Number = 8
	fieldSurveyResponse protowire.Number = 9
	fieldSubscribe      protowire.Number = 10
	fieldNotification   protowire.Number = 11
	fieldRefresh        protowire.Number = 12
)

// envelope is what can be told of a message before it is decoded.
type envelope struct {
	uid  []byte
	kind protowire.Number
}

// peek reads the outermost fields of a message.
func peek(message []byte) (e envelope, ok bool) {
	for len(message) > 0 {
		number, form, n := protowire.ConsumeTag(message)
		if n < 0 {
			return e, false
		}
		value := message[n:]
		if n = protowire.ConsumeFieldValue(number, form, value); n < 0 {
			return e, false
		}
		value, message = value[:n], value[n:]
		switch {
		case number == fieldUID:
			if e.uid, n = protowire.ConsumeBytes(value); form != protowire.BytesType || n < 0 {
				return e, false
			}
		case number >= fieldNode && number <= fieldRefresh:
			if form != protowire.BytesType || e.kind != 0 && e.kind != number {
				return e, false
			}
			e.kind = number
		}
	}
	return e, true
}

// check reports what is wrong with a message of size bytes; "" if nothing is.
func (e *envelope) check(size int) (fault string) {
	switch {
	case !validUID(e.uid):
		return "it does not say which node it is from"
	case e.kind == 0:
		return "it says nothing"
	}
	limit := OrderBytesMax
	switch e.kind {
	case fieldNode:
		limit = NodeMessageBytesMax
	case fieldSurveyResponse:
		limit = MessageBytesMax
	}
	if size > limit {
		return "it is too large"
	}
	return ""
}

// validUID reports that messages can be sent to a node of this id: it becomes a part of names of the bus.
func validUID[T string | []byte](uid T) bool {
	for i := range len(uid) {
		b := uid[i]
		if b != '-' && b != '_' && b != '.' && b != ':' && (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			return false
		}
	}
	return len(uid) > 0 && len(uid) <= UIDBytesMax
}

// receive takes a message from the bus, whose memory it is. It never waits.
func (n *Node) receive(message []byte) {
	n.cfg.Metrics.MessageReceived(-1, 0, metrics.MessageControl)
	e, ok := peek(message)
	if !ok {
		n.junk(message, "it is no message of this protocol")
		return
	}
	if fault := e.check(len(message)); fault != "" {
		n.junk(message, fault)
		return
	}
	own := string(e.uid) == n.cfg.UID
	if own && e.kind == fieldNode && !n.link.echo(message, time.Now()) {
		n.complaints.say(complaintTwin, "uid", n.cfg.UID)
	}
	if own && e.kind != fieldSurveyRequest {
		return
	}
	var c control.Command
	if err := c.UnmarshalVT(message); err != nil {
		n.junk(message, err.Error())
		return
	}
	if own {
		n.asked.echoed(n.cfg.UID, c.SurveyRequest.Id)
		return
	}
	if fault := n.dispatch(&c, e.kind, len(message)); fault != "" {
		n.junk(message, fault)
	}
}

func (n *Node) junk(message []byte, fault string) {
	n.fail(complaintJunk, "bytes", len(message), "fault", fault)
}

// dispatch does what a message of another node says, or leaves it where that is done.
func (n *Node) dispatch(c *control.Command, kind protowire.Number, size int) (fault string) {
	switch kind {
	case fieldNode:
		if c.Node.Uid != c.Uid {
			return "it describes another node than it is from"
		}
		n.meet(c.Node)
	case fieldShutdown:
		if n.registry.leave(c.Uid, time.Now()) {
			n.cfg.Log.Info("a node has gone", "uid", c.Uid)
		}
		n.asked.departed(c.Uid)
	case fieldSurveyRequest:
		n.question(c.Uid, c.SurveyRequest, size)
	case fieldSurveyResponse:
		n.asked.answered(c.Uid, c.SurveyResponse)
	case fieldNotification: // of applications built on the reference's library; this server has no use for them
	default:
		return n.command(c, kind, size)
	}
	return ""
}

// meet takes the announcement of another node.
func (n *Node) meet(m *control.Node) {
	switch n.registry.heard(infoOf(m), time.Now()) {
	case unknown:
		n.cfg.Log.Info("another node is there", "uid", m.Uid, "name", text(m.Name), "version", text(m.Version))
		n.sendLater(m.Uid, nil)
	case stranger:
		n.fail(complaintStranger, "uid", m.Uid, "name", text(m.Name), "limit", NodesMax)
	}
}

// reserve takes size bytes of the inbox. They are given back when the message has been worked on.
func (n *Node) reserve(size int) bool {
	if n.inboxBytes.Add(int64(size)) > InboxBytesMax {
		n.inboxBytes.Add(-int64(size))
		return false
	}
	return true
}

func (n *Node) release(size int) { n.inboxBytes.Add(-int64(size)) }
