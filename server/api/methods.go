package api

import (
	"context"
	"strings"

	"stentor/server/channel"
)

// The methods, as indexes of the table and of metrics.
const (
	methodPublish = iota
	methodBroadcast
	methodUnsubscribe
	methodDisconnect
	methodPresence
	methodPresenceStats
	methodHistory
	methodHistoryRemove
	methodChannels
	methodInfo
	methodRPC
	methodSubscribe
	methodRefresh
	methodBatch
	methodMapPublish
	methodMapRemove
	methodMapReadState
	methodMapReadStream
	methodMapStats
	methodMapClear
	methodSharedPollPublish

	numMethods
)

// Names for metrics alone: one channel of a broadcast, a command of a batch that is none.
const (
	methodBroadcastPublish = numMethods + iota
	methodUnknown
)

// method is one row of the table.
type method struct {
	name   string // of the route, in a batch, of the legacy endpoint, in metrics
	number int    // of the legacy endpoint; -1 if it does not know the method
	wants  kind   // what the channel of an absent method has to be
}

// kind is what the channel of an absent method has to be.
type kind uint8

const (
	built kind = iota // the method is not absent
	mapChannel
	sharedPollChannel
)

// methods is all that the API can be asked for. Those that have no call below are absent: this server does not have them yet, and
// answers as if the feature were turned off.
var methods = [...]method{
	methodPublish:           {"publish", 0, built},
	methodBroadcast:         {"broadcast", 1, built},
	methodUnsubscribe:       {"unsubscribe", 2, built},
	methodDisconnect:        {"disconnect", 3, built},
	methodPresence:          {"presence", 4, built},
	methodPresenceStats:     {"presence_stats", 5, built},
	methodHistory:           {"history", 6, built},
	methodHistoryRemove:     {"history_remove", 7, built},
	methodChannels:          {"channels", 8, built},
	methodInfo:              {"info", 9, built},
	methodRPC:               {"rpc", 10, built},
	methodSubscribe:         {"subscribe", 11, built},
	methodRefresh:           {"refresh", 12, built},
	methodBatch:             {"batch", -1, built},
	methodMapPublish:        {"map_publish", 33, mapChannel},
	methodMapRemove:         {"map_remove", 34, mapChannel},
	methodMapReadState:      {"map_read_state", 35, mapChannel},
	methodMapReadStream:     {"map_read_stream", 36, mapChannel},
	methodMapStats:          {"map_stats", 37, mapChannel},
	methodMapClear:          {"map_clear", 38, mapChannel},
	methodSharedPollPublish: {"shared_poll_publish", 39, sharedPollChannel},

	methodBroadcastPublish: {"broadcast_publish", -1, built},
	methodUnknown:          {"unknown", -1, built},
}

// call decodes params and runs a method. fault is about the JSON of params.
type call func(a *API, ctx context.Context, params string) (result any, err *Error, fault error)

// calls are the methods that this server has. To build an absent one, give API a method of its name, bind it here, and call it in
// [API.Batch].
var calls = [numMethods]call{
	methodPublish:       bind((*API).Publish),
	methodBroadcast:     bind((*API).Broadcast),
	methodUnsubscribe:   bind((*API).Unsubscribe),
	methodDisconnect:    bind((*API).Disconnect),
	methodPresence:      bind((*API).Presence),
	methodPresenceStats: bind((*API).PresenceStats),
	methodHistory:       bind((*API).History),
	methodHistoryRemove: bind((*API).HistoryRemove),
	methodChannels:      bind((*API).Channels),
	methodInfo:          bind((*API).Info),
	methodRPC:           bind((*API).RPC),
	methodSubscribe:     bind((*API).Subscribe),
	methodRefresh:       bind((*API).Refresh),
	methodBatch:         bind((*API).Batch),
}

// proNames are the methods of the reference's paid edition: the legacy endpoint knows their names and answers 104.
var proNames = []string{
	"connections", "update_user_status", "get_user_status", "delete_user_status", "block_user", "unblock_user", "revoke_token",
	"invalidate_user_tokens", "device_register", "device_update", "device_remove", "device_list", "device_topic_list",
	"device_topic_update", "user_topic_list", "user_topic_update", "send_push_notification", "update_push_status", "cancel_push",
}

// methodNone is a method that the legacy endpoint knows and no edition of this server has.
const methodNone = -1

// byName and byNumber find a method; byName holds methodNone for those of the paid edition.
var byName, byNumber = func() (names map[string]int, numbers map[int]int) {
	names, numbers = make(map[string]int), make(map[int]int)
	for _, name := range proNames {
		names[name] = methodNone
	}
	for i := range numMethods {
		if methods[i].number >= 0 {
			names[methods[i].name] = i
			numbers[methods[i].number] = i
		}
	}
	return names, numbers
}()

// bind makes a row of the table of a method of API.
func bind[Request, Result any](f func(*API, context.Context, *Request) (*Result, *Error)) call {
	return func(a *API, ctx context.Context, params string) (any, *Error, error) {
		req := new(Request)
		if fault := decode(params, req); fault != nil {
			return nil, nil, fault
		}
		res, err := f(a, ctx, req)
		if err != nil {
			return nil, err, nil
		}
		return res, nil, nil
	}
}

// run calls method m with params.
func (a *API) run(ctx context.Context, m int, params string) (result any, err *Error, fault error) {
	if f := calls[m]; f != nil {
		return f(a, ctx, params)
	}
	var req AbsentRequest
	if fault := decode(params, &req); fault != nil {
		return nil, nil, fault
	}
	return nil, a.absent(m, req.Channel), nil
}

// absent answers for a method that this server does not have: as for a feature that is turned off (spec: server-api, sections
// 2.10).
func (a *API) absent(m int, name string) (err *Error) {
	defer a.done(m, a.now(), &err)
	ch, err := a.named(m, name)
	if err != nil {
		return err
	}
	if !methods[m].wants.fits(ch.Options.Type) {
		return a.bad(m, "the channel's subscription_type does not fit", "channel", name)
	}
	return ErrorNotAvailable
}

func (k kind) fits(t channel.Type) bool {
	if k == sharedPollChannel {
		return t == channel.TypeSharedPoll
	}
	return t == channel.TypeMap || t == channel.TypeMapClients || t == channel.TypeMapUsers
}

// metricNames are the names that methods are counted under.
func metricNames() []string {
	names := make([]string, len(methods))
	for i := range methods {
		names[i] = methods[i].name
	}
	return names
}

// methodNamed finds a method of the legacy endpoint, in any letter case.
func methodNamed(name string) (m int, known bool) {
	m, known = byName[strings.ToLower(name)]
	return m, known
}
