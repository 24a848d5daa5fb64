package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/reactor/quiet"
)

// answers of many tests.
const (
	done        = `{"result":{}}`
	badRequest  = `{"error":{"code":107,"message":"bad request"}}`
	unknown     = `{"error":{"code":102,"message":"unknown channel"}}`
	unavailable = `{"error":{"code":108,"message":"not available"}}`
	notFound    = `{"error":{"code":104,"message":"not found"}}`
	internal    = `{"error":{"code":100,"message":"internal server error"}}`
	badText     = "Bad Request\n"
)

func TestMethods(t *testing.T) {
	big := strings.Repeat("x", 960<<10)
	for _, tt := range []struct {
		name, path, body string
		status           int
		want             string
		effect           string // what the broker or the clients were told
	}{
		// publish: spec 2.1.
		{"publish", "publish", `{"channel":"news","data":{"a": 1}}`, 200, done, `publish news {"a": 1}`},
		{"publish keeps history", "publish", `{"channel":"chat:1","data":1}`, 200, `{"result":{"offset":1,"epoch":"xyz"}}`,
			`publish chat:1 1 history=10,1m0s,720h0m0s`},
		{"publish skips history", "publish", `{"channel":"chat:1","data":1,"skip_history":true}`, 200, done, `publish chat:1 1`},
		{"publish null", "publish", `{"channel":"news","data":null}`, 200, done, `publish news null`},
		{"publish an empty string", "publish", `{"channel":"news","data":""}`, 200, done, `publish news ""`},
		{"publish nothing", "publish", `{"channel":"news"}`, 200, badRequest, ""},
		{"publish without a channel", "publish", `{"data":1}`, 200, badRequest, ""},
		{"publish to channel null", "publish", `{"channel":null,"data":1}`, 200, badRequest, ""},
		{"publish to a pattern", "publish", `{"channel":"wild:news.*","data":1}`, 200, badRequest, ""},
		{"publish beside a pattern", "publish", `{"channel":"wild:news*","data":1}`, 200, done, `publish wild:news* 1`},
		{"publish to an unknown namespace", "publish", `{"channel":"no:1","data":1}`, 200, unknown, ""},
		{"no data is found before the namespace", "publish", `{"channel":"no:1"}`, 200, badRequest, ""},
		{"bad base64 is found before the namespace", "publish", `{"channel":"no:1","b64data":"$"}`, 200, badRequest, ""},
		{"publish base64", "publish", `{"channel":"news","b64data":"AGE="}`, 200, done, "publish news \x00a"},
		{"base64 wins", "publish", `{"channel":"news","b64data":"YQ==","data":1}`, 200, done, "publish news a"},
		{"empty base64 does not", "publish", `{"channel":"news","b64data":"","data":1}`, 200, done, "publish news 1"},
		{"bad base64", "publish", `{"channel":"news","b64data":"YQ","data":1}`, 200, badRequest, ""},
		{"publish with all options", "publish",
			`{"channel":"news","data":1,"tags":{"a":"b"},"idempotency_key":"k","delta":true,"version":7,"version_epoch":"e"}`, 200, done,
			`publish news 1 tags=map[a:b] key=k version=7/e delta`},
		{"delta by namespace", "publish", `{"channel":"delta:1","data":1}`, 200, done, `publish delta:1 1 delta`},
		{"unknown keys", "publish", `{"channel":"news","data":1,"more":{"x":[1,2]}}`, 200, done, `publish news 1`},
		{"the last of equal keys", "publish", `{"channel":"a","channel":"news","data":1,"data":2}`, 200, done, `publish news 2`},
		{"a map channel", "publish", `{"channel":"map:1","data":1}`, 200, badRequest, ""},
		{"a shared poll channel", "publish", `{"channel":"poll:1","data":1}`, 200, badRequest, ""},
		{"format json", "publish", `{"channel":"json:1","data":[1]}`, 200, done, `publish json:1 [1]`},
		{"format json violated", "publish", `{"channel":"json:1","b64data":"AA=="}`, 200, badRequest, ""},
		{"format json_object violated", "publish", `{"channel":"object:1","data":[1]}`, 200, badRequest, ""},
		{"too large", "publish", `{"channel":"news","data":"` + big + `"}`, 200, badRequest, ""},
		{"just not too large", "publish", `{"channel":"news","data":"` + big[len(`news""`):] + `"}`, 200, done, `publish news "` + big[len(`news""`):] + `"`},
		{"large tags count", "publish", `{"channel":"news","data":1,"tags":{"a":"` + big + `"}}`, 200, badRequest, ""},
		{"bytes that are not UTF-8", "publish", "{\"channel\":\"news\",\"data\":\"\xff\"}", 200, done, "publish news \"\ufffd\""},

		// Bodies: spec 1.
		{"empty body", "publish", "", 400, badText, ""},
		{"white space", "publish", " \n", 400, badText, ""},
		{"not JSON", "publish", `{"channel":`, 400, badText, ""},
		{"not an object", "publish", `[]`, 400, badText, ""},
		{"wrong type", "publish", `{"channel":1,"data":1}`, 400, badText, ""},
		{"negative version", "publish", `{"channel":"news","data":1,"version":-1}`, 400, badText, ""},
		{"two bodies", "publish", `{"channel":"news","data":1}{"channel":"news","data":1}`, 400, badText, ""},
		{"data is not JSON", "publish", `{"channel":"news","data":{"a":}}`, 400, badText, ""},
		{"control character in data", "publish", "{\"channel\":\"news\",\"data\":\"a\nb\"}", 400, badText, ""},
		{"bad escape in data", "publish", `{"channel":"news","data":"\q` + strings.Repeat("a", 100) + `"}`, 400, badText, ""},
		{"bad escape in an unknown key", "publish", `{"channel":"news","data":1,"x":"\u00zz` + strings.Repeat("a", 100) + `"}`, 400, badText, ""},
		{"nested deeper than the codec does", "publish", `{"channel":"news","data":` + strings.Repeat("[", codec.JSONDepthMax+1) +
			strings.Repeat("]", codec.JSONDepthMax+1) + `}`, 400, badText, ""},
		{"endless nesting", "publish", `{"channel":"news","data":` + strings.Repeat("[", 1<<20), 400, badText, ""},
		{"endless nesting of unknown keys", "publish", strings.Repeat(`{"x":`, 1<<20), 400, badText, ""},
		{"body null", "publish", `null`, 200, badRequest, ""},

		// broadcast: spec 2.2.
		{"broadcast", "broadcast", `{"channels":["news","chat:1","no:1","","map:1"],"data":1}`, 200,
			`{"result":{"responses":[{"result":{}},{"result":{"offset":1,"epoch":"xyz"}},` + unknown + `,` + badRequest + `,{"result":{}}]}}`,
			"publish news 1\npublish chat:1 1 history=10,1m0s,720h0m0s\npublish map:1 1"},
		{"broadcast to none", "broadcast", `{"channels":[],"data":1}`, 200, badRequest, ""},
		{"broadcast without channels", "broadcast", `{"data":1}`, 200, badRequest, ""},
		{"broadcast nothing", "broadcast", `{"channels":["news"]}`, 200, badRequest, ""},
		{"broadcast bad base64", "broadcast", `{"channels":["news"],"b64data":"$"}`, 200, badRequest, ""},
		{"broadcast to too many", "broadcast", `{"data":1,"channels":[` + strings.Repeat(`"a",`, BroadcastChannelsMax) + `"a"]}`, 200, badRequest, ""},

		// unsubscribe, disconnect: spec 2.4, 2.5.
		{"unsubscribe", "unsubscribe", `{"user":"42","channel":"news","client":"c","session":"s"}`, 200, done,
			`unsubscribe channel="news" user="42" client="c" session="s" code=2000`},
		{"unsubscribe from all", "unsubscribe", `{"user":"42"}`, 200, done, `unsubscribe channel="" user="42" client="" session="" code=2000`},
		{"unsubscribe in an unknown namespace", "unsubscribe", `{"user":"42","channel":"no:1"}`, 200, unknown, ""},
		{"disconnect", "disconnect", `{"user":"42"}`, 200, done,
			`disconnect user="42" client="" session="" whitelist=[] code=3503 reason="force disconnect"`},
		{"disconnect with all options", "disconnect",
			`{"user":"42","client":"c","session":"s","whitelist":["a","b"],"disconnect":{"code":4001,"reason":"bye"}}`, 200, done,
			`disconnect user="42" client="c" session="s" whitelist=["a" "b"] code=4001 reason="bye"`},
		{"disconnect the anonymous user", "disconnect", `{}`, 200, done,
			`disconnect user="" client="" session="" whitelist=[] code=3503 reason="force disconnect"`},
		{"disconnect without a code", "disconnect", `{"user":"42","disconnect":{}}`, 200, done,
			`disconnect user="42" client="" session="" whitelist=[] code=3503 reason="force disconnect"`},
		{"disconnect without a reason", "disconnect", `{"user":"42","disconnect":{"code":3000}}`, 200, done,
			`disconnect user="42" client="" session="" whitelist=[] code=3000 reason=""`},
		{"a code that no frame carries", "disconnect", `{"user":"42","disconnect":{"code":70000}}`, 200, badRequest, ""},
		{"a reserved code", "disconnect", `{"user":"42","disconnect":{"code":1006}}`, 200, badRequest, ""},

		// channels, info, rpc: spec 2.9.
		{"channels by pattern", "channels", `{"pattern":"ne*"}`, 200, `{"result":{"channels":{"news":{"num_clients":3}}}}`, ""},
		{"no channels", "channels", `{"pattern":"x"}`, 200, `{"result":{"channels":{}}}`, ""},
		{"bad pattern", "channels", `{"pattern":"["}`, 200, internal, ""},
		{"long pattern", "channels", `{"pattern":"` + strings.Repeat("*", PatternBytesMax+1) + `"}`, 200, internal, ""},
		{"info", "info", `{}`, 200, `{"result":{"nodes":[{"uid":"u1","name":"host_8000","version":"1.0","num_clients":2,"num_users":0,` +
			`"num_subs":3,"num_channels":1,"uptime":60}]}}`, ""},
		{"info without a body", "info", ``, 400, badText, ""},
		{"rpc", "rpc", `{"method":"x"}`, 200, notFound, ""},
		{"rpc without a method", "rpc", `{}`, 200, badRequest, ""},

		// What is not there yet answers as if it were turned off.
		{"map_publish", "map_publish", `{"channel":"map:1","key":"k","data":1}`, 200, unavailable, ""},
		{"map_publish to another channel", "map_publish", `{"channel":"news","key":"k","data":1}`, 200, badRequest, ""},
		{"map_remove", "map_remove", `{"channel":"map:1"}`, 200, unavailable, ""},
		{"map_read_state", "map_read_state", `{"channel":"map:1"}`, 200, unavailable, ""},
		{"map_read_stream", "map_read_stream", `{"channel":"poll:1"}`, 200, badRequest, ""},
		{"map_stats", "map_stats", `{"channel":""}`, 200, badRequest, ""},
		{"map_clear", "map_clear", `{"channel":"no:1"}`, 200, unknown, ""},
		{"shared_poll_publish", "shared_poll_publish", `{"channel":"poll:1"}`, 200, unavailable, ""},
		{"shared_poll_publish to another channel", "shared_poll_publish", `{"channel":"map:1"}`, 200, badRequest, ""},

		// batch: spec 1.4.
		{"batch", "batch", `{"commands":[{"publish":{"channel":"chat:1","data":1}},{"presence":{"channel":"news"}},null,{},{"connections":{}},` +
			`{"info":{}},{"publish":{"channel":"news","data":2}},{"rpc":{}},{"unsubscribe":{"user":"1"}},{"broadcast":{"channels":["a"],"data":3}}]}`, 200,
			`{"replies":[{"publish":{"offset":1,"epoch":"xyz"}},` + unavailable + `,` + badRequest + `,` + notFound + `,` + notFound +
				`,{"info":{"nodes":[{"uid":"u1","name":"host_8000","version":"1.0","num_clients":2,"num_users":0,"num_subs":3,"num_channels":1,"uptime":60}]}}` +
				`,{"publish":{}},` + badRequest + `,{"unsubscribe":{}},{"broadcast":{"responses":[{"result":{}}]}}]}`,
			"publish chat:1 1 history=10,1m0s,720h0m0s\npublish news 2\n" +
				"unsubscribe channel=\"\" user=\"1\" client=\"\" session=\"\" code=2000\npublish a 3"},
		{"a command of two methods", "batch", `{"commands":[{"info":{},"publish":{"channel":"news","data":2}}]}`, 200, `{"replies":[{"publish":{}}]}`, `publish news 2`},
		{"a null method is none", "batch", `{"commands":[{"publish":null}]}`, 200, `{"replies":[` + notFound + `]}`, ""},
		{"empty batch", "batch", `{"commands":[]}`, 200, `{}`, ""},
		{"bad command", "batch", `{"commands":[{"publish":{"channel":1}}]}`, 400, badText, ""},
		{"batch of too many", "batch", `{"commands":[` + strings.Repeat("null,", CommandsMax) + `null]}`, 200, badRequest, ""},
		{"batch of absent methods", "batch", `{"commands":[{"map_publish":{"channel":"map:1"}},{"map_remove":{"channel":"map:1"}},` +
			`{"map_read_state":{"channel":"map:1"}},{"map_read_stream":{"channel":"map:1"}},{"map_stats":{"channel":"map:1"}},` +
			`{"map_clear":{"channel":"map:1"}},{"shared_poll_publish":{"channel":"poll:1"}},{"channels":{"pattern":"x"}},{"disconnect":{"user":"1"}}]}`, 200,
			`{"replies":[` + strings.Repeat(unavailable+",", 7) + `{"channels":{"channels":{}}},{"disconnect":{}}]}`,
			`disconnect user="1" client="" session="" whitelist=[] code=3503 reason="force disconnect"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			got := post(w.open(), "/api/"+tt.path, tt.body)
			if got.Code != tt.status || got.Body.String() != tt.want {
				t.Errorf("got %d %s\nwant %d %s\n%s", got.Code, got.Body, tt.status, tt.want, w.logs.String())
			}
			wantType := "application/json"
			if tt.status != 200 {
				wantType = "text/plain; charset=utf-8"
			}
			if kind := got.Header().Get("Content-Type"); kind != wantType {
				t.Errorf("content type %q", kind)
			}
			if effect := w.take(); effect != tt.effect {
				t.Errorf("effect\n%s\nwant\n%s", effect, tt.effect)
			}
		})
	}
}

func TestAllChannels(t *testing.T) {
	got := post(newWorld(t).open(), "/api/channels", `{}`).Body.String()
	for _, want := range []string{`"news":{"num_clients":3}`, `"chat:1":{"num_clients":1}`, `"chat:22":{"num_clients":2}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t)
	draining := false
	keyed := func(prefix, key string, insecure bool) *HTTP {
		return NewHTTP(w.api, HTTPConfig{Prefix: prefix, Key: key, Insecure: insecure, Draining: func() bool { return draining }, Log: w.logger()})
	}
	const body = `{"channel":"news","data":1}`
	for _, tt := range []struct {
		name     string
		h        *HTTP
		method   string
		target   string
		body     string
		headers  []string
		draining bool
		status   int
		want     string
	}{
		{"get", keyed("/api", "k", false), "GET", "/api/publish", "", nil, false, 405, ""},
		{"get of the legacy endpoint", keyed("/api", "k", false), "GET", "/api", "", nil, false, 405, ""},
		{"the verb is looked at before the key", keyed("/api", "", false), "PUT", "/api/info", body, nil, false, 405, ""},
		{"options", keyed("/api", "k", false), "OPTIONS", "/api/info", "", nil, false, 405, ""},
		{"unknown method", keyed("/api", "k", false), "POST", "/api/nothing", body, nil, false, 404, "404 page not found\n"},
		{"a method of the paid edition", keyed("/api", "k", false), "POST", "/api/connections", body, nil, false, 404, "404 page not found\n"},
		{"slash at the end", keyed("/api", "k", false), "POST", "/api/", body, nil, false, 404, "404 page not found\n"},
		{"another path", keyed("/api", "k", false), "POST", "/apipublish", body, nil, false, 404, "404 page not found\n"},
		{"other prefix", keyed("/x/y/", "", true), "POST", "/x/y/publish", body, nil, false, 200, done},
		{"no prefix", keyed("/", "", true), "POST", "/publish", body, nil, false, 200, done},
		{"no prefix, legacy", keyed("", "", true), "POST", "/", `{"params":` + body + `}`, nil, false, 200, done},
		{"any content type", keyed("/api", "", true), "POST", "/api/publish", body, []string{"Content-Type", "image/png"}, false, 200, done},
		{"gzip", keyed("/api", "", true), "POST", "/api/publish", body, []string{"Content-Encoding", "gzip"}, false, 415, "Unsupported Media Type\n"},
		{"identity", keyed("/api", "", true), "POST", "/api/publish", body, []string{"Content-Encoding", "identity"}, false, 200, done},
		{"draining", keyed("/api", "", true), "POST", "/api/publish", body, nil, true, 503, ""},
		{"draining, legacy", keyed("/api", "", true), "POST", "/api", body, nil, true, 503, ""},
		{"the key is looked at before draining", keyed("/api", "k", false), "POST", "/api/publish", body, nil, true, 401, ""},

		// The key: spec 1.1.
		{"no key", keyed("/api", "k", false), "POST", "/api/publish", body, nil, false, 401, ""},
		{"no key, legacy", keyed("/api", "k", false), "POST", "/api", body, nil, false, 401, ""},
		{"X-API-Key", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"X-API-Key", "k"}, false, 200, done},
		{"x-api-key", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"x-api-key", "k"}, false, 200, done},
		{"wrong X-API-Key", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"X-API-Key", "kk"}, false, 401, ""},
		{"Authorization", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"Authorization", "apikey k"}, false, 200, done},
		{"Authorization in capitals", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"Authorization", "ApiKEY  k"}, false, 200, done},
		{"another scheme", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"Authorization", "Bearer k"}, false, 401, ""},
		{"no scheme", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"Authorization", "k"}, false, 401, ""},
		{"three words", keyed("/api", "k", false), "POST", "/api/publish", body, []string{"Authorization", "apikey k k"}, false, 401, ""},
		{"X-API-Key hides Authorization", keyed("/api", "k", false), "POST", "/api/publish", body,
			[]string{"X-API-Key", "x", "Authorization", "apikey k"}, false, 401, ""},
		{"an empty X-API-Key does not", keyed("/api", "k", false), "POST", "/api/publish", body,
			[]string{"X-API-Key", "", "Authorization", "apikey k"}, false, 200, done},
		{"query", keyed("/api", "k", false), "POST", "/api/publish?api_key=k", body, nil, false, 200, done},
		{"wrong query", keyed("/api", "k", false), "POST", "/api/publish?api_key=x", body, nil, false, 401, ""},
		{"query beside a wrong header", keyed("/api", "k", false), "POST", "/api/publish?api_key=k", body, []string{"X-API-Key", "x"}, false, 200, done},
		{"query beside a wrong Authorization", keyed("/api", "k", false), "POST", "/api/publish?api_key=k", body, []string{"Authorization", "apikey x"}, false, 200, done},
		{"wrong query beside a right header", keyed("/api", "k", false), "POST", "/api/publish?api_key=x", body, []string{"X-API-Key", "k"}, false, 200, done},
		{"empty key", keyed("/api", "", false), "POST", "/api/publish", body, []string{"X-API-Key", ""}, false, 401, ""},
		{"empty key and query", keyed("/api", "", false), "POST", "/api/publish?api_key=", body, nil, false, 401, ""},
		{"insecure", keyed("/api", "k", true), "POST", "/api/publish", body, []string{"X-API-Key", "x"}, false, 200, done},
	} {
		t.Run(tt.name, func(t *testing.T) {
			draining = tt.draining
			r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Set(tt.headers[i], tt.headers[i+1])
			}
			got := httptest.NewRecorder()
			tt.h.ServeHTTP(got, r)
			if got.Code != tt.status || got.Body.String() != tt.want {
				t.Errorf("got %d %q, want %d %q", got.Code, got.Body, tt.status, tt.want)
			}
			if got.Code == 405 && got.Header().Get("Allow") != "POST" {
				t.Error("the header Allow is missing")
			}
		})
	}
}

