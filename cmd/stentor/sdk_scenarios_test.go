package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// ordinaryServer has one namespace for each way to use a channel. Tokens may be signed with any of three keys.
const ordinaryServer = `{
  "client": {
    "token": {"hmac_secret_key": "$SECRET", "rsa_public_key": $RSA, "ecdsa_public_key": $ECDSA},
    "recovery_max_publication_limit": 10000
  },
  "http_stream": {"enabled": true}, "sse": {"enabled": true},
  "http_api": {"key": "$API_KEY"},
  "channel": {"namespaces": [
    {"name": "plain", "allow_subscribe_for_client": true},
    {"name": "stream", "history_size": 10000, "history_ttl": "300s", "force_recovery": true,
     "allow_subscribe_for_client": true, "allow_history_for_subscriber": true},
    {"name": "short", "history_size": 2, "history_ttl": "300s", "force_recovery": true, "allow_subscribe_for_client": true},
    {"name": "cache", "history_size": 1, "history_ttl": "300s", "force_recovery": true, "force_recovery_mode": "cache",
     "auto_cache_recover": true, "allow_subscribe_for_client": true},
    {"name": "fleeting", "history_size": 10, "history_ttl": "1s", "history_meta_ttl": "1s", "force_recovery": true,
     "allow_subscribe_for_client": true},
    {"name": "room", "presence": true, "join_leave": true, "force_push_join_leave": true,
     "allow_subscribe_for_client": true, "allow_presence_for_subscriber": true},
    {"name": "quiet", "presence": true, "join_leave": true, "allow_subscribe_for_client": true, "allow_presence_for_subscriber": true},
    {"name": "token", "presence": true, "allow_presence_for_subscriber": true},
    {"name": "locked"}
  ]}
}`

// specialServer compresses, pings often, gives each user a channel, and has its keys from a JWKS.
const specialServer = `{
  "client": {
    "token": {"jwks_public_endpoint": "$JWKS"},
    "ping_interval": "2s", "pong_timeout": "1900ms",
    "subscribe_to_user_personal_channel": {"enabled": true, "personal_channel_namespace": "me"}
  },
  "websocket": {"compression": true}, "http_stream": {"enabled": true}, "sse": {"enabled": true},
  "http_api": {"key": "$API_KEY"},
  "channel": {"namespaces": [
    {"name": "chat", "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true},
    {"name": "me", "history_size": 10, "history_ttl": "300s", "force_recovery": true},
    {"name": "token", "presence": true, "allow_presence_for_subscriber": true}
  ]}
}`

// TestSDKScenarios plays what applications do with centrifuge-go and centrifuge-js, unmodified, in both forms. All scenes share two servers.
func TestSDKScenarios(t *testing.T) {
	keys := newTokenKeys(t)
	fill := strings.NewReplacer("$SECRET", quickStartSecret, "$API_KEY", quickStartAPIKey, "$JWKS", keys.jwks(t),
		"$RSA", quote(t, publicPEM(t, keys.rsa)), "$ECDSA", quote(t, publicPEM(t, keys.ecdsa)))
	set := scene{keys: keys, ordinary: start(t, fill.Replace(ordinaryServer)), special: start(t, fill.Replace(specialServer))}
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		for _, transport := range []string{"websocket", "http_stream", "sse"} { // one after another: some scenarios count on a second being long
			topics := "TOPICS=recovery presence history tokens serverside orders"
			if transport == "websocket" {
				topics += " transport"
			}
			t.Run(transport, func(t *testing.T) {
				node(t, "scenarios.mjs", "NODE_OPTIONS=--test-reporter=spec", topics, "TRANSPORT="+transport,
					"ORDINARY="+set.ordinary.url, "SPECIAL="+set.special.url, "API_KEY="+quickStartAPIKey, "SECRET="+quickStartSecret,
					"RS256="+privatePEM(t, keys.rsa), "ES256="+privatePEM(t, keys.ecdsa), "EDDSA="+privatePEM(t, keys.eddsa))
			})
		}
	})
	playAll(t, slices.Concat(tokenScenarios, orderScenarios, recoveryScenarios, presenceScenarios, serverSideScenarios, transportScenarios), set)
}

// quote is a text as JSON has it.
func quote(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}
