package credentials

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Names of the options, as errors tell them.
const (
	optionCert = "cert_pem"
	optionKey  = "key_pem"
)

// Pair is a certificate with its key, and with those of its authorities that are in the same text. Errors begin with the name of an
// option: cert_pem or key_pem.
func Pair(certPEM, keyPEM string) (tls.Certificate, error) {
	if certPEM == "" || keyPEM == "" {
		return tls.Certificate{}, errors.New("cert_pem and key_pem belong together: set both or neither")
	}
	cert, err := read(optionCert, certPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := read(optionKey, keyPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cert_pem%s and key_pem%s: %w; the key must be the one that the first certificate of cert_pem was made for",
			named(certPEM), named(keyPEM), err)
	}
	return pair, nil
}

// Pool has the certificates of a value. Errors begin with the name of the option.
func Pool(option, value string) (*x509.CertPool, error) {
	text, err := read(option, value)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s%s: there is no certificate in it that can be read", option, named(value))
	}
	return pool, nil
}

// named tells the file of a value that has already been read from one.
func named(value string) string {
	if _, isText := inline(value); isText {
		return ""
	}
	return " (file " + value + ")"
}

const (
	pemBegin    = "-----BEGIN"
	fileSizeMax = 1 << 20 // bytes; certificates and keys have far fewer
	fileNameMax = 512     // bytes; a longer value is not shown
)

// inline is the PEM text of a value that is no file.
func inline(value string) ([]byte, bool) {
	if strings.Contains(value, pemBegin) {
		return []byte(value), true
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	return text, err == nil && bytes.Contains(text, []byte(pemBegin))
}

// isFileName reports that a value can be shown: that it is no mangled private key, of whose base64 a dot is never part.
func isFileName(option, value string) bool {
	return !strings.ContainsAny(value, "\n\r") && len(value) <= fileNameMax && (option != optionKey || strings.Contains(value, "."))
}

// read gets the PEM text of a value. Errors tell the name of a file, except where it may be a mangled private key.
func read(option, value string) ([]byte, error) {
	if text, ok := inline(value); ok {
		return text, nil
	}
	text, err := readFile(value)
	switch {
	case err == nil:
		return text, nil
	case !isFileName(option, value):
		return nil, fmt.Errorf("%s: this is neither PEM text (%s...) nor its base64, and as the name of a file: %w", option, pemBegin, err)
	}
	return nil, fmt.Errorf("%s: file %s: %w%s", option, value, err, remedyOf(err))
}

// remedyOf says what to do about a file that cannot be read.
func remedyOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "; name the file by its whole path, or put its PEM text or the base64 of that there"
	case errors.Is(err, fs.ErrPermission):
		return "; let the user that the server runs as read it"
	}
	return ""
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
