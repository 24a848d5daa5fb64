package natsengine

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/engine/enginetest"
)

func TestSubjects(t *testing.T) {
	plain := Config{Prefix: "p"}
	wild := Config{Prefix: "p", AllowWildcards: true}
	raw := Config{Prefix: "p", AllowWildcards: true, Raw: Raw{Enabled: true, Prefix: "up.", Replacements: map[string]string{":": ".", "::": "_", "+": "*", " ": "-"}}}
	bare := Config{Prefix: "p", Raw: Raw{Enabled: true}}
	const no = ""
	for _, tt := range []struct {
		cfg                Config
		channel            string
		subscribe, publish string
	}{
		{plain, "news", "p.client.news", "p.client.news"},
		{plain, "chat:room.7#42,é", "p.client.chat:room.7#42,é", "p.client.chat:room.7#42,é"},
		{plain, "$private", "p.client.$private", "p.client.$private"},
		{plain, "", no, no},
		{plain, "a b", no, no},
		{plain, "a\tb", no, no},
		{plain, "a\r\nPUB x 0\r\n\r\n", no, no},
		{plain, "a\x00", no, no},
		{plain, "a\x7f", no, no},
		{plain, ".a", no, no},
		{plain, "a.", no, no},
		{plain, "a..b", no, no},
		{plain, ".", no, no},
		{plain, "a.*", no, no},
		{plain, ">", no, no},
		{plain, "a*b", no, no},
		{plain, strings.Repeat("x", SubjectBytesMax-len("p.client.")), "p.client." + strings.Repeat("x", SubjectBytesMax-len("p.client.")), "p.client." + strings.Repeat("x", SubjectBytesMax-len("p.client."))},
		{plain, strings.Repeat("x", SubjectBytesMax-len("p.client.")+1), no, no},
		{wild, "a.*", "p.client.a.*", no},
		{wild, "*", "p.client.*", no},
		{wild, "*.b.>", "p.client.*.b.>", no},
		{wild, "chat:*", no, no},
		{wild, ">.a", no, no},
		{wild, "a>", no, no},
		{wild, "a.b*.c", no, no},
		{wild, "a", "p.client.a", "p.client.a"},
		{raw, "chat:room 7", "up.chat.room-7", "up.chat.room-7"},
		{raw, "chat::room", "up.chat_room", "up.chat_room"},
		{raw, "chat:*", "up.chat.*", no},
		{raw, "chat:+", "up.chat.*", no},
		{raw, "chat:", no, no},
		{bare, "chat:room", "chat:room", "chat:room"},
		{bare, "chat.*", no, no},
		{bare, "p.control", no, no},
		{bare, "p.node.x", no, no},
		{bare, "$SYS.REQ.SERVER.PING", no, no},
		{bare, "$JS.API.STREAM.DELETE.orders", no, no},
		{bare, "_INBOX.x.y", no, no},
		{bare, "pp.control", "pp.control", "pp.control"},
		{plain, "$SYS.x", "p.client.$SYS.x", "p.client.$SYS.x"},
	} {
		n, err := newNames(&tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			name string
			of   func(string) (string, error)
			want string
		}{{"subscribe", n.subject, tt.subscribe}, {"publish", n.publishSubject, tt.publish}} {
			got, err := way.of(tt.channel)
			if way.want == no {
				if !errors.Is(err, codec.ErrorBadRequest) {
					t.Errorf("%s %.40q: error %v, want a bad request", way.name, tt.channel, err)
				} else if err.Error() == codec.ErrorBadRequest.Error() {
					t.Errorf("%s %.40q: it is not said why", way.name, tt.channel)
				}
				continue
			}
			if err != nil || got != way.want {
				t.Errorf("%s %.40q: %q, %v; want %q", way.name, tt.channel, got, err, way.want)
			}
		}
	}
}

func TestUnreplaced(t *testing.T) {
	var n names
	n.setReplacements(map[string]string{":": ".", "+": "*", "++": ">", "/": "...", "": "x"})
	for _, tt := range [][3]string{
		{"news:*", "news.sport", "news:sport"},
		{"news:>", "news.sport.today", "news:sport.today"},
		{"*:news", "a.news", "a:news"},
		{"a:*.b:*", "a.1.b.2", "a:1.b:2"},
		{">", "a.b", "a.b"},
		{"news:+", "news.sport", "news:sport"},
		{"+:*:++", "a.b.c.d", "a:b:c.d"},
		{"other:*", "news.sport", "news.sport"},
	} {
		if got := n.unreplaced(tt[0], tt[1]); got != tt[2] {
			t.Errorf("pattern %q, name %q: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "broker.nats.url is empty"},
		{Config{URL: " , "}, "broker.nats.url is empty"},
		{Config{URL: "redis://localhost"}, "unknown scheme redis"},
		{Config{URL: "nats://user:secret@host:port"}, `"nats://…@host:port": not an address`},
		{Config{URL: "nats://ok:4222,nats://:4222"}, "not an address"},
		{Config{URL: "localhost", Prefix: "a b"}, "broker.nats.prefix"},
		{Config{URL: "localhost", Prefix: "a."}, "broker.nats.prefix"},
		{Config{URL: "localhost", Prefix: "a.*"}, "broker.nats.prefix"},
		{Config{URL: "localhost", Raw: Raw{Enabled: true, Prefix: ".x"}}, "broker.nats.raw_mode.prefix"},
		{Config{URL: "localhost", Raw: Raw{Enabled: true, Prefix: "x.>."}}, "broker.nats.raw_mode.prefix"},
		{Config{URL: "localhost", Raw: Raw{Enabled: true, Prefix: "$SYS."}}, "broker.nats.raw_mode.prefix"},
		{Config{URL: "localhost", Prefix: "a.b", Raw: Raw{Enabled: true, Prefix: "a.b.client."}}, "broker.nats.raw_mode.prefix"},
	} {
		_, err := New(tt.cfg, enginetest.NewRecorder(), slog.Default())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells a password: %v", err)
		}
	}
	for _, url := range []string{"localhost", "host:4222", "nats://u:p@a:1, tls://b", "token@host:4222", "nats://[::1]:4222"} {
		if _, err := New(Config{URL: url}, enginetest.NewRecorder(), slog.Default()); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
