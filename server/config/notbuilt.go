package config

import (
	"fmt"
	"reflect"
	"strings"
)

// feature is a part of the option tree that nothing in the server reads yet. As features are built, their rows
// go, here and in refusals.
type feature struct {
	paths []string // options, or blocks with all in them; "<channel>." stands for every namespace and for none
	text  string   // what the operator is told
	on    func(*Config) bool
}

const ignored = " not built yet; accepted and ignored"

// features are the options that are accepted and ignored. A row speaks when one of its options differs from the
// default, and (if it has a switch) only when the feature is turned on: what is off in the reference is off here too.
var features = []feature{
	{[]string{"broker.postgres", "controller"}, "the PostgreSQL broker and controller are" + ignored,
		func(*Config) bool { return false }}, // where they are used, they are refused
	{[]string{"map_broker"}, "map subscriptions are" + ignored, nil},
	{[]string{"shared_poll"}, "shared poll subscriptions are" + ignored, nil},

	{[]string{"websocket.read_buffer_size", "websocket.write_buffer_size", "websocket.use_write_buffer_pool",
		"websocket.write_timeout", "uni_websocket.read_buffer_size", "uni_websocket.write_buffer_size",
		"uni_websocket.use_write_buffer_pool", "uni_websocket.write_timeout"},
		"buffers and write time limits per connection have no meaning on event loops; accepted and ignored; see " +
			"reactor.read_buffer_size, reactor.send_buffer_size and client.queue_max_size", nil},

	{[]string{"client.proxy", "channel.proxy", "rpc.proxy", "proxies",
		"<channel>.subscribe_proxy_enabled", "<channel>.subscribe_proxy_name",
		"<channel>.publish_proxy_enabled", "<channel>.publish_proxy_name",
		"<channel>.sub_refresh_proxy_enabled", "<channel>.sub_refresh_proxy_name",
		"<channel>.subscribe_stream_proxy_enabled", "<channel>.subscribe_stream_proxy_name",
		"<channel>.subscribe_stream_proxy_bidirectional"},
		"proxies (calls to the backend) are" + ignored, nil},
	{[]string{"rpc.without_namespace", "rpc.namespaces"}, "RPC methods of the backend are" + ignored + "; only rpc.ping is answered", nil},
	{[]string{"client.presence_update_interval"},
		"presence on this node needs no updates, and other checks have times of their own; client.presence_update_interval is ignored",
		func(c *Config) bool { return c.PresenceType() == "memory" }},
	{[]string{"client.concurrency"}, "commands of one client are always handled in order; client.concurrency is ignored",
		func(c *Config) bool { return c.Client.Concurrency > 1 }},

	{[]string{"<channel>.map", "<channel>.shared_poll", "<channel>.subscription_type",
		"<channel>.map_clients_presence_channel_prefix", "<channel>.map_users_presence_channel_prefix"},
		"map and shared poll subscriptions are not built yet; such channels cannot be subscribed", otherThanStream},

	{[]string{"grpc_api"}, "the gRPC API is" + ignored, func(c *Config) bool { return c.GRPCAPI.Enabled }},
	{[]string{"admin"}, "the admin panel is" + ignored, func(c *Config) bool { return c.Admin.Enabled }},
	{[]string{"prometheus.recovered_publications_histogram", "prometheus.native_histograms"},
		"these extra metrics are" + ignored, nil},
	{[]string{"opentelemetry"}, "tracing is" + ignored, func(c *Config) bool { return c.OpenTelemetry.Enabled }},
	{[]string{"graphite"}, "the Graphite exporter is" + ignored, func(c *Config) bool { return c.Graphite.Enabled }},
	{[]string{"consumers"}, "consumers are" + ignored, anyConsumer},
	{[]string{"enable_unreleased_features"}, "there are no unreleased features but broker.type redisnats; accepted and ignored",
		func(c *Config) bool { return c.BrokerType() != "redisnats" }},
}

func otherThanStream(c *Config) bool {
	return c.anyChannel(func(o *ChannelOptions) bool {
		return o.SubscriptionType != "" && o.SubscriptionType != "stream" ||
			o.MapClientsPresenceChannelPrefix != "" || o.MapUsersPresenceChannelPrefix != ""
	})
}

func anyConsumer(c *Config) bool {
	for _, one := range c.Consumers {
		if one.Enabled {
			return true
		}
	}
	return false
}

// anyChannel reports that ok holds for some namespace, or for channels without one.
func (c *Config) anyChannel(ok func(*ChannelOptions) bool) bool {
	if ok(&c.Channel.WithoutNamespace) {
		return true
	}
	for i := range c.Channel.Namespaces {
		if ok(&c.Channel.Namespaces[i].ChannelOptions) {
			return true
		}
	}
	return false
}

// pathsShownMax bounds the paths named in one warning.
const pathsShownMax = 4

// notBuilt returns one warning for each feature that is asked for and does not exist yet.
func (c *Config) notBuilt() []Warning {
	asked := make([][]string, len(features))
	for _, path := range c.changedFromDefault() {
		if i := featureOf(path); i >= 0 {
			asked[i] = append(asked[i], path)
		}
	}
	var list []Warning
	for i, f := range features {
		if len(asked[i]) == 0 || f.on != nil && !f.on(c) {
			continue
		}
		paths := asked[i]
		text := f.text + ": " + strings.Join(paths[:min(len(paths), pathsShownMax)], ", ")
		if more := len(paths) - pathsShownMax; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		list = append(list, Warning{Topic: NotBuilt, Path: paths[0], Text: text})
	}
	return list
}

// featureOf returns the number of the feature that an option belongs to, -1 if it is built.
func featureOf(path string) int {
	for _, block := range []string{"channel.namespaces[", "channel.without_namespace"} {
		if rest, ok := strings.CutPrefix(path, block); ok {
			_, option, _ := strings.Cut(rest[strings.IndexByte(rest, ']')+1:], ".")
			path = "<channel>." + option
			break
		}
	}
	for i, f := range features {
		for _, p := range f.paths {
			rest, ok := strings.CutPrefix(path, p)
			if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				return i
			}
		}
	}
	return -1
}

// changedFromDefault returns the paths of the options that do not have their default value, in the order of the tree.
func (c *Config) changedFromDefault() []string {
	var list []string
	changed(root(), reflect.ValueOf(c).Elem(), "", &list)
	return list
}

func changed(n *node, v reflect.Value, path string, list *[]string) {
	def := reflect.New(n.typ).Elem()
	n.setDefaults(def)
	for _, kid := range n.kids {
		f, p := kid.field(v), join(path, kid.name)
		switch {
		case kid.kind == kindBlock:
			changed(kid, f, p, list)
		case kid.kind == kindList:
			for i := range f.Len() {
				changed(kid, f.Index(i), kid.elemPath(p, f.Index(i), i), list)
			}
		case kid.text(f) != kid.text(kid.field(def)):
			*list = append(*list, p)
		}
	}
}
