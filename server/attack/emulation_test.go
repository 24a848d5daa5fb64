package attack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/server/config"
)

// TestSessionIDs is the part of group 22 that concerns those who have no session to emulate: where the endpoints are off there is
// nothing to guess at, clients of a WebSocket are told no secret, and orders of the server API for a session that is none match nobody,
// whatever else they say.
func TestSessionIDs(t *testing.T) {
	s := attack(t, guarded(t, func(*config.Config) {}))
	for _, path := range []string{"/emulation", "/emulation/", "//emulation", "/connection/emulation", "/connection/sse", "/connection/http_stream",
		"/connection/uni_sse", "/connection/uni_http_stream", "/connection/uni_websocket", "/connection/webtransport"} {
		s.row(path, func(t *testing.T) {
			body := `{"session":"x","node":"y","data":"{}"}`
			c := dial(t, s.house)
			c.say(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
			if status, head, _ := c.response(); status != 404 && (path[:2] != "//" || status != 307) {
				t.Errorf("answered, want 404:\n%s", head)
			}
		})
	}
	for form := range codec.Form(codec.NumForms) {
		s.row(form.String(), func(t *testing.T) {
			c := upgraded(t, s.house, form)
			code, reply := c.fate(connectWith(sign(t, jwt.MapClaims{"sub": "42"})))
			if code != 0 || reply.Connect.Session != "" || reply.Connect.Node != "" {
				t.Fatalf("%d %+v, want neither session nor node", code, reply.Connect)
			}
			if code, _ := c.fate(subscribeTo(codec.SubscribeRequest{Channel: "x"})); code != 0 {
				t.Fatal(code)
			}
			id := reply.Connect.Client
			for _, session := range []string{id, strings.ToUpper(id), "x", "00000000-0000-0000-0000-000000000000", strings.Repeat("s", 10_000), "*", "é"} {
				for _, client := range []string{"", id} {
					fields := fmt.Sprintf(`,"client":%q,"session":%q`, client, session)
					s.order(t, "disconnect", fields)
					s.order(t, "unsubscribe", `,"channel":"x"`+fields)
					s.order(t, "subscribe", `,"channel":"y"`+fields)
					s.order(t, "refresh", `,"expired":true`+fields)
				}
			}
			if err := s.publish("y", "1"); err != nil {
				t.Fatal(err)
			}
			if err := s.publish("x", "2"); err != nil {
				t.Fatal(err)
			}
			c.expectPush("x", "2") // it is on x, and on nothing else
			s.order(t, "disconnect", fmt.Sprintf(`,"client":%q`, id))
			c.expectClose(3503, "force disconnect")
		})
	}
}
