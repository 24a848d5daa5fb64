package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// refusals are the options that are not built yet and must not be ignored either, because the server would then be
// less protected than its configuration says, or of no use at all. What merely closes more than it should is a
// warning (features).
func (p *checker) refusals() {
	p.refuseProxies()
}

const notYet = "is not built yet, and ignoring it would weaken security"

func (p *checker) refuse(path, value, why, remedy string) {
	p.fail(path, value, notYet+": "+why, remedy)
}

// refuseProxies stops a server that would let in by itself what the backend was to decide. Where nothing else grants
// the right, ignoring the proxy keeps the door shut and is only warned of.
func (p *checker) refuseProxies() {
	c := p.cfg
	if c.Client.Proxy.Connect.Enabled {
		for _, open := range []struct {
			path string
			on   bool
		}{
			{"client.allow_anonymous_connect_without_token", c.Client.AllowAnonymousConnectWithoutToken},
			{"client.user_id_http_header", c.Client.UserIDHTTPHeader != ""},
			{"client.insecure", c.Client.Insecure},
		} {
			if open.on {
				p.refuse("client.proxy.connect.enabled", "true", open.path+" would admit clients that the backend was to judge",
					"turn one of the two off")
			}
		}
	}
	c.eachChannel(func(path string, o *ChannelOptions) {
		if (o.SubscribeProxyEnabled || o.SubscribeStreamProxyEnabled) && (o.AllowSubscribeForClient || c.Client.Insecure) {
			p.refuse(path+".subscribe"+streamPart(o)+"_proxy_enabled", "true",
				"allow_subscribe_for_client (or client.insecure) would admit subscriptions that the backend was to judge", "turn one of the two off")
		}
		if o.PublishProxyEnabled && (o.AllowPublishForClient || o.AllowPublishForSubscriber || c.Client.Insecure) {
			p.refuse(path+".publish_proxy_enabled", "true",
				"another right to publish (or client.insecure) would admit publications that the backend was to judge", "turn one of the two off")
		}
	})
}

func streamPart(o *ChannelOptions) string {
	if o.SubscribeStreamProxyEnabled {
		return "_stream"
	}
	return ""
}

// eachChannel calls f for the options of each namespace and of channels without one.
func (c *Config) eachChannel(f func(path string, o *ChannelOptions)) {
	f("channel.without_namespace", &c.Channel.WithoutNamespace)
	for i := range c.Channel.Namespaces {
		ns := &c.Channel.Namespaces[i]
		f(fmt.Sprintf("channel.namespaces[%s]", ns.Name), &ns.ChannelOptions)
	}
}

// emptySecrets refuses a token key that was given and is empty while nothing else does its work: usually a variable that
// was meant to be filled. A key that was left out is only advised of.
func (l *loader) emptySecrets() Errors {
	c := &l.cfg.Client
	var errs Errors
	check := func(path string, missed bool, effect string) {
		if _, given := l.dec.given[path]; given && missed {
			errs = append(errs, &Error{Path: path, Problem: "is given but empty, so " + effect,
				Remedy: "set a secret (`stentor genconfig` makes one), or remove the option"})
		}
	}
	check("client.token.hmac_secret_key", !l.cfg.admitsSomebody(), "no client could connect")
	check("client.subscription_token.hmac_secret_key", c.SubscriptionToken.Enabled && !c.SubscriptionToken.hasKey(),
		"no subscription token would be valid")
	return errs
}

// hasKey reports that tokens can be verified with something.
func (t *Token) hasKey() bool {
	return t.HMACSecretKey != "" || t.RSAPublicKey != "" || t.ECDSAPublicKey != "" || t.JWKSPublicEndpoint != ""
}

