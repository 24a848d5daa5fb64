package channel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"stentor/codec"
	"stentor/server/config"
)

// Options is what holds for every channel of one namespace, with all defaults applied. It is shared and never changes.
type Options struct {
	// Namespace is the name of the namespace; empty for channels without one.
	Namespace string
	// Label is the number of the namespace in metrics; 0 while they do not tell namespaces apart.
	Label uint16
	Type  Type

	HistorySize int
	HistoryTTL  time.Duration
	// HistoryMetaTTL is how long offset and epoch outlive the last publication. Never 0.
	HistoryMetaTTL time.Duration

	ForcePositioning bool
	AllowPositioning bool
	ForceRecovery    bool
	AllowRecovery    bool
	RecoverCache     bool // recovery sends only the latest publication (force_recovery_mode: cache)
	AutoCacheRecover bool

	Presence           bool
	JoinLeave          bool
	ForcePushJoinLeave bool

	DeltaFossil     bool // clients may ask for deltas of type fossil
	DeltaPublish    bool
	AllowTagsFilter bool

	Subscribe       Right // Subscriber is never set
	Publish         Right
	ReadPresence    Right
	ReadHistory     Right
	AllowUserLimits bool // the user boundary in a name has its meaning
	Wildcards       bool // so have * and >, see IsPattern

	SubscribeProxy       bool
	SubscribeStreamProxy bool
	PublishProxy         bool
	SubRefreshProxy      bool

	DataFormat DataFormat
	Slow       codec.SlowPolicy // of publications

	nameRegex *regexp.Regexp // of the part after the namespace boundary; nil: printable ASCII
}

// Right is who may do something: every client or subscribers only, and whether clients without a user count.
type Right struct{ Client, Subscriber, Anonymous bool }

// Allows reports whether a client with this user id, subscribed to the channel or not, has the right.
func (r Right) Allows(user string, subscribed bool) bool {
	return (r.Client || r.Subscriber && subscribed) && (user != "" || r.Anonymous)
}

// HasHistory reports that publications are kept.
func (o *Options) HasHistory() bool { return o.HistorySize > 0 && o.HistoryTTL > 0 }

// Type is the kind of subscription that a namespace offers.
type Type uint8

// Types of subscription, numbered as the field type of a subscribe command.
const (
	TypeStream Type = iota
	TypeMap
	TypeMapClients
	TypeMapUsers
	TypeSharedPoll
)

var typeNames = []string{"stream", "map", "map_clients", "map_users", "shared_poll"}

// String names the type as the option subscription_type does.
func (t Type) String() string { return typeNames[t] }

// DataFormat is what a publication's data has to be.
type DataFormat uint8

// Formats of publication_data_format.
const (
	DataAny        DataFormat = iota // anything but nothing
	DataJSON                         // valid JSON
	DataJSONObject                   // a valid JSON object
	DataBinary                       // anything, empty too
)

var dataFormatNames = []string{"", "json", "json_object", "binary"}

// String names the format as the option publication_data_format does.
func (f DataFormat) String() string { return dataFormatNames[f] }

// slowNames are the values of slow_policy, numbered as codec.SlowPolicy.
var slowNames = []string{"disconnect", "drop_oldest", "latest"}

// CheckData reports data that the namespace does not take, as error 107.
func (o *Options) CheckData(data []byte) *codec.Error {
	ok := false
	switch o.DataFormat {
	case DataAny:
		ok = len(data) > 0
	case DataJSON:
		ok = json.Valid(data)
	case DataJSONObject:
		// The scan of the whole comes last: it is what costs.
		ok = bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte{'{'}) && json.Valid(data)
	case DataBinary:
		ok = true
	}
	if !ok {
		return codec.ErrorBadRequest
	}
	return nil
}

// Limits of configuration.
const (
	// RegexBytesMax is the longest channel_regex. RE2 matches in linear time, but its program grows with the pattern.
	RegexBytesMax = 1024
	// historyMetaTTLDefault holds when neither the namespace nor channel.history_meta_ttl says anything.
	historyMetaTTLDefault = 720 * time.Hour
)

