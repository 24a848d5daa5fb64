package config

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// regexBytesMax bounds a pattern of the configuration; Go's regexp is linear in the input, but not in the pattern.
const regexBytesMax = 1024

var (
	namePattern     = regexp.MustCompile(`^[-a-zA-Z0-9_.]{2,}$`)
	consumerPattern = regexp.MustCompile(`^[a-zA-Z0-9_]{2,}$`)
	claimPattern    = regexp.MustCompile(`^[a-zA-Z_]+$`)
)

// Validate returns all that keeps a server from starting with c, as an Errors: values out of range, options that
// contradict each other, and options that would weaken security if they were ignored because they are not built yet.
func (c *Config) Validate() error { return c.problems().err() }

func (c *Config) problems() Errors {
	p := &checker{cfg: c}
	root().walk(reflect.ValueOf(c).Elem(), "", p.tags)
	p.server()
	p.client()
	p.transports()
	p.channels()
	p.proxies()
	p.consumers()
	p.engines()
	p.refusals()
	return p.errs
}

// checker gathers what is wrong with a configuration.
type checker struct {
	cfg  *Config
	errs Errors
}

func (p *checker) fail(path, value, problem, remedy string) {
	p.errs = append(p.errs, &Error{Path: path, Value: value, Problem: problem, Remedy: remedy})
}

// tags checks one option against the tags min, max, enum and unit of its field.
func (p *checker) tags(n *node, path string, v reflect.Value) {
	switch n.kind {
	case kindInt, kindDuration:
		p.bounds(n, path, v)
	case kindString:
		if len(n.enum) > 0 && !slices.Contains(n.enum, v.String()) {
			p.fail(path, v.String(), "unknown value", p.words(n, path, v.String()))
		}
	case kindStrings:
		for i := range v.Len() {
			if s := v.Index(i).String(); len(n.enum) > 0 && !slices.Contains(n.enum, s) {
				p.fail(path, s, "unknown value", "use "+strings.Join(n.enum, ", "))
			}
		}
	}
}

// words is the remedy for a value that is none of those allowed.
func (p *checker) words(n *node, path, value string) string {
	if path == "engine.type" && value == "tarantool" {
		return tarantoolGone
	}
	words := slices.DeleteFunc(slices.Clone(n.enum), func(w string) bool { return w == "" })
	return "use " + strings.Join(words, ", ")
}

func (p *checker) bounds(n *node, path string, v reflect.Value) {
	low, high := bound(n, n.min), bound(n, n.max)
	var i int64
	if v.CanUint() {
		i = int64(v.Uint())
	} else {
		i = v.Int()
	}
	show := func(i int64) string {
		if n.kind == kindDuration {
			return Duration(i).String()
		}
		return strconv.FormatInt(i, 10)
	}
	switch {
	case i < low:
		remedy := "the least is " + show(low)
		if n.kind == kindDuration && i > 0 {
			remedy += "; a bare number is nanoseconds, write a unit"
		}
		p.fail(path, show(i), "too small", remedy)
	case n.max != "" && i > high:
		p.fail(path, show(i), "too large", "the most is "+show(high))
	case n.seconds && i%int64(time.Second) != 0:
		p.fail(path, show(i), "not whole seconds", `write for example "300s"; a bare number is nanoseconds`)
	}
}

// bound returns a tag min or max as a number; 0 if there is none.
func bound(n *node, tag string) int64 {
	if tag == "" {
		return 0
	}
	v := reflect.New(n.typ).Elem()
	n.parse(v, tag)
	if v.CanUint() {
		return int64(v.Uint())
	}
	return v.Int()
}

// server checks the sections http_server, the endpoints and admin.
func (p *checker) server() {
	c := p.cfg
	h := c.HTTPServer
	for _, a := range []struct{ path, host string }{
		{"http_server.address", h.Address}, {"http_server.internal_address", h.InternalAddress},
	} {
		if _, port, err := net.SplitHostPort(a.host); err == nil && port != "" {
			p.fail(a.path, a.host, "holds a port", "write the host alone; the port is a separate option")
		}
	}
	if h.InternalPort != "" {
		if n, err := strconv.Atoi(h.InternalPort); err != nil || n < 1 || n > 65535 {
			p.fail("http_server.internal_port", h.InternalPort, "not a port", "write a number from 1 to 65535, or leave it empty")
		}
	}
	p.secure()
	if a := c.Admin; a.Enabled && !a.Insecure {
		if a.Password == "" {
			p.fail("admin.password", "", "is missing while admin.enabled is true", "set a password (`stentor genconfig` makes one)")
		}
		if a.Secret == "" {
			p.fail("admin.secret", "", "is missing while admin.enabled is true", "set a secret (`stentor genconfig` makes one)")
		}
	}
	p.endpoints()
}

