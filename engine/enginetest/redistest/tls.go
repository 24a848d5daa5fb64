package redistest

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
	"strconv"
	"testing"
	"time"
)

// Authority is a certificate authority of a test, with one certificate for whoever wants to show one: for 127.0.0.1 and ServerName.
type Authority struct {
	CAFile, CertFile, KeyFile string
	Config                    *tls.Config // trusts it, and shows the certificate
}

// ServerName is in the certificate.
const ServerName = "redis.test"

// NewAuthority makes one that nobody else trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	dir := t.TempDir()
	a := &Authority{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
		}
	}
	ca := template(1, "authority of a test")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	caKey, _ := newKey(t)
	leaf := template(2, "server of a test")
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	leaf.IPAddresses, leaf.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{ServerName}
	key, keyBytes := newKey(t)

	caText := sign(t, ca, ca, caKey, caKey)
	writePEM(t, a.CAFile, "CERTIFICATE", caText)
	writePEM(t, a.CertFile, "CERTIFICATE", sign(t, leaf, ca, key, caKey))
	writePEM(t, a.KeyFile, "EC PRIVATE KEY", keyBytes)

	pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(caText)
	if err != nil {
		t.Fatal(err)
	}
	a.Config = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}
	a.Config.RootCAs.AddCert(root)
	return a
}

func newKey(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

func sign(t testing.TB, cert, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	text, err := x509.CreateCertificate(rand.Reader, cert, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writePEM(t testing.TB, file, kind string, bytes []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// StartTLS runs a server that speaks TLS alone, with the certificate of a. With "--tls-auth-clients", "yes" it wants one shown.
func StartTLS(t testing.TB, a *Authority, args ...string) *Server {
	t.Helper()
	s := newServer(t)
	s.tls = a.Config
	s.fixed = append([]string{
		"--port", "0", "--tls-port", strconv.Itoa(s.Port), "--tls-auth-clients", "no",
		"--tls-cert-file", a.CertFile, "--tls-key-file", a.KeyFile, "--tls-ca-cert-file", a.CAFile,
	}, s.usual()...)
	s.Restart(args...)
	return s
}
