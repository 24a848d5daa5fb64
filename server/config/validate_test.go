package config

import (
	"errors"
	"strings"
	"testing"
)

// channelFile is a file whose channels without namespace have the options given.
func channelFile(options string) string {
	return `{"channel": {"without_namespace": {` + options + `}}}`
}

// natsFile is channelFile with the NATS broker.
func natsFile(options string) string {
	return `{"broker": {"enabled": true, "type": "nats"}, ` + channelFile(options)[1:]
}

func TestContradictions(t *testing.T) {
	for _, tt := range []struct{ name, file, path, problem string }{
		{"ping and pong", `{"client": {"ping_interval": "8s"}}`, "client.ping_interval", "must be greater than client.pong_timeout (8s)"},
		{"size without ttl", channelFile(`"history_size": 1`), "channel.without_namespace.history_ttl", "is missing while history_size is set"},
		{"ttl without size", channelFile(`"history_ttl": "1s"`), "channel.without_namespace.history_size", "is missing while history_ttl is set"},
		{"recovery without history", channelFile(`"force_recovery": true`), "channel.without_namespace.force_recovery", "needs history"},
		{"recovery mode", channelFile(`"force_recovery_mode": "some"`), "channel.without_namespace.force_recovery_mode", "unknown value"},
		{"auto cache", channelFile(`"auto_cache_recover": true`), "channel.without_namespace.auto_cache_recover", "needs force_recovery"},
		{"ttl over meta", channelFile(`"history_size": 1, "history_ttl": "20s", "history_meta_ttl": "10s"`), "channel.without_namespace.history_ttl", "is greater than channel.without_namespace.history_meta_ttl (10s)"},
		{"ttl over global meta", `{"channel": {"history_meta_ttl": "5s", "namespaces": [{"name": "nn", "history_size": 1, "history_ttl": "20s"}]}}`, "channel.namespaces[nn].history_ttl", "is greater than channel.history_meta_ttl (5s)"},
		{"delta type", channelFile(`"allowed_delta_types": ["fossil", "vcdiff"]`), "channel.without_namespace.allowed_delta_types", "unknown value"},
		{"regex", channelFile(`"channel_regex": "(a"`), "channel.without_namespace.channel_regex", "not a regular expression: missing closing ): `(a`"},
		{"long regex", channelFile(`"channel_regex": "` + strings.Repeat("a", 1025) + `"`), "channel.without_namespace.channel_regex", "longer than 1024 bytes"},
		{"slow policy", channelFile(`"slow_policy": "newest"`), "channel.without_namespace.slow_policy", "unknown value"},
		{"slow policy with positions", channelFile(`"slow_policy": "latest", "allow_positioning": true`), "channel.without_namespace.slow_policy", "drops publications, and allow_positioning promises that none are missing"},
		{"slow policy with positions for all", channelFile(`"slow_policy": "latest", "force_positioning": true`), "channel.without_namespace.slow_policy", "force_positioning"},
		{"slow policy with recovery", channelFile(`"slow_policy": "drop_oldest", "allow_recovery": true`), "channel.without_namespace.slow_policy", "allow_recovery"},
		{"slow policy with recovery for all", channelFile(`"slow_policy": "drop_oldest", "force_recovery": true, "history_size": 1, "history_ttl": "1s"`), "channel.without_namespace.slow_policy", "force_recovery"},
		{"slow policy with history", channelFile(`"slow_policy": "drop_oldest", "history_size": 1, "history_ttl": "1s"`), "channel.without_namespace.slow_policy", "history_size"},
		{"slow policy with deltas", channelFile(`"slow_policy": "latest", "allowed_delta_types": ["fossil"]`), "channel.without_namespace.slow_policy", "allowed_delta_types"},
		{"slow policy with deltas for all", channelFile(`"slow_policy": "latest", "delta_publish": true`), "channel.without_namespace.slow_policy", "delta_publish"},
		{"slow policy of a map", channelFile(`"slow_policy": "latest", "subscription_type": "map"`), "channel.without_namespace.slow_policy", "subscription_type"},
		{"wildcards with users", channelFile(`"allow_wildcards": true, "allow_user_limited_channels": true`), "channel.without_namespace.allow_wildcards", "channels of other users"},
		{"wildcards and the latest", channelFile(`"allow_wildcards": true, "slow_policy": "latest"`), "channel.without_namespace.allow_wildcards", "slow_policy latest"},
		{"wildcards elsewhere", `{"engine": {"type": "redis"}, "channel": {"namespaces": [{"name": "ns", "allow_wildcards": true}]}}`, "channel.namespaces[ns].allow_wildcards", "needs the memory engine or the NATS broker"},
		{"wildcards of NATS", natsFile(`"allow_wildcards": true`), "channel.without_namespace.allow_wildcards", "needs broker.nats.allow_wildcards"},
		{"positions of NATS", natsFile(`"force_positioning": true`), "channel.without_namespace.force_positioning", "needs history, which NATS does not keep"},
		{"positions that NATS may have", natsFile(`"allow_positioning": true`), "channel.without_namespace.allow_positioning", "needs history, which NATS does not keep"},
		{"recovery of NATS", natsFile(`"force_recovery": true, "history_size": 1, "history_ttl": "1s"`), "channel.without_namespace.force_recovery", "needs history, which NATS does not keep"},
		{"recovery that NATS may have", natsFile(`"allow_recovery": true`), "channel.without_namespace.allow_recovery", "needs history, which NATS does not keep"},
		{"PostgreSQL broker", `{"broker": {"enabled": true, "type": "postgres"}}`, "broker.type", "is not built yet"},
		{"PostgreSQL controller", `{"controller": {"enabled": true, "type": "postgres"}}`, "controller.type", "is not built yet"},
		{"controller without type", `{"controller": {"enabled": true}}`, "controller.type", "is missing"},
		{"unreleased broker", `{"broker": {"enabled": true, "type": "redisnats"}}`, "broker.type", "needs enable_unreleased_features"},
		{"unreleased broker, raw", `{"enable_unreleased_features": true, "broker": {"enabled": true, "type": "redisnats", "nats": {"raw_mode": {"enabled": true}}}}`,
			"broker.nats.raw_mode.enabled", "carries no offsets"},
		{"partitions", `{"engine": {"type": "redis", "redis": {"sharded_pub_sub_partitions": 20000}}}`, "engine.redis.sharded_pub_sub_partitions", "too large"},
		{"data format", channelFile(`"publication_data_format": "xml"`), "channel.without_namespace.publication_data_format", "unknown value"},
		{"subscription type", channelFile(`"subscription_type": "xml"`), "channel.without_namespace.subscription_type", "unknown value"},
		{"map mode", channelFile(`"map": {"mode": "ephemeral", "stream_size": 1}`), "channel.without_namespace.map.mode", "keeps no change stream"},
		{"map keys", channelFile(`"map": {"mode": "persistent", "key_ttl": "1s"}`), "channel.without_namespace.map.key_ttl", "do not expire"},
		{"map pages", channelFile(`"map": {"min_page_size": 9, "max_page_size": 8}`), "channel.without_namespace.map.min_page_size", "is greater"},
		{"shared poll publish", channelFile(`"shared_poll": {"publish_enabled": true}`), "channel.without_namespace.shared_poll.publish_enabled", "needs shared_poll.mode versioned"},
		{"two subscribe proxies", `{"channel": {"proxy": {"subscribe": {"endpoint": "http://x"}, "subscribe_stream": {"endpoint": "grpc://x:1"}}, "without_namespace": {"subscribe_proxy_enabled": true, "subscribe_stream_proxy_enabled": true}}}`,
			"channel.without_namespace.subscribe_stream_proxy_enabled", "is set together with subscribe_proxy_enabled"},
		{"bidirectional alone", channelFile(`"subscribe_stream_proxy_bidirectional": true`), "channel.without_namespace.subscribe_stream_proxy_bidirectional", "needs subscribe_stream_proxy_enabled"},
		{"stream over HTTP", `{"channel": {"proxy": {"subscribe_stream": {"endpoint": "http://x"}}, "without_namespace": {"subscribe_stream_proxy_enabled": true}}}`, "channel.proxy.subscribe_stream.endpoint", "a stream proxy speaks gRPC only"},
		{"stream with history", `{"channel": {"proxy": {"subscribe_stream": {"endpoint": "grpc://x:1"}}, "without_namespace": {"subscribe_stream_proxy_enabled": true, "history_size": 1, "history_ttl": "1s"}}}`,
			"channel.without_namespace.subscribe_stream_proxy_enabled", "neither history nor recovery"},
		{"proxy without endpoint", channelFile(`"publish_proxy_enabled": true`), "channel.proxy.publish.endpoint", "is missing, but the proxy is in use"},
		{"unknown proxy", channelFile(`"publish_proxy_enabled": true, "publish_proxy_name": "nope"`), "channel.without_namespace.publish_proxy_name", "no such proxy"},
		{"named proxy without endpoint", `{"proxies": [{"name": "p1"}], "rpc": {"without_namespace": {"proxy_enabled": true, "proxy_name": "p1"}}}`, "proxies[p1].endpoint", "is missing"},
		{"proxy endpoint", `{"client": {"proxy": {"connect": {"enabled": true, "endpoint": "ftp://x"}}}}`, "client.proxy.connect.endpoint", "not an address"},
		{"proxy name", `{"proxies": [{"name": "default"}]}`, "proxies[default].name", "the name is reserved"},
		{"namespace name", `{"channel": {"namespaces": [{"name": "a"}]}}`, "channel.namespaces[a].name", "not a valid name"},
		{"no name", `{"channel": {"namespaces": [{}]}}`, "channel.namespaces[0].name", "not a valid name"},
		{"same name", `{"channel": {"namespaces": [{"name": "aa"}, {"name": "aa"}]}}`, "channel.namespaces[aa].name", "the name is used twice"},
		{"consumer name", `{"consumers": [{"name": "a-b"}]}`, "consumers[a-b].name", "not a valid name"},
		{"consumer type", `{"consumers": [{"name": "ab", "enabled": true}]}`, "consumers[ab].type", "is missing"},
		{"unknown consumer type", `{"consumers": [{"name": "ab", "type": "mqtt"}]}`, "consumers[ab].type", "unknown value"},
		{"broker type", `{"broker": {"type": "mqtt"}}`, "broker.type", "unknown value"},
		{"personal namespace", `{"client": {"subscribe_to_user_personal_channel": {"enabled": true, "personal_channel_namespace": "me"}}}`, "client.subscribe_to_user_personal_channel.personal_channel_namespace", "no such namespace"},
		{"single connection", `{"client": {"subscribe_to_user_personal_channel": {"enabled": true, "single_connection": true}}}`, "client.subscribe_to_user_personal_channel.single_connection", "needs presence"},
		{"admin password", `{"admin": {"enabled": true, "secret": "s"}}`, "admin.password", "is missing while admin.enabled is true"},
		{"admin secret", `{"admin": {"enabled": true, "password": "s"}}`, "admin.secret", "is missing while admin.enabled is true"},
		{"h2c", `{"http_server": {"h2c_external": true}}`, "http_server.h2c_external", "needs http_server.internal_port"},
		{"h2c with TLS", tlsFile(`"h2c_external": true, "internal_port": "9000"`), "http_server.h2c_external", "and no TLS"},
		{"TLS without a certificate", `{"http_server": {"tls": {"enabled": true, "key_pem": "k"}}}`, "http_server.tls.cert_pem", "is missing while http_server.tls.enabled is true"},
		{"TLS without a key", `{"http_server": {"tls": {"enabled": true, "cert_pem": "c"}}}`, "http_server.tls.key_pem", "is missing while http_server.tls.enabled is true"},
		{"internal TLS without a certificate", `{"http_server": {"internal_port": "9000", "internal_tls": {"enabled": true}}}`, "http_server.internal_tls.cert_pem", "is missing"},
		{"TLS of gRPC without a certificate", `{"uni_grpc": {"enabled": true, "tls": {"enabled": true}}}`, "uni_grpc.tls.cert_pem", "is missing"},
		{"TLS of the gRPC API without a certificate", `{"grpc_api": {"enabled": true, "tls": {"enabled": true}}}`, "grpc_api.tls.cert_pem", "is missing"},
		{"old TLS", `{"tls": true}`, "http_server.tls.cert_pem", "is missing"},
		{"autocert without hosts", `{"http_server": {"tls_autocert": {"enabled": true}}}`, "http_server.tls_autocert.host_whitelist", "is empty while"},
		{"autocert with a certificate", tlsFile(`"tls_autocert": {"enabled": true, "host_whitelist": ["a.example.com"]}`), "http_server.tls_autocert.enabled", "is set together with http_server.tls.enabled"},
		{"autocert of a wildcard", autocertFile(`"host_whitelist": ["*.example.com"]`), "http_server.tls_autocert.host_whitelist", "wildcards need a challenge over DNS"},
		{"autocert of an address", autocertFile(`"host_whitelist": ["192.0.2.1"]`), "http_server.tls_autocert.host_whitelist", "not the full name of a host"},
		{"autocert of half a name", autocertFile(`"host_whitelist": ["localhost"]`), "http_server.tls_autocert.host_whitelist", "not the full name of a host"},
		{"autocert of a URL", autocertFile(`"host_whitelist": ["https://a.example.com"]`), "http_server.tls_autocert.host_whitelist", "not the full name of a host"},
		{"autocert over HTTP nowhere", autocertFile(`"host_whitelist": ["a.example.com"], "http": true, "http_addr": "80"`), "http_server.tls_autocert.http_addr", "not an address to listen on"},
		{"autocert in clear text", autocertFile(`"host_whitelist": ["a.example.com"], "directory_url": "http://ca/"`), "http_server.tls_autocert.directory_url", "begins with https://"},
		{"TLS on the same port", tlsFile(`"port": 8443, "tls_port": 8443`), "http_server.tls_port", "is another port's number"},
		{"one port twice", `{"http_server": {"port": 9000, "internal_port": "9000"}}`, "http_server.internal_port", "is http_server.port, too"},
		{"one port of an address twice", `{"http_server": {"port": 9000, "internal_port": "9000", "internal_address": "127.0.0.1"}}`, "http_server.internal_port", "is http_server.port, too"},
		{"TLS on the internal port", tlsFile(`"internal_port": "8443", "tls_port": 8443`), "http_server.tls_port", "is another port's number"},
		{"balancer by name", `{"http_server": {"proxy_protocol": {"trusted": ["balancer"]}}}`, "http_server.proxy_protocol.trusted", "neither an address nor a network"},
		{"balancer of too many bits", `{"http_server": {"proxy_protocol": {"trusted": ["10.0.0.0/33"]}}}`, "http_server.proxy_protocol.trusted", "neither an address nor a network"},
		{"HTTP/3", `{"http_server": {"http3": {"enabled": true}}}`, "http_server.http3.enabled", "HTTP/3 needs TLS"},
		{"a port of gRPC that is taken", `{"uni_grpc": {"enabled": true, "port": 8000}}`, "uni_grpc.port", "is another port's number, too"},
		{"a port of gRPC that is taken inside", `{"http_server": {"internal_port": "11000"}, "uni_grpc": {"enabled": true}}`, "uni_grpc.port", "is another port's number, too"},
		{"a path of WebTransport that is taken", tlsFile(`"http3": {"enabled": true}}, "webtransport": {"enabled": true, "handler_prefix": "/connection/websocket"`),
			"webtransport.handler_prefix", "is also the value of websocket.handler_prefix"},
		{"WebTransport", `{"webtransport": {"enabled": true}}`, "webtransport.enabled", "WebTransport needs HTTP/3"},
		{"user id claim", `{"client": {"token": {"user_id_claim": "user-id"}}}`, "client.token.user_id_claim", "not the name of a claim"},
		{"audience regex", `{"client": {"token": {"audience_regex": "["}}}`, "client.token.audience_regex", "not a regular expression"},
		{"audience twice", `{"client": {"token": {"audience": "a", "audience_regex": "a"}}}`, "client.token.audience_regex", "is set together with client.token.audience"},
		{"issuer twice", `{"client": {"token": {"issuer": "a", "issuer_regex": "a"}}}`, "client.token.issuer_regex", "is set together with client.token.issuer"},
		{"previous key alone", `{"client": {"token": {"hmac_previous_secret_key": "a"}}}`, "client.token.hmac_previous_secret_key", "is set without client.token.hmac_secret_key"},
		{"internal port", `{"http_server": {"internal_port": "http"}}`, "http_server.internal_port", "not a port"},
		{"address with port", `{"http_server": {"address": "127.0.0.1:8000"}}`, "http_server.address", "holds a port"},
		{"status of a refusal", `{"uni_sse": {"connect_code_to_http_response": {"transforms": [{"code": 109, "to": {"status_code": 20}}]}}}`,
			"uni_sse.connect_code_to_http_response.transforms[0].to.status_code", "not the status of a response"},
		{"code of a refusal", `{"uni_http_stream": {"connect_code_to_http_response": {"transforms": [{"to": {"status_code": 401}}]}}}`,
			"uni_http_stream.connect_code_to_http_response.transforms[0].code", "is missing"},
		{"disconnect of an error", `{"client": {"connect_code_to_unidirectional_disconnect": {"transforms": [{"code": 109, "to": {"code": 109}}]}}}`,
			"client.connect_code_to_unidirectional_disconnect.transforms[0].to.code", "not the code of a disconnect"},
		{"reason of a disconnect", `{"client": {"connect_code_to_unidirectional_disconnect": {"transforms": [{"code": 109, "to": {"code": 4001, "reason": "` + strings.Repeat("r", 124) + `"}}]}}}`,
			"client.connect_code_to_unidirectional_disconnect.transforms[0].to.reason", "longer than a close frame can have it"},
		{"same path", `{"http_api": {"handler_prefix": "/connection/websocket"}}`, "http_api.handler_prefix", "is also the value of websocket.handler_prefix"},
		{"relative path", `{"http_api": {"handler_prefix": "api"}}`, "http_api.handler_prefix", "not a path"},
		{"empty boundary", `{"channel": {"namespace_boundary": ""}}`, "channel.namespace_boundary", "must not be empty"},
		{"same boundary", `{"channel": {"namespace_boundary": "#"}}`, "channel.namespace_boundary", "is also the user boundary"},
		{"loops", `{"reactor": {"loops": 65}}`, "reactor.loops", "too large"},
		{"gogc", `{"reactor": {"gogc": 0}}`, "reactor.gogc", "too small"},
		{"empty token key", `{"client": {"token": {"hmac_secret_key": ""}}}`, "client.token.hmac_secret_key", "is given but empty"},

		// Options that would weaken security if they were ignored.
		{"public key as a secret", `{"client": {"token": {"hmac_secret_key": "-----BEGIN PUBLIC KEY-----"}}}`, "client.token.hmac_secret_key", "this is a public key"},
		{"JWKS", `{"client": {"token": {"jwks_public_endpoint": "x"}}}`, "client.token.jwks_public_endpoint", "does not begin with https://"},
		{"RSA", `{"client": {"token": {"rsa_public_key": "x"}}}`, "client.token.rsa_public_key", "neither PEM text"},
		{"ECDSA for subscriptions", `{"client": {"subscription_token": {"enabled": true, "ecdsa_public_key": "x"}}}`, "client.subscription_token.ecdsa_public_key", "neither PEM text"},
		{"empty subscription key", `{"client": {"subscription_token": {"enabled": true, "hmac_secret_key": ""}}}`, "client.subscription_token.hmac_secret_key", "is given but empty"},
		{"connect proxy beside anonymous", `{"client": {"allow_anonymous_connect_without_token": true, "proxy": {"connect": {"enabled": true, "endpoint": "http://x"}}}}`, "client.proxy.connect.enabled", notYet},
		{"subscribe proxy beside a right", `{"channel": {"proxy": {"subscribe": {"endpoint": "http://x"}}, "without_namespace": {"subscribe_proxy_enabled": true, "allow_subscribe_for_client": true}}}`,
			"channel.without_namespace.subscribe_proxy_enabled", notYet},
		{"publish proxy beside a right", `{"channel": {"proxy": {"publish": {"endpoint": "http://x"}}, "without_namespace": {"publish_proxy_enabled": true, "allow_publish_for_subscriber": true}}}`,
			"channel.without_namespace.publish_proxy_enabled", notYet},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := given{file: tt.file}.load(t)
			for _, one := range All(err) {
				var e *Error
				if errors.As(one, &e) && e.Path == tt.path && strings.Contains(e.Problem, tt.problem) {
					if e.Remedy == "" {
						t.Errorf("no remedy: %v", e)
					}
					return
				}
			}
			t.Errorf("no error of %s %q, but:\n%v", tt.path, tt.problem, err)
		})
	}
}

