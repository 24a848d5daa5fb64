package swagger

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

const document = `{"openapi":"3.0.3"}`

func get(h http.Handler, method, target, encoding string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	nested, root := Handler("/docs/swagger", []byte(document)), Handler("", []byte(document))
	for _, tt := range []struct {
		name    string
		h       http.Handler
		method  string
		target  string
		status  int
		kind    string
		content string // part of the body
	}{
		{"the page", nested, "GET", "/docs/swagger", 200, "text/html; charset=utf-8", `<base href="swagger/">`},
		{"the page with a slash", nested, "GET", "/docs/swagger/", 200, "text/html; charset=utf-8", `<base href="./">`},
		{"the page with a query", nested, "GET", "/docs/swagger?x=1", 200, "text/html; charset=utf-8", `<div id="ui">`},
		{"the page at the root", root, "GET", "/", 200, "text/html; charset=utf-8", `<base href="./">`},
		{"the document", nested, "GET", "/docs/swagger/openapi.json", 200, "application/json", document},
		{"the document at the root", root, "GET", "/openapi.json", 200, "application/json", document},
		{"a script of ours", nested, "GET", "/docs/swagger/init.js", 200, "text/javascript; charset=utf-8", "SwaggerUIBundle"},
		{"head", nested, "HEAD", "/docs/swagger", 200, "text/html; charset=utf-8", ""},
		{"post", nested, "POST", "/docs/swagger", 405, "", ""},
		{"another file of the module", nested, "GET", "/docs/swagger/swagger-ui.js", 404, "text/plain; charset=utf-8", ""},
		{"another path", nested, "GET", "/swagger", 404, "text/plain; charset=utf-8", ""},
		{"another prefix", nested, "GET", "/openapi.json", 404, "text/plain; charset=utf-8", ""},
		{"a longer path", nested, "GET", "/docs/swaggers", 404, "text/plain; charset=utf-8", ""},
		{"a way out", nested, "GET", "/docs/swagger/../page/index.html", 404, "text/plain; charset=utf-8", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := get(tt.h, tt.method, tt.target, "")
			if got.Code != tt.status || got.Header().Get("Content-Type") != tt.kind || !strings.Contains(got.Body.String(), tt.content) {
				t.Errorf("got %d %s %s", got.Code, got.Header(), got.Body)
			}
			if tt.status == 200 && !strings.HasPrefix(got.Header().Get("Content-Security-Policy"), "default-src 'self'") {
				t.Error("the page may load from elsewhere")
			}
		})
	}
}

// TestParts fetches all that the page links to, compressed and not.
func TestParts(t *testing.T) {
	h := Handler("/swagger", []byte(document))
	index := get(h, "GET", "/swagger", "").Body.String()
	links := regexp.MustCompile(`(?:src|href)="([a-z0-9-]+\.[a-z]+)"`).FindAllStringSubmatch(index, -1)
	if len(links) != 5 {
		t.Errorf("%d links in the page, want 5", len(links))
	}
	for _, link := range links {
		target := "/swagger/" + link[1]
		plain, packed := get(h, "GET", target, ""), get(h, "GET", target, "br, gzip")
		if plain.Code != 200 || plain.Body.Len() < 10 || plain.Header().Get("Content-Type") == "" || plain.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v, %d bytes", target, plain.Code, plain.Header(), plain.Body.Len())
		}
		body := packed.Body.Bytes()
		if packed.Header().Get("Content-Encoding") == "gzip" {
			body = unpack(t, body)
		}
		if !bytes.Equal(body, plain.Body.Bytes()) {
			t.Errorf("%s: compressed it is another file", target)
		}
	}
	if e := get(h, "GET", "/swagger/swagger-ui-bundle.js", "gzip").Header().Get("Content-Encoding"); e != "gzip" {
		t.Errorf("the bundle comes in the encoding %q", e)
	}
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
