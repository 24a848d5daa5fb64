package redislink

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/rueidis"

	"stentor/engine"
)

// Failure turns an error of a command into one of the engine. That a server does not answer, or says that it is no master or not
// ready, becomes engine.ErrUnreachable; whatever else the server says stays as it is, and so do nil, rueidis.Nil and errors of the engine.
func Failure(err error) error {
	if err == nil || rueidis.IsRedisNil(err) {
		return err
	}
	if errors.Is(err, engine.ErrUnreachable) {
		return err
	}
	said, is := rueidis.IsRedisErr(err)
	if is && !notReady(said.Error()) {
		return fmt.Errorf("the server refuses: %w", err)
	}
	return fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
}

// notReady reports that what a server says will be different once it, or another, has become master and has read its data. Before
// version 7 a script that met such an answer put words of its own before it, and a dash.
func notReady(said string) bool {
	for _, word := range []string{"LOADING ", "MASTERDOWN ", "CLUSTERDOWN ", "READONLY ", "TRYAGAIN ", "BUSY "} {
		if strings.HasPrefix(said, word) || strings.Contains(said, " -"+word) {
			return true
		}
	}
	return false
}

// remedies are what to do about a failure, by the words in it; the first that fits counts.
var remedies = []struct{ words, kind, remedy string }{
	{"WRONGPASS", "password", "set user and password to what the server knows"},
	{"invalid username-password pair", "password", "set user and password to what the server knows"},
	{"invalid password", "password", "set user and password to what the server knows"},
	{"NOAUTH", "password", "the server wants a password: set it"},
	{"without any password configured", "password", "the server has no password: remove it, or check that this is the right server"},
	{"NOPERM", "permission", "give the user of the server the commands and keys that are needed"},
	{"x509:", "certificate", "set tls.server_ca_pem to the authority of the server's certificate, and tls.server_name to a name in it"},
	{"tls:", "tls", "check that the port of this address speaks TLS, and that the certificate that the server wants is set"},
	{"LOADING", "loading", "none is needed: the server reads its data"},
	{"MASTERDOWN", "failover", "none is needed if a failover is under way"},
	{"READONLY", "failover", "none is needed if a failover is under way; else the address is that of a replica"},
	{"CLUSTERDOWN", "cluster", "bring back the nodes of the cluster that keep the missing slots"},
	{"out of range", "database", "the server has fewer databases: set db to a smaller number"},
	{"CLUSTER", "cluster", "the address must be that of a node of a cluster"},
	{"max number of clients", "clients", "raise maxclients of the server, or find out who has so many connections"},
	{errReplica.Error(), "replica", "none is needed if a failover is under way; else use the address of the master, or of sentinels"},
	{"EOF", "closed", "check that the port is one of Redis, and whether it speaks TLS"},
	{"connection reset", "closed", "check that the port is one of Redis, and whether it speaks TLS"},
	{"no such host", "name", "check the name of the host, and the name servers of this machine"},
	{"connection refused", "refused", "start the server, or correct the address"},
}

// explain gives the kind of a failure and what to do about it.
func explain(err error) (kind, remedy string) {
	text := err.Error()
	for _, r := range remedies {
		if strings.Contains(text, r.words) {
			return r.kind, r.remedy
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout", "check that the server runs, that nothing in between keeps its packets, and that its port speaks TLS if that is on; " +
			"connect_timeout and io_timeout are the limits"
	}
	return "other", "check the server and its address"
}

// withoutSecrets blots out passwords: a server that does not know a command may repeat it.
func (s settings) withoutSecrets(text string) string {
	for _, secret := range []string{s.password, s.sentinelPassword} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
