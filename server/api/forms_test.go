package api

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/engine"
)

// formTests are requests that are sent in each of the three forms.
var formTests = []struct {
	name, method, params string
	want                 any    // the result as text, or an *Error
	effect               string // what the broker or the clients were told
}{
	// subscribe: spec 2.3.
	{"subscribe", "subscribe", `{"user":"42","channel":"news"}`, `{}`, `subscribe channel="news" user="42" client="" session=""`},
	{"subscribe the anonymous user", "subscribe", `{"channel":"news"}`, `{}`, `subscribe channel="news" user="" client="" session=""`},
	{"subscribe with all options", "subscribe", `{"user":"42","channel":"chat:1","client":"c","session":"s","info":{"i":1},"data":[2],"expire_at":1900000000,` +
		`"recover_since":{"offset":5,"epoch":"xyz"},"override":{"presence":{"value":true},"join_leave":{"value":false},"force_recovery":{"value":true},` +
		`"force_positioning":{},"force_push_join_leave":null},"all_users":true,"label_filter":{"op":"x"}}`, `{}`,
		`subscribe channel="chat:1" user="42" client="c" session="s" info={"i":1} data=[2] expire_at=1900000000 since=5/xyz ` +
			`override={Presence:2 JoinLeave:1 ForcePushJoinLeave:0 ForceRecovery:2 ForcePositioning:1}`},
	{"base64 wins", "subscribe", `{"channel":"news","info":1,"b64info":"aW5mbw==","data":1,"b64data":"ZGF0YQ=="}`, `{}`,
		`subscribe channel="news" user="" client="" session="" info=info data=data`},
	{"empty base64 does not", "subscribe", `{"channel":"news","info":1,"b64info":"","data":2,"b64data":""}`, `{}`,
		`subscribe channel="news" user="" client="" session="" info=1 data=2`},
	{"null is nothing", "subscribe", `{"channel":"news","info":null,"data":null,"recover_since":null,"override":null}`, `{}`,
		`subscribe channel="news" user="" client="" session=""`},
	{"recovery from the start", "subscribe", `{"channel":"news","recover_since":{}}`, `{}`,
		`subscribe channel="news" user="" client="" session="" since=0/`},
	{"subscribe to nothing", "subscribe", `{"user":"42","b64info":"$"}`, ErrorBadRequest, ""},
	{"subscribe to an unknown namespace", "subscribe", `{"user":"42","channel":"no:1","b64info":"$"}`, ErrorUnknownChannel, ""},
	{"info is not base64", "subscribe", `{"channel":"news","b64info":"$"}`, ErrorBadRequest, ""},
	{"data is not base64", "subscribe", `{"channel":"news","b64data":"$"}`, ErrorBadRequest, ""},
	{"too much for a queue", "subscribe", `{"channel":"news","info":"` + half + `","data":"` + half + `1"}`, ErrorBadRequest, ""},
	{"just not too much", "subscribe", `{"channel":"news","info":"` + half + `","data":"` + half + `"}`, `{}`,
		`subscribe channel="news" user="" client="" session="" info="` + half + `" data="` + half + `"`},

	// refresh: spec 2.6.
	{"refresh", "refresh", `{"user":"42"}`, `{}`, `refresh user="42" client="" session="" expired=false expire_at=0`},
	{"refresh with all options", "refresh", `{"user":"42","client":"c","session":"s","expired":true,"expire_at":1900000000,"info":{"a":1}}`, `{}`,
		`refresh user="42" client="c" session="s" expired=true expire_at=1900000000 info={"a":1}`},
	{"refresh with info null", "refresh", `{"user":"42","info":null}`, `{}`, `refresh user="42" client="" session="" expired=false expire_at=0`},
	{"refresh with too much info", "refresh", `{"user":"42","info":"` + half + half + `x123456789"}`, ErrorBadRequest, ""},

	// presence, presence_stats: spec 2.7.
	{"presence", "presence", `{"channel":"pres:1"}`,
		`{"presence":{"c":{"user":"u","client":"c","conn_info":{"a":1},"chan_info":2}}}`, "presence pres:1"},
	{"presence of nobody", "presence", `{"channel":"pres:none"}`, `{"presence":{}}`, "presence pres:none"},
	{"presence with other bytes", "presence", `{"channel":"pres:bytes"}`,
		`{"presence":{"c":{"user":"","client":"c","b64conn_info":"/w==","b64chan_info":"eA=="}}}`, "presence pres:bytes"},
	{"presence of nothing", "presence", `{}`, ErrorBadRequest, ""},
	{"presence in an unknown namespace", "presence", `{"channel":"no:1"}`, ErrorUnknownChannel, ""},
	{"presence is off", "presence", `{"channel":"news"}`, ErrorNotAvailable, ""},
	{"presence_stats", "presence_stats", `{"channel":"pres:1"}`, `{"num_clients":3,"num_users":2}`, "presence_stats pres:1"},
	{"presence_stats of nobody", "presence_stats", `{"channel":"pres:none"}`, `{"num_clients":0,"num_users":0}`, "presence_stats pres:none"},
	{"presence_stats of nothing", "presence_stats", `{"channel":""}`, ErrorBadRequest, ""},
	{"presence_stats in an unknown namespace", "presence_stats", `{"channel":"no:1"}`, ErrorUnknownChannel, ""},
	{"presence_stats are off", "presence_stats", `{"channel":"news"}`, ErrorNotAvailable, ""},

	// history, history_remove: spec 2.8.
	{"the position alone", "history", `{"channel":"chat:1"}`, `{"publications":[],"offset":9,"epoch":"xyz"}`, "history chat:1 limit=0 meta=720h0m0s"},
	{"all history", "history", `{"channel":"chat:1","limit":-1}`, `{"publications":[{"data":{"a": 1},"offset":7},` +
		`{"data":"b","info":{"user":"u","client":"c","conn_info":{},"chan_info":[]},"offset":8,"tags":{"t":"v"}},` +
		`{"b64data":"AP8=","offset":9}],"offset":9,"epoch":"xyz"}`, "history chat:1 limit=-1 meta=720h0m0s"},
	{"history since", "history", `{"channel":"chat:1","limit":1,"since":{"offset":6,"epoch":"xyz"}}`,
		`{"publications":[{"data":{"a": 1},"offset":7}],"offset":9,"epoch":"xyz"}`, "history chat:1 limit=1 meta=720h0m0s since=6/xyz"},
	{"history in reverse", "history", `{"channel":"chat:1","reverse":true}`, `{"publications":[],"offset":9,"epoch":"xyz"}`,
		"history chat:1 limit=0 meta=720h0m0s reverse"},
	{"history in reverse since", "history", `{"channel":"chat:1","reverse":true,"since":{"offset":1}}`, `{"publications":[],"offset":9,"epoch":"xyz"}`,
		"history chat:1 limit=0 meta=720h0m0s since=1/ reverse"},
	{"history in reverse since nothing", "history", `{"channel":"chat:1","reverse":true,"since":{"epoch":"other"}}`, ErrorBadRequest, ""},
	{"history since offset 0", "history", `{"channel":"chat:1","since":{}}`, `{"publications":[],"offset":9,"epoch":"xyz"}`,
		"history chat:1 limit=0 meta=720h0m0s since=0/"},
	{"history of another epoch", "history", `{"channel":"chat:1","limit":1,"since":{"offset":6,"epoch":"other"}}`, ErrorUnrecoverablePosition,
		"history chat:1 limit=1 meta=720h0m0s since=6/other"},
	{"history of nothing", "history", `{"limit":1}`, ErrorBadRequest, ""},
	{"history in an unknown namespace", "history", `{"channel":"no:1"}`, ErrorUnknownChannel, ""},
	{"history is off", "history", `{"channel":"news","reverse":true,"since":{}}`, ErrorNotAvailable, ""},
	{"history_remove", "history_remove", `{"channel":"chat:1"}`, `{}`, "remove history chat:1"},
	{"history_remove of nothing", "history_remove", `{}`, ErrorBadRequest, ""},
	{"history_remove in an unknown namespace", "history_remove", `{"channel":"no:1"}`, ErrorUnknownChannel, ""},
	{"history_remove is off", "history_remove", `{"channel":"news"}`, ErrorNotAvailable, ""},
}

