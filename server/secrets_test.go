package server

import (
	"context"
	"testing"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/api"
	"stentor/server/metrics"
	"stentor/server/pipetest"
	"stentor/server/session"
)

// listener is the pipe of a client that only listens. It keeps what it is told.
type listener struct {
	session *session.Session
	secret  string
	heard   []*codec.Push
	ended   codec.Disconnect
}

func (x *listener) Send(f *codec.Frame) bool {
	for rest := f.Messages(); len(rest) > 0; {
		var r codec.Reply
		var err error
		if rest, err = codec.DecodeReply(f.Form(), rest, &r); err != nil {
			panic(err)
		}
		if x.heard = append(x.heard, r.Push); r.Push.Connect != nil {
			x.secret = r.Push.Connect.Session
		}
	}
	return true
}

func (x *listener) Close(d codec.Disconnect) { x.ended = d }
func (x *listener) Arm(loop.Time)            {}
func (x *listener) Order(what any)           { x.session.Order(what) }
func (x *listener) Expire(loop.Time)         {}

// onLoop has something done on the loop and waits for it.
type onLoop func()

func (do onLoop) Take(*loop.Loop, any) { do() }

func (do onLoop) wait(node *session.Node) {
	done := make(chan struct{})
	if node.Loops[0].Post(onLoop(func() { do(); close(done) }), nil, 0) {
		node.Loops[0].Wake()
	}
	<-done
}

// TestOrdersToASecret: of the sessions of a user, an order with a secret is for the one that was told it; one that names another node's
// session, or none, is for nobody.
func TestOrdersToASecret(t *testing.T) {
	ctx := context.Background()
	node := pipetest.Open(t, pipetest.Config{}).Node
	one, other := new(listener), new(listener)
	onLoop(func() {
		for _, x := range []*listener{one, other} {
			x.session = session.New(node, x, node.Loops[0].Add(x), session.Options{Form: codec.UniJSON, Transport: metrics.UniSSE})
			x.session.ConnectUni(&codec.ConnectRequest{})
			x.heard = nil
		}
	}).wait(node)
	c := clients{node: node}
	foreign := clients{node: node, foreign: true}
	for _, to := range []api.Target{
		{Session: "x"}, {Session: "00000000-0000-0000-0000-000000000000"}, {Session: one.secret, User: "42"}, {Session: one.secret, Client: "x"},
	} {
		for _, c := range []clients{c, foreign} {
			if err := c.Disconnect(ctx, to, codec.DisconnectForceNoReconnect); err != nil {
				t.Error(err)
			}
		}
	}
	to := api.Target{Session: one.secret}
	if err := c.Subscribe(ctx, to, api.Subscribe{Channel: "news"}); err != nil {
		t.Error(err)
	}
	if err := foreign.Unsubscribe(ctx, to, "news", codec.UnsubscribeServer); err != nil {
		t.Error(err)
	}
	if err := c.Disconnect(ctx, to, codec.DisconnectForceReconnect); err != nil {
		t.Error(err)
	}
	onLoop(func() {
		if len(one.heard) != 2 || one.heard[0].Subscribe == nil || one.heard[1].Unsubscribe == nil || one.ended != codec.DisconnectForceReconnect {
			t.Errorf("it heard %+v and was ended with %v", one.heard, one.ended)
		}
		if len(other.heard) != 0 || other.ended != (codec.Disconnect{}) {
			t.Errorf("the other one heard %+v and was ended with %v", other.heard, other.ended)
		}
		one.session.Closed()
		other.session.Closed()
	}).wait(node)
}
