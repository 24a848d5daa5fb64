// Package certtest makes certificates for tests.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// CA is a certificate authority that nobody else trusts.
type CA struct {
	File string         // its certificate
	Pool *x509.CertPool // the same

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Leaf is what a certificate says. The zero value is a server's and client's, valid now, for 127.0.0.1 and localhost.
type Leaf struct {
	Names     []string
	NotBefore time.Time
	NotAfter  time.Time
}

// Pair are the files of a certificate, with its key.
type Pair struct {
	CertFile, KeyFile string
	TLS               tls.Certificate
}

var serial atomic.Int64

// New makes an authority.
func New(t testing.TB) *CA {
	t.Helper()
	c := template("authority of a test", time.Time{}, time.Time{})
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	key := newKey(t)
	ca := &CA{File: filepath.Join(t.TempDir(), "ca.pem"), Pool: x509.NewCertPool(), key: key}
	der := sign(t, c, c, key, key)
	ca.certificate = parse(t, der)
	ca.Pool.AddCert(ca.certificate)
	write(t, ca.File, "CERTIFICATE", der)
	return ca
}

// Issue makes a certificate.
func (ca *CA) Issue(t testing.TB, l Leaf) *Pair {
	t.Helper()
	c := template("of a test", l.NotBefore, l.NotAfter)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.DNSNames = l.Names
	if l.Names == nil {
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	key := newKey(t)
	der := sign(t, c, ca.certificate, key, ca.key)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &Pair{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	write(t, p.CertFile, "CERTIFICATE", der)
	write(t, p.KeyFile, "PRIVATE KEY", keyDER)
	if p.TLS, err = tls.LoadX509KeyPair(p.CertFile, p.KeyFile); err != nil {
		t.Fatal(err)
	}
	return p
}

func template(name string, from, to time.Time) *x509.Certificate {
	if from.IsZero() {
		from = time.Now().Add(-time.Hour)
	}
	if to.IsZero() {
		to = time.Now().Add(100 * 24 * time.Hour)
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: to, BasicConstraintsValid: true,
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, c, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t testing.TB, file, kind string, der []byte) {
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
