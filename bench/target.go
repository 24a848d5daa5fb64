package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/swarm"
)

// clientsMax is the number of clients that one run may have: numbers of clients stay small enough for the sums made of them.
const clientsMax = 10_000_000

// Target is the server that is measured, and how clients reach it.
type Target struct {
	URL         string
	Server      string // command that starts it; empty: it runs already
	APIURL      string // empty: /api on the host of URL
	APIKey      string
	PID         int // 0: unknown
	TokenSecret string
	User        string // {n}: number of the client
	Origin      string
	Protobuf    bool
	Workers     int     // 0: as few as possible
	ConnectRate float64 // per second; 0: no pacing
	InFlightMax int
	Source      string // empty: 127.0.0.2 for a server on loopback, else the kernel's choice
	SourceCount int
	Patience    time.Duration
	Transport   string
	Emulation   string // path; empty: where servers usually have it
	Secure      Secure
}

// DefaultTarget is a server that runs on this machine with its defaults.
func DefaultTarget() Target {
	return Target{
		URL: "ws://127.0.0.1:8000", User: "user-{n}", ConnectRate: 4000, InFlightMax: 512,
		SourceCount: 64, Patience: 20 * time.Second, Transport: string(swarm.WebSocket),
	}
}

func (t *Target) flags(f *pflag.FlagSet) {
	f.StringVar(&t.URL, "target", t.URL, "address of the server: ws:// or http://, with TLS wss:// or https://; without a path, that of --transport is taken, such as /connection/websocket")
	f.StringVar(&t.URL, "url", t.URL, "the same as --target")
	_ = f.MarkHidden("url") // an older name; the flag exists
	f.StringVar(&t.Server, "server", t.Server, "command that starts the server for this run; {port} in it is a free port, which --target then gets")
	f.StringVar(&t.APIURL, "api-url", t.APIURL, "address of the HTTP API (default: /api on the host of --target)")
	f.StringVar(&t.APIKey, "api-key", t.APIKey, "key of the HTTP API (http_api.key)")
	f.IntVar(&t.PID, "pid", t.PID, "process id of the server, for its memory and CPU (known with --server); 0: leave them out")
	f.StringVar(&t.TokenSecret, "token-hmac-secret", t.TokenSecret, "sign an HS256 token for each client with this secret (client.token.hmac_secret_key); empty: anonymous clients")
	f.StringVar(&t.User, "user", t.User, "user id in the tokens; {n} is the number of the client")
	f.StringVar(&t.Origin, "origin", t.Origin, "Origin header of the clients; empty: none")
	f.StringVar(&t.Transport, "transport", t.Transport, "what carries the messages: websocket, http_stream, sse, uni_sse, uni_http_stream, uni_websocket; unidirectional clients have their channels from the channels claim of their tokens, or ask for them without one")
	f.StringVar(&t.Emulation, "emulation-path", t.Emulation, "where clients on http_stream and sse post their commands (default "+swarm.EmulationPath+")")
	f.BoolVar(&t.Protobuf, "protobuf", t.Protobuf, "speak Protobuf instead of JSON; not with sse and unidirectional transports")
	t.Secure.flags(f)
	f.IntVar(&t.Workers, "workers", t.Workers, "worker processes for the main clients; 0: as few as the descriptor limit allows")
	f.Float64Var(&t.ConnectRate, "connect-rate", t.ConnectRate, "conns opened per second; 0: as fast as --in-flight allows")
	f.IntVar(&t.InFlightMax, "in-flight", t.InFlightMax, "conns per worker that are opening at the same time")
	f.StringVar(&t.Source, "source", t.Source, "first source address of the clients (default: 127.0.0.2 for a server on 127.0.0.0/8, otherwise the system's choice)")
	f.IntVar(&t.SourceCount, "source-count", t.SourceCount, "number of consecutive source addresses, each with some 28,000 ports")
	f.DurationVar(&t.Patience, "patience", t.Patience, "give up when nothing happens for so long while opening")
}

// place is where a target is: its URL taken apart and its name looked up.
type place struct {
	url       string
	transport swarm.Transport
	tls       *swarm.TLS  // nil: plain
	trust     *tls.Config // of HTTP clients beside the swarm; nil: plain
	addr      netip.AddrPort
	host      string // for the Host header
	path      string // with query
	api       string
	source    string
}