func TestErrorModes(t *testing.T) {
	const header = "X-Centrifugo-Error-Mode"
	for _, tt := range []struct {
		name    string
		always  bool
		headers []string
		path    string
		body    string
		status  int
		want    string
	}{
		{"in the body", false, nil, "/api/publish", `{}`, 200, badRequest},
		{"by header", false, []string{header, "transport"}, "/api/publish", `{}`, 400, `{"code":107,"message":"bad request"}`},
		{"another value", false, []string{header, "x"}, "/api/publish", `{}`, 200, badRequest},
		{"by option", true, nil, "/api/publish", `{"channel":"no:1","data":1}`, 404, `{"code":102,"message":"unknown channel"}`},
		{"104", true, nil, "/api/rpc", `{"method":"x"}`, 404, `{"code":104,"message":"not found"}`},
		{"108", true, nil, "/api/presence", `{"channel":"news"}`, 400, `{"code":108,"message":"not available"}`},
		{"100", true, nil, "/api/channels", `{"pattern":"["}`, 500, `{"code":100,"message":"internal server error"}`},
		{"success", true, nil, "/api/publish", `{"channel":"news","data":1}`, 200, done},
		{"in a batch", true, nil, "/api/batch", `{"commands":[{}]}`, 200, `{"replies":[` + notFound + `]}`},
		{"in a broadcast", true, nil, "/api/broadcast", `{"channels":["no:1"],"data":1}`, 200, `{"result":{"responses":[` + unknown + `]}}`},
		{"of the legacy endpoint", true, []string{header, "transport"}, "/api", `{"method":"rpc","params":{"method":"x"}}`, 200, notFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			h := NewHTTP(w.api, HTTPConfig{Prefix: "/api", Insecure: true, TransportErrors: tt.always, Log: w.logger()})
			got := post(h, tt.path, tt.body, tt.headers...)
			if got.Code != tt.status || got.Body.String() != tt.want {
				t.Errorf("got %d %s, want %d %s", got.Code, got.Body, tt.status, tt.want)
			}
			if kind := got.Header().Get("Content-Type"); kind != "application/json" {
				t.Errorf("content type %q", kind)
			}
		})
	}
	for code, want := range map[uint32]int{100: 500, 102: 404, 104: 404, 107: 400, 108: 400, 112: 416, 113: 409, 999: 500} {
		if got := (&Error{Code: code}).status(); got != want {
			t.Errorf("error %d is status %d, want %d", code, got, want)
		}
	}
}

func TestEngineErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		want   string
		metric string
		logged bool
	}{
		{engine.ErrOverloaded, internal, "stentor_publications_refused_total 1", false},
		{fmt.Errorf("wrapped: %w", engine.ErrOverloaded), internal, "stentor_publications_refused_total 1", false},
		{engine.ErrNotAvailable, unavailable, "stentor_publications_refused_total 0", false},
		{codec.ErrorUnknownChannel, unknown, "stentor_publications_refused_total 0", false},
		{codec.ErrorLimitExceeded, `{"error":{"code":106,"message":"limit exceeded"}}`, "stentor_publications_refused_total 0", false},
		{codec.ErrorMethodNotFound, notFound, "stentor_publications_refused_total 0", false},
		{errors.New("broken"), internal, "stentor_publications_refused_total 0", true},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			w := newWorld(t)
			w.fail = tt.err
			if got := post(w.open(), "/api/publish", `{"channel":"news","data":1}`).Body.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := w.metric("stentor_publications_refused_total"); got != tt.metric {
				t.Errorf("metric %q, want %q", got, tt.metric)
			}
			if logged := strings.Contains(w.logs.String(), "level=ERROR"); logged != tt.logged {
				t.Errorf("log: %s", w.logs.String())
			}
		})
	}
}