// newOptions resolves the options c of one namespace; path is where they stand in the configuration, for errors.
func newOptions(path, namespace string, c config.ChannelOptions, defaults *config.Channel) (*Options, error) {
	o := &Options{
		Namespace:        namespace,
		HistorySize:      c.HistorySize,
		HistoryTTL:       time.Duration(c.HistoryTTL),
		HistoryMetaTTL:   time.Duration(c.HistoryMetaTTL),
		ForcePositioning: c.ForcePositioning,
		AllowPositioning: c.AllowPositioning,
		ForceRecovery:    c.ForceRecovery,
		AllowRecovery:    c.AllowRecovery,
		RecoverCache:     c.ForceRecoveryMode == "cache",
		AutoCacheRecover: c.AutoCacheRecover,

		Presence:           c.Presence,
		JoinLeave:          c.JoinLeave,
		ForcePushJoinLeave: c.ForcePushJoinLeave,

		DeltaFossil:     slices.Contains(c.AllowedDeltaTypes, "fossil"),
		DeltaPublish:    c.DeltaPublish,
		AllowTagsFilter: c.AllowTagsFilter,

		Subscribe:       Right{c.AllowSubscribeForClient, false, c.AllowSubscribeForAnonymous},
		Publish:         Right{c.AllowPublishForClient, c.AllowPublishForSubscriber, c.AllowPublishForAnonymous},
		ReadPresence:    Right{c.AllowPresenceForClient, c.AllowPresenceForSubscriber, c.AllowPresenceForAnonymous},
		ReadHistory:     Right{c.AllowHistoryForClient, c.AllowHistoryForSubscriber, c.AllowHistoryForAnonymous},
		AllowUserLimits: c.AllowUserLimitedChannels,
		Wildcards:       c.AllowWildcards,

		SubscribeProxy:       c.SubscribeProxyEnabled,
		SubscribeStreamProxy: c.SubscribeStreamProxyEnabled,
		PublishProxy:         c.PublishProxyEnabled,
		SubRefreshProxy:      c.SubRefreshProxyEnabled,
	}
	if o.HistoryMetaTTL == 0 {
		o.HistoryMetaTTL = time.Duration(defaults.HistoryMetaTTL)
	}
	if o.HistoryMetaTTL == 0 {
		o.HistoryMetaTTL = historyMetaTTLDefault
	}
	return o, o.parse(path, c, defaults)
}

// parse turns the options that are text into what they mean.
func (o *Options) parse(path string, c config.ChannelOptions, defaults *config.Channel) error {
	kind := max(0, slices.Index(typeNames, c.SubscriptionType))
	if c.SubscriptionType != "" && typeNames[kind] != c.SubscriptionType {
		return fmt.Errorf("%s.subscription_type: %q is none of %q", path, c.SubscriptionType, typeNames)
	}
	o.Type = Type(kind)

	format, at := c.PublicationDataFormat, path
	if format == "" {
		format, at = defaults.PublicationDataFormat, "channel"
	}
	i := slices.Index(dataFormatNames, format)
	if i < 0 {
		return fmt.Errorf("%s.publication_data_format: %q is none of %q", at, format, dataFormatNames)
	}
	o.DataFormat = DataFormat(i)

	policy := max(0, slices.Index(slowNames, c.SlowPolicy))
	if c.SlowPolicy != "" && slowNames[policy] != c.SlowPolicy {
		return fmt.Errorf("%s.slow_policy: %q is none of %q", path, c.SlowPolicy, slowNames)
	}
	o.Slow = codec.SlowPolicy(policy)

	if c.ChannelRegex == "" {
		return nil
	}
	if len(c.ChannelRegex) > RegexBytesMax {
		return fmt.Errorf("%s.channel_regex: %d bytes are more than %d", path, len(c.ChannelRegex), RegexBytesMax)
	}
	re, err := regexp.Compile(c.ChannelRegex)
	if err != nil {
		return fmt.Errorf("%s.channel_regex: %w", path, err)
	}
	o.nameRegex = re
	return nil
}
