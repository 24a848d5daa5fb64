package attack

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// TestAPIKey is group 24: who may call the API.
func TestAPIKey(t *testing.T) {
	s := attack(t, common)
	for _, test := range []struct {
		name    string
		headers string // lines
		query   string
		status  int
	}{
		{"none", "", "", 401},
		{"header", "X-API-Key: " + apiKey, "", 200},
		{"header in lower case", "x-api-key: " + apiKey, "", 200},
		{"header in upper case", "X-API-KEY: " + apiKey, "", 200},
		{"header with spaces around", "X-API-Key:   " + apiKey + "\t ", "", 200},
		{"Authorization", "Authorization: apikey " + apiKey, "", 200},
		{"Authorization in upper case", "AUTHORIZATION: APIKEY " + apiKey, "", 200},
		{"query", "", "?api_key=" + apiKey, 200},
		{"query beside a wrong header", "X-API-Key: x", "?api_key=" + apiKey, 200},

		{"empty header", "X-API-Key: ", "", 401},
		{"wrong", "X-API-Key: x", "", 401},
		{"prefix", "X-API-Key: " + apiKey[:len(apiKey)-1], "", 401},
		{"longer", "X-API-Key: " + apiKey + "x", "", 401},
		{"in upper case", "X-API-Key: " + strings.ToUpper(apiKey), "", 401},
		{"twice in a header", "X-API-Key: " + apiKey + ", " + apiKey, "", 401},
		{"behind a wrong one", "X-API-Key: x\r\nX-API-Key: " + apiKey, "", 401},
		{"10,000 bytes", "X-API-Key: " + strings.Repeat("x", 10_000), "", 401},
		{"other header", "X-API_Key: " + apiKey, "", 401},
		{"cookie", "Cookie: X-API-Key=" + apiKey, "", 401},
		{"other scheme", "Authorization: Bearer " + apiKey, "", 401},
		{"admin's scheme", "Authorization: token " + apiKey, "", 401},
		{"no scheme", "Authorization: " + apiKey, "", 401},
		{"wrong header before a right one", "X-API-Key: x\r\nAuthorization: apikey " + apiKey, "", 401},
		{"wrong query", "", "?api_key=x", 401},
		{"empty query", "", "?api_key=", 401},
		{"second in the query", "", "?api_key=x&api_key=" + apiKey, 401},
		{"behind a semicolon", "", "?x=y;api_key=" + apiKey, 401},
		{"other name in the query", "", "?key=" + apiKey, 401},
	} {
		s.row(test.name, func(t *testing.T) {
			for _, path := range []string{"/api/info", "/api"} {
				c := dial(t, common)
				head := "POST " + path + test.query + " HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n"
				if test.headers != "" {
					head += test.headers + "\r\n"
				}
				c.say(head + "\r\n" + `{"method":"info"}`)
				if status, head, body := c.response(); status != test.status || status == 401 && body != "" {
					t.Errorf("%s answered, want %d:\n%s%s", path, test.status, head, body)
				}
				c.Close()
			}
		})
	}
}

// TestEmptySecrets is the part of group 24 about secrets that are not set: nobody gets in, rather than everybody.
func TestEmptySecrets(t *testing.T) {
	s := attack(t, newHouse(t, func(cfg *config.Config) { cfg.Client.Token.HMACSecretKey = "" }))
	s.row("token signed with nothing", func(t *testing.T) {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "admin"}).SignedString([]byte{})
		if err != nil {
			t.Fatal(err)
		}
		c := upgraded(t, s.house, codec.JSON)
		c.say(text(`{"id":1,"connect":{"token":"` + token + `"}}`))
		c.expectClose(3500, "invalid token")
	})
	s.row("token not signed", func(t *testing.T) {
		token, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "admin"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
		if err != nil {
			t.Fatal(err)
		}
		c := upgraded(t, s.house, codec.JSON)
		c.say(text(`{"id":1,"connect":{"token":"` + token + `"}}`))
		c.expectClose(3500, "invalid token")
	})
	for _, options := range []string{
		`{"client":{"token":{"hmac_secret_key":""}}}`,
		`{"token_hmac_secret_key":""}`,
		`{"client":{"token":{"hmac_secret_key":"x"},"subscription_token":{"enabled":true,"hmac_secret_key":""}}}`,
	} {
		t.Run("refuses to start/"+options, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(file, []byte(options), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(config.Options{File: file, Env: []string{}}); err == nil || !strings.Contains(err.Error(), "hmac_secret_key") {
				t.Errorf("an empty secret is taken: %v", err)
			}
		})
	}
}

