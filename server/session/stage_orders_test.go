package session

import (
	"encoding/json"
	"strings"

	"stentor/codec"
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
