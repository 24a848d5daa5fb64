package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/server/config"
)

// catastrophes are patterns for which an engine that backtracks needs more steps than the universe has seconds, on the names below.
// RE2 takes as many as a name has letters.
var catastrophes = []struct{ pattern, letters, last string }{
	{`^(a+)+$`, "a", "!"},
	{`^(a|aa)+$`, "a", "!"},
	{`^(a|a?)+$`, "a", "!"},
	{`^(a*)*b$`, "a", "!"},
	{`(x+x+)+y`, "x", "!"},
	{`^(([a-z])+.)+[A-Z]([a-z])+$`, "a", "!"},
	{`^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$`, "a", "!"},
	{`^(.*)*(.*)*(.*)*(.*)*(.*)*$z`, "é", "é"},
	{`^(` + strings.Repeat("a?", 200) + strings.Repeat("a", 200) + `)$`, "a", "!"},
	{`^(\w+\s?)*$`, "w ", "!"},
}

// TestChannelRegex is group 29: patterns of channel names. That a test ends at all says that the pattern was harmless.
func TestChannelRegex(t *testing.T) {
	s := attack(t, newHouse(t, func(cfg *config.Config) {
		for i, c := range catastrophes {
			cfg.Channel.Namespaces = append(cfg.Channel.Namespaces, config.Namespace{
				Name: fmt.Sprint("ns", i), ChannelOptions: config.ChannelOptions{ChannelRegex: c.pattern},
			})
		}
		cfg.Channel.Namespaces = append(cfg.Channel.Namespaces, config.Namespace{
			Name: "any", ChannelOptions: config.ChannelOptions{ChannelRegex: `^(?s:.)*$`, HistorySize: 1, HistoryTTL: config.Duration(patience), Presence: true},
		})
	}))
	for i, test := range catastrophes {
		form := codec.Form(i % codec.NumForms)
		s.row(fmt.Sprintf("%v/%.40s", form, test.pattern), func(t *testing.T) {
			prefix := fmt.Sprintf("ns%d:", i)
			name := prefix + strings.Repeat(test.letters, (255-len(prefix)-len(test.last))/len(test.letters)) + test.last
			c := joined(t, s.house, form)
			var all []*codec.Command
			for id := uint32(100); id < 140; id++ {
				all = append(all,
					&codec.Command{ID: id, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: name}},
					&codec.Command{ID: id, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: name, Data: []byte("1")}},
					&codec.Command{ID: id, Method: codec.MethodHistory, History: codec.HistoryRequest{Channel: name}},
					&codec.Command{ID: id, Method: codec.MethodPresence, Presence: codec.PresenceRequest{Channel: name}})
			}
			c.say(c.commands(all...))
			for heard := 0; heard < len(all); {
				for _, r := range c.replies() {
					if errorCode(&r) != 107 {
						t.Fatalf("heard %+v, want error 107", r)
					}
					heard++
				}
			}
			c.say(closing(1000))
			c.expectClose(1000, "")
		})
	}
	regexNames(t, s)
}

// regexNames are names that are no text, where the pattern takes everything.
func regexNames(t *testing.T, s *scene) {
	for _, test := range []struct {
		name string
		code uint32
	}{
		{"any:", 0}, {"any:é", 0}, {"any:\u2028\n\x00", 0}, {"any:\U0001f600", 0},
		{"any:" + strings.Repeat("\U0001f600", 62), 0}, {"any:" + strings.Repeat("\U0001f600", 63), 107},
		{"any:\ufffd", 0},
	} {
		for form := range codec.Form(codec.NumForms) {
			s.row(fmt.Sprintf("%v/name %.20q", form, test.name), func(t *testing.T) {
				c := joined(t, s.house, form)
				if code, _ := c.fate(subscribeTo(codec.SubscribeRequest{Channel: test.name})); code != test.code {
					t.Fatalf("answered with %d, want %d", code, test.code)
				}
				if test.code != 0 {
					return
				}
				if code, _ := c.fate(&codec.Command{ID: 3, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: test.name, Data: []byte("1")}}); code != 0 {
					t.Errorf("publish: %d", code)
				}
				c.say(closing(1000))
				c.expectClose(1000, "")
			})
		}
	}
	for _, bad := range []string{"\xff", "a\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "é"[:1], "\x80"} {
		s.row(fmt.Sprintf("not UTF-8/%q", bad), func(t *testing.T) {
			c := joined(t, s.house, codec.Protobuf)
			c.say(binary(delimited([]byte(id2 + string(field(5, field(1, []byte("any:"+bad)...)...)))...)))
			c.expectClose(3501, "bad request")

			c = joined(t, s.house, codec.JSON)
			c.say(text(`{"id":2,"subscribe":{"channel":"any:` + bad + `"}}`))
			c.expectClose(ws.CodeInvalidPayload, anyReason)

			// In a binary frame nobody looks for UTF-8. As in encoding/json each wrong byte becomes U+FFFD then.
			c = joined(t, s.house, codec.JSON)
			c.say(binary(`{"id":2,"subscribe":{"channel":"any:` + bad + `"}}`))
			c.expectReply(2, 0)
			name := "any:" + string([]rune(bad))
			if err := s.publish(name, "1"); err != nil {
				t.Fatal(err)
			}
			c.expectPush(name, "1")
		})
	}
}

// TestRegexOptions: what a backtracking engine has and RE2 has not is refused at the start, with the option's name, and so is a pattern
// that is long or would become large.
func TestRegexOptions(t *testing.T) {
	for _, test := range []struct {
		pattern string
		ok      bool
	}{
		{`^[a-z]+$`, true},
		{strings.Repeat("a", 1024), true},
		{strings.Repeat("a", 1025), false},
		{`^(a)\\1$`, false},
		{`^(?=a)b$`, false},
		{`^(?!a)b$`, false},
		{`(?<=a)b`, false},
		{`^(?>a+)b$`, false},
		{`^a++$`, false},
		{`a{1001}`, false},
		{`(a{1000}){1000}`, false},
		{`((((a{10}){10}){10}){10}){10}`, false},
		{strings.Repeat("(", 1024), false},
		{`\\C`, false},
	} {
		t.Run(fmt.Sprintf("%.40s", test.pattern), func(t *testing.T) {
			for _, options := range []string{
				`{"channel":{"without_namespace":{"channel_regex":"` + test.pattern + `"}}}`,
				`{"channel":{"namespaces":[{"name":"ns","channel_regex":"` + test.pattern + `"}]}}`,
			} {
				file := filepath.Join(t.TempDir(), "config.json")
				if err := os.WriteFile(file, []byte(options), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := config.Load(config.Options{File: file, Env: []string{}})
				if (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), "channel_regex") {
					t.Errorf("%s: %v", options[:min(len(options), 100)], err)
				}
			}
		})
	}
}