// TestEmptyAPIKey: without a key in the configuration every call is refused, also one with an empty key. There can be no witness, as
// nobody can publish.
func TestEmptyAPIKey(t *testing.T) {
	h := newHouse(t, func(cfg *config.Config) { cfg.HTTPAPI.Key = "" })
	for name, change := range map[string]func(*http.Request){
		"none":          func(*http.Request) {},
		"header":        func(r *http.Request) { r.Header.Set("X-API-Key", "") },
		"a space":       func(r *http.Request) { r.Header.Set("X-API-Key", " ") },
		"Authorization": func(r *http.Request) { r.Header.Set("Authorization", "apikey ") },
		"query":         func(r *http.Request) { r.URL.RawQuery = "api_key=" },
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, "http://"+h.addr+"/api/info", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			change(req)
			if status, answer, err := h.do(req); err != nil || status != 401 {
				t.Errorf("answered %d %q (%v), want 401", status, answer, err)
			}
		})
	}
}

// TestSecretsInLogs is the part of group 24 about logs: whatever a request looks like, no secret of it is written, at any level.
func TestSecretsInLogs(t *testing.T) {
	h := newHouse(t, func(cfg *config.Config) {
		cfg.Client.Insecure = false
		cfg.Client.AllowedOrigins = []string{"https://good.com"}
	})
	s := &scene{T: t, house: h}
	h.logs.keep()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "u", "exp": time.Now().Add(-time.Hour).Unix()}).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	query := "?api_key=" + apiKey + "&token=" + token + "&cf_connect=%7B%22token%22%3A%22" + token + "%22%7D"
	for _, request := range []string{
		"POST /api/publish" + query + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		"POST /api/publish" + query + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{",
		"POST /api" + query + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{",
		"POST /api/nothing" + query + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"POST /api/publish?api_key=" + apiKey + "%zz;x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"POST //api/publish" + query + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"GET /api/publish" + query + " HTTP/1.1\r\nHost: a\r\nX-API-Key: " + apiKey + "\r\n\r\n",
		"POST /api/publish" + query + " HTTP/1.1\r\nHost: a\r\nX-API-Key: " + apiKey + "\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
		"POST /api/publish" + query + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /api" + query + "\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /api" + query + " HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-API-Key: " + apiKey + "\r\n\r\n",
		healthRequest + "GET /api" + query + " HTTP/9.1\r\nHost: a b\r\n\r\n",
		strings.Replace(upgradeRequest, endpoint, endpoint+query, 1) + text(`{"id":1,"connect":{"token":"`+token+`"}}`) + closing(1000),
		strings.Replace(upgradeRequest, endpoint, endpoint+query, 1) + text(`{"id":1,"connect":{"token":"`+token+`"`) + closing(1000),
		strings.Replace(upgradeRequest, endpoint, endpoint+query, 1) + text(`{"id":1,"connect":{"token":"`+token[:len(token)-3]+`"}}`) + closing(1000),
		strings.Replace(upgradeRequest, endpoint, endpoint+query, 1) + "\x81\x01x",
		strings.Replace(upgradeRequest, endpoint+" ", endpoint+query+" ", 1)[:len(upgradeRequest)+len(query)-2] + "Origin: https://evil.com\r\n\r\n",
		strings.Replace(upgradeRequest, endpoint+" HTTP/1.1", endpoint+query+" HTTP/1.0", 1),
	} {
		c := dial(t, s.house)
		_ = c.trySay(request)
		c.halfClose()
		c.expectGone()
	}
	written := h.logs.text()
	for name, secret := range map[string]string{"the API key": apiKey, "a token": token[:40], "the token secret": tokenSecret, "the signature of a token": token[len(token)-20:]} {
		if at := strings.Index(written, secret); at >= 0 {
			t.Errorf("%s is in the log: …%s…", name, written[max(0, at-200):at+len(secret)])
		}
	}
	if !strings.Contains(written, "level=") {
		t.Error("nothing was logged, so this test says nothing")
	}
}
