package config

import (
	"maps"
	"slices"
	"strings"
)

// reloadable are the options, or blocks, that a running server takes from a configuration that was read again.
// All else (listeners, engine, transports, limits, the API key) was built into parts that live as long as the process.
var reloadable = []string{
	"channel.without_namespace", "channel.namespaces", "channel.history_meta_ttl", "channel.publication_data_format",
	"channel.max_length", "channel.private_prefix", "channel.namespace_boundary", "channel.user_boundary", "channel.user_separator",
	"rpc.without_namespace", "rpc.namespaces", "rpc.namespace_boundary", "rpc.ping",
	"client.token", "client.subscription_token", "client.allowed_origins",
	"http_server.tls.cert_pem", "http_server.tls.key_pem", "http_server.tls.client_ca_pem",
	"http_server.internal_tls.cert_pem", "http_server.internal_tls.key_pem", "http_server.internal_tls.client_ca_pem",
	"uni_grpc.tls.cert_pem", "uni_grpc.tls.key_pem", "uni_grpc.tls.client_ca_pem",
	"grpc_api.tls.cert_pem", "grpc_api.tls.key_pem", "grpc_api.tls.client_ca_pem",
}

// Reloaded is what a second reading of the configuration means for a running server.
type Reloaded struct {
	Config  *Config  // the old one with the reloadable parts of the new one
	Applied []string // paths that changed and are in Config
	Restart []string // paths that changed and need a restart
}

// Reload compares next, which has just been read, with old, which the server runs on.
func Reload(old, next *Config) Reloaded {
	merged := *old
	merged.Channel = next.Channel
	merged.Channel.Proxy = old.Channel.Proxy
	merged.RPC = next.RPC
	merged.RPC.Proxy = old.RPC.Proxy
	merged.Client.Token = next.Client.Token
	merged.Client.SubscriptionToken = next.Client.SubscriptionToken
	merged.Client.AllowedOrigins = next.Client.AllowedOrigins
	merged.HTTPServer.TLS.renew(&next.HTTPServer.TLS)
	merged.HTTPServer.InternalTLS.renew(&next.HTTPServer.InternalTLS)
	merged.UniGRPC.TLS.renew(&next.UniGRPC.TLS)
	merged.GRPCAPI.TLS.renew(&next.GRPCAPI.TLS)

	r := Reloaded{Config: &merged}
	before, after := old.values(), next.values()
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if was, had := before[path]; had {
			if is, has := after[path]; has && is == was {
				continue
			}
		}
		list := &r.Restart
		if isReloadable(path) {
			list = &r.Applied
		}
		if path = wholeElement(path, before, after); !slices.Contains(*list, path) {
			*list = append(*list, path)
		}
	}
	return r
}

// renew takes the certificates of next. Whether TLS is spoken at all, and all that is for clients, stays.
func (t *TLSConfig) renew(next *TLSConfig) {
	if t.Enabled && !next.Enabled {
		return // it goes on until the restart, with what it has
	}
	t.CertPEM, t.KeyPEM, t.ClientCAPEM = next.CertPEM, next.KeyPEM, next.ClientCAPEM
}

// wholeElement returns the path of the list element that path lies in, if that was added or removed as a whole: forty
// options of a new namespace are one change.
func wholeElement(path string, before, after map[string]string) string {
	end := strings.IndexByte(path, ']')
	if end < 0 {
		return path
	}
	element := path[:end+1]
	if _, named := before[element+".name"]; !named {
		return element
	}
	if _, named := after[element+".name"]; !named {
		return element
	}
	return path
}

func isReloadable(path string) bool {
	return slices.ContainsFunc(reloadable, func(p string) bool {
		rest, ok := strings.CutPrefix(path, p)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
