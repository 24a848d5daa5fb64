package api

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLegacy(t *testing.T) {
	const publish = `{"channel":"news","data":1}`
	const noData = `"error":{"code":107,"message":"bad request"}`
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
		effect     string
	}{
		{"one command", `{"method":"publish","params":` + publish + `}`, 200, done, "publish news 1"},
		{"with an id", `{"id":7,"method":"publish","params":{"channel":"chat:1","data":1}}`, 200, `{"id":7,"result":{"offset":1,"epoch":"xyz"}}`,
			"publish chat:1 1 history=10,1m0s,720h0m0s"},
		{"the largest id", `{"id":4294967295,"method":"info"}`, 200,
			`{"id":4294967295,"result":{"nodes":[{"uid":"u1","name":"host_8000","version":"1.0","num_clients":2,"num_users":0,"num_subs":3,"num_channels":1,"uptime":60}]}}`, ""},
		{"lines", `{"id":1,"method":"publish","params":` + publish + `}` + "\n" + `{"id":2,"method":"publish","params":{"channel":"news"}}` + "\n", 200,
			`{"id":1,"result":{}}` + "\n" + `{"id":2,` + noData + `}`, "publish news 1"},
		{"concatenated", `{"id":1,"params":` + publish + `}{"id":2,"method":"rpc","params":{}}  {"id":3,"method":"unsubscribe","params":{}}`, 200,
			`{"id":1,"result":{}}` + "\n" + `{"id":2,` + noData + `}` + "\n" + `{"id":3,"result":{}}`,
			"publish news 1\nunsubscribe channel=\"\" user=\"\" client=\"\" session=\"\" code=2000"},
		{"any letter case", `{"method":"PubLish","params":` + publish + `}`, 200, done, "publish news 1"},
		{"underscore", `{"method":"PRESENCE_STATS","params":{"channel":"news"}}`, 200, unavailable, ""},
		{"number 0", `{"method":0,"params":` + publish + `}`, 200, done, "publish news 1"},
		{"number 1", `{"method":1,"params":{"channels":["news"],"data":1}}`, 200, `{"result":{"responses":[{"result":{}}]}}`, "publish news 1"},
		{"number 2", `{"method":2,"params":{"user":"1"}}`, 200, done, `unsubscribe channel="" user="1" client="" session="" code=2000`},
		{"number 3", `{"method":3,"params":{"user":"1"}}`, 200, done, `disconnect user="1" client="" session="" whitelist=[] code=3503 reason="force disconnect"`},
		{"number 4", `{"method":4,"params":{"channel":"news"}}`, 200, unavailable, ""},
		{"number 8", `{"method":8,"params":{"pattern":"news"}}`, 200, `{"result":{"channels":{"news":{"num_clients":3}}}}`, ""},
		{"number 10", `{"method":10,"params":{"method":"x"}}`, 200, notFound, ""},
		{"number 11", `{"method":11,"params":{"channel":"news"}}`, 200, done, `subscribe channel="news" user="" client="" session=""`},
		{"number 12", `{"method":12,"params":{"user":"1"}}`, 200, done, `refresh user="1" client="" session="" expired=false expire_at=0`},
		{"number 13 is nobody's", `{"method":13}`, 200, notFound, ""},
		{"a number of the paid edition", `{"method":14}`, 200, notFound, ""},
		{"a name of the paid edition", `{"method":"send_push_notification"}`, 200, notFound, ""},
		{"number 33", `{"method":33,"params":{"channel":"news"}}`, 200, badRequest, ""},
		{"number 39", `{"method":39,"params":{"channel":"poll:1"}}`, 200, unavailable, ""},
		{"a large number", `{"method":1000000}`, 200, notFound, ""},
		{"a negative number", `{"method":-1}`, 200, notFound, ""},
		{"no method is publish", `{"params":` + publish + `}`, 200, done, "publish news 1"},
		{"no params", `{"method":"publish"}`, 200, badRequest, ""},
		{"no params for channels", `{"method":"channels"}`, 200, badRequest, ""},
		{"no params for info", `{"method":"info","params":7}`, 200,
			`{"result":{"nodes":[{"uid":"u1","name":"host_8000","version":"1.0","num_clients":2,"num_users":0,"num_subs":3,"num_channels":1,"uptime":60}]}}`, ""},
		{"params of the wrong type", `{"method":"publish","params":[]}`, 200, badRequest, ""},
		{"params null", `{"method":"publish","params":null}`, 200, badRequest, ""},
		{"an empty command", `{}`, 200, badRequest, ""},
		{"unknown keys", `{"jsonrpc":"2.0","method":"publish","params":` + publish + `}`, 200, done, "publish news 1"},
		{"only white space", " \r\n\t", 200, "", ""},

		{"empty", "", 400, badText, ""},
		{"unknown method", `{"method":"x"}`, 400, badText, ""},
		{"batch has no legacy method", `{"method":"batch","params":{}}`, 400, badText, ""},
		{"empty method", `{"method":""}`, 400, badText, ""},
		{"fractional method", `{"method":1.5}`, 400, badText, ""},
		{"method of the wrong type", `{"method":{}}`, 400, badText, ""},
		{"number as text", `{"method":"0"}`, 400, badText, ""},
		{"negative id", `{"id":-1,"method":"info"}`, 400, badText, ""},
		{"id too large", `{"id":4294967296,"method":"info"}`, 400, badText, ""},
		{"not JSON", `publish`, 400, badText, ""},
		{"a list", `[{"method":"info"}]`, 400, badText, ""},
		{"cut off", `{"method":"info"`, 400, badText, ""},
		{"a bad command has stopped those before it", `{"params":` + publish + `}{"method":"x"}`, 400, badText, ""},
		{"bytes that are not UTF-8", "{\"x\":\"\xff\xff\",\"params\":" + publish + "}{\"params\":" + publish + "}{\"x\":\"\xc3\"}", 200,
			done + "\n" + done + "\n" + badRequest, "publish news 1\npublish news 1"},
		{"too many commands", strings.Repeat("{}", CommandsMax+1), 400, badText, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			got := post(w.open(), "/api", tt.body)
			if got.Code != tt.status || got.Body.String() != tt.want {
				t.Errorf("got %d %s\nwant %d %s", got.Code, got.Body, tt.status, tt.want)
			}
			if effect := w.take(); effect != tt.effect {
				t.Errorf("effect\n%s\nwant\n%s", effect, tt.effect)
			}
		})
	}
}

