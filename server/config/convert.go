package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// move is one value that was given under an old name and the path it belongs to now.
type move struct {
	old   string
	path  string
	value any
}

// taker returns what was given under an old name, once; the name then counts as known.
type taker func(old string) (value any, ok bool)

// moves translates all old names of a source. proxies finds an element of the list proxies by its name.
func moves(take taker, proxies func(name string) map[string]any) []move {
	var list []move
	add := func(old, path string, value any) { list = append(list, move{old, path, value}) }

	for _, n := range oldNames {
		if v, ok := take(n.old); ok {
			add(n.old, blockOr(n.path, v), v)
		}
	}
	for _, name := range oldChannelNames {
		if v, ok := take(name); ok {
			add(name, "channel.without_namespace."+name, v)
		}
	}
	for _, m := range optionMoves(take) {
		add(m.old, "channel.without_namespace."+m.path, m.value)
	}
	for _, n := range oldProxyGlobals {
		if v, ok := take(n.old); ok {
			path := n.path
			if _, object := v.(map[string]any); n.path == "grpc.tls" && !object {
				path += ".enabled"
			}
			for _, block := range proxyBlocks {
				add(n.old, block+"."+path, v)
			}
		}
	}
	list = append(list, impliedMoves(list)...)
	list = append(list, namedProxyMoves(take, proxies)...)
	return append(list, valueMoves(take)...)
}

// blockOr returns path, or the block it is in if v is an object: "grpc_api_tls" was a boolean, later an object.
func blockOr(path string, v any) string {
	if _, object := v.(map[string]any); object {
		return strings.TrimSuffix(path, ".enabled")
	}
	return path
}

// impliedMoves adds the switches that older versions did not have: an endpoint alone turned a proxy on.
func impliedMoves(list []move) []move {
	on := map[string]string{
		"proxy_connect_endpoint": "client.proxy.connect.enabled",
		"proxy_refresh_endpoint": "client.proxy.refresh.enabled",
		"proxy_rpc_endpoint":     "rpc.without_namespace.proxy_enabled",
	}
	if slices.ContainsFunc(list, func(m move) bool { return m.old == "rpc_namespaces" }) {
		delete(on, "proxy_rpc_endpoint")
	}
	var more []move
	for _, m := range list {
		if path := on[m.old]; path != "" && m.value != "" {
			more = append(more, move{m.old, path, true})
		}
	}
	return more
}

// namedProxyMoves translates the "granular" proxies: connect and refresh have own blocks now, which get a copy.
func namedProxyMoves(take taker, proxies func(name string) map[string]any) []move {
	var list []move
	for _, n := range []oldName{
		{"connect_proxy_name", "client.proxy.connect"},
		{"refresh_proxy_name", "client.proxy.refresh"},
	} {
		v, ok := take(n.old)
		name, _ := v.(string)
		if !ok || name == "" {
			continue
		}
		list = append(list, move{n.old, n.path + ".enabled", true})
		proxy := proxies(name)
		for _, k := range slices.Sorted(maps.Keys(proxy)) {
			if k != "name" {
				list = append(list, move{n.old, n.path + "." + k, proxy[k]})
			}
		}
	}
	if v, ok := take("rpc_proxy_name"); ok {
		list = append(list, move{"rpc_proxy_name", "rpc.without_namespace.proxy_name", v},
			move{"rpc_proxy_name", "rpc.without_namespace.proxy_enabled", true})
	}
	return list
}

// valueMoves translates single names whose value changes.
func valueMoves(take taker) []move {
	var list []move
	if v, ok := take("broker"); ok {
		list = append(list, move{"broker", "broker.type", v}, move{"broker", "broker.enabled", true})
	}
	if v, ok := take("client_anonymous"); ok { // v3
		list = append(list, move{"client_anonymous", "client.allow_anonymous_connect_without_token", v})
	}
	if v, ok := take("secret"); ok { // v1
		list = append(list, move{"secret", "client.token.hmac_secret_key", v})
	}
	return list
}

// optionMoves translates the old names of channel options, in a namespace or at the top level.
//
// Version 3 was open where version 6 is closed: there, a channel without "protected" could be subscribed by
// anybody, and presence and history read. Only what a file says is translated, not what it leaves out.
func optionMoves(take taker) []move {
	var list []move
	for _, n := range oldOptionNames {
		if v, ok := take(n.old); ok {
			list = append(list, move{n.old, n.path, v})
		}
	}
	if v, ok := take("history_lifetime"); ok { // seconds
		if i, isInt := integer(v); isInt {
			v = fmt.Sprintf("%ds", i)
		}
		list = append(list, move{"history_lifetime", "history_ttl", v})
	}
	for _, n := range []oldName{
		{"protected", "allow_subscribe_for_client"},
		{"presence_disable_for_client", "allow_presence_for_subscriber"},
		{"history_disable_for_client", "allow_history_for_subscriber"},
	} {
		if v, ok := take(n.old); ok {
			list = append(list, move{n.old, n.path, negated(v)})
		}
	}
	path := "allow_publish_for_client"
	if v, ok := take("subscribe_to_publish"); ok && isTrue(v) {
		path = "allow_publish_for_subscriber"
	}
	if v, ok := take("publish"); ok {
		list = append(list, move{"publish", path, v})
	}
	if v, ok := take("anonymous"); ok {
		for _, right := range []string{"subscribe", "publish", "presence", "history"} {
			list = append(list, move{"anonymous", "allow_" + right + "_for_anonymous", v})
		}
	}
	return list
}

// negated returns the opposite of a boolean in any of its forms, anything else as it is (the decoder will refuse it).
func negated(v any) any {
	switch v {
	case true, "true", "1":
		return false
	case false, "false", "0":
		return true
	}
	return v
}

func isTrue(v any) bool { return negated(v) == false }
