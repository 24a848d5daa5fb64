package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/net/idna"

	"stentor/engine/credentials"
	"stentor/engine/pause"
	"stentor/server/config"
)

const (
	ordersMax      = 2                // certificates that are ordered at the same time
	requestTimeout = 30 * time.Second // of one request to the authority; an order takes several
	preloadTimeout = 5 * time.Second  // to find certificates of an earlier run in cache_dir

	// How long after a failure a host is tried again: first, and at most. Let's Encrypt allows five failures of a host and hour.
	// It is more than the minute that autocert remembers a failure for.
	retryFirst = 2 * time.Minute
	retryMax   = 2 * time.Hour

	renewalCheck = 6 * time.Hour // how often the log is told if renewing does not work
)

// Authority gets certificates by ACME. Run does the work; handshakes only look at what there is.
type Authority struct {
	manager    *autocert.Manager
	cache      autocert.Cache // nil: every start orders new ones
	hosts      map[string]*host
	names      []string // of the hosts, in the order of the configuration
	serverName string   // of clients that send none
	challenge  *tls.Config
	orders     chan struct{} // one place for each order under way
	log        *slog.Logger
}

// host is a name that there is to be a certificate for.
type host struct {
	name  string
	ready atomic.Bool // the manager has a certificate and answers at once
}

// NewAuthority checks the options. Nothing is ordered before Run.
func NewAuthority(c *config.TLSAutocert, log *slog.Logger) (*Authority, error) {
	a := &Authority{
		hosts:  make(map[string]*host, len(c.HostWhitelist)),
		orders: make(chan struct{}, ordersMax),
		log:    log,
	}
	for _, h := range c.HostWhitelist {
		name, err := idna.Lookup.ToASCII(h)
		if err != nil {
			return nil, fmt.Errorf("http_server.tls_autocert.host_whitelist: %q is no name of a host: %w", h, err)
		}
		if a.hosts[name] == nil {
			a.hosts[name] = &host{name: name}
			a.names = append(a.names, name)
		}
	}
	if c.ServerName != "" {
		name, err := idna.Lookup.ToASCII(c.ServerName)
		if err != nil || a.hosts[name] == nil {
			return nil, fmt.Errorf("http_server.tls_autocert.server_name: %q is not in host_whitelist, so there would be no certificate for it", c.ServerName)
		}
		a.serverName = name
	}
	if c.CacheDir != "" {
		a.cache = autocert.DirCache(c.CacheDir)
	}
	client, err := acmeClient(c)
	if err != nil {
		return nil, err
	}
	a.manager = &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: a.cache, HostPolicy: a.policy, Client: client, Email: c.Email}
	a.challenge = &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{acme.ALPNProto},
		GetCertificate:         a.answer,
		SessionTicketsDisabled: true,
	}
	return a, nil
}

// acmeClient is how to reach the authority: Let's Encrypt, or another one that the configuration names.
func acmeClient(c *config.TLSAutocert) (*acme.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.DirectoryCAPEM != "" {
		pool, err := credentials.Pool("directory_ca_pem", string(c.DirectoryCAPEM))
		if err != nil {
			return nil, fmt.Errorf("http_server.tls_autocert.%w", err)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	directory := c.DirectoryURL
	if directory == "" {
		directory = autocert.DefaultACMEDirectory
	}
	return &acme.Client{
		DirectoryURL: directory,
		HTTPClient:   &http.Client{Transport: transport, Timeout: requestTimeout},
		UserAgent:    "stentor",
	}, nil
}

// policy is asked by the manager, before it orders a certificate and before it answers a challenge over HTTP, then with the port.
func (a *Authority) policy(_ context.Context, name string) error {
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	if a.hosts[name] == nil {
		return errUnknownHost
	}
	return nil
}

// What a handshake fails with. Anybody can cause these, so they are the same values each time.
var (
	errUnknownHost = errors.New("certs: the name that the client asks for is not in http_server.tls_autocert.host_whitelist")
	errNotYet      = errors.New("certs: there is no certificate for this host yet; it has been ordered")
)

// host finds the host that a client asks for.
func (a *Authority) host(hello *tls.ClientHelloInfo) (*host, error) {
	name := hello.ServerName
	if name == "" {
		name = a.serverName
	}
	if h := a.hosts[name]; h != nil {
		return h, nil
	}
	name, err := idna.Lookup.ToASCII(name) // some clients send capitals, and some Unicode
	if h := a.hosts[name]; h != nil && err == nil {
		return h, nil
	}
	return nil, errUnknownHost
}

// certificate is for a handshake with a client. It does not wait.
func (a *Authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h, err := a.host(hello)
	if err != nil {
		return nil, err
	}
	if !h.ready.Load() {
		return nil, errNotYet
	}
	return a.get(h)
}

// get asks the manager, which orders the certificate if it has none. It is asked in the name of a client that takes ECDSA: otherwise
// one that does not would have it order another one, and wait for that in its handshake.
func (a *Authority) get(h *host) (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:   h.name,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
}

// isChallenge reports that it is the authority that says hello, to see whether we are who we said (RFC 8737). It gets a certificate
// that says so, and nothing else: a port must close a connection that has agreed on this protocol.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// answer is for a handshake of the authority.
func (a *Authority) answer(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h, err := a.host(hello)
	if err != nil {
		return nil, err // before the manager looks for it in its cache
	}
	return a.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: h.name, SupportedProtos: hello.SupportedProtos})
}

