package config

import (
	"strings"
	"testing"
)

// FuzzLoad makes sure that no file and no variable brings the loader down, and that what it accepts can be written and read again.
func FuzzLoad(f *testing.F) {
	for i, format := range formats {
		f.Add(i, sameConfig[string(format)], "CLIENT_PING_INTERVAL", "30s")
	}
	f.Add(0, quickStart, "CHANNEL_NAMESPACES", "chat news")
	f.Add(0, `{"channel": {"namespaces": [null, 1, {"name": 5}]}, "proxies": {}, "consumers": [[]], "granular_proxy_mode": true}`, "NAMESPACES", `[{"name": 1}]`)
	f.Add(1, "a: &a [*a]\n? {x: y}\n: 1\n2020-01-01: 3\n", "RPC_PROXY_HTTP_STATIC_HEADERS", `{"a": "${STENTOR_VAR_X}"}`)
	f.Add(2, "channel.namespaces = [{name = 1979-05-27}]", "NATS_RAW_MODE_ENABLED", "maybe")
	f.Fuzz(func(t *testing.T, format int, file, key, value string) {
		l := &loader{cfg: Default()}
		l.dec.given = map[string]string{}
		l.dec.unknown = l.unknownKey
		l.environ = newEnvironment([]string{"STENTOR_" + strings.ToUpper(key) + "=" + value})
		l.dec.replace = l.environ.lookup
		l.parsed(formats[uint(format)%uint(len(formats))], []byte(file))
		l.environment()
		l.cfg.problems()
		l.cfg.notBuilt()
		l.cfg.advice()
		if len(l.dec.errs) > 0 {
			_ = l.dec.errs.Error()
			return
		}
		for _, out := range []Format{JSON, TOML} {
			data, err := FullFile(l.cfg, out)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := parse(out, data); err != nil {
				t.Fatalf("%s: %v\n%s", out, err, data)
			}
		}
	})
}
