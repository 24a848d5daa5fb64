package talk

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ask sends a request and reads the response as far as that goes: of a stream, its head.
func (h *house) ask(t testing.TB, method, target, body string, fields ...string) (resp *http.Response, text string) {
	t.Helper()
	req, err := http.NewRequest(method, h.url(target), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err = http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.Header.Get("X-Accel-Buffering") != "" {
		return resp, ""
	}
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, target, err)
	}
	return resp, string(all)
}

const (
	connectCommand = `{"id":1,"connect":{}}`
	httpStream     = "/connection/http_stream"
	sse            = "/connection/sse"
	uniHTTPStream  = "/connection/uni_http_stream"
	uniSSE         = "/connection/uni_sse"
	emulation      = "/emulation"
	initial        = "/connection/init"
)

var withConnect = "?cf_connect=" + url.QueryEscape(connectCommand)

// TestStatuses is what each endpoint answers to each kind of request (spec: client-protocol, sections 1.2 to 1.6).
func TestStatuses(t *testing.T) {
	h := open(t, `{"client":{"insecure":true}}`)
	large := strings.Repeat(" ", 65537)
	for _, tt := range []struct {
		method, target, body, contentType string
		status                            int
	}{
		{"POST", httpStream, connectCommand, "", 200},
		{"POST", httpStream, "", "", 200}, // and then a disconnect
		{"POST", httpStream, large, "", 413},
		{"GET", httpStream + withConnect, "", "", 405},
		{"PUT", httpStream, connectCommand, "", 405},
		{"HEAD", httpStream, "", "", 405},
		{"OPTIONS", httpStream, "", "", 204},

		{"GET", sse + withConnect, "", "", 200},
		{"GET", sse + "?a=b&cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D", "", "", 200},
		{"POST", sse, connectCommand, "", 200},
		{"POST", sse + "?cf_connect=x", connectCommand, "", 200}, // the body counts
		{"GET", sse, "", "", 400},
		{"GET", sse + "?cf_connect=", "", "", 400},
		{"GET", sse + "?%zz&cf_other=x", "", "", 400},
		{"POST", sse, large, "", 413},
		{"DELETE", sse, "", "", 405},
		{"HEAD", sse + withConnect, "", "", 405},
		{"OPTIONS", sse, "", "", 204},

		{"GET", uniSSE, "", "", 200},
		{"GET", uniSSE + "?cf_connect=%7B%7D", "", "", 200},
		{"POST", uniSSE, "{}", "", 200},
		{"POST", uniSSE, "", "", 400},
		{"GET", uniSSE + "?cf_connect=nonsense", "", "", 400},
		{"PATCH", uniSSE, "{}", "", 405},
		{"OPTIONS", uniSSE, "", "", 204},

		{"POST", uniHTTPStream, "{}", "", 200},
		{"POST", uniHTTPStream, " {\n} \n", "", 200},
		{"POST", uniHTTPStream, "", "", 400},
		{"POST", uniHTTPStream, "{", "", 400},
		{"POST", uniHTTPStream, `{"token":1}`, "", 400},
		{"POST", uniHTTPStream, large, "", 413},
		{"GET", uniHTTPStream, "", "", 405},
		{"OPTIONS", uniHTTPStream, "", "", 204},

		{"POST", emulation, `{"session":"x","node":"y","data":"{}"}`, "", 404},
		{"POST", emulation, `{"session":"x","node":"","data":"{}"}`, "", 404},
		{"POST", emulation, `{}`, "", 404},
		{"POST", emulation, ``, "", 400},
		{"POST", emulation, `{"session":1}`, "", 400},
		{"POST", emulation, `{"session":"x"`, "", 400},
		{"POST", emulation, "\xff\xff", "application/octet-stream", 400},
		{"POST", emulation, "\x0a\x01y\x12\x01x", "application/octet-stream", 404},
		{"POST", emulation, large, "", 413},
		{"GET", emulation, "", "", 405},
		{"HEAD", emulation, "", "", 405},
		{"OPTIONS", emulation, "", "", 204},

		{"GET", initial, "", "", 200},
		{"HEAD", initial, "", "", 200},
		{"POST", initial, "{}", "", 405},
		{"OPTIONS", initial, "", "", 204},

		{"GET", "/connection/uni_websocket", "", "", 400},
		{"GET", "/connection/websocket", "", "", 400},
		{"GET", "/connection/nothing", "", "", 404},
		{"POST", "/connection/http_stream/", connectCommand, "", 404},
	} {
		t.Run(tt.method+tt.target+" "+tt.body[:min(len(tt.body), 20)], func(t *testing.T) {
			resp, text := h.ask(t, tt.method, tt.target, tt.body, "Content-Type", tt.contentType)
			if resp.StatusCode != tt.status {
				t.Fatalf("%s %q, want %d", resp.Status, text, tt.status)
			}
			switch {
			case tt.target == initial && tt.method == "GET" && (text != "{}" || resp.Header.Get("Content-Type") != "application/json"):
				t.Errorf("%q of type %q", text, resp.Header.Get("Content-Type"))
			case tt.status == 405 && resp.Header.Get("Allow") == "":
				t.Error("which methods are allowed it does not say")
			case tt.method == "OPTIONS" && resp.Header.Get("Access-Control-Max-Age") != "300":
				t.Errorf("Access-Control-Max-Age %q", resp.Header.Get("Access-Control-Max-Age"))
			}
		})
	}
}

