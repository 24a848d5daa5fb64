package stream

import (
	"net/http"
	"net/url"
	"testing"

	"stentor/server/transport/gate"
)

// FuzzOpen: whatever stands in a request, it is answered or opens a stream with what its query or its body says.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), "GET", "cf_connect=%7B%7D", "https://good.com", "x-a", "application/json")
	f.Add(uint8(1), "POST", "", "", "", "application/octet-stream; x=y")
	f.Add(uint8(2), "GET", "a=b&%63f_connect=x;y&cf_connect=z", "https://evil.com", "null", "")
	g := newGate()
	f.Fuzz(func(t *testing.T, transport uint8, method, query, origin, headers, contentType string) {
		h := http.Header{"Origin": {origin}, "Access-Control-Request-Headers": {headers}, "Content-Type": {contentType}}
		tr := Transport(transport % uint8(numTransports))
		o, a := Open(tr, g, Ask{method, query, HTTPHeader(h)})
		if a.Status != 0 {
			if a.Status != 204 && a.Status != 400 && a.Status != 405 {
				t.Errorf("status %d", a.Status)
			}
			return
		}
		values, _ := url.ParseQuery(query)
		want := values.Get(gate.ConnectParameter)
		if tr.Uni() && want == "" {
			want = "{}"
		}
		if method == "GET" && string(o.Connect) != want || method != "GET" && (o.Connect != nil || method != "POST") {
			t.Errorf("%s: connect %q, want %q", method, o.Connect, want)
		}
		if o.Form.Uni() != tr.Uni() {
			t.Errorf("form %v", o.Form)
		}
		for _, field := range o.Header() {
			if field.Name == "Access-Control-Allow-Origin" && (origin == "https://evil.com" || field.Value != origin) {
				t.Errorf("a page of %q may see it: %q", origin, field.Value)
			}
		}
	})
}
