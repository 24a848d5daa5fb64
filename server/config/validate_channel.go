package config

import (
	"fmt"
	"net/url"
	"strings"
)

// channels checks the section channel.
func (p *checker) channels() {
	c := &p.cfg.Channel
	for _, s := range []struct{ path, value string }{
		{"channel.namespace_boundary", c.NamespaceBoundary},
		{"channel.user_boundary", c.UserBoundary},
		{"channel.user_separator", c.UserSeparator},
	} {
		if s.value == "" {
			p.fail(s.path, "", "must not be empty", "remove it to get the default")
		}
	}
	if c.NamespaceBoundary != "" && (c.NamespaceBoundary == c.UserBoundary || c.NamespaceBoundary == c.PrivatePrefix) {
		p.fail("channel.namespace_boundary", c.NamespaceBoundary, "is also the user boundary or the private prefix",
			"they must differ, or a channel name has two meanings")
	}
	p.channel("channel.without_namespace", &c.WithoutNamespace)
	names := make([]string, len(c.Namespaces))
	for i := range c.Namespaces {
		ns := &c.Namespaces[i]
		names[i] = ns.Name
		path := fmt.Sprintf("channel.namespaces[%s]", ns.Name)
		if ns.Name == "" {
			path = fmt.Sprintf("channel.namespaces[%d]", i)
		}
		p.channel(path, &ns.ChannelOptions)
	}
	p.names("channel.namespaces", namePattern, names)
}

// channel checks the options of one namespace.
func (p *checker) channel(path string, o *ChannelOptions) {
	p.history(path, o)
	p.slowPolicy(path, o)
	p.regex(path+".channel_regex", o.ChannelRegex)
	p.channelProxies(path, o)
	p.mapOptions(path, o)
	p.wildcards(path, o)
	p.lacks(path, o)
	if o.SharedPoll.PublishEnabled && o.SharedPoll.Mode != "versioned" {
		p.fail(path+".shared_poll.publish_enabled", "true", "needs shared_poll.mode versioned", "set the mode, or turn publishing off")
	}
}

func (p *checker) history(path string, o *ChannelOptions) {
	kept := o.HistorySize > 0 && o.HistoryTTL > 0
	if (o.HistorySize > 0) != (o.HistoryTTL > 0) {
		missing, given := "history_ttl", "history_size"
		if o.HistoryTTL > 0 {
			missing, given = given, missing
		}
		p.fail(path+"."+missing, "", "is missing while "+given+" is set", "history needs both, for example history_size 10 and history_ttl 300s")
	}
	if o.ForceRecovery && !kept {
		p.fail(path+".force_recovery", "true", "needs history", "set history_size and history_ttl")
	}
	if o.AutoCacheRecover && (!o.ForceRecovery || o.ForceRecoveryMode != "cache") {
		p.fail(path+".auto_cache_recover", "true", "needs force_recovery and force_recovery_mode cache", "set both")
	}
	meta, from := o.HistoryMetaTTL, path+".history_meta_ttl"
	if meta == 0 {
		meta, from = p.cfg.Channel.HistoryMetaTTL, "channel.history_meta_ttl"
	}
	if meta > 0 && o.HistoryTTL > meta {
		p.fail(path+".history_ttl", o.HistoryTTL.String(), "is greater than "+from+" ("+meta.String()+")",
			"offsets must outlive the publications: raise the one or lower the other")
	}
}

// slowPolicy refuses to drop publications where clients may rely on having all of them.
func (p *checker) slowPolicy(path string, o *ChannelOptions) {
	if o.SlowPolicy == "" || o.SlowPolicy == "disconnect" {
		return
	}
	for _, promise := range append(o.positions(),
		promise{"history_size", o.HistorySize > 0},
		promise{"allowed_delta_types", len(o.AllowedDeltaTypes) > 0},
		promise{"delta_publish", o.DeltaPublish},
		promise{"subscription_type", o.SubscriptionType != "" && o.SubscriptionType != "stream"},
	) {
		if promise.on {
			p.fail(path+".slow_policy", o.SlowPolicy, "drops publications, and "+promise.option+" promises that none are missing",
				"remove the one or the other")
			return
		}
	}
}

// wildcards checks what a pattern must not reach, and who can deliver it.
func (p *checker) wildcards(path string, o *ChannelOptions) {
	if !o.AllowWildcards {
		return
	}
	if o.AllowUserLimitedChannels {
		p.fail(path+".allow_wildcards", "true", "is set together with allow_user_limited_channels, so a pattern would reach the channels of other users",
			"keep one of them")
	}
	if o.SlowPolicy == "latest" {
		p.fail(path+".allow_wildcards", "true", "is set together with slow_policy latest, which would keep one publication of all channels that a pattern reaches",
			"use drop_oldest or disconnect")
	}
	switch p.cfg.BrokerType() {
	case "memory":
	case "nats":
		if !p.cfg.Broker.NATS.AllowWildcards {
			p.fail(path+".allow_wildcards", "true", "needs broker.nats.allow_wildcards", "set it, or remove this one")
		}
	default:
		p.fail(path+".allow_wildcards", "true", "needs the memory engine or the NATS broker", "remove it")
	}
}

// mapOptions checks what the mode of a map channel rules out.
func (p *checker) mapOptions(path string, o *ChannelOptions) {
	m := o.Map
	if m.Mode == "ephemeral" && (m.StreamSize > 0 || m.StreamTTL > 0) {
		p.fail(path+".map.mode", m.Mode, "keeps no change stream, but stream_size or stream_ttl is set", "use recoverable, or remove them")
	}
	if m.Mode == "persistent" && m.KeyTTL > 0 {
		p.fail(path+".map.key_ttl", m.KeyTTL.String(), "keys of mode persistent do not expire", "use recoverable, or remove it")
	}
	if m.MinPageSize > 0 && m.MaxPageSize > 0 && m.MinPageSize > m.MaxPageSize {
		p.fail(path+".map.min_page_size", fmt.Sprint(m.MinPageSize), "is greater than map.max_page_size", "lower it")
	}
}