// TestFailuresInTheLog: one request that fails for each of its channels is one line, and the rest is counted.
func TestFailuresInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fail = errors.New("broken")
		post(w.open(), "/api/broadcast", `{"channels":["news"`+strings.Repeat(`,"news"`, 499)+`],"data":1}`)
		if got := w.logs.String(); strings.Count(got, "API call failed") != 1 {
			t.Errorf("logged %d lines: %.500s", strings.Count(got, "\n"), got)
		}
		time.Sleep(quiet.Period)
		post(w.open(), "/api/publish", `{"channel":"news","data":1}`)
		if got := w.logs.String(); !strings.Contains(got, "suppressed=499\n") {
			t.Errorf("a second later: %s", got)
		}
	})
}

func TestBodyLimits(t *testing.T) {
	w := newWorld(t)
	h := w.open()
	big := strings.Repeat(" ", BodyBytesMax)
	for _, tt := range []struct {
		name    string
		request *http.Request
		status  int
	}{
		{"announced", httptest.NewRequest("POST", "/api/publish", strings.NewReader(big+"{}")), 413},
		{"chunked", httptest.NewRequest("POST", "/api/publish", iotest.HalfReader(strings.NewReader(big+"{}"))), 413},
		{"legacy", httptest.NewRequest("POST", "/api", strings.NewReader(big+"{}")), 413},
		{"just fits", httptest.NewRequest("POST", "/api/info", strings.NewReader(big[2:]+"{}")), 200},
		{"cut off", httptest.NewRequest("POST", "/api/info", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("{}")))), 400},
		{"more than announced", func() *http.Request {
			r := httptest.NewRequest("POST", "/api/info", strings.NewReader("{}"+big[:5000]))
			r.ContentLength = 10
			return r
		}(), 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := httptest.NewRecorder()
			h.ServeHTTP(got, tt.request)
			if got.Code != tt.status {
				t.Errorf("status %d, want %d", got.Code, tt.status)
			}
		})
	}
	if n := len(h.large); n != 0 {
		t.Errorf("%d places for large bodies were not given back", n)
	}
}

