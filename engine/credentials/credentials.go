// Package credentials reads the certificates and keys that an operator names, and makes of them the configuration of TLS connections to
// other servers. What we show to our own clients is read by the same functions, and used in server/certs.
package credentials

import "crypto/tls"

// Options is what an operator says of a server that we connect to. The PEM values are the name of a file, the text itself, or its base64.
// The zero value verifies the server against the authorities of this system, by the host that is dialled.
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
		pair, err := Pair(o.CertPEM, o.KeyPEM)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if o.ServerCAPEM != "" {
		pool, err := Pool("server_ca_pem", o.ServerCAPEM)
		if err != nil {
			return nil, err
		}
		c.RootCAs = pool
	}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	if o.InsecureSkipVerify {
		c.InsecureSkipVerify = true
	}
	return c, nil
}
