package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"stentor/server/certs/certtest"
)

// TestJavaScriptSDK drives the quick start of the version 5 era with centrifuge-js, unmodified, in both forms, and with messages
// compressed.
func TestJavaScriptSDK(t *testing.T) {
	for _, form := range []string{"json", "protobuf"} {
		for name, compressed := range map[string]string{form: "", form + ", compressed": "yes"} {
			t.Run(name, func(t *testing.T) {
				cfg := quickStart
				if compressed != "" {
					cfg = strings.Replace(cfg, "{", `{"websocket_compression": true,`, 1)
				}
				p := start(t, cfg)
				node(t, "sdk.mjs", "STENTOR="+p.url, "API_KEY="+quickStartAPIKey, "TOKEN="+token(t, "42"), "FORM="+form, "COMPRESSED="+compressed)
			})
		}
	}
}

// TestFallback takes one transport after another away from a page in a real browser, which has to miss nothing.
func TestFallback(t *testing.T) {
	p := start(t, everyTransport)
	node(t, "fallback.mjs", "STENTOR="+p.url, "API_KEY="+quickStartAPIKey, "CHROMIUM="+chromium(t))
}

// TestWebTransportInBrowser is centrifuge-js over HTTP/3, in a real browser.
func TestWebTransportInBrowser(t *testing.T) {
	pair := certtest.New(t).Issue(t, certtest.Leaf{})
	text, err := os.ReadFile(pair.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	cfg := strings.Replace(everyTransport, "{", fmt.Sprintf(`{"webtransport": {"enabled": true},
		"http_server": {"tls": {"enabled": true, "cert_pem": %q, "key_pem": %q}, "tls_optional": true, "http3": {"enabled": true}},`, pair.CertFile, pair.KeyFile), 1)
	p := start(t, cfg)
	node(t, "webtransport.mjs", "STENTOR="+strings.Replace(p.url, "http", "https", 1), "API="+p.url, "API_KEY="+quickStartAPIKey,
		"SPKI="+base64.StdEncoding.EncodeToString(key[:]), "CHROMIUM="+chromium(t))
}

// chromium is where the browser is.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed; scripts/install.sh installs it")
	return ""
}

// TestTryPage uses the page of a server that was started to be tried, in a real browser.
func TestTryPage(t *testing.T) {
	p := start(t, `{"http_api":{"key":"`+quickStartAPIKey+`"}}`, "--dev.enabled")
	node(t, "page.mjs", "STENTOR="+p.url, "API_KEY="+quickStartAPIKey, "CHROMIUM="+chromium(t), "SCREENSHOT=")
}

// TestGoSDK does with centrifuge-go what TestJavaScriptSDK does.
func TestGoSDK(t *testing.T) {
	for _, form := range []string{"json", "protobuf"} {
		t.Run(form, func(t *testing.T) {
			p := start(t, quickStart)
			url := strings.Replace(p.url, "http", "ws", 1) + "/connection/websocket"
			cfg := centrifuge.Config{Token: token(t, "42"), MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 200 * time.Millisecond}
			c := centrifuge.NewJsonClient(url, cfg)
			if form == "protobuf" {
				c = centrifuge.NewProtobufClient(url+"?format=protobuf", cfg)
			}
			defer c.Close()
			useGoSDK(t, p, c)
		})
	}
}

func useGoSDK(t *testing.T, p *process, c *centrifuge.Client) {
	connected, connecting := events[centrifuge.ConnectedEvent](t), events[centrifuge.ConnectingEvent](t)
	disconnected := events[centrifuge.DisconnectedEvent](t)
	c.OnConnected(connected.note)
	c.OnConnecting(connecting.note)
	c.OnDisconnected(disconnected.note)
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	connecting.next("connecting")
	if e := connected.next("connected"); e.ClientID == "" {
		t.Error("no client id")
	}

	sub, err := c.NewSubscription("chat:room-42", centrifuge.SubscriptionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	subscribed, unsubscribed := events[centrifuge.SubscribedEvent](t), events[centrifuge.UnsubscribedEvent](t)
	published := events[centrifuge.PublicationEvent](t)
	sub.OnSubscribed(subscribed.note)
	sub.OnUnsubscribed(unsubscribed.note)
	sub.OnPublication(published.note)
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	if e := subscribed.next("subscribed"); !e.Recoverable || e.StreamPosition == nil || e.StreamPosition.Epoch == "" {
		t.Errorf("not recoverable: %+v", e)
	}

	p.publish("chat:room-42", `{"from":"backend"}`)
	if e := published.next("publication of the backend"); string(e.Data) != `{"from":"backend"}` || e.Offset != 1 {
		t.Errorf("publication %s at %d", e.Data, e.Offset)
	}
	if _, err := sub.Publish(t.Context(), []byte(`{"from":"client"}`)); err != nil {
		t.Fatal(err)
	}
	if e := published.next("own publication"); string(e.Data) != `{"from":"client"}` || e.Info == nil || e.Info.User != "42" {
		t.Errorf("publication %s of %+v", e.Data, e.Info)
	}

	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	unsubscribed.next("unsubscribed")
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	subscribed.next("subscribed again")

	p.post("/api/disconnect", `{"user":"42","disconnect":{"code":3011,"reason":"force reconnect"}}`)
	if e := connecting.next("connecting again"); e.Code != 3011 {
		t.Errorf("connecting with code %d %s", e.Code, e.Reason)
	}
	connected.next("connected again")
	if e := subscribed.next("subscribed after the reconnect"); !e.WasRecovering || !e.Recovered {
		t.Errorf("not recovered: %+v", e)
	}

	p.post("/api/disconnect", `{"user":"42"}`)
	if e := disconnected.next("disconnected"); e.Code != 3503 || e.Reason != "force disconnect" {
		t.Errorf("disconnected with %d %s", e.Code, e.Reason)
	}
}

// noted gathers the events of one kind.
type noted[E any] struct {
	t  *testing.T
	ch chan E
}

func events[E any](t *testing.T) noted[E] { return noted[E]{t, make(chan E, 1024)} }

func (n noted[E]) note(e E) { n.ch <- e }

func (n noted[E]) next(what string) (e E) {
	n.t.Helper()
	select {
	case e = <-n.ch:
	case <-time.After(15 * time.Second):
		n.t.Fatalf("waited in vain for: %s", what)
	}
	return e
}
