package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/gorilla/websocket"

	"stentor/codec"
	"stentor/server/api"
	"stentor/server/auth"
	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// patience is how long anything may take that will happen in the end.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// bridge is the ether as the reference sees it (centrifuge.Controller).
type bridge struct{ *end }

func (b bridge) RegisterControlEventHandler(h centrifuge.ControlEventHandler) error {
	b.Listen(b.uid, func(message []byte) { _ = h.HandleControl(bytes.Clone(message)) })
	return nil
}

func (b bridge) PublishControl(message []byte, node, _ string) error {
	if node == "" {
		return b.Broadcast(context.Background(), message)
	}
	return b.Send(context.Background(), node, message)
}

// reference is a node of the reference with one client, whose user is 42.
type reference struct {
	*centrifuge.Node
	client *websocket.Conn
	lines  []string // that the client has got and nobody has read
}

func newReference(t *testing.T, e *ether) *reference {
	t.Helper()
	node, err := centrifuge.New(centrifuge.Config{Name: "the reference", Version: "9.9.9", NodeInfoMetricsAggregateInterval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	node.SetController(bridge{e.open(node.ID())})
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "42", ExpireAt: time.Now().Add(time.Hour).Unix()}}, nil
	})
	node.OnConnect(func(*centrifuge.Client) {})
	node.OnNotification(func(centrifuge.NotificationEvent) {})
	node.OnSurvey(func(q centrifuge.SurveyEvent, answer centrifuge.SurveyCallback) { answer(surveyed(q)) })
	if err := node.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Shutdown(context.Background()) })
	srv := httptest.NewServer(centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	t.Cleanup(srv.Close)
	conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(srv.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &reference{Node: node, client: conn}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"id":1,"connect":{}}`)); err != nil {
		t.Fatal(err)
	}
	if got := r.read(t); !strings.Contains(got, `"connect"`) {
		t.Fatal(got)
	}
	return r
}

// surveyed answers as the reference's server does, which is more than its library.
func surveyed(q centrifuge.SurveyEvent) centrifuge.SurveyReply {
	var question control.ChannelsRequest
	if q.Op != opChannels {
		return centrifuge.SurveyReply{Code: AnswerUnknownOp}
	}
	if question.UnmarshalVT(q.Data) != nil || question.Pattern != "n*" {
		return centrifuge.SurveyReply{Code: AnswerInvalid}
	}
	data, err := (&control.ChannelsResult{Channels: map[string]*control.ChannelInfo{"news": {NumClients: 7}, "new": {NumClients: 1}}}).MarshalVT()
	if err != nil {
		return centrifuge.SurveyReply{Code: AnswerInternal}
	}
	return centrifuge.SurveyReply{Data: data}
}

// read is the next message that the client gets, or how it was closed.
func (r *reference) read(t *testing.T) string {
	t.Helper()
	if len(r.lines) > 0 {
		line := r.lines[0]
		r.lines = r.lines[1:]
		return line
	}
	_ = r.client.SetReadDeadline(time.Now().Add(patience))
	_, text, err := r.client.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return fmt.Sprintf("closed %d %s", closed.Code, closed.Text)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.lines = strings.Split(strings.TrimSpace(string(text)), "\n")
	return r.read(t)
}

// TestWithTheReference: a node of the reference and two of ours are one cluster: each knows the others, carries out their orders and
// answers their questions.
func TestWithTheReference(t *testing.T) {
	e := new(ether)
	ours := []*place{put(t, e, "a").run(t), put(t, e, "b").run(t)}
	theirs := newReference(t, e)
	ours[0].with(map[string]int{"news": 2, "x": 1})
	ours[1].with(map[string]int{"news": 3, "now": 4})
	t.Run("info", func(t *testing.T) { referenceKnows(t, ours, theirs) })
	t.Run("our orders", func(t *testing.T) { referenceObeys(t, ours[0], theirs) })
	t.Run("their orders", func(t *testing.T) { referenceOrders(t, ours[1], theirs) })
	t.Run("surveys", func(t *testing.T) { referenceAnswers(t, ours[0], theirs) })
	for _, p := range ours {
		for _, why := range []metrics.ControlFailure{metrics.ControlJunk, metrics.ControlDropped, metrics.ControlUnsent} {
			if n := p.failed(why); n != "0" {
				t.Errorf("%s messages failed as %s: %s", n, why, p.logs.String())
			}
		}
	}
	if err := theirs.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "the reference leaves", func() bool { return ours[0].knows() == "a b" })
}

func referenceKnows(t *testing.T, ours []*place, theirs *reference) {
	eventually(t, "all know all", func() bool {
		info, err := theirs.Info()
		return err == nil && len(info.Nodes) == 3 && ours[0].Count() == 3 && ours[1].Count() == 3
	})
	info, _ := theirs.Info()
	for _, n := range info.Nodes {
		if n.UID == "a" && (n.Name != "name of a" || n.Version != "1.2.3" || n.NumClients != 4 || n.NumUsers != 3 || n.NumSubs != 2 || n.NumChannels != 1) {
			t.Errorf("the reference knows %+v", n)
		}
	}
	eventually(t, "their client is counted", func() bool {
		for _, n := range ours[0].Info() {
			if n.UID == theirs.ID() {
				return n.Name == "the reference" && n.Version == "9.9.9" && n.NumClients == 1 && n.NumUsers == 1 && n.Metrics != nil
			}
		}
		return false
	})
}

// referenceObeys gives orders to the client of the reference.
func referenceObeys(t *testing.T, ours *place, theirs *reference) {
	ctx, c := t.Context(), ours.Clients()
	to := api.Target{User: "42"}
	expect := func(err error, want map[string]any) {
		t.Helper()
		var got map[string]any
		if err := errors.Join(err, json.Unmarshal([]byte(theirs.read(t)), &got)); err != nil {
			t.Fatal(err)
		}
		push, _ := got["push"].(map[string]any)
		for key, value := range want {
			if fmt.Sprint(find(push, key)) != fmt.Sprint(value) {
				t.Errorf("%s is %v, want %v, in %v", key, find(push, key), value, got)
			}
		}
	}
	expect(c.Subscribe(ctx, to, api.Subscribe{Channel: "news", Data: []byte(`{"d":1}`), Override: auth.Override{ForceRecovery: auth.On}}),
		map[string]any{"channel": "news", "subscribe.data": map[string]any{"d": 1}, "subscribe.recoverable": true})
	expect(c.Subscribe(ctx, to, api.Subscribe{Channel: "all:1"}),
		map[string]any{"channel": "all:1", "subscribe.recoverable": true, "subscribe.positioned": true})
	expect(nil, map[string]any{"channel": "all:1", "join.info.user": "42"})
	expect(c.Subscribe(ctx, to, api.Subscribe{Channel: "all:2", Override: auth.Override{ForceRecovery: auth.Off, ForcePositioning: auth.Off}}),
		map[string]any{"channel": "all:2", "subscribe.recoverable": nil, "subscribe.positioned": nil})
	expect(nil, map[string]any{"channel": "all:2", "join.info.user": "42"})
	presence, err := theirs.Presence("all:1")
	if err != nil || len(presence.Presence) != 1 {
		t.Errorf("presence %v, %v", presence, err)
	}
	expect(c.Unsubscribe(ctx, to, "news", codec.UnsubscribeServer),
		map[string]any{"channel": "news", "unsubscribe.code": 2000, "unsubscribe.reason": "server unsubscribe"})
	expect(c.Refresh(ctx, to, api.Refresh{ExpireAt: time.Now().Add(time.Hour).Unix()}), map[string]any{"refresh.expires": true})
	if err := c.Disconnect(ctx, api.Target{User: "42", Client: "another"}, force); err != nil {
		t.Fatal(err)
	}
	if err := c.Disconnect(ctx, to, codec.Disconnect{Code: 4001, Reason: "bye"}); err != nil {
		t.Fatal(err)
	}
	if got := theirs.read(t); got != "closed 4001 bye" {
		t.Errorf("got %s", got)
	}
}

// find looks up a path with dots.
func find(in map[string]any, path string) any {
	key, rest, more := strings.Cut(path, ".")
	if !more {
		return in[key]
	}
	inner, _ := in[key].(map[string]any)
	return find(inner, rest)
}

// referenceOrders has the reference give orders to our sessions.
func referenceOrders(t *testing.T, ours *place, theirs *reference) {
	ours.theirs.take()
	for _, tt := range []struct {
		give func() error
		want string
	}{
		{func() error {
			return theirs.Node.Subscribe("42", "all:1",
				centrifuge.WithEmitPresence(true), centrifuge.WithPositioning(true), centrifuge.WithPushJoinLeave(true),
				centrifuge.WithChannelInfo([]byte("[1]")), centrifuge.WithSubscribeData([]byte("[2]")), centrifuge.WithExpireAt(7),
				centrifuge.WithSubscribeClient("c"), centrifuge.WithSubscribeSession("s"),
				centrifuge.WithRecoverSince(&centrifuge.StreamPosition{Offset: 3, Epoch: "e"}))
		},
			`subscribe {User:42 Client:c Session:s Whitelist:[]} "all:1" info [1] false data [2] false until 7 since 3/e ` +
				`{Presence:2 JoinLeave:1 ForcePushJoinLeave:2 ForceRecovery:1 ForcePositioning:2}`},
		{func() error { return theirs.Node.Unsubscribe("42", "all:1", centrifuge.WithUnsubscribeClient("c")) },
			`unsubscribe {User:42 Client:c Session: Whitelist:[]} "all:1" 2000 server unsubscribe`},
		{func() error {
			return theirs.Refresh("42", centrifuge.WithRefreshExpireAt(9), centrifuge.WithRefreshInfo([]byte("{}")))
		},
			`refresh {User:42 Client: Session: Whitelist:[]} false until 9 info {} false`},
		{func() error {
			return theirs.Node.Disconnect("42", centrifuge.WithDisconnectClientWhitelist([]string{"c"}))
		},
			`disconnect {User:42 Client: Session: Whitelist:[c]} 3503 force disconnect`},
	} {
		if err := tt.give(); err != nil {
			t.Fatal(err)
		}
		var got string
		eventually(t, tt.want, func() bool { got = ours.theirs.take(); return got != "" })
		if got != tt.want {
			t.Errorf("got\n%s\nwant\n%s", got, tt.want)
		}
	}
	if err := theirs.Node.Disconnect("", centrifuge.WithDisconnectAllUsers(true)); err != nil {
		t.Fatal(err)
	}
	label := centrifuge.WithDisconnectLabelFilter(&centrifuge.FilterNode{Key: "a", Cmp: "eq", Val: "b"})
	if err := theirs.Node.Disconnect("42", label); err != nil {
		t.Fatal(err)
	}
	eventually(t, "orders that we cannot judge are refused", func() bool { return ours.failed(metrics.ControlRefused) == "2" })
	if err := theirs.Notify("x", nil, ""); err != nil {
		t.Error(err)
	}
	if got := ours.theirs.take(); got != "" {
		t.Errorf("and got %s", got)
	}
}

// referenceAnswers asks the reference, and has it ask.
func referenceAnswers(t *testing.T, ours *place, theirs *reference) {
	got, err := ours.Node.Channels(t.Context(), "n*")
	if want := map[string]int{"news": 12, "new": 1, "now": 4}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if answer, err := ours.Ask(t.Context(), theirs.ID(), opChannels, encodedPattern("other")); err != nil || answer.Code != AnswerInvalid {
		t.Errorf("%+v, %v", answer, err)
	}
	answers, err := theirs.Survey(t.Context(), opChannels, encodedPattern("n*"), "")
	if err != nil || len(answers) != 3 {
		t.Fatalf("%v, %v", answers, err)
	}
	all := map[string]int{}
	for _, a := range answers {
		if err := addChannels(all, Answer(a)); err != nil {
			t.Error(err)
		}
	}
	if !maps.Equal(all, got) {
		t.Errorf("the reference found %v", all)
	}
	if answers, err := theirs.Survey(t.Context(), "unheard of", nil, "b"); err != nil || answers["b"].Code != AnswerUnknownOp {
		t.Errorf("%v, %v", answers, err)
	}
}