// endpoints checks that no two handlers want the same path.
func (p *checker) endpoints() {
	c := p.cfg
	taken := map[string]string{}
	for _, e := range []struct {
		path   string
		prefix string
		on     bool
	}{
		{"websocket.handler_prefix", c.WebSocket.HandlerPrefix, !c.WebSocket.Disabled},
		{"sse.handler_prefix", c.SSE.HandlerPrefix, c.SSE.Enabled},
		{"http_stream.handler_prefix", c.HTTPStream.HandlerPrefix, c.HTTPStream.Enabled},
		{"webtransport.handler_prefix", c.WebTransport.HandlerPrefix, c.WebTransport.Enabled},
		{"emulation.handler_prefix", c.Emulation.HandlerPrefix, c.SSE.Enabled || c.HTTPStream.Enabled},
		{"uni_websocket.handler_prefix", c.UniWebSocket.HandlerPrefix, c.UniWebSocket.Enabled},
		{"uni_sse.handler_prefix", c.UniSSE.HandlerPrefix, c.UniSSE.Enabled},
		{"uni_http_stream.handler_prefix", c.UniHTTPStream.HandlerPrefix, c.UniHTTPStream.Enabled},
		{"http_api.handler_prefix", c.HTTPAPI.HandlerPrefix, !c.HTTPAPI.Disabled},
		{"prometheus.handler_prefix", c.Prometheus.HandlerPrefix, c.Prometheus.Enabled},
		{"health.handler_prefix", c.Health.HandlerPrefix, c.Health.Enabled},
		{"debug.handler_prefix", c.Debug.HandlerPrefix, c.Debug.Enabled},
		{"swagger.handler_prefix", c.Swagger.HandlerPrefix, c.Swagger.Enabled},
		{"init.handler_prefix", c.Init.HandlerPrefix, c.Init.Enabled},
	} {
		switch other := taken[e.prefix]; {
		case !e.on:
		case !strings.HasPrefix(e.prefix, "/") || strings.ContainsAny(e.prefix, " ?#{}"):
			p.fail(e.path, e.prefix, "not a path", "begin it with / and use no space, ?, #, { or }")
		case other != "":
			p.fail(e.path, e.prefix, "is also the value of "+other, "give each endpoint a path of its own")
		default:
			taken[e.prefix] = e.path
		}
	}
}

// client checks the section client.
func (p *checker) client() {
	c := p.cfg.Client
	if c.PingInterval <= c.PongTimeout {
		p.fail("client.ping_interval", c.PingInterval.String(), "must be greater than client.pong_timeout ("+c.PongTimeout.String()+")",
			"raise client.ping_interval or lower client.pong_timeout")
	}
	p.token("client.token", c.Token)
	if c.SubscriptionToken.Enabled {
		p.token("client.subscription_token", c.SubscriptionToken.Token)
	}
	personal := c.SubscribeToUserPersonalChannel
	if !personal.Enabled {
		return
	}
	path := "client.subscribe_to_user_personal_channel"
	options := p.cfg.namespace(personal.PersonalChannelNamespace)
	if options == nil {
		p.fail(path+".personal_channel_namespace", personal.PersonalChannelNamespace, "no such namespace",
			"add it to channel.namespaces, or leave the name empty")
		return
	}
	if personal.SingleConnection && !options.Presence {
		p.fail(path+".single_connection", "true", "needs presence in the namespace of personal channels", "set presence there")
	}
}

func (p *checker) token(path string, t Token) {
	if t.UserIDClaim != "" && !claimPattern.MatchString(t.UserIDClaim) {
		p.fail(path+".user_id_claim", t.UserIDClaim, "not the name of a claim", "use letters and _ only")
	}
	p.regex(path+".audience_regex", t.AudienceRegex)
	p.regex(path+".issuer_regex", t.IssuerRegex)
	if t.Audience != "" && t.AudienceRegex != "" {
		p.fail(path+".audience_regex", t.AudienceRegex, "is set together with "+path+".audience", "keep one of them")
	}
	if t.Issuer != "" && t.IssuerRegex != "" {
		p.fail(path+".issuer_regex", t.IssuerRegex, "is set together with "+path+".issuer", "keep one of them")
	}
	if t.HMACPreviousSecretKey != "" && t.HMACSecretKey == "" {
		p.fail(path+".hmac_previous_secret_key", "", "is set without "+path+".hmac_secret_key", "set the current key")
	}
	p.keys(path, &t)
}

// keys checks that tokens can be verified with the keys of a token block.
func (p *checker) keys(path string, t *Token) {
	for _, k := range []struct{ option, secret string }{
		{"hmac_secret_key", t.HMACSecretKey}, {"hmac_previous_secret_key", t.HMACPreviousSecretKey},
	} {
		if err := CheckSecret(k.secret); err != nil {
			p.fail(path+"."+k.option, "", err.Error(), "put the key into rsa_public_key or ecdsa_public_key")
		}
	}
	_, err1 := t.RSAKey()
	_, err2 := t.ECDSAKey()
	_, err3 := t.JWKSEndpoint()
	for _, err := range []error{err1, err2, err3} {
		var e *Error
		if errors.As(err, &e) {
			p.fail(path+"."+e.Path, e.Value, e.Problem, e.Remedy)
		}
	}
}

func (p *checker) regex(path, pattern string) {
	if len(pattern) > regexBytesMax {
		p.fail(path, pattern, fmt.Sprintf("longer than %d bytes", regexBytesMax), "write a shorter pattern")
		return
	}
	if _, err := regexp.Compile(pattern); err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		p.fail(path, pattern, "not a regular expression: "+why, "see https://pkg.go.dev/regexp/syntax")
	}
}

// namespace returns the options of a namespace; those of channels without one for "", nil if there is none.
func (c *Config) namespace(name string) *ChannelOptions {
	if name == "" {
		return &c.Channel.WithoutNamespace
	}
	for i := range c.Channel.Namespaces {
		if c.Channel.Namespaces[i].Name == name {
			return &c.Channel.Namespaces[i].ChannelOptions
		}
	}
	return nil
}

// names checks the names of a list of blocks.
func (p *checker) names(path string, pattern *regexp.Regexp, names []string, reserved ...string) {
	seen := map[string]bool{}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d].name", path, i)
		if name != "" {
			at = fmt.Sprintf("%s[%s].name", path, name)
		}
		switch {
		case !pattern.MatchString(name):
			p.fail(at, name, "not a valid name", "it must match "+pattern.String())
		case seen[name]:
			p.fail(at, name, "the name is used twice", "give each element a name of its own")
		case slices.Contains(reserved, name):
			p.fail(at, name, "the name is reserved", "choose another one")
		}
		seen[name] = true
	}
}