// TestStreamHeads: what the head of a stream says, and its first bytes. What proxies and browsers do with the stream hangs on it.
func TestStreamHeads(t *testing.T) {
	h := open(t, `{"client":{"insecure":true}}`)
	for _, tt := range []struct{ method, target, body, contentType, want, begin string }{
		{"POST", httpStream, connectCommand, "", "text/plain; charset=utf-8", `{"id":1,`},
		{"POST", httpStream, connectCommand, "application/json", "text/plain; charset=utf-8", `{"id":1,`},
		{"POST", httpStream, "\x04\x08\x01\x22\x00", "application/octet-stream", "application/octet-stream", ""},
		{"POST", httpStream, "\x04\x08\x01\x22\x00", "Application/Octet-Stream; q=1", "application/octet-stream", ""},
		{"GET", sse + withConnect, "", "", "text/event-stream", "\r\ndata: {\"id\":1,"},
		{"POST", sse, connectCommand, "", "text/event-stream", "\r\ndata: {\"id\":1,"},
		{"POST", uniHTTPStream, "{}", "", "text/plain; charset=utf-8", `{"connect":{`},
		{"POST", uniHTTPStream, "{}", "application/octet-stream", "text/plain; charset=utf-8", `{"connect":{`}, // JSON only
		{"GET", uniSSE, "", "", "text/event-stream", "\r\ndata: {\"connect\":{"},
	} {
		t.Run(tt.method+tt.target+tt.contentType, func(t *testing.T) {
			resp, _ := h.ask(t, tt.method, tt.target, tt.body, "Content-Type", tt.contentType)
			for name, want := range map[string]string{
				"Content-Type":      tt.want,
				"X-Accel-Buffering": "no",
				"Cache-Control":     "private, no-cache, no-store, must-revalidate, max-age=0",
				"Pragma":            "no-cache",
				"Expire":            "0",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s %q, want %q", name, got, want)
				}
			}
			if resp.StatusCode != 200 || len(resp.TransferEncoding) != 1 || resp.TransferEncoding[0] != "chunked" {
				t.Errorf("%s, %v", resp.Status, resp.TransferEncoding)
			}
			begin := make([]byte, len(tt.begin))
			if _, err := io.ReadFull(resp.Body, begin); err != nil || string(begin) != tt.begin {
				t.Errorf("begins with %q (%v)", begin, err)
			}
		})
	}
}

