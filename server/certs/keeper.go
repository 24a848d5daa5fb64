package certs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"stentor/engine/credentials"
	"stentor/server/config"
)

// Keeper has what one block of the configuration says, or an ACME authority gives.
type Keeper struct {
	path      string // of the block
	authority *Authority
	current   atomic.Pointer[shown]
}

// shown is what is shown and asked for in a handshake. It does not change.
type shown struct {
	pair      *tls.Certificate // nil: the authority's
	clientCAs *x509.CertPool   // nil: clients need no certificate
	warnings  []warning
}

// warning is about a certificate that can be shown, but that clients will hardly take.
type warning struct {
	text   string
	remedy string
}

// Config is for a port that speaks the protocols, the preferred one first. It follows all reloads.
func (k *Keeper) Config(protocols ...string) *tls.Config {
	var made atomic.Pointer[configOf]
	now := func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if k.authority != nil && isChallenge(hello) {
			return k.authority.challenge, nil
		}
		what := k.current.Load()
		if m := made.Load(); m != nil && m.what == what {
			return m.config, nil
		}
		m := &configOf{what, k.config(what, protocols)}
		made.Store(m)
		return m.config, nil
	}
	// The tickets' keys are those of this outer one, whatever it is that it returns.
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetConfigForClient: now, DynamicRecordSizingDisabled: true}
}

// configOf is the configuration that was made of something.
type configOf struct {
	what   *shown
	config *tls.Config
}

func (k *Keeper) config(what *shown, protocols []string) *tls.Config {
	// What is written together is one record: on the loops that is a whole turn's output, and cut into small ones it would cost more.
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, DynamicRecordSizingDisabled: true}
	if what.pair != nil {
		c.Certificates = []tls.Certificate{*what.pair}
	} else {
		c.GetCertificate = k.authority.certificate
	}
	if what.clientCAs != nil {
		c.ClientCAs, c.ClientAuth = what.clientCAs, tls.RequireAndVerifyClientCert
	}
	return c
}

// read makes what is shown of a block. Errors begin with the path of an option.
func (k *Keeper) read(block *config.TLSConfig, now time.Time) (*shown, error) {
	s := new(shown)
	if k.authority == nil {
		pair, err := credentials.Pair(string(block.CertPEM), string(block.KeyPEM))
		if err != nil {
			return nil, fmt.Errorf("%s.%w", k.path, err)
		}
		s.pair, s.warnings = &pair, doubts(&pair, now)
	}
	if block.ClientCAPEM != "" {
		pool, err := credentials.Pool("client_ca_pem", string(block.ClientCAPEM))
		if err != nil {
			return nil, fmt.Errorf("%s.%w", k.path, err)
		}
		s.clientCAs = pool
	}
	return s, nil
}

// expirySoon is how long before a certificate expires the log begins to say so, at each start and reload.
const expirySoon = 14 * 24 * time.Hour

// doubts are what clients will object to.
func doubts(pair *tls.Certificate, now time.Time) (list []warning) {
	leaf := pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		list = append(list, warning{"the certificate has expired", "clients refuse it; renew it, then send SIGHUP"})
	case now.Before(leaf.NotBefore):
		list = append(list, warning{"the certificate is not valid yet", "clients refuse it until then; check the clock of this machine"})
	case now.Add(expirySoon).After(leaf.NotAfter):
		list = append(list, warning{"the certificate expires soon", "renew it, then send SIGHUP"})
	}
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 {
		list = append(list, warning{"the certificate names no host", "clients look for the host in the field subjectAltName only"})
	}
	if !inOrder(pair) {
		list = append(list, warning{"the chain of the certificate is not in order",
			"begin cert_pem with the server's certificate; each one after it must be that of the issuer of the one before"})
	}
	return list
}

// inOrder reports that each certificate was issued by the one that follows it.
func inOrder(pair *tls.Certificate) bool {
	for i := 1; i < len(pair.Certificate); i++ {
		child, err1 := x509.ParseCertificate(pair.Certificate[i-1])
		issuer, err2 := x509.ParseCertificate(pair.Certificate[i])
		if err1 != nil || err2 != nil || child.CheckSignatureFrom(issuer) != nil {
			return false
		}
	}
	return true
}

// use shows s from now on, and says so in the log if it is another certificate than before.
func (k *Keeper) use(s *shown, log *slog.Logger) {
	before := k.current.Swap(s)
	if s.pair == nil {
		return
	}
	leaf := s.pair.Leaf
	about := []any{
		"option", k.path + ".cert_pem", "names", hostsOf(leaf), "issuer", cmp.Or(leaf.Issuer.CommonName, leaf.Issuer.String()),
		"serial", leaf.SerialNumber.Text(16), "expires", leaf.NotAfter.UTC().Format(time.RFC3339),
	}
	for _, w := range s.warnings {
		log.Warn(w.text, append(about, "remedy", w.remedy)...)
	}
	switch {
	case before == nil:
		log.Info("showing a certificate", about...)
	case !before.pair.Leaf.Equal(leaf):
		log.Info("showing another certificate from now on", about...)
	}
}

// hostsOf are the names that a certificate is for.
func hostsOf(leaf *x509.Certificate) []string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
