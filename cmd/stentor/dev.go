package main

import (
	"fmt"
	"net"

	"stentor/server/config"
)

// printDev tells someone who tries the server what to do next.
func printDev(addr net.Addr, cfg *config.Config) {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return
	}
	fmt.Printf(`
Stentor runs for trying it out; do not expose this server to a network.

  page     %[3]s://localhost:%[1]s/
  API key  %[2]s

Connect and subscribe on the page, then publish from here:

  curl -X POST -H "X-API-Key: %[2]s" -d '{"channel":"news","data":{"text":"hello"}}' %[3]s://localhost:%[1]s/api/publish

`, port, cfg.HTTPAPI.Key, cfg.HTTPServer.Scheme())
}
