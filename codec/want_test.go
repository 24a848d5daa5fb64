package codec

import "encoding/json"

// The want types are the commands as encoding/json would read them: the yardstick of the scanner.

type wantCommand struct {
	ID            uint32          `json:"id"`
	Connect       *wantConnect    `json:"connect"`
	Subscribe     *wantSubscribe  `json:"subscribe"`
	Unsubscribe   *wantChannel    `json:"unsubscribe"`
	Publish       *wantPublish    `json:"publish"`
	Presence      *wantChannel    `json:"presence"`
	PresenceStats *wantChannel    `json:"presence_stats"`
	History       *wantHistory    `json:"history"`
	RPC           *wantRPC        `json:"rpc"`
	Send          *wantData       `json:"send"`
	Refresh       *wantToken      `json:"refresh"`
	SubRefresh    *wantSubRefresh `json:"sub_refresh"`
	Ping          *struct{}       `json:"ping"`
}

type wantConnect struct {
	Token   string                    `json:"token"`
	Data    json.RawMessage           `json:"data"`
	Subs    map[string]*wantSubscribe `json:"subs"`
	Name    string                    `json:"name"`
	Version string                    `json:"version"`
	Headers map[string]string         `json:"headers"`
	Flag    int64                     `json:"flag"`
}

type wantSubscribe struct {
	Channel     string          `json:"channel"`
	Token       string          `json:"token"`
	Recover     bool            `json:"recover"`
	Epoch       string          `json:"epoch"`
	Offset      uint64          `json:"offset"`
	Data        json.RawMessage `json:"data"`
	Positioned  bool            `json:"positioned"`
	Recoverable bool            `json:"recoverable"`
	JoinLeave   bool            `json:"join_leave"`
	Delta       string          `json:"delta"`
	TF          *wantFilter     `json:"tf"`
	Flag        int64           `json:"flag"`
	Type        int32           `json:"type"`
	Phase       int32           `json:"phase"`
	Cursor      string          `json:"cursor"`
	Limit       int32           `json:"limit"`
	Asc         bool            `json:"asc"`
}

type wantFilter struct {
	Op    string    `json:"op"`
	Key   string    `json:"key"`
	Cmp   string    `json:"cmp"`
	Val   string    `json:"val"`
	Vals  wantTexts `json:"vals"`
	Nodes wantNodes `json:"nodes"`
}

type wantChannel struct {
	Channel string `json:"channel"`
}

type wantData struct {
	Data json.RawMessage `json:"data"`
}

type wantToken struct {
	Token string `json:"token"`
}

type wantPublish struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	Type    int32           `json:"type"`
	Key     string          `json:"key"`
	Removed bool            `json:"removed"`
}

type wantHistory struct {
	Channel string        `json:"channel"`
	Limit   int32         `json:"limit"`
	Since   *wantPosition `json:"since"`
	Reverse bool          `json:"reverse"`
}

type wantPosition struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

type wantRPC struct {
	Data   json.RawMessage `json:"data"`
	Method string          `json:"method"`
}

type wantSubRefresh struct {
	Channel string      `json:"channel"`
	Token   string      `json:"token"`
	Type    int32       `json:"type"`
	Track   wantBatches `json:"track"`
	Untrack wantTexts   `json:"untrack"`
}

type wantBatch struct {
	Signature string    `json:"signature"`
	Items     wantItems `json:"items"`
}

type wantItem struct {
	Key     string `json:"key"`
	Version uint64 `json:"version"`
}

// The list types start anew for each key: encoding/json reuses the elements of a list that an equal key left behind.
type (
	wantTexts   []string
	wantNodes   []wantFilter
	wantBatches []wantBatch
	wantItems   []wantItem
)

func (l *wantTexts) UnmarshalJSON(b []byte) error   { return fresh(b, (*[]string)(l)) }
func (l *wantNodes) UnmarshalJSON(b []byte) error   { return fresh(b, (*[]wantFilter)(l)) }
func (l *wantBatches) UnmarshalJSON(b []byte) error { return fresh(b, (*[]wantBatch)(l)) }
func (l *wantItems) UnmarshalJSON(b []byte) error   { return fresh(b, (*[]wantItem)(l)) }

func fresh[T any](b []byte, list *[]T) error {
	var l []T
	err := json.Unmarshal(b, &l)
	*list = l
	return err
}

