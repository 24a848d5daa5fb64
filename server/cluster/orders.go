package cluster

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/protobuf/encoding/protowire"

	"stentor/codec"
	"stentor/server/api"
	"stentor/server/auth"
	"stentor/server/cluster/control"
)

// sourceServerAPI is what the reference calls subscriptions that the server API made.
const sourceServerAPI = 10

// Clients gives orders to the sessions of all nodes.
func (n *Node) Clients() api.Clients {
	if n.cfg.Bus == nil {
		return n.cfg.Clients
	}
	return everywhere{n}
}

// everywhere is api.Clients over the bus. The sessions of this node get an order even if the others do not.
type everywhere struct{ *Node }

// Disconnect ends sessions of all nodes.
func (n everywhere) Disconnect(ctx context.Context, to api.Target, why codec.Disconnect) error {
	err := n.tell(ctx, &control.Command{Disconnect: &control.Disconnect{
		User: to.User, Client: to.Client, Session: to.Session, Whitelist: to.Whitelist, Code: why.Code, Reason: why.Reason,
	}})
	return cmp.Or(err, n.cfg.Clients.Disconnect(ctx, to, why))
}

// Unsubscribe removes channel, or every channel when it is empty, from sessions of all nodes.
func (n everywhere) Unsubscribe(ctx context.Context, to api.Target, channel string, why codec.Unsubscribe) error {
	err := n.tell(ctx, &control.Command{Unsubscribe: &control.Unsubscribe{
		User: to.User, Client: to.Client, Session: to.Session, Channel: channel, Code: why.Code, Reason: why.Reason,
	}})
	return cmp.Or(err, n.cfg.Clients.Unsubscribe(ctx, to, channel, why))
}

// Subscribe adds a channel to sessions of all nodes. Others are not told what is to be different from the options of the channel but
// how it is to be, so that it is the same everywhere, whatever they have in their configuration.
func (n everywhere) Subscribe(ctx context.Context, to api.Target, order api.Subscribe) error {
	ch, fault := n.cfg.Rules().Resolve(order.Channel)
	if fault != nil {
		return fault
	}
	o, differs := ch.Options, &order.Override
	s := &control.Subscribe{
		User: to.User, Client: to.Client, Session: to.Session,
		Channel:       order.Channel,
		ChannelInfo:   order.Info,
		Data:          order.Data,
		ExpireAt:      order.ExpireAt,
		EmitPresence:  differs.Presence.Or(o.Presence),
		EmitJoinLeave: differs.JoinLeave.Or(o.JoinLeave),
		PushJoinLeave: differs.ForcePushJoinLeave.Or(o.ForcePushJoinLeave),
		Recover:       differs.ForceRecovery.Or(o.ForceRecovery),
		Position:      differs.ForcePositioning.Or(o.ForcePositioning),
		Source:        sourceServerAPI,
	}
	if since := order.RecoverSince; since != nil {
		s.RecoverSince = &control.StreamPosition{Offset: since.Offset, Epoch: since.Epoch}
	}
	err := n.tell(ctx, &control.Command{Subscribe: s})
	return cmp.Or(err, n.cfg.Clients.Subscribe(ctx, to, order))
}

// Refresh lets sessions of all nodes expire at another time, or now.
func (n everywhere) Refresh(ctx context.Context, to api.Target, order api.Refresh) error {
	err := n.tell(ctx, &control.Command{Refresh: &control.Refresh{
		User: to.User, Client: to.Client, Session: to.Session,
		Expired: order.Expired, ExpireAt: order.ExpireAt, Info: order.Info,
	}})
	return cmp.Or(err, n.cfg.Clients.Refresh(ctx, to, order))
}

// tell gives an order to the other nodes. A caller who goes away in the middle does not leave it half given.
func (n everywhere) tell(ctx context.Context, c *control.Command) error {
	return n.broadcast(context.WithoutCancel(ctx), c)
}

// order is one of another node that waits to be carried out.
type order struct {
	command *control.Command
	kind    protowire.Number
	size    int
}

