package bench

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/pflag"

	"stentor/bench/swarm"
)

// Secure is how conns to a target are secured.
type Secure struct {
	On         bool // whatever the scheme of the target is
	CA         string
	Insecure   bool
	ServerName string // empty: the host of the target
	Version    string // empty: the best that both sides know
	Resume     bool
}

func (o *Secure) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.On, "tls", o.On, "speak TLS, as with a target of wss:// or https://; the HTTP API too, unless --api-url says otherwise")
	f.StringVar(&o.CA, "ca", o.CA, "file with the certificates that may have signed the server's, in PEM (default: those that the system trusts)")
	f.BoolVar(&o.Insecure, "insecure", o.Insecure, "take any certificate of the server for its own")
	f.StringVar(&o.ServerName, "server-name", o.ServerName, "name that the server is asked for and must have a certificate of (default: the host of --target)")
	f.StringVar(&o.Version, "tls-version", o.Version, "1.2 or 1.3 (default: the best that both sides know)")
	f.BoolVar(&o.Resume, "tls-resume", o.Resume, "clients that come back use the session tickets that the server gave to those before them")
}

// settings is what clients of the target need; nil: nothing.
func (o *Secure) settings(target *url.URL) (*swarm.TLS, error) {
	if !o.On && target.Scheme != "wss" && target.Scheme != "https" {
		if o.CA != "" || o.Insecure || o.Version != "" || o.ServerName != "" || o.Resume {
			return nil, errors.New("--ca, --insecure, --server-name, --tls-version and --tls-resume need --tls, or a --target of wss:// or https://")
		}
		return nil, nil
	}
	t := &swarm.TLS{ServerName: o.ServerName, Insecure: o.Insecure, Version: o.Version, Resume: o.Resume}
	if t.ServerName == "" {
		t.ServerName = target.Hostname()
	}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		t.CA = string(text)
	}
	if _, err := t.Config(); err != nil {
		return nil, err
	}
	return t, nil
}
