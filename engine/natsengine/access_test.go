package natsengine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"stentor/engine"
	"stentor/engine/natsengine"
)

func TestCredentials(t *testing.T) {
	password := embedded(t, server.Options{Username: "u", Password: "p"}).Addr().String()
	token := embedded(t, server.Options{Authorization: "t"}).Addr().String()
	for url, ok := range map[string]bool{
		"nats://u:p@" + password: true,
		"u:p@" + password:        true,
		"nats://u:x@" + password: false,
		"nats://" + password:     false,
		"nats://t@" + token:      true,
		"nats://x@" + token:      false,
		"nats://127.0.0.1:1, nats://127.0.0.1:2, nats://t@" + token: true,
	} {
		t.Run(url, func(t *testing.T) {
			n := start(t, natsengine.Config{URL: url})
			err := n.publish("news", "a")
			if ok && err != nil || !ok && !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("publish: %v", err)
			}
		})
	}
}

// TestCredentialsLater: wrong credentials are no reason to give up: they may become right.
func TestCredentialsLater(t *testing.T) {
	s := embedded(t, server.Options{Username: "u", Password: "other"})
	n := start(t, natsengine.Config{URL: "nats://u:p@" + s.Addr().String()})
	for range 3 {
		if err := n.publish("news", "a"); !errors.Is(err, engine.ErrUnreachable) {
			t.Fatalf("publish: %v", err)
		}
		time.Sleep(300 * time.Millisecond)
	}
	port := s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	embedded(t, server.Options{Port: port, Username: "u", Password: "p"})
	eventually(t, "the engine is connected", func() bool { return n.publish("news", "a") == nil })
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	s := embedded(t, server.Options{TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, TLSTimeout: 10})
	trusting := &tls.Config{RootCAs: pool, ServerName: "nats.test"}
	n := start(t, natsengine.Config{URL: "tls://" + s.Addr().String(), TLS: trusting})
	n.subscribe("news")
	n.mustPublish("news", "a")
	n.mustPublish("news", strings.Repeat("x", 200<<10))
	n.expect("news", "a "+strings.Repeat("x", 200<<10))
	for name, cfg := range map[string]natsengine.Config{
		"unknown authority": {URL: "tls://" + s.Addr().String()},
		"another name":      {URL: "nats://" + s.Addr().String(), TLS: &tls.Config{RootCAs: pool, ServerName: "other.test"}},
		"no TLS there":      {URL: embedded(t, server.Options{}).ClientURL(), TLS: trusting},
	} {
		if err := start(t, cfg).publish("news", "a"); !errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certificate is one of nats.test, and what to trust for it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"nats.test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestPermissions: what the server does not allow is an error of that channel alone.
func TestPermissions(t *testing.T) {
	s := embedded(t, server.Options{Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Deny: []string{"*.client.quiet.*"}},
		Subscribe: &server.SubjectPermission{Deny: []string{"*.client.secret.*"}},
	}}}})
	n := start(t, natsengine.Config{URL: "nats://u:p@" + s.Addr().String()})
	for round := range 3 {
		var open []string
		for i := range 50 {
			open = append(open, fmt.Sprintf("news.%d.%d", round, i))
			n.Subscribe(open[i])
			n.Subscribe(fmt.Sprintf("secret.%d", i))
		}
		for i := range 50 {
			if err := n.WaitSubscribed(t, open[i]); err != nil {
				t.Fatalf("subscribe %s: %v", open[i], err)
			}
			if err := n.WaitSubscribed(t, fmt.Sprintf("secret.%d", i)); err == nil || !strings.Contains(strings.ToLower(err.Error()), "permission") {
				t.Fatalf("subscribe secret.%d: %v, want an error about permissions", i, err)
			}
		}
		if err := n.publish("quiet.x", "a"); err == nil || errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("publish: %v, want an error about permissions", err)
		}
		n.mustPublish(open[7], "a")
		n.expect(open[7], "a")
	}
	if got := n.Stats(); got.Subscriptions != 150 || got.Refused != 153 || got.Connects != 1 {
		t.Errorf("%+v, want 150 subscriptions and 153 refusals on one connection", got)
	}
}

// TestSubscriptionsMax: a limit of the server is an error of those who meet it, and not of those before.
func TestSubscriptionsMax(t *testing.T) {
	const limit = 10
	n := start(t, natsengine.Config{URL: embedded(t, server.Options{MaxSubs: limit}).ClientURL()})
	var names []string
	for i := range 2 * limit {
		names = append(names, fmt.Sprint("news", i))
		n.Subscribe(names[i])
		err := n.WaitSubscribed(t, names[i])
		if (err == nil) != (i < limit) {
			t.Errorf("subscription %d: %v", i+1, err)
		}
	}
	for _, name := range slices.Backward(names[:limit]) {
		n.mustPublish(name, "a")
		n.expect(name, "a")
	}
	n.Unsubscribe(names[0])
	n.subscribe(names[limit])
	n.mustPublish(names[limit], "a")
	n.expect(names[limit], "a")
}
