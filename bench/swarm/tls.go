package swarm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS is how the clients of a group secure their conns.
type TLS struct {
	ServerName string `json:"server_name"`
	CA         string `json:"ca,omitempty"`       // certificates to trust, PEM; empty: those of the system
	Insecure   bool   `json:"insecure,omitempty"` // trust any certificate
	Version    string `json:"version,omitempty"`  // "1.2" or "1.3"; empty: the best that both sides know
	Resume     bool   `json:"resume,omitempty"`   // come back with session tickets
}

// ticketsMax is how many servers a group keeps session tickets of: it has one.
const ticketsMax = 4

// Config is t as crypto/tls wants it.
func (t *TLS) Config() (*tls.Config, error) {
	c := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure, NextProtos: []string{"http/1.1"}}
	switch t.Version {
	case "":
	case "1.2":
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	case "1.3":
		c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	default:
		return nil, fmt.Errorf("TLS version %q is not 1.2 or 1.3", t.Version)
	}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("the file with the CA has no certificate in PEM")
		}
	}
	if t.Resume {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(ticketsMax)
	}
	return c, nil
}