// TestAccepted are configurations near to those of TestContradictions that must start.
func TestAccepted(t *testing.T) {
	for _, file := range []string{
		channelFile(`"history_size": 1, "history_ttl": "1s", "force_recovery": true, "force_recovery_mode": "cache", "auto_cache_recover": true`),
		channelFile(`"slow_policy": "latest"`),
		channelFile(`"slow_policy": "drop_oldest", "subscription_type": "stream"`),
		channelFile(`"slow_policy": "disconnect", "allow_recovery": true, "history_size": 1, "history_ttl": "1s"`),
		channelFile(`"channel_regex": "^[a-z]+$", "publication_data_format": "json_object", "allowed_delta_types": ["fossil"]`),
		channelFile(`"allow_wildcards": true, "slow_policy": "drop_oldest"`),
		channelFile(`"allow_wildcards": true, "history_size": 1, "history_ttl": "1s", "force_recovery": true`),
		natsFile(`"history_size": 1, "history_ttl": "1s", "presence": true, "join_leave": true, "delta_publish": true`),
		`{"broker": {"enabled": true, "type": "nats", "nats": {"allow_wildcards": true}}, "channel": {"without_namespace": {"allow_wildcards": true}}}`,
		`{"broker": {"type": "postgres"}, "controller": {"type": "postgres"}}`,
		`{"broker": {"type": "nats"}, "channel": {"without_namespace": {"allow_recovery": true}}}`,
		`{"client": {"token": {"hmac_secret_key": "s", "user_id_claim": "user_id"}}}`,
		`{"client": {"token": {"hmac_secret_key": ""}, "allow_anonymous_connect_without_token": true}}`,
		`{"client": {"proxy": {"connect": {"enabled": true, "endpoint": "http://x"}}}}`,
		`{"channel": {"proxy": {"subscribe": {"endpoint": "grpc://x:1"}}, "without_namespace": {"subscribe_proxy_enabled": true}}}`,
		`{"http_server": {"address": "::1", "internal_address": "127.0.0.1", "internal_port": 9000}}`,
		`{"http_server": {"address": "10.0.0.1", "port": 9000, "internal_address": "127.0.0.1", "internal_port": 9000}}`,
		`{"websocket": {"disabled": true, "handler_prefix": "bad"}}`,
		tlsFile(`"tls_optional": true, "internal_port": "9000", "tls_external": true`),
		autocertFile(`"host_whitelist": ["a.example.com", "bücher.example"], "cache_dir": "/tmp", "http": true, "directory_url": "https://ca:14000/dir"`),
		`{"http_server": {"h2c_external": true, "internal_port": "9000", "proxy_protocol": {"trusted": ["10.0.0.7", "10.0.0.0/8", "fd00::/8", "::1"]}}}`,
		`{"http_server": {"internal_tls": {"enabled": true}}, "uni_grpc": {"tls": {"enabled": true}}}`,
		`{"admin": {"enabled": true, "insecure": true}}`,
		`{"channel": {"private_prefix": ""}}`,
		`{"client": {"subscription_token": {"enabled": true, "hmac_secret_key": "x"}}}`,
		`{"client": {"token": {"jwks_public_endpoint": "https://x"}}}`,
		`{"client": {"subscription_token": {"jwks_public_endpoint": "nothing", "rsa_public_key": "while it is off"}}}`,
	} {
		if _, err := (given{file: file}).load(t); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestNotBuilt(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{channelFile(`"subscription_type": "map"`), "map and shared poll subscriptions are not built yet; such channels cannot be subscribed"},
		{`{"engine": {"type": "redis"}}`, ""},
		{`{"engine": {"redis": {"address": "x:1"}}}`, ""},
		{`{"broker": {"enabled": true, "type": "nats"}}`, ""},
		{`{"broker": {"postgres": {"dsn": "x"}}}`, ""},
		{`{"enable_unreleased_features": true}`, "there are no unreleased features but broker.type redisnats"},
		{`{"enable_unreleased_features": true, "broker": {"enabled": true, "type": "redisnats"}, "channel": {"without_namespace": {"history_size": 1, "history_ttl": "1s", "force_recovery": true}}}`, ""},
		{`{"client": {"presence_update_interval": "10s"}}`, "presence on this node needs no updates"},
		{`{"engine": {"type": "redis"}, "client": {"presence_update_interval": "10s"}}`, ""},
		{`{"sse": {"enabled": true, "handler_prefix": "/x"}, "http_stream": {"enabled": true}, "emulation": {"max_request_body_size": 1}, "init": {"enabled": true}}`, ""},
		{`{"uni_sse": {"enabled": true}, "uni_http_stream": {"enabled": true}, "uni_websocket": {"enabled": true, "compression": true, "join_push_messages": true}}`, ""},
		{`{"uni_websocket": {"write_timeout": "2s"}}`, "buffers and write time limits per connection have no meaning on event loops"},
		{`{"uni_grpc": {"enabled": true, "port": 1, "max_receive_message_size": 1000}}`, ""},
		{`{"websocket": {"compression": true, "compression_min_size": 1, "compression_level": 2, "decompressed_message_size_limit": 3}}`, ""},
		{`{"grpc_api": {"enabled": true}}`, "the gRPC API is not built yet"},
		{`{"admin": {"password": "x", "secret": "y"}}`, ""},
		{`{"admin": {"insecure": true, "enabled": true}}`, "the admin panel is not built yet"},
		{`{"consumers": [{"name": "aa", "enabled": true, "type": "kafka"}]}`, "consumers are not built yet"},
		{`{"consumers": [{"name": "aa", "type": "kafka"}]}`, ""},
		{`{"rpc": {"ping": {"enabled": true}}}`, ""},
		{`{"rpc": {"namespaces": [{"name": "aa"}]}}`, "RPC methods of the backend are not built yet"},
		{`{"usage_stats": {"disabled": true}, "prometheus": {"enabled": true}, "health": {"enabled": true}, "debug": {"enabled": true}, "pid_file": "x", "node": {"name": "n"}, "shutdown": {"timeout": "3s"}}`, ""},
		{channelFile(`"history_size": 1, "history_ttl": "1s", "force_recovery": true, "allow_recovery": true, "allow_positioning": true, "force_positioning": true, "allow_publish_for_client": true, "channel_regex": "a"`), ""},
	} {
		_, warnings := given{file: tt.file}.mustLoad(t)
		got := text(warnings)
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) || strings.Count(got, "\n") > 0 {
			t.Errorf("%s\ngot  %s\nwant %s", tt.file, got, tt.want)
		}
	}
}

