// Package tlsclient turns what an operator says of TLS into the configuration of connections to other servers.
package tlsclient

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Options is what an operator says. The PEM values are the name of a file, the text itself, or its base64. The zero value verifies the
// server against the authorities of this system, by the host that is dialled.
type Options struct {
	CertPEM, KeyPEM    string // what we show to a server that asks for it; both or neither
	ServerCAPEM        string // whom we trust instead of the authorities of this system
	ServerName         string // what the server has to prove to be, instead of the host that is dialled
	InsecureSkipVerify bool   // trust everybody
}

// Config is a configuration with these options alone.
func (o Options) Config() (*tls.Config, error) { return o.Over(nil) }

// Over is a copy of base, or of the usual configuration if that is nil, in which the options that are set replace what was there.
func (o Options) Over(base *tls.Config) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		c = base.Clone()
	}
	if o.CertPEM != "" || o.KeyPEM != "" {
		pair, err := o.certificate()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if o.ServerCAPEM != "" {
		text, err := read("server_ca_pem", o.ServerCAPEM)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("server_ca_pem: there is no certificate in it that can be read")
		}
	}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	if o.InsecureSkipVerify {
		c.InsecureSkipVerify = true
	}
	return c, nil
}

func (o Options) certificate() (tls.Certificate, error) {
	if o.CertPEM == "" || o.KeyPEM == "" {
		return tls.Certificate{}, errors.New("cert_pem and key_pem belong together: set both or neither")
	}
	cert, err := read("cert_pem", o.CertPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := read(optionKey, o.KeyPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cert_pem and key_pem: %w", err)
	}
	return pair, nil
}

const (
	optionKey   = "key_pem"
	pemBegin    = "-----BEGIN"
	fileSizeMax = 1 << 20 // bytes; certificates and keys have far fewer
)

// read gets the PEM text of a value. Errors tell the name of a file, except where it may be a mangled private key.
func read(option, value string) ([]byte, error) {
	if strings.Contains(value, pemBegin) {
		return []byte(value), nil
	}
	if text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil && bytes.Contains(text, []byte(pemBegin)) {
		return text, nil
	}
	text, err := readFile(value)
	switch {
	case err == nil:
		return text, nil
	case option == optionKey || strings.ContainsAny(value, "\n\r"):
		return nil, fmt.Errorf("%s: this is neither PEM text (%s...) nor its base64, and as the name of a file: %w", option, pemBegin, err)
	}
	return nil, fmt.Errorf("%s: file %s: %w", option, value, err)
}

// readFile reads PEM text. Its errors do not tell the name.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > fileSizeMax) {
		return nil, fmt.Errorf("it is no regular file of at most %d bytes", fileSizeMax)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(name)
	}
	var of *os.PathError
	if errors.As(err, &of) {
		return nil, of.Err
	}
	if err == nil && !bytes.Contains(text, []byte(pemBegin)) {
		return nil, fmt.Errorf("there is no PEM text (%s...) in it", pemBegin)
	}
	return text, err
}
