package main

import (
	"crypto/rand"
	"fmt"
	"net"

	"stentor/server/config"
)

// prepareDev opens the server for someone who tries it on the own machine: anonymous clients may do everything in channels
// without a namespace, metrics and health are on, and only this machine can reach it. What the configuration says otherwise
// stays.
func prepareDev(cfg *config.Config) {
	if cfg.HTTPServer.Address == "" {
		cfg.HTTPServer.Address = "localhost"
	}
	port := cfg.HTTPServer.Port
	cfg.Client.AllowedOrigins = append(cfg.Client.AllowedOrigins,
		fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port))
	cfg.Client.AllowAnonymousConnectWithoutToken = true
	o := &cfg.Channel.WithoutNamespace
	o.AllowSubscribeForClient, o.AllowSubscribeForAnonymous = true, true
	o.AllowPublishForClient, o.AllowPublishForAnonymous = true, true
	cfg.Prometheus.Enabled, cfg.Health.Enabled = true, true
	if cfg.HTTPAPI.Key == "" {
		cfg.HTTPAPI.Key = rand.Text()
	}
}

// printDev tells what to do next.
func printDev(addr net.Addr, cfg *config.Config) {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return
	}
	fmt.Printf(`
Stentor runs for trying it out; do not expose this server to a network.

  page     http://localhost:%[1]s/
  API key  %[2]s

Connect and subscribe on the page, then publish from here:

  curl -X POST -H "X-API-Key: %[2]s" -d '{"channel":"news","data":{"text":"hello"}}' http://localhost:%[1]s/api/publish

`, port, cfg.HTTPAPI.Key)
}