func TestAdvice(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{`{}`, "no client can connect: set client.token.hmac_secret_key"},
		{`{"client": {"token": {"jwks_public_endpoint": "https://x", "hmac_secret_key": "s"}}}`, "the other keys in client.token are not used"},
		{`{"client": {"token": {"jwks_public_endpoint": "http://x"}}}`, "use https://"},
		{`{"client": {"subscription_token": {"enabled": true, "jwks_public_endpoint": "http://{{h}}/", "issuer_regex": "(?P<h>.*)", "insecure_skip_jwks_endpoint_safety_check": true}}}`,
			"client.subscription_token.insecure_skip_jwks_endpoint_safety_check is set"},
		{`{"client": {"subscription_token": {"enabled": true}}}`, "no subscription token can be valid"},
		{`{}`, "every call of the HTTP API is answered 401"},
		{`{"client": {"insecure": true}}`, "client.insecure is set, which is meant for development only"},
		{`{"client": {"insecure_skip_token_signature_verify": true}}`, "anybody can make tokens"},
		{`{"http_api": {"insecure": true}}`, "keys are not checked"},
		{`{"client": {"allowed_origins": "*"}}`, "every web page may connect"},
		{`{"client": {"allowed_origins": "example.com"}}`, `did you mean "https://example.com"?`},
		{`{"websocket": {"compression": true}, "uni_websocket": {"enabled": true, "compression": true, "compression_level": 2}}`,
			"uni_websocket.compression_level has no effect beside websocket.compression"},
		{autocertFile(`"host_whitelist": ["a.example.com"]`), "cache_dir is empty: every start orders new certificates"},
		{`{"http_server": {"internal_tls": {"enabled": true, "cert_pem": "c", "key_pem": "k"}}}`, "has no effect without http_server.internal_port"},
		{`{"http_server": {"tls_external": true}}`, "http_server.tls_external has no effect"},
		{`{"http_server": {"tls_optional": true}}`, "http_server.tls_optional has no effect"},
		{`{"http_server": {"tls_port": 8443}}`, "http_server.tls_port has no effect"},
		{tlsFile(`"tls_port": 8443, "tls_optional": true`), "both ports take plain connections"},
		{`{"http_server": {"tls": {"cert_pem": "c", "key_pem": "k"}}}`, "http_server.tls.cert_pem has no effect without http_server.tls.enabled"},
		{`{"http_server": {"internal_port": "9000", "internal_tls": {"cert_pem": "c"}}}`, "http_server.internal_tls.cert_pem has no effect"},
		{`{"uni_grpc": {"enabled": true, "tls": {"cert_pem": "c"}}}`, "uni_grpc.tls.cert_pem has no effect"},
		{`{"http_server": {"proxy_protocol": {"trusted": ["::/0"]}}}`, "::/0: whoever can connect chooses the address"},
		{`{"debug": {"enabled": true}}`, "profiles are served on the public port"},
		{natsFile(`"history_size": 1, "history_ttl": "1s", "delta_publish": true`),
			"answered with error 108: channel.without_namespace.history_size, channel.without_namespace.history_ttl, channel.without_namespace.delta_publish"},
		{`{"enable_unreleased_features": true, "broker": {"enabled": true, "type": "redisnats", "nats": {"allow_wildcards": true}}}`, "has no effect with redisnats"},
		{natsFile(`"presence": true`), "each node knows its own clients alone"},
		{`{"engine": {"type": "redis", "redis": {"presence_ttl": "27s"}}}`, "engine.redis.presence_ttl is not above client.presence_update_interval"},
		{`{"client": {"presence_update_interval": "61s"}, "presence_manager": {"enabled": true, "type": "redis"}}`,
			"presence_manager.redis.presence_ttl is not above client.presence_update_interval"},
		{`{"engine": {"type": "redis"}, "presence_manager": {"enabled": true}, "channel": {"without_namespace": {"presence": true}}}`, "each node knows its own clients alone"},
		{`{"broker": {"enabled": true, "type": "nats", "nats": {"raw_mode": {"enabled": true}}}, "channel": {"namespaces": [{"name": "ns", "join_leave": true}]}}`,
			"channel.namespaces[ns]: joins and leaves are not carried"},
		{`{"broker": {"enabled": true, "type": "nats", "nats": {"allow_wildcards": true}}, "channel": {"namespaces": [{"name": "ns", "allow_user_limited_channels": true}]}}`,
			"who may subscribe in channel.namespaces[ns] reads the channels of all its users"},
	} {
		res, err := given{file: tt.file}.load(t)
		if err != nil || !strings.Contains(text(res.Warnings), tt.want) {
			t.Errorf("%s: %v\n%s\nwant %s", tt.file, err, text(res.Warnings), tt.want)
		}
	}
}

