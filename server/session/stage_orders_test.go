package session

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/auth"
)

// apiSubscribe and apiRefresh read "USER CHANNEL JSON" and "USER JSON" with the fields of the server API; expire_at is in seconds
// from now.

func (st *stage) apiSubscribe(rest string) {
	user, rest, _ := strings.Cut(rest, " ")
	channel, text, _ := strings.Cut(rest, " ")
	var o struct {
		Info, Data   json.RawMessage
		ExpireAt     *int64                `json:"expire_at"`
		RecoverSince *codec.StreamPosition `json:"recover_since"`
		Override     map[string]struct{ Value bool }
	}
	st.read(text, &o)
	turned := func(name string) auth.Switch {
		switch v, ok := o.Override[name]; {
		case !ok:
			return auth.Unset
		case v.Value:
			return auth.On
		}
		return auth.Off
	}
	to := st.target(user)
	st.orderUser(to.User, Subscribe{
		Target: to, Channel: channel, Info: o.Info, Data: o.Data, ExpireAt: st.fromNow(o.ExpireAt), RecoverSince: o.RecoverSince,
		Override: auth.Override{
			Presence: turned("presence"), JoinLeave: turned("join_leave"), ForcePushJoinLeave: turned("force_push_join_leave"),
			ForceRecovery: turned("force_recovery"), ForcePositioning: turned("force_positioning"),
		},
	})
}

func (st *stage) apiRefresh(rest string) {
	user, text, _ := strings.Cut(rest, " ")
	var o struct {
		Info     json.RawMessage
		Expired  bool
		ExpireAt *int64 `json:"expire_at"`
	}
	st.read(text, &o)
	to := st.target(user)
	st.orderUser(to.User, Refresh{Target: to, Expired: o.Expired, ExpireAt: st.fromNow(o.ExpireAt), Info: o.Info})
}

// apiTagged reads "CHANNEL KEY=VALUE,… DATA" and publishes with tags.
func (st *stage) apiTagged(rest string) {
	name, rest, _ := strings.Cut(rest, " ")
	list, data, _ := strings.Cut(rest, " ")
	tags := make(map[string]string)
	for pair := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(pair, "=")
		tags[key] = value
	}
	st.publishWith(name, &codec.Publication{Data: []byte(data), Tags: tags}, func(*engine.PublishOptions) {})
}

// apiVersion reads "CHANNEL NUMBER[/EPOCH] DATA" and publishes a version.
func (st *stage) apiVersion(rest string) {
	name, rest, _ := strings.Cut(rest, " ")
	version, data, _ := strings.Cut(rest, " ")
	number, epoch, _ := strings.Cut(version, "/")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		st.t.Fatal(err)
	}
	st.publishWith(name, &codec.Publication{Data: []byte(data)}, func(o *engine.PublishOptions) { o.Version, o.VersionEpoch = n, epoch })
}

// publishWith publishes as the channel's namespace says, and as adjust adds to it.
func (st *stage) publishWith(name string, p *codec.Publication, adjust func(*engine.PublishOptions)) {
	ch, answer := st.rules.Resolve(name)
	if answer != nil {
		st.t.Fatal(answer)
	}
	o := publishOptions(ch)
	adjust(&o)
	if _, err := st.node.Broker.Publish(context.Background(), name, p, o); err != nil {
		st.t.Fatal(err)
	}
}

func (st *stage) read(text string, o any) {
	if err := json.Unmarshal([]byte(text), o); err != nil {
		st.t.Fatalf("%s: %v", text, err)
	}
}

// fromNow turns seconds from now into unix seconds; none and 0 stay 0.
func (st *stage) fromNow(seconds *int64) int64 {
	if seconds == nil || *seconds == 0 {
		return 0
	}
	return st.wall.Unix() + *seconds
}
