package reactor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// authority makes certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

var testAuthority = sync.OnceValue(func() *authority {
	a := &authority{pool: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	a.key = key
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	a.pool.AddCert(a.cert)
	return a
})

// issue makes a certificate for a server on loopback, or for a client.
func (a *authority) issue(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

var testCertificate = sync.OnceValue(func() tls.Certificate { return testAuthority().issue("localhost") })

// serverTLS is a TLS for tests, whose tls.Config change may change.
func serverTLS(change ...func(*tls.Config)) *TLS {
	config := &tls.Config{
		Certificates:                []tls.Certificate{testCertificate()},
		NextProtos:                  []string{"h2", "http/1.1"},
		DynamicRecordSizingDisabled: true,
	}
	for _, f := range change {
		f(config)
	}
	return &TLS{Config: func() *tls.Config { return config }}
}

func clientTLS(version uint16) *tls.Config {
	return &tls.Config{RootCAs: testAuthority().pool, ServerName: "localhost", MinVersion: version, MaxVersion: version}
}

// dialTLS is a client whose TLS handshake is done.
func dialTLS(t testing.TB, r *Reactor, config *tls.Config) *client {
	t.Helper()
	raw := dial(t, r)
	conn := tls.Client(raw.Conn, config)
	if err := conn.Handshake(); err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return &client{conn, t, newReader(conn)}
}

// dialWSS is one that has been upgraded as well.
func dialWSS(t testing.TB, r *Reactor, config *tls.Config) *client {
	t.Helper()
	c := dialTLS(t, r, config)
	c.say(upgradeRequest())
	c.upgraded()
	return c
}

// overBoth runs a test with TLS 1.2 and 1.3.
func overBoth(t *testing.T, f func(t *testing.T, version uint16)) {
	t.Run("TLS 1.2", func(t *testing.T) { f(t, tls.VersionTLS12) })
	t.Run("TLS 1.3", func(t *testing.T) { f(t, tls.VersionTLS13) })
}