// half is half of what a queue takes of a subscribe order to "news", with quotes.
var half = strings.Repeat("x", (960<<10-len(`news""""`))/2)

// form is one way to send a request.
type form struct {
	name string
	send func(h *HTTP, method, params string) *httptest.ResponseRecorder
	// answer is what comes back for a result, or for an error.
	answer func(method, result string, err *Error) (status int, body string)
}

func errorText(err *Error) string {
	text, _ := json.Marshal(err)
	return string(text)
}

var forms = []form{
	{"per method",
		func(h *HTTP, method, params string) *httptest.ResponseRecorder {
			return post(h, "/api/"+method, params)
		},
		func(_, result string, err *Error) (int, string) {
			if err != nil {
				return 200, `{"error":` + errorText(err) + `}`
			}
			return 200, `{"result":` + result + `}`
		}},
	{"per method, with errors of the transport",
		func(h *HTTP, method, params string) *httptest.ResponseRecorder {
			return post(h, "/api/"+method, params, "X-Centrifugo-Error-Mode", "transport")
		},
		func(_, result string, err *Error) (int, string) {
			if err != nil {
				return err.status(), errorText(err)
			}
			return 200, `{"result":` + result + `}`
		}},
	{"legacy",
		func(h *HTTP, method, params string) *httptest.ResponseRecorder {
			return post(h, "/api", `{"id":3,"method":"`+method+`","params":`+params+`}`)
		},
		func(_, result string, err *Error) (int, string) {
			if err != nil {
				return 200, `{"id":3,"error":` + errorText(err) + `}`
			}
			return 200, `{"id":3,"result":` + result + `}`
		}},
	{"batch",
		func(h *HTTP, method, params string) *httptest.ResponseRecorder {
			return post(h, "/api/batch", `{"commands":[{"`+method+`":`+params+`}]}`)
		},
		func(method, result string, err *Error) (int, string) {
			if err != nil {
				return 200, `{"replies":[{"error":` + errorText(err) + `}]}`
			}
			return 200, `{"replies":[{"` + method + `":` + result + `}]}`
		}},
}