// locate checks the target and finds its address.
func (t *Target) locate(ctx context.Context) (place, error) {
	u, err := t.parse()
	if err != nil {
		return place{}, err
	}
	p := place{url: t.URL, transport: t.transport(), host: u.Host, path: u.RequestURI(), api: t.APIURL, source: t.Source}
	if p.tls, err = t.Secure.settings(u); err != nil {
		return place{}, err
	}
	scheme, port := "http", 80
	if p.tls != nil {
		scheme, port = "https", 443
		if p.trust, err = p.tls.Config(); err != nil {
			return place{}, err
		}
		p.trust.ServerName = t.Secure.ServerName // otherwise that of each URL
	}
	if t.Protobuf && p.transport.Framed() {
		p.path = withProtobuf(u)
	}
	if p.api == "" {
		p.api = scheme + "://" + u.Host + "/api"
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return place{}, fmt.Errorf("--target: %q is not a port", u.Port())
		}
	}
	ip, err := lookUp(ctx, u.Hostname())
	if err != nil {
		return place{}, fmt.Errorf("--target: %w", err)
	}
	p.addr = netip.AddrPortFrom(ip, uint16(port))
	if p.source == "" && ip.Is4() && ip.IsLoopback() {
		p.source = "127.0.0.2"
	}
	return p, nil
}

// transport is what carries the messages; one that check has let through.
func (t *Target) transport() swarm.Transport {
	if t.Transport == "" {
		return swarm.WebSocket
	}
	return swarm.Transport(t.Transport)
}

// check looks at the options that need no look-up. Requests say that some clients of the scenario send them.
func (t *Target) check(scenario string, requests bool) error {
	transport, err := swarm.ParseTransport(string(t.transport()))
	switch {
	case err != nil:
		return fmt.Errorf("--transport: %w", err)
	case requests && transport.Uni():
		return fmt.Errorf("%s has clients that send requests: it needs a transport in both directions (websocket, http_stream, sse), not %s", scenario, transport)
	case t.Protobuf && !transport.Binary():
		return fmt.Errorf("--protobuf is not for %s, which carries JSON only", transport)
	}
	_, err = t.parse()
	return err
}

// parse takes the URL apart, with the path of the transport if it has none.
func (t *Target) parse() (*url.URL, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fmt.Errorf("--target: %w", err)
	}
	switch {
	case !slices.Contains([]string{"ws", "http", "wss", "https"}, u.Scheme) || u.Host == "":
		return nil, fmt.Errorf("--target: %q is not like ws://127.0.0.1:8000 or wss://example.org/connection/websocket", t.URL)
	case t.SourceCount < 1 || t.InFlightMax < 1 || t.Patience <= 0:
		return nil, errors.New("--source-count, --in-flight and --patience must be above 0")
	case t.ConnectRate < 0:
		return nil, errors.New("--connect-rate must not be below 0")
	}
	own := t.transport()
	for _, other := range swarm.Transports {
		if u.Path == other.Path() && other != own {
			return nil, fmt.Errorf("--target: %s is the path of %s: leave it out, or take --transport %s", u.Path, other, other)
		}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = own.Path()
	}
	return u, nil
}

// over names what the messages travel in.
func (t *Target) over(p place) string {
	text := string(p.transport)
	if t.Protobuf {
		text += ", protobuf"
	}
	if p.tls == nil {
		return text
	}
	if p.tls.Version == "" {
		return text + ", TLS"
	}
	return text + ", TLS " + p.tls.Version
}

// moveTo gives the target another port.
func (t *Target) moveTo(port int) error {
	u, err := url.Parse(t.URL)
	if err != nil {
		return fmt.Errorf("--target: %w", err)
	}
	u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(port))
	t.URL = u.String()
	return nil
}

// withProtobuf adds the query by which servers of the protocol choose Protobuf whatever subprotocol is offered.
func withProtobuf(u *url.URL) string {
	query := u.Query()
	query.Set("cf_protocol", "protobuf")
	with := *u
	with.RawQuery = query.Encode()
	return with.RequestURI()
}

// lookUp prefers IPv4, where one machine has many source addresses.
func lookUp(ctx context.Context, host string) (netip.Addr, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	return ips[0], nil
}

// group is what all groups of clients on this target have in common.
func (t *Target) group(p place, name string, role swarm.Role, count int) swarm.Group {
	return swarm.Group{
		Name: name, Role: role, Count: count,
		Addr: p.addr.String(), Host: p.host, Path: p.path, Origin: t.Origin, Protobuf: t.Protobuf,
		Transport: p.transport, Emulation: t.Emulation, TLS: p.tls,
		Source: p.source, SourceCount: t.SourceCount, ConnectRate: t.ConnectRate, InFlightMax: t.InFlightMax, Patience: t.Patience,
		Users: t.User, TokenSecret: t.TokenSecret, PerChannel: 1,
	}
}

// checkClients refuses numbers of clients that make no sense.
func checkClients(flag string, n int) error {
	if n < 1 || n > clientsMax {
		return fmt.Errorf("--%s must be from 1 to %d", flag, clientsMax)
	}
	return nil
}

// watched is true if the server's process can be looked at.
func (t *Target) watched() bool { return t.PID != 0 || t.Server != "" }