// command leaves an order for obey, unless it is none or cannot be judged here: labels and "all users" are of the reference's
// library and not of its server, and to leave them out would be to reach others than those who were meant.
func (n *Node) command(c *control.Command, kind protowire.Number, size int) (fault string) {
	filtered, all := false, false
	switch kind {
	case fieldDisconnect:
		filtered, all = len(c.Disconnect.LabelFilter) > 0, c.Disconnect.AllUsers && c.Disconnect.User == ""
	case fieldUnsubscribe:
		filtered, all = len(c.Unsubscribe.LabelFilter) > 0, c.Unsubscribe.AllUsers && c.Unsubscribe.User == ""
	case fieldSubscribe:
		filtered, all = len(c.Subscribe.LabelFilter) > 0, c.Subscribe.AllUsers && c.Subscribe.User == ""
		if c.Subscribe.Channel == "" {
			return "it is a subscription to no channel"
		}
	case fieldRefresh:
		filtered, all = len(c.Refresh.LabelFilter) > 0, c.Refresh.AllUsers && c.Refresh.User == ""
	}
	if filtered || all {
		n.fail(complaintRefused, "uid", c.Uid)
		return ""
	}
	if !n.reserve(size) {
		n.fail(complaintDropped, "uid", c.Uid)
		return ""
	}
	select {
	case n.orders <- order{c, kind, size}:
	default:
		n.release(size)
		n.fail(complaintDropped, "uid", c.Uid)
	}
	return ""
}

// obey carries out orders of other nodes until ctx ends. Sessions get them without anybody waiting for the loops, but now and then
// the loops have to catch up: their mailboxes must not be where a flood of orders gathers.
func (n *Node) obey(ctx context.Context) {
	given := 0
	for {
		select {
		case o := <-n.orders:
			n.carryOut(ctx, &o)
			n.release(o.size)
			if given++; given == OrdersBurst {
				n.cfg.Sessions.Settle()
				given = 0
			}
		case <-ctx.Done():
			return
		}
	}
}

// carryOut gives an order to the sessions that it is for. Sessions of this node never fail.
func (n *Node) carryOut(ctx context.Context, o *order) {
	defer func() {
		if v := recover(); v != nil {
			n.panics.Say(n.cfg.Log, slog.LevelError, "panic in an order of another node", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	s := n.cfg.Sessions
	switch o.kind {
	case fieldDisconnect:
		c := o.command.Disconnect
		why := codec.Disconnect{Code: c.Code, Reason: c.Reason}
		if !api.Closeable(c.Code) {
			why = codec.DisconnectForceNoReconnect
		}
		_ = s.Disconnect(ctx, api.Target{User: c.User, Client: c.Client, Session: c.Session, Whitelist: c.Whitelist}, why)
	case fieldUnsubscribe:
		c := o.command.Unsubscribe
		why := codec.Unsubscribe{Code: c.Code, Reason: c.Reason}
		if c.Code < codec.UnsubscribeServer.Code { // the lower ones say that the client wanted it
			why = codec.UnsubscribeServer
		}
		_ = s.Unsubscribe(ctx, api.Target{User: c.User, Client: c.Client, Session: c.Session}, c.Channel, why)
	case fieldSubscribe:
		c := o.command.Subscribe
		_ = s.Subscribe(ctx, api.Target{User: c.User, Client: c.Client, Session: c.Session}, subscribeOf(c))
	case fieldRefresh:
		c := o.command.Refresh
		_ = s.Refresh(ctx, api.Target{User: c.User, Client: c.Client, Session: c.Session},
			api.Refresh{Expired: c.Expired, ExpireAt: c.ExpireAt, Info: some(c.Info)})
	}
}

// subscribeOf is what another node says of a subscription: all options as they are to be.
func subscribeOf(c *control.Subscribe) api.Subscribe {
	s := api.Subscribe{
		Channel:  c.Channel,
		Info:     some(c.ChannelInfo),
		Data:     some(c.Data),
		ExpireAt: c.ExpireAt,
		Override: auth.Override{
			Presence:           position(c.EmitPresence),
			JoinLeave:          position(c.EmitJoinLeave),
			ForcePushJoinLeave: position(c.PushJoinLeave),
			ForceRecovery:      position(c.Recover),
			ForcePositioning:   position(c.Position),
		},
	}
	if since := c.RecoverSince; since != nil {
		s.RecoverSince = &codec.StreamPosition{Offset: since.Offset, Epoch: since.Epoch}
	}
	return s
}

// some is b, or nil if there is nothing in it.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// position is that of a switch.
func position(on bool) auth.Switch {
	if on {
		return auth.On
	}
	return auth.Off
}