// HTTPHandler answers challenges over HTTP, which the authority asks on port 80. Whatever else comes there is sent on to https. It has to
// be called before Run for the authority to be offered such challenges.
func (a *Authority) HTTPHandler() http.Handler { return a.manager.HTTPHandler(nil) }

// Preload takes certificates of an earlier run, so that the first handshakes find them.
func (a *Authority) Preload() {
	var all sync.WaitGroup
	for _, name := range a.names {
		if h := a.hosts[name]; a.isCached(h) {
			all.Go(func() { h.ready.Store(a.order(h) == nil) })
		}
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(preloadTimeout):
	}
}

// isCached reports that the manager will find a certificate in the cache that is still good.
func (a *Authority) isCached(h *host) bool {
	if a.cache == nil {
		return false
	}
	text, err := a.cache.Get(context.Background(), h.name)
	for err == nil {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return false
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		return err == nil && leaf.VerifyHostname(h.name) == nil && time.Now().Before(leaf.NotAfter)
	}
	return false
}

// Run gets a certificate for each host, tries again where that fails, and tells the log if one is not renewed. It ends with ctx; an order
// that is under way then is left to itself.
func (a *Authority) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, name := range a.names {
		all.Go(func() { a.tend(ctx, a.hosts[name]) })
	}
	all.Wait()
	return nil
}

// tend keeps one host provided.
func (a *Authority) tend(ctx context.Context, h *host) {
	for retry := retryFirst; !h.ready.Load(); retry = min(4*retry, retryMax) {
		select {
		case a.orders <- struct{}{}:
		case <-ctx.Done():
			return
		}
		result := make(chan error, 1)
		go func() {
			defer func() { <-a.orders }()
			result <- a.order(h)
		}()
		var err error
		select {
		case err = <-result:
		case <-ctx.Done():
			return
		}
		if err == nil {
			h.ready.Store(true)
			break
		}
		wait := retry + rand.N(retry/4)
		a.log.Warn("no certificate from the ACME authority", "host", h.name, "error", err, "retry_in", wait.Round(time.Second),
			"remedy", remedyOf(err))
		if !pause.For(ctx, wait) {
			return
		}
	}
	for pause.For(ctx, renewalCheck) {
		a.watch(h)
	}
}

// remedyOf says what to do when there is no certificate because of err.
func remedyOf(err error) string {
	if _, isFile := errors.AsType[*fs.PathError](err); isFile {
		return "let the server write to the directory http_server.tls_autocert.cache_dir"
	}
	return "this machine must reach the authority, and the authority this machine by that name, on port 443, or on port 80 with " +
		"http_server.tls_autocert.http"
}

// order gets the certificate of a host, from the cache or from the authority.
func (a *Authority) order(h *host) error {
	cert, err := a.get(h)
	if err == nil {
		a.log.Info("showing a certificate of an ACME authority", "host", h.name, "issuer", cert.Leaf.Issuer.CommonName,
			"expires", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return err
}

// watch tells the log if a certificate should have been renewed by now. Autocert renews in the last third of its time, 30 days at most.
func (a *Authority) watch(h *host) {
	cert, err := a.get(h)
	if err != nil {
		a.log.Error("the certificate of an ACME authority is gone", "host", h.name, "error", err)
		return
	}
	left := time.Until(cert.Leaf.NotAfter)
	if left < min(cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)/4, 20*24*time.Hour) {
		a.log.Warn("the certificate of an ACME authority is not renewed", "host", h.name, "expires", cert.Leaf.NotAfter.UTC().Format(time.RFC3339),
			"remedy", "see whether the authority can be reached from here, and this machine from there")
	}
}
