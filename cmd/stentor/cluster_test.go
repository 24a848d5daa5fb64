package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"stentor/engine/enginetest/natstest"
	"stentor/engine/enginetest/redistest"
)

// balance is what stands in front of several nodes: each TCP connection goes to the next one. It is a process in the place of theirs.
func balance(t *testing.T, nodes ...*process) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var turn atomic.Int64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			to := strings.TrimPrefix(nodes[int(turn.Add(1))%len(nodes)].url, "http://")
			go relay(client, to)
		}
	}()
	front := *nodes[0]
	front.url = "http://" + l.Addr().String()
	return &front
}

// relay joins a client with a server until one of them ends it.
func relay(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		defer server.Close()
		io.Copy(server, client)
	}()
	io.Copy(client, server)
}

// TestSDKScenariosOverRedis plays what applications do on two nodes behind a balancer: a client and the API call that is about it meet
// on one node or on two, and whoever comes back comes to the other one.
func TestSDKScenariosOverRedis(t *testing.T) {
	keys := newTokenKeys(t)
	s := redistest.Start(t)
	fill := strings.NewReplacer("$SECRET", quickStartSecret, "$API_KEY", quickStartAPIKey,
		"$RSA", quote(t, publicPEM(t, keys.rsa)), "$ECDSA", quote(t, publicPEM(t, keys.ecdsa)))
	cfg := strings.Replace(fill.Replace(ordinaryServer), "{", "{"+redisEngine(addresses(s.Addr))+",", 1)
	front := balance(t, start(t, cfg), start(t, cfg))
	set := scene{keys: keys, ordinary: front}
	// Orders of the API come to another node by a way of their own, and neither publications nor what a client does next wait for them. These
	// scenarios count on the order of the two.
	without := []string{"unsubscribe", "refresh", "a batch"}
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		for _, transport := range []string{"websocket", "http_stream", "sse"} { // commands of the last two come to any node
			t.Run(transport, func(t *testing.T) {
				node(t, "scenarios.mjs", "NODE_OPTIONS=--test-reporter=spec", "TOPICS=recovery presence history orders", "WITHOUT="+strings.Join(without, ","),
					"TRANSPORT="+transport, "ORDINARY="+front.url, "SPECIAL="+front.url, "API_KEY="+quickStartAPIKey, "SECRET="+quickStartSecret,
					"RS256="+privatePEM(t, keys.rsa), "ES256="+privatePEM(t, keys.ecdsa), "EDDSA="+privatePEM(t, keys.eddsa))
			})
		}
	})
	orders := slices.DeleteFunc(slices.Clone(orderScenarios), func(s scenario) bool { return slices.Contains(without, s.name) })
	playAll(t, slices.Concat(orders, recoveryScenarios, presenceScenarios), set)
}

// clusterServer is the configuration of nodes in TestCluster.
const clusterServer = `{
  "client": {"token": {"hmac_secret_key": "$SECRET"}},
  "http_api": {"key": "$API_KEY"},
  "channel": {"namespaces": [
    {"name": "stream", $HISTORY "allow_subscribe_for_client": true},
    {"name": "room", "presence": true, "join_leave": true, "force_push_join_leave": true, "allow_subscribe_for_client": true}
  ]},
  $ENGINE
}`

// TestCluster has clients of centrifuge-js use two and three nodes over Redis, and over NATS with presence in Redis.
func TestCluster(t *testing.T) {
	redis, nats := redistest.Start(t), natstest.Start(t)
	for _, x := range []struct{ name, history, keeps, engine string }{
		{"Redis", `"history_size": 100, "history_ttl": "300s", "force_recovery": true,`, "yes",
			redisEngine(addresses(redis.Addr) + `,"prefix":"$PREFIX"`)},
		{"NATS", "", "no", `"broker":{"enabled":true,"type":"nats","nats":{"url":"` + nats.URL() + `","prefix":"$PREFIX"}},
			"presence_manager":{"enabled":true,"type":"redis","redis":{"prefix":"$PREFIX",` + addresses(redis.Addr) + `}}`},
	} {
		for _, n := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s/%d nodes", x.name, n), func(t *testing.T) {
				cfg := strings.NewReplacer("$SECRET", quickStartSecret, "$API_KEY", quickStartAPIKey, "$HISTORY", x.history, "$ENGINE",
					strings.ReplaceAll(x.engine, "$PREFIX", fmt.Sprintf("%s-%d", x.name, n))).Replace(clusterServer)
				var urls []string
				for range n {
					urls = append(urls, start(t, cfg).url)
				}
				node(t, "scenarios.mjs", "NODE_OPTIONS=--test-reporter=spec", "TOPICS=cluster", "NODES="+strings.Join(urls, " "), "HISTORY="+x.keeps,
					"ORDINARY="+urls[0], "API_KEY="+quickStartAPIKey, "SECRET="+quickStartSecret)
			})
		}
	}
}