func TestEmptyKeyIsExplainedOnce(t *testing.T) {
	w := newWorld(t)
	h := NewHTTP(w.api, HTTPConfig{Prefix: "/api", Log: w.logger()})
	for range 3 {
		if got := post(h, "/api/info", "{}"); got.Code != 401 {
			t.Errorf("status %d", got.Code)
		}
	}
	if n := strings.Count(w.logs.String(), "http_api.key is empty"); n != 1 {
		t.Errorf("explained %d times: %s", n, w.logs.String())
	}
}

// Secrets do not get into logs: not the key, not what applications send.
func TestLogsKeepSecrets(t *testing.T) {
	w := newWorld(t)
	h := NewHTTP(w.api, HTTPConfig{Prefix: "/api", Key: "right-key", Log: w.logger()})
	for _, target := range []string{"/api/publish?api_key=wrong-key", "/api/publish?api_key=right-key", "/api?api_key=right-key"} {
		post(h, target, `{"channel":"news","data":secret-data}`)
		post(h, target, `{"data":"secret-data"}`)
		post(h, target, `{"method":"secret-data"}`)
	}
	for _, secret := range []string{"wrong-key", "right-key", "secret-data"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, w.logs.String())
		}
	}
}

func TestRedactURL(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"/api/publish", "/api/publish"},
		{"/api/publish?api_key=k", "/api/publish?api_key=REDACTED"},
		{"/api?a=b&api_key=k&c=d", "/api?a=b&api_key=REDACTED&c=d"},
		{"/api?api%5Fkey=k", "/api?api%5Fkey=REDACTED"},
		{"/api?API_KEY=k;x=y", "/api?API_KEY=REDACTED&x=y"},
		{"/api?api_key=k&api_key=l", "/api?api_key=REDACTED&api_key=REDACTED"},
		{"/api?%zz=k", "/api?REDACTED"},
		{"/connection/sse?cf_connect=%7B%7D", "/connection/sse?cf_connect=REDACTED"},
		{"/a%0ab?x", "/a%0ab?x"},
	} {
		u, err := url.Parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := RedactURL(u); got != tt.want {
			t.Errorf("%s became %s, want %s", tt.in, got, tt.want)
		}
	}
}
