package config

import (
	"fmt"
	"net"
)

// Dev is our own section: a server to try on one's own machine.
type Dev struct {
	Enabled bool `json:"enabled" desc:"serve a page to try the server; anonymous clients may do everything in channels without a namespace; only this machine can connect"`
}

// openForDev opens the server for someone who tries it: anonymous clients may do everything in channels without a namespace,
// metrics and health are on, the page may connect, and only this machine can reach it. What a source has given stays.
func (l *loader) openForDev() {
	c := l.cfg
	if !c.Dev.Enabled {
		return
	}
	if _, given := l.dec.given["http_server.address"]; !given {
		c.HTTPServer.Address = "localhost"
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		c.Client.AllowedOrigins = append(c.Client.AllowedOrigins, fmt.Sprintf("%s://%s:%d", c.HTTPServer.Scheme(), host, c.HTTPServer.Port))
	}
	o := &c.Channel.WithoutNamespace
	for path, option := range map[string]*bool{
		"client.allow_anonymous_connect_without_token":            &c.Client.AllowAnonymousConnectWithoutToken,
		"channel.without_namespace.allow_subscribe_for_client":    &o.AllowSubscribeForClient,
		"channel.without_namespace.allow_subscribe_for_anonymous": &o.AllowSubscribeForAnonymous,
		"channel.without_namespace.allow_publish_for_client":      &o.AllowPublishForClient,
		"channel.without_namespace.allow_publish_for_anonymous":   &o.AllowPublishForAnonymous,
		"prometheus.enabled": &c.Prometheus.Enabled,
		"health.enabled":     &c.Health.Enabled,
	} {
		if _, given := l.dec.given[path]; !given {
			*option = true
		}
	}
}

// isLocal reports that only this machine can connect to a listener on address.
func isLocal(address string) bool {
	return address == "localhost" || net.ParseIP(address).IsLoopback()
}
