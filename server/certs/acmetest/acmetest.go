// Package acmetest runs an ACME authority for tests: Pebble, the one that Let's Encrypt has for this, inside the test's process. It
// verifies for real, on the ports of the test, and takes every name to be 127.0.0.1.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Authority is a running one.
type Authority struct {
	DirectoryURL string
	CAFile       string         // who vouches for the address of the directory
	Roots        *x509.CertPool // who vouches for the certificates that it issues
}

// Start runs an authority until the test ends. It asks on the two ports who a name belongs to; 0 is a port that nobody listens on.
func Start(t *testing.T, httpPort, tlsPort string) *Authority {
	t.Helper()
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP":      "1",
		"PEBBLE_WFE_NONCEREJECT": "0",
		"PEBBLE_AUTHZREUSE":      "0",
	} {
		t.Setenv(name, value)
	}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the one there is"}})
	validator := va.New(quiet, port(t, httpPort), port(t, tlsPort), true, resolver(t), store)
	front := wfe.New(quiet, store, validator, issuer, []string{"authority.test"}, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)

	a := &Authority{DirectoryURL: server.URL + wfe.DirectoryPath, CAFile: filepath.Join(t.TempDir(), "acme-ca.pem"), Roots: x509.NewCertPool()}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(a.CAFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Roots.AddCert(issuer.GetRootCert(0).Cert)
	return a
}

func port(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		return 1 // tcpmux, long dead
	}
	return n
}

// resolver runs a DNS server that answers 127.0.0.1.
func resolver(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{Listener: l, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg)
		answer.SetReply(q)
		for _, one := range q.Question {
			if one.Qtype == dns.TypeA {
				head := dns.RR_Header{Name: one.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}
				answer.Answer = append(answer.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
			}
		}
		_ = w.WriteMsg(answer)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return l.Addr().String()
}