// channelProxies checks which proxies a namespace may combine, and that they can be called.
func (p *checker) channelProxies(path string, o *ChannelOptions) {
	if o.SubscribeProxyEnabled && o.SubscribeStreamProxyEnabled {
		p.fail(path+".subscribe_stream_proxy_enabled", "true", "is set together with subscribe_proxy_enabled", "keep one of them")
	}
	if o.SubscribeStreamProxyBidirectional && !o.SubscribeStreamProxyEnabled {
		p.fail(path+".subscribe_stream_proxy_bidirectional", "true", "needs subscribe_stream_proxy_enabled", "set it")
	}
	if o.SubscribeStreamProxyEnabled && (o.HistorySize > 0 || o.ForceRecovery || o.AllowRecovery) {
		p.fail(path+".subscribe_stream_proxy_enabled", "true", "streams have neither history nor recovery", "remove history_size and recovery")
	}
	d := &p.cfg.Channel.Proxy
	for _, use := range []struct {
		on     bool
		option string
		name   string
		block  string
		proxy  *Proxy
	}{
		{o.SubscribeProxyEnabled, "subscribe_proxy", o.SubscribeProxyName, "channel.proxy.subscribe", &d.Subscribe},
		{o.PublishProxyEnabled, "publish_proxy", o.PublishProxyName, "channel.proxy.publish", &d.Publish},
		{o.SubRefreshProxyEnabled, "sub_refresh_proxy", o.SubRefreshProxyName, "channel.proxy.sub_refresh", &d.SubRefresh},
		{o.SubscribeStreamProxyEnabled, "subscribe_stream_proxy", o.SubscribeStreamProxyName, "channel.proxy.subscribe_stream", &d.SubscribeStream},
		{o.Map.PublishProxyEnabled, "map.publish_proxy", o.Map.PublishProxyName, "channel.proxy.map_publish", &d.MapPublish},
		{o.Map.RemoveProxyEnabled, "map.remove_proxy", o.Map.RemoveProxyName, "channel.proxy.map_remove", &d.MapRemove},
		{o.SubscriptionType == "shared_poll", "shared_poll.proxy", o.SharedPoll.ProxyName, "channel.proxy.shared_poll_refresh", &d.SharedPollRefresh},
	} {
		if use.on {
			p.proxyUse(path+"."+use.option+"_name", use.name, use.block, use.proxy, use.option == "subscribe_stream_proxy")
		}
	}
}

// proxyUse checks that the proxy called name (that of block for "" and "default") exists and can be called.
func (p *checker) proxyUse(option, name, block string, def *Proxy, stream bool) {
	proxy := def
	if name != "" && name != "default" {
		block, proxy = fmt.Sprintf("proxies[%s]", name), nil
		for i := range p.cfg.Proxies {
			if p.cfg.Proxies[i].Name == name {
				proxy = &p.cfg.Proxies[i].Proxy
			}
		}
		if proxy == nil {
			p.fail(option, name, "no such proxy", "add it to proxies")
			return
		}
	}
	p.endpoint(block+".endpoint", proxy.Endpoint, stream)
}

func (p *checker) endpoint(path, endpoint string, stream bool) {
	if endpoint == "" {
		p.fail(path, "", "is missing, but the proxy is in use", "set http(s)://… or grpc://host:port")
		return
	}
	isGRPC := strings.HasPrefix(endpoint, "grpc://")
	if stream && !isGRPC {
		p.fail(path, endpoint, "a stream proxy speaks gRPC only", "write grpc://host:port")
		return
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || !isGRPC && u.Scheme != "http" && u.Scheme != "https" {
		p.fail(path, endpoint, "not an address", "write http(s)://… or grpc://host:port")
	}
}

// proxies checks the proxies outside of channels, and the sections proxies and rpc.
func (p *checker) proxies() {
	c := p.cfg
	if c.Client.Proxy.Connect.Enabled {
		p.endpoint("client.proxy.connect.endpoint", c.Client.Proxy.Connect.Endpoint, false)
	}
	if c.Client.Proxy.Refresh.Enabled {
		p.endpoint("client.proxy.refresh.endpoint", c.Client.Proxy.Refresh.Endpoint, false)
	}
	if o := c.RPC.WithoutNamespace; o.ProxyEnabled {
		p.proxyUse("rpc.without_namespace.proxy_name", o.ProxyName, "rpc.proxy", &c.RPC.Proxy, false)
	}
	var names []string
	for _, ns := range c.RPC.Namespaces {
		names = append(names, ns.Name)
		if ns.ProxyEnabled {
			p.proxyUse(fmt.Sprintf("rpc.namespaces[%s].proxy_name", ns.Name), ns.ProxyName, "rpc.proxy", &c.RPC.Proxy, false)
		}
	}
	p.names("rpc.namespaces", namePattern, names)
	names = nil
	for _, proxy := range c.Proxies {
		names = append(names, proxy.Name)
	}
	p.names("proxies", namePattern, names, "default")
}

// consumers checks the names and types of consumers; their own options are checked by who runs them.
func (p *checker) consumers() {
	var names []string
	for i, c := range p.cfg.Consumers {
		names = append(names, c.Name)
		if c.Enabled && c.Type == "" {
			p.fail(fmt.Sprintf("consumers[%s].type", p.cfg.Consumers[i].Name), "", "is missing", "set the type, for example kafka")
		}
	}
	p.names("consumers", consumerPattern, names)
}