// TestCORS: the check of the origin decides about what pages may see, and the request is served all the same.
func TestCORS(t *testing.T) {
	h := open(t, `{"client":{"insecure":true}}`)
	for _, endpoint := range []struct {
		method, target, body string
		status               int
	}{
		{"POST", httpStream, connectCommand, 200},
		{"OPTIONS", httpStream, "", 204},
		{"GET", httpStream, "", 405},
		{"POST", httpStream, strings.Repeat(" ", 65537), 413},
		{"GET", sse + withConnect, "", 200},
		{"GET", sse, "", 400},
		{"OPTIONS", sse, "", 204},
		{"POST", uniHTTPStream, "{}", 200},
		{"POST", uniHTTPStream, "", 400},
		{"GET", uniSSE, "", 200},
		{"POST", emulation, `{"node":"x"}`, 404},
		{"POST", emulation, `{`, 400},
		{"POST", emulation, strings.Repeat(" ", 65537), 413},
		{"OPTIONS", emulation, "", 204},
		{"GET", initial, "", 200},
		{"POST", initial, strings.Repeat(" ", 65537), 413},
		{"OPTIONS", initial, "", 204},
	} {
		for _, tt := range []struct {
			name, origin, headers string
			want                  []string // Allow-Origin, Allow-Credentials, Allow-Headers
		}{
			{"allowed", "https://good.com", "", []string{"https://good.com", "true", ""}},
			{"in upper case", "HTTPS://Good.COM", "x-a, content-type", []string{"HTTPS://Good.COM", "true", "x-a, content-type"}},
			{"other", "https://evil.com", "x-a", nil},
			{"null", "null", "", nil},
			{"headers are null", "https://good.com", "null", []string{"https://good.com", "true", ""}},
			{"none", "", "x-a", []string{"", "true", "x-a"}},
		} {
			t.Run(endpoint.method+endpoint.target+" "+tt.name, func(t *testing.T) {
				fields := []string{}
				if tt.origin != "" {
					fields = append(fields, "Origin", tt.origin)
				}
				if tt.headers != "" {
					fields = append(fields, "Access-Control-Request-Headers", tt.headers)
				}
				resp, _ := h.ask(t, endpoint.method, endpoint.target, endpoint.body, fields...)
				if resp.StatusCode != endpoint.status {
					t.Fatalf("%s, want %d", resp.Status, endpoint.status)
				}
				for i, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers"} {
					values, there := resp.Header[name]
					switch {
					case tt.want == nil && there:
						t.Errorf("%s %q", name, values)
					case tt.want != nil && resp.Header.Get(name) != tt.want[i]:
						t.Errorf("%s %q, want %q", name, values, tt.want[i])
					case tt.want != nil && i < 2 && !there:
						t.Errorf("no %s", name)
					}
				}
			})
		}
	}
}

// TestRefusals: with rules for them, clients that could not connect are refused with a status, and others get their stream.
func TestRefusals(t *testing.T) {
	const rules = `{"enabled":true,"transforms":[{"code":109,"to":{"status_code":401,"body":"expired\n"}},{"code":3500,"to":{"status_code":403}}]}`
	h := open(t, `{"uni_sse":{"connect_code_to_http_response":`+rules+`},"uni_http_stream":{"connect_code_to_http_response":`+rules+`}}`)
	for _, endpoint := range []string{uniSSE, uniHTTPStream} {
		for _, tt := range []struct {
			body   string
			status int
			text   string
		}{
			{`{"token":"` + sign(t, "42") + `"}`, 200, ""},
			{`{"token":"` + sign(t, "42", "-10s") + `"}`, 401, "expired\n"},
			{`{"token":"nonsense"}`, 403, ""},
			{`{}`, 500, ""},                                                          // 3501
			{`{"token":"` + sign(t, "42", `channels=["nowhere:x"]`) + `"}`, 500, ""}, // error 102
			{`nonsense`, 400, "malformed connect request\n"},
		} {
			resp, text := h.ask(t, "POST", endpoint, tt.body, "Origin", "https://good.com")
			if resp.StatusCode != tt.status || text != tt.text {
				t.Errorf("%s %s: %s %q, want %d %q", endpoint, tt.body, resp.Status, text, tt.status, tt.text)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "https://good.com" {
				t.Errorf("%s %s: a page may not see that", endpoint, tt.body)
			}
			if tt.status != 200 {
				continue
			}
			h.call("disconnect", `{"user":"42"}`)
			rest, err := io.ReadAll(resp.Body)
			if err != nil || !strings.Contains(string(rest), `"connect":{`) || !strings.Contains(string(rest), `{"disconnect":{"code":3503,"reason":"force disconnect"}}`) {
				t.Errorf("%s: %q (%v)", endpoint, rest, err)
			}
		}
	}
	if n := h.clients(); n != 0 {
		t.Errorf("%d clients are counted", n)
	}
}