// TestNoAdvice are configurations near to those of TestAdvice that nothing of the engines is said about.
func TestNoAdvice(t *testing.T) {
	for _, file := range []string{
		channelFile(`"history_size": 1, "history_ttl": "1s", "delta_publish": true, "presence": true, "join_leave": true`),
		natsFile(`"join_leave": true, "allow_user_limited_channels": true`),
		`{"engine": {"type": "redis"}, "channel": {"without_namespace": {"presence": true, "history_size": 1, "history_ttl": "1s"}}}`,
		`{"broker": {"enabled": true, "type": "nats"}, "presence_manager": {"enabled": true, "type": "redis"}, "channel": {"without_namespace": {"presence": true}}}`,
	} {
		res, err := given{file: file}.load(t)
		if err != nil || strings.Contains(text(res.Warnings), "channel.without_namespace") {
			t.Errorf("%s: %v\n%s", file, err, text(res.Warnings))
		}
	}
}

// tlsFile is a configuration whose external listener speaks TLS, with these options beside.
func tlsFile(options string) string {
	return `{"http_server": {"tls": {"enabled": true, "cert_pem": "cert.pem", "key_pem": "key.pem"}, ` + options + `}}`
}

// autocertFile is one with these options of tls_autocert.
func autocertFile(options string) string {
	return `{"http_server": {"tls_autocert": {"enabled": true, ` + options + `}}}`
}