// advice returns what is dangerous, or has no effect, about the keys of the block at path.
func (t *Token) advice(path string) (list []Warning) {
	if t.JWKSPublicEndpoint == "" {
		return nil
	}
	endpoint := path + ".jwks_public_endpoint"
	say := func(option, text string) {
		list = append(list, Warning{Topic: Advice, Path: path + option, Text: text})
	}
	if t.HMACSecretKey != "" || t.RSAPublicKey != "" || t.ECDSAPublicKey != "" {
		say(".jwks_public_endpoint", endpoint+" is set, so only keys from there count; the other keys in "+path+" are not used")
	}
	if t.InsecureSkipJWKSEndpointSafetyCheck && strings.Contains(t.JWKSPublicEndpoint, "{{") {
		say(".insecure_skip_jwks_endpoint_safety_check", path+".insecure_skip_jwks_endpoint_safety_check is set: whoever brings a token chooses, "+
			"within the patterns of issuer and audience, where its key comes from")
	}
	if u, err := url.Parse(t.JWKSPublicEndpoint); strings.HasPrefix(t.JWKSPublicEndpoint, "http://") && (err != nil || !isLocal(u.Hostname())) {
		say(".jwks_public_endpoint", endpoint+" begins with http://: whoever is on the way can put keys of their own in place of yours; use https://")
	}
	return list
}

// admitsSomebody reports that a client has some way to connect.
func (c *Config) admitsSomebody() bool {
	cl := &c.Client
	return cl.Token.hasKey() || cl.Proxy.Connect.Enabled || cl.UserIDHTTPHeader != "" ||
		cl.AllowAnonymousConnectWithoutToken || cl.Insecure || cl.InsecureSkipTokenSignatureVerify
}

// advice returns what is allowed but dangerous, or leaves a server that nobody can use.
func (c *Config) advice() []Warning {
	var list []Warning
	say := func(path, text string) { list = append(list, Warning{Topic: Advice, Path: path, Text: text}) }
	for _, insecure := range []struct {
		path, text string
		on         bool
	}{
		{"client.insecure", "clients need no token and may subscribe and publish everywhere", c.Client.Insecure},
		{"client.insecure_skip_token_signature_verify", "anybody can make tokens: signatures are not checked",
			c.Client.InsecureSkipTokenSignatureVerify},
		{"http_api.insecure", "anybody who reaches the API port can publish and disconnect: keys are not checked",
			c.HTTPAPI.Insecure && !c.HTTPAPI.Disabled},
	} {
		if insecure.on {
			say(insecure.path, insecure.path+" is set, which is meant for development only: "+insecure.text)
		}
	}
	for _, o := range c.Client.AllowedOrigins {
		switch {
		case o == "*":
			say("client.allowed_origins", `client.allowed_origins holds "*": every web page may connect`)
		case !strings.Contains(o, "://") && !strings.Contains(o, "*") && o != "null":
			say("client.allowed_origins", fmt.Sprintf("client.allowed_origins: %q matches no browser, because an origin has a scheme; "+
				"did you mean %q?", o, "https://"+o))
		}
	}
	if !c.admitsSomebody() {
		say("client.token.hmac_secret_key", "no client can connect: set client.token.hmac_secret_key (or rsa_public_key, ecdsa_public_key, "+
			"jwks_public_endpoint), or client.allow_anonymous_connect_without_token")
	}
	if t := c.Client.SubscriptionToken; t.Enabled && !t.hasKey() {
		say("client.subscription_token.enabled", "no subscription token can be valid: set client.subscription_token.hmac_secret_key, or another key there")
	}
	list = append(list, c.Client.Token.advice("client.token")...)
	if c.Client.SubscriptionToken.Enabled {
		list = append(list, c.Client.SubscriptionToken.advice("client.subscription_token")...)
	}
	if c.HTTPAPI.Key == "" && !c.HTTPAPI.Insecure && !c.HTTPAPI.Disabled && !c.Dev.Enabled {
		say("http_api.key", "every call of the HTTP API is answered 401: set http_api.key")
	}
	list = append(list, c.HTTPServer.advice()...)
	list = append(list, c.unusedCertificates()...)
	if c.Debug.Enabled && c.HTTPServer.InternalPort == "" {
		say("debug.enabled", "debug.enabled is set and there is no http_server.internal_port: profiles are served on the public port")
	}
	if c.Dev.Enabled && !isLocal(c.HTTPServer.Address) {
		say("http_server.address", fmt.Sprintf("dev.enabled is set and http_server.address is %q: everybody who reaches this machine can "+
			"connect, subscribe and publish", c.HTTPServer.Address))
	}
	return slices.Concat(list, c.transportAdvice(), c.engineAdvice())
}