// Every method with a number is found by its name and by its number, and counts under its name.
func TestLegacyTable(t *testing.T) {
	for m := range numMethods {
		if methods[m].number < 0 {
			continue
		}
		byItsName, known := methodNamed(strings.ToUpper(methods[m].name))
		if !known || byItsName != m || byNumber[methods[m].number] != m {
			t.Errorf("%s is not found by its name or number", methods[m].name)
		}
	}
	w := newWorld(t)
	post(w.open(), "/api", `{"method":"info"}{"method":"x`)
	post(w.open(), "/api", `{"method":"info"}{"method":"publish","params":{}}{"method":14}`)
	for _, want := range []string{
		`centrifugo_api_command_duration_seconds_count{protocol="http",method="info"} 1`,
		`centrifugo_api_command_duration_seconds_count{protocol="http",method="publish"} 1`,
		`centrifugo_api_command_errors_total{protocol="http",method="publish",error="107"} 1`,
		`centrifugo_api_command_errors_total{protocol="http",method="unknown",error="104"} 1`,
	} {
		if got := w.metric(want[:strings.LastIndexByte(want, ' ')]); got != want {
			t.Errorf("metric %q, want %q", got, want)
		}
	}
}

// FuzzLegacy looks for a body that breaks the legacy endpoint, or that it half believes.
func FuzzLegacy(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"method":"publish","params":{"channel":"news","data":1}}`, `{"method":0}{"method":"INFO"}` + "\n" + `{"method":99}`,
		`{"method":"channels","params":{"pattern":"[a-z]*{x,y}?"}}`, "{\"id\":4,\"params\":{\"channel\":\"\xff\",\"data\":\"\\ud800\"}}", ` `, `{}{}{`,
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	h := w.open()
	f.Fuzz(func(t *testing.T, body string) {
		got := post(h, "/api", body)
		checkAnswer(t, got)
		if got.Code == 200 && got.Body.Len() > 0 {
			replies := strings.Split(got.Body.String(), "\n")
			for _, reply := range replies {
				checkJSON(t, reply)
			}
			if n := countTexts(t, body); n != len(replies) {
				t.Fatalf("%d replies for %d commands", len(replies), n)
			}
		}
		checkPublished(t, w)
	})
}

// countTexts counts the JSON texts of a body with the decoder of the standard library.
func countTexts(t *testing.T, body string) (n int) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(strings.ToValidUTF8(body, "\ufffd")))
	for {
		var text json.RawMessage
		switch err := d.Decode(&text); {
		case err == io.EOF:
			return n
		case err != nil:
			t.Fatalf("accepted, although the standard library says %v", err)
		}
		n++
	}
}

func checkAnswer(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	if got.Code != 200 && (got.Code != 400 || got.Body.String() != badText) {
		t.Fatalf("status %d %q", got.Code, got.Body)
	}
}
