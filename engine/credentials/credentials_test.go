package credentials

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stentor/engine/enginetest/redistest"
)

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// greet has client meet a server of authority a, which wants a certificate shown if it is told so. It is the client who speaks first.
func greet(t *testing.T, a *redistest.Authority, wantsCertificate bool, client *tls.Config) error {
	t.Helper()
	server := a.Config.Clone()
	server.ClientCAs = a.Config.RootCAs
	if wantsCertificate {
		server.ClientAuth = tls.RequireAndVerifyClientCert
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.CopyN(conn, conn, 1)
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func TestOptions(t *testing.T) {
	a, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	ca := text(t, a.CAFile)
	for _, c := range []struct {
		name    string
		options Options
		wants   bool   // the server wants a certificate
		err     string // of the handshake; empty: none
	}{
		{"nobody is trusted", Options{}, false, "unknown authority"},
		{"file", Options{ServerCAPEM: a.CAFile}, false, ""},
		{"text", Options{ServerCAPEM: ca}, false, ""},
		{"base64", Options{ServerCAPEM: base64.StdEncoding.EncodeToString([]byte(ca)) + "\n"}, false, ""},
		{"several", Options{ServerCAPEM: text(t, other.CAFile) + ca}, false, ""},
		{"another authority", Options{ServerCAPEM: other.CAFile}, false, "unknown authority"},
		{"name", Options{ServerCAPEM: a.CAFile, ServerName: redistest.ServerName}, false, ""},
		{"wrong name", Options{ServerCAPEM: a.CAFile, ServerName: "example.org"}, false, "not example.org"},
		{"everybody is trusted", Options{InsecureSkipVerify: true}, false, ""},
		{"nothing to show", Options{ServerCAPEM: a.CAFile}, true, "certificate"},
		{"shown", Options{ServerCAPEM: a.CAFile, CertPEM: a.CertFile, KeyPEM: text(t, a.KeyFile)}, true, ""},
		{"a wrong one shown", Options{ServerCAPEM: a.CAFile, CertPEM: other.CertFile, KeyPEM: other.KeyFile}, true, "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := c.options.Config()
			if err != nil {
				t.Fatal(err)
			}
			err = greet(t, a, c.wants, config)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("handshake: %v, want %q", err, c.err)
			}
		})
	}
}

func TestOver(t *testing.T) {
	a := redistest.NewAuthority(t)
	base := &tls.Config{ServerName: redistest.ServerName, RootCAs: a.Config.RootCAs, MinVersion: tls.VersionTLS13}
	same, err := Options{}.Over(base)
	if err != nil || same == base || same.ServerName != base.ServerName || same.RootCAs != base.RootCAs || same.MinVersion != base.MinVersion {
		t.Errorf("nothing over it gives %+v, %v", same, err)
	}
	other, err := Options{ServerName: "x"}.Over(base)
	if err != nil || other.ServerName != "x" || other.RootCAs != base.RootCAs || base.ServerName != redistest.ServerName {
		t.Errorf("a name over it gives %+v, %v", other, err)
	}
}

func TestWrongOptions(t *testing.T) {
	a, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	empty := filepath.Join(t.TempDir(), "empty")
	large := filepath.Join(t.TempDir(), "large")
	for file, size := range map[string]int{empty: 0, large: fileSizeMax + 1} {
		if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no file", Options{ServerCAPEM: "/no/such/file"}, "server_ca_pem: file /no/such/file: no such file or directory; name the file by its whole path, or put its PEM text or the base64 of that there"},
		{"directory", Options{ServerCAPEM: t.TempDir()}, "no regular file"},
		{"endless", Options{ServerCAPEM: "/dev/zero"}, "no regular file"},
		{"empty", Options{ServerCAPEM: empty}, "there is no PEM text (-----BEGIN...) in it"},
		{"large", Options{ServerCAPEM: large}, "no regular file of at most"},
		{"no certificate", Options{ServerCAPEM: a.KeyFile}, ": there is no certificate in it"},
		{"broken", Options{ServerCAPEM: "-----BEGIN CERTIFICATE-----\nx"}, ": there is no certificate in it"},
		{"a key without", Options{KeyPEM: a.KeyFile}, "set both or neither"},
		{"none for the certificate", Options{CertPEM: a.CertFile}, "set both or neither"},
		{"of another", Options{CertPEM: a.CertFile, KeyPEM: other.KeyFile}, "tls: private key does not match public key; the key must be the one that the first certificate of cert_pem was made for"},
		{"exchanged", Options{CertPEM: a.KeyFile, KeyPEM: a.CertFile}, ": tls:"},
		{"a key that is not there", Options{CertPEM: a.CertFile, KeyPEM: "/no/such/key.pem"}, "key_pem: file /no/such/key.pem: no such file"},
		{"both files of a pair", Options{CertPEM: a.CertFile, KeyPEM: other.KeyFile}, "cert_pem (file " + a.CertFile + ") and key_pem (file " + other.KeyFile},
		{"a broken key is not told", Options{CertPEM: a.CertFile, KeyPEM: "c2VjcmV0"}, "key_pem: this is neither PEM text"},
		{"nor in several lines", Options{ServerCAPEM: "c2VjcmV0\nc2VjcmV0"}, "server_ca_pem: this is neither PEM text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.options.Config()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("there is a secret in %q", err)
			}
		})
	}
}