func TestForms(t *testing.T) {
	for _, tt := range formTests {
		t.Run(tt.name, func(t *testing.T) {
			result, _ := tt.want.(string)
			err, _ := tt.want.(*Error)
			for _, f := range forms {
				w := newWorld(t)
				got := f.send(w.open(), tt.method, tt.params)
				status, body := f.answer(tt.method, result, err)
				if got.Code != status || got.Body.String() != body {
					t.Errorf("%s: got %d %s\nwant %d %s\n%s", f.name, got.Code, got.Body, status, body, w.logs.String())
				}
				if effect := w.take(); effect != tt.effect {
					t.Errorf("%s: effect\n%s\nwant\n%s", f.name, effect, tt.effect)
				}
			}
		})
	}
}

// TestMalformedOrders: what has the wrong type is refused before anything happens.
func TestMalformedOrders(t *testing.T) {
	for _, tt := range []struct{ method, params string }{
		{"subscribe", `{"channel":"news","expire_at":"1"}`}, {"subscribe", `{"channel":"news","override":{"presence":true}}`},
		{"subscribe", `{"channel":"news","override":[]}`}, {"subscribe", `{"channel":"news","recover_since":{"offset":-1}}`},
		{"refresh", `{"user":1}`}, {"refresh", `{"expired":1}`}, {"refresh", `{"expire_at":1.5}`},
		{"history", `{"channel":"chat:1","limit":2147483648}`}, {"history", `{"channel":"chat:1","since":5}`},
		{"presence", `{"channel":["a"]}`}, {"presence_stats", `{"channel":{}}`}, {"history_remove", `[]`},
	} {
		w := newWorld(t)
		if got := post(w.open(), "/api/"+tt.method, tt.params); got.Code != 400 || got.Body.String() != badText {
			t.Errorf("%s %s: got %d %s", tt.method, tt.params, got.Code, got.Body)
		}
		if effect := w.take(); effect != "" {
			t.Errorf("%s %s: effect %s", tt.method, tt.params, effect)
		}
	}
}