// wantOf turns a decoded command into the form in which it is compared.
func wantOf(c *Command) wantCommand {
	w := wantCommand{ID: c.ID}
	has := func(m Method) bool { return c.found>>m&1 == 1 }
	if has(MethodConnect) {
		m := c.Connect
		w.Connect = &wantConnect{
			Token: m.Token, Data: m.Data, Name: m.Name, Version: m.Version, Headers: m.Headers, Flag: m.Flag,
		}
		if m.Subs != nil {
			w.Connect.Subs = map[string]*wantSubscribe{}
		}
		for k, v := range m.Subs {
			w.Connect.Subs[k] = wantSubscribeOf(v)
		}
	}
	if has(MethodSubscribe) {
		w.Subscribe = wantSubscribeOf(&c.Subscribe)
	}
	if has(MethodUnsubscribe) {
		w.Unsubscribe = &wantChannel{c.Unsubscribe.Channel}
	}
	if has(MethodPublish) {
		m := c.Publish
		w.Publish = &wantPublish{Channel: m.Channel, Data: m.Data, Type: m.Type, Key: m.Key, Removed: m.Removed}
	}
	if has(MethodPresence) {
		w.Presence = &wantChannel{c.Presence.Channel}
	}
	if has(MethodPresenceStats) {
		w.PresenceStats = &wantChannel{c.PresenceStats.Channel}
	}
	if has(MethodHistory) {
		m := c.History
		w.History = &wantHistory{Channel: m.Channel, Limit: m.Limit, Since: (*wantPosition)(m.Since), Reverse: m.Reverse}
	}
	if has(MethodRPC) {
		w.RPC = &wantRPC{Data: c.RPC.Data, Method: c.RPC.Method}
	}
	if has(MethodSend) {
		w.Send = &wantData{c.Send.Data}
	}
	if has(MethodRefresh) {
		w.Refresh = &wantToken{c.Refresh.Token}
	}
	if has(MethodSubRefresh) {
		w.SubRefresh = wantSubRefreshOf(&c.SubRefresh)
	}
	if has(MethodPing) {
		w.Ping = &struct{}{}
	}
	return w
}

func wantSubscribeOf(m *SubscribeRequest) *wantSubscribe {
	w := &wantSubscribe{
		Channel: m.Channel, Token: m.Token, Recover: m.Recover, Epoch: m.Epoch, Offset: m.Offset, Data: m.Data,
		Positioned: m.Positioned, Recoverable: m.Recoverable, JoinLeave: m.JoinLeave, Delta: m.Delta, Flag: m.Flag,
		Type: m.Type, Phase: m.Phase, Cursor: m.Cursor, Limit: m.Limit, Asc: m.Asc,
	}
	if m.TF != nil {
		tf := wantFilterOf(m.TF)
		w.TF = &tf
	}
	return w
}

func wantFilterOf(m *FilterNode) wantFilter {
	w := wantFilter{Op: m.Op, Key: m.Key, Cmp: m.Cmp, Val: m.Val, Vals: m.Vals}
	for _, node := range m.Nodes {
		w.Nodes = append(w.Nodes, wantFilterOf(node))
	}
	return w
}

func wantSubRefreshOf(m *SubRefreshRequest) *wantSubRefresh {
	w := &wantSubRefresh{Channel: m.Channel, Token: m.Token, Type: m.Type, Untrack: m.Untrack}
	for _, b := range m.Track {
		batch := wantBatch{Signature: b.Signature}
		for _, item := range b.Items {
			batch.Items = append(batch.Items, wantItem(*item))
		}
		w.Track = append(w.Track, batch)
	}
	return w
}

// normalize makes equal what we mean to be the same: our pointers in maps are never nil, our lists nil when empty.
func (w *wantCommand) normalize() {
	if w.Connect != nil {
		for k, v := range w.Connect.Subs {
			if v == nil {
				w.Connect.Subs[k] = &wantSubscribe{}
			} else if v.TF != nil {
				v.TF.normalize()
			}
		}
	}
	if w.Subscribe != nil && w.Subscribe.TF != nil {
		w.Subscribe.TF.normalize()
	}
	if m := w.SubRefresh; m != nil {
		m.Untrack = nilIfEmpty(m.Untrack)
		m.Track = nilIfEmpty(m.Track)
		for i := range m.Track {
			m.Track[i].Items = nilIfEmpty(m.Track[i].Items)
		}
	}
}

func (w *wantFilter) normalize() {
	w.Vals = nilIfEmpty(w.Vals)
	w.Nodes = nilIfEmpty(w.Nodes)
	for i := range w.Nodes {
		w.Nodes[i].normalize()
	}
}

func nilIfEmpty[L ~[]E, E any](list L) L {
	if len(list) == 0 {
		return nil
	}
	return list
}
