package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

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
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		node(t, "scenarios.mjs", "NODE_OPTIONS=--test-reporter=spec", "TOPICS=recovery presence history orders",
			"ORDINARY="+front.url, "SPECIAL="+front.url, "API_KEY="+quickStartAPIKey, "SECRET="+quickStartSecret,
			"RS256="+privatePEM(t, keys.rsa), "ES256="+privatePEM(t, keys.ecdsa), "EDDSA="+privatePEM(t, keys.eddsa))
	})
	// What one batch does on a node is not done on the others when its next command runs: a publication does not reach who is being
	// subscribed there.
	orders := slices.DeleteFunc(slices.Clone(orderScenarios), func(s scenario) bool { return s.name == "a batch" })
	playAll(t, slices.Concat(orders, recoveryScenarios, presenceScenarios), set)
}