// TestEngineErrorsOfOthers: what an engine or the cluster cannot do, or fails in, is answered like a publish.
func TestEngineErrorsOfOthers(t *testing.T) {
	for _, tt := range []struct {
		fault  error
		want   *Error
		logged bool
	}{
		{engine.ErrNotAvailable, ErrorNotAvailable, false},
		{codec.ErrorLimitExceeded, &Error{106, "limit exceeded"}, false},
		{errors.New("broken"), ErrorInternal, true},
	} {
		for _, read := range []struct{ method, params string }{
			{"history", `{"channel":"chat:1"}`}, {"history_remove", `{"channel":"chat:1"}`},
			{"presence", `{"channel":"pres:1"}`}, {"presence_stats", `{"channel":"pres:1"}`}, {"channels", `{}`},
			{"subscribe", `{"user":"1","channel":"news"}`}, {"unsubscribe", `{"user":"1"}`}, {"disconnect", `{"user":"1"}`},
			{"refresh", `{"user":"1"}`},
		} {
			w := newWorld(t)
			w.fail = tt.fault
			if got := post(w.open(), "/api/"+read.method, read.params).Body.String(); got != `{"error":`+errorText(tt.want)+`}` {
				t.Errorf("%s with %v: got %s", read.method, tt.fault, got)
			}
			if logged := strings.Contains(w.logs.String(), "level=ERROR"); logged != tt.logged {
				t.Errorf("%s with %v: log %s", read.method, tt.fault, w.logs.String())
			}
		}
	}
}

// TestResponsesAreBounded: commands that come when the results of those before them have reached the limit are not run.
func TestResponsesAreBounded(t *testing.T) {
	for _, tt := range []struct{ method, params string }{
		{"history", `{"channel":"chat:1","limit":-1}`}, {"presence", `{"channel":"pres:1"}`}, {"channels", `{}`},
	} {
		w := newWorld(t)
		h := w.open()
		one := post(h, "/api/batch", `{"commands":[{"`+tt.method+`":`+tt.params+`}]}`).Body.Len()
		w.take()
		w.api.responseBytesMax = one
		command := `{"` + tt.method + `":` + tt.params + `},`
		got := post(h, "/api/batch", `{"commands":[`+strings.Repeat(command, 30)+`{"publish":{"channel":"news","data":1}}]}`).Body.String()
		if refused := strings.Count(got, `"code":107`); refused < 27 || refused > 30 || strings.Contains(w.take(), "publish") {
			t.Errorf("batch of %s: %d refusals in %s", tt.method, refused, got)
		}
		got = post(h, "/api", strings.Repeat(`{"method":"`+tt.method+`","params":`+tt.params+`}`, 30)).Body.String()
		if refused := strings.Count(got, `"code":107`); refused < 26 || refused > 29 {
			t.Errorf("legacy %s: %d refusals in %s", tt.method, refused, got)
		}
		if !strings.Contains(w.logs.String(), "results are too large") {
			t.Errorf("nothing in the log: %s", w.logs.String())
		}
	}
}
