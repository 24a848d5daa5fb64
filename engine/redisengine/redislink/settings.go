package redislink

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// kind is what the addresses of a shard lead to.
type kind int

const (
	kindPlain    kind = iota // a server, or nodes of a cluster: that shows when it is reached
	kindUnix                 // a server on this machine
	kindSentinel             // sentinels
	kindCluster              // nodes of a cluster
)

// settings are all there is to know of one shard: the configuration, and what its address says over it.
type settings struct {
	kind      kind
	addresses []string // host:port, or a path for kindUnix

	connectTimeout, ioTimeout time.Duration

	db                         int
	user, password, clientName string
	forceRESP2                 bool
	tls                        *tls.Config

	masterName, sentinelUser, sentinelPassword, sentinelClientName string
	sentinelTLS                                                    *tls.Config

	replicaReads bool

	unknown []string // options of the URL that mean nothing to us
}

// name tells shards apart in logs.
func (s settings) name() string {
	list := strings.Join(s.addresses, ",")
	switch s.kind {
	case kindUnix:
		return "unix:" + list
	case kindSentinel:
		return s.masterName + " of sentinels " + list
	case kindCluster:
		return "cluster " + list
	}
	return list
}

// settings reads the addresses of all shards.
func (c Config) settings() ([]settings, error) {
	base := settings{
		connectTimeout: c.connectTimeout(), ioTimeout: c.ioTimeout(),
		db: c.DB, user: c.User, password: c.Password, clientName: c.ClientName, forceRESP2: c.ForceRESP2, tls: c.TLS,
		masterName: c.SentinelMasterName, sentinelUser: c.SentinelUser, sentinelPassword: c.SentinelPassword,
		sentinelClientName: c.SentinelClientName, sentinelTLS: c.SentinelTLS,
		replicaReads: c.ReplicaReads,
	}
	list, field, read := c.Address, "address", fromAddress
	switch {
	case len(c.ClusterAddress) > 0:
		list, field, read = c.ClusterAddress, "cluster_address", fromClusterNodes
	case len(c.SentinelAddress) > 0:
		list, field, read = c.SentinelAddress, "sentinel_address", fromSentinels
	case len(c.Address) == 0:
		list = []string{AddressDefault}
	}
	if len(list) > ShardsMax {
		return nil, fmt.Errorf("%s: %d shards are more than the %d that one node can use", field, len(list), ShardsMax)
	}
	shards := make([]settings, len(list))
	for i, address := range list {
		s, err := read(base, address)
		if err == nil {
			err = s.check()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: entry %d: %w", field, i+1, err)
		}
		shards[i] = s
	}
	return shards, nil
}

// fromClusterNodes reads the nodes of one cluster.
func fromClusterNodes(s settings, list string) (settings, error) {
	s.kind = kindCluster
	return s.withList(list, "redis+cluster://")
}

// fromSentinels reads the sentinels of one group.
func fromSentinels(s settings, list string) (settings, error) {
	s.kind = kindSentinel
	return s.withList(list, "redis+sentinel://")
}

func (s settings) withList(list, scheme string) (settings, error) {
	if strings.Contains(list, "://") {
		return s, fmt.Errorf("this takes no URLs but host:port, several separated by commas; as a URL, starting with %s, it belongs into address", scheme)
	}
	s.addresses = nil
	for address := range strings.SplitSeq(list, ",") {
		address = strings.TrimSpace(address)
		if err := checkHostPort(address); err != nil {
			return s, err
		}
		s.addresses = append(s.addresses, address)
	}
	return s, nil
}

// check looks for what can never work.
func (s settings) check() error {
	switch {
	case s.connectTimeout <= 0 || s.ioTimeout <= 0:
		return errors.New("connect_timeout and io_timeout must be above 0")
	case s.db < 0:
		return fmt.Errorf("the number of the database is %d, but they count from 0", s.db)
	case s.kind == kindCluster && s.db != 0:
		return fmt.Errorf("a cluster has database 0 only, not %d: remove db, or the number at the end of the URL", s.db)
	case s.kind == kindSentinel && s.masterName == "":
		return errors.New("sentinels watch masters by name: set sentinel_master_name, there or in the URL")
	case s.kind == kindUnix && s.tls != nil:
		return errors.New("a socket of this machine speaks no TLS: turn it off, or use an address starting with rediss://")
	}
	return nil
}

// checkHostPort refuses what cannot be dialled. Its errors do not repeat what was given, as a password may be in it.
func checkHostPort(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || !validPort(port) || strings.ContainsAny(host, "@/ ") {
		return errors.New("this is no host:port, like 127.0.0.1:6379 or [::1]:6379")
	}
	return nil
}

// validPort takes numbers only: names of services depend on the machine.
func validPort(port string) bool {
	n := 0
	for _, c := range []byte(port) {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return n > 0 && n <= 65535
}
