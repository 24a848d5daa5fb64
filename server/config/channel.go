package config

// SharedPoll is what all shared poll channels have in common.
type SharedPoll struct {
	HMACSecretKey                   string `json:"hmac_secret_key" secret:"true" desc:"key for track signatures"`
	HMACPreviousSecretKey           string `json:"hmac_previous_secret_key" secret:"true" desc:"former key"`
	HMACPreviousSecretKeyValidUntil int64  `json:"hmac_previous_secret_key_valid_until" desc:"unix s until former key is accepted"`
	ConcurrencyLimit                int    `json:"concurrency_limit" desc:"concurrent back-end calls; 0 = library default (64)"`
}

// Channel is what holds for every channel.
type Channel struct {
	Proxy                 ChannelProxy   `json:"proxy"`
	WithoutNamespace      ChannelOptions `json:"without_namespace" desc:"channel options for channels without namespace"`
	Namespaces            []Namespace    `json:"namespaces" desc:"list of channel options + name"`
	HistoryMetaTTL        Duration       `json:"history_meta_ttl" default:"720h" unit:"s" desc:"default retention of offset/epoch"`
	PublicationDataFormat string         `json:"publication_data_format" enum:"|json|json_object|binary" desc:"default check of published data: empty (any, but not empty), json, json_object, binary"`
	MaxLength             int            `json:"max_length" default:"255" min:"1" max:"65535" desc:"max channel bytes"`
	PrivatePrefix         string         `json:"private_prefix" default:"$" desc:"private channel prefix"`
	NamespaceBoundary     string         `json:"namespace_boundary" default:":" desc:"namespace separator"`
	UserBoundary          string         `json:"user_boundary" default:"#" desc:"user part separator"`
	UserSeparator         string         `json:"user_separator" default:"," desc:"user list separator"`
}

// ChannelOptions is the rules of one namespace, or of channels without one.
type ChannelOptions struct {
	Presence                          bool              `json:"presence" desc:"keep presence"`
	JoinLeave                         bool              `json:"join_leave" desc:"emit join/leave"`
	ForcePushJoinLeave                bool              `json:"force_push_join_leave" desc:"push join/leave to all subscribers"`
	MapClientsPresenceChannelPrefix   string            `json:"map_clients_presence_channel_prefix" desc:"also keep subscribers (clients) in map channel prefix+channel"`
	MapUsersPresenceChannelPrefix     string            `json:"map_users_presence_channel_prefix" desc:"same by user"`
	HistorySize                       int               `json:"history_size" desc:"how many publications are kept"`
	HistoryTTL                        Duration          `json:"history_ttl" unit:"s" desc:"how long publications are kept"`
	HistoryMetaTTL                    Duration          `json:"history_meta_ttl" unit:"s" desc:"offset/epoch retention; 0 = global"`
	ForcePositioning                  bool              `json:"force_positioning" desc:"positioning for all"`
	AllowPositioning                  bool              `json:"allow_positioning" desc:"client may ask"`
	ForceRecovery                     bool              `json:"force_recovery" desc:"recovery for all"`
	AllowRecovery                     bool              `json:"allow_recovery" desc:"client may ask"`
	ForceRecoveryMode                 string            `json:"force_recovery_mode" enum:"|stream|cache" desc:"stream (also when empty) or cache"`
	AutoCacheRecover                  bool              `json:"auto_cache_recover" desc:"server-side subs recover cache value automatically"`
	AllowedDeltaTypes                 []string          `json:"allowed_delta_types" enum:"fossil" desc:"delta formats that clients may ask for; only fossil"`
	AllowTagsFilter                   bool              `json:"allow_tags_filter" desc:"client may filter by tags"`
	DeltaPublish                      bool              `json:"delta_publish" desc:"delta for every publish"`
	AllowSubscribeForAnonymous        bool              `json:"allow_subscribe_for_anonymous" desc:"subscribe right extends to anonymous"`
	AllowSubscribeForClient           bool              `json:"allow_subscribe_for_client" desc:"any authenticated client may subscribe"`
	AllowPublishForAnonymous          bool              `json:"allow_publish_for_anonymous" desc:"the right extends to anonymous clients"`
	AllowPublishForSubscriber         bool              `json:"allow_publish_for_subscriber" desc:"subscribers may publish"`
	AllowPublishForClient             bool              `json:"allow_publish_for_client" desc:"any client may publish"`
	AllowPresenceForAnonymous         bool              `json:"allow_presence_for_anonymous" desc:"the right extends to anonymous clients"`
	AllowPresenceForSubscriber        bool              `json:"allow_presence_for_subscriber" desc:"subscribers may read presence"`
	AllowPresenceForClient            bool              `json:"allow_presence_for_client" desc:"any client may"`
	AllowHistoryForAnonymous          bool              `json:"allow_history_for_anonymous" desc:"the right extends to anonymous clients"`
	AllowHistoryForSubscriber         bool              `json:"allow_history_for_subscriber" desc:"subscribers may read history"`
	AllowHistoryForClient             bool              `json:"allow_history_for_client" desc:"any client may"`
	AllowUserLimitedChannels          bool              `json:"allow_user_limited_channels" desc:"honour # lists"`
	AllowWildcards                    bool              `json:"allow_wildcards" desc:"clients may subscribe to patterns: in names of tokens between dots, * is any one token and > at the end the rest"`
	ChannelRegex                      string            `json:"channel_regex" desc:"pattern for the part after the namespace"`
	PublicationDataFormat             string            `json:"publication_data_format" enum:"|json|json_object|binary" desc:"overrides channel.publication_data_format"`
	SubscribeProxyEnabled             bool              `json:"subscribe_proxy_enabled" desc:"ask the backend on subscribe"`
	SubscribeProxyName                string            `json:"subscribe_proxy_name" default:"default" desc:"named proxy"`
	PublishProxyEnabled               bool              `json:"publish_proxy_enabled" desc:"ask the backend on publish"`
	PublishProxyName                  string            `json:"publish_proxy_name" default:"default" desc:"named proxy"`
	SubRefreshProxyEnabled            bool              `json:"sub_refresh_proxy_enabled" desc:"ask the backend when a subscription expires"`
	SubRefreshProxyName               string            `json:"sub_refresh_proxy_name" default:"default" desc:"named proxy"`
	SubscribeStreamProxyEnabled       bool              `json:"subscribe_stream_proxy_enabled" desc:"let the backend stream into the subscription"`
	SubscribeStreamProxyName          string            `json:"subscribe_stream_proxy_name" default:"default" desc:"named proxy"`
	SubscribeStreamProxyBidirectional bool              `json:"subscribe_stream_proxy_bidirectional" desc:"client publishes go to backend"`
	SlowPolicy                        string            `json:"slow_policy" enum:"|disconnect|drop_oldest|latest" desc:"what happens to publications at a client whose queue is full: disconnect (also when empty), drop_oldest, latest"`
	SubscriptionType                  string            `json:"subscription_type" enum:"|stream|map|map_clients|map_users|shared_poll" desc:"stream (also when empty), map, map_clients, map_users, shared_poll"`
	Map                               MapOptions        `json:"map"`
	SharedPoll                        SharedPollOptions `json:"shared_poll"`
}

// MapOptions is the rules of map channels.
type MapOptions struct {
	Mode                              string   `json:"mode" enum:"|ephemeral|recoverable|persistent" desc:"ephemeral, recoverable, persistent"`
	KeyTTL                            Duration `json:"key_ttl" desc:"key expiry"`
	StreamSize                        int      `json:"stream_size" desc:"change stream length (0 → 100)"`
	StreamTTL                         Duration `json:"stream_ttl" desc:"change stream TTL (0 → 1m)"`
	MetaTTL                           Duration `json:"meta_ttl" desc:"0 → max(10×stream_ttl, key_ttl)"`
	RemoveClientOnUnsubscribe         bool     `json:"remove_client_on_unsubscribe" desc:"drop own key"`
	ClientKey                         string   `json:"client_key" enum:"|client_id|user_id" desc:"what clients must use as key: empty (anything), client_id, user_id"`
	AllowPublishForClient             bool     `json:"allow_publish_for_client" desc:"any client may publish keys"`
	AllowPublishForSubscriber         bool     `json:"allow_publish_for_subscriber" desc:"subscribers may publish keys"`
	AllowPublishForAnonymous          bool     `json:"allow_publish_for_anonymous" desc:"anonymous clients may publish keys"`
	AllowRemoveForClient              bool     `json:"allow_remove_for_client" desc:"any client may remove keys"`
	AllowRemoveForSubscriber          bool     `json:"allow_remove_for_subscriber" desc:"subscribers may remove keys"`
	AllowRemoveForAnonymous           bool     `json:"allow_remove_for_anonymous" desc:"anonymous clients may remove keys"`
	PublishProxyEnabled               bool     `json:"publish_proxy_enabled" desc:"ask the backend on publish"`
	PublishProxyName                  string   `json:"publish_proxy_name" default:"default" desc:"named proxy"`
	RemoveProxyEnabled                bool     `json:"remove_proxy_enabled" desc:"ask the backend on removal"`
	RemoveProxyName                   string   `json:"remove_proxy_name" default:"default" desc:"named proxy"`
	DefaultPageSize                   int      `json:"default_page_size" desc:"0 → 100"`
	MinPageSize                       int      `json:"min_page_size" desc:"0 → 100"`
	MaxPageSize                       int      `json:"max_page_size" desc:"0 → 1000"`
	LiveTransitionMaxPublicationLimit int      `json:"live_transition_max_publication_limit" desc:"0 → max page"`
	SubscribeCatchUpTimeout           Duration `json:"subscribe_catch_up_timeout" desc:"0 → 5s"`
}

// SharedPollOptions is the rules of shared poll channels.
type SharedPollOptions struct {
	ProxyName              string   `json:"proxy_name" desc:"named proxy; empty = default block"`
	RefreshInterval        Duration `json:"refresh_interval" desc:"0 → 10s"`
	RefreshBatchSize       int      `json:"refresh_batch_size" desc:"0 → 1000 keys per call"`
	MaxKeysPerConnection   int      `json:"max_keys_per_connection" desc:"0 → 5000"`
	Mode                   string   `json:"mode" enum:"|versionless|versioned" desc:"versionless (also when empty) or versioned"`
	ChannelShutdownDelay   Duration `json:"channel_shutdown_delay" desc:"0 → 1s"`
	TrackExpiredExtraDelay Duration `json:"track_expired_extra_delay" desc:"0 → 25s"`
	PublishEnabled         bool     `json:"publish_enabled" desc:"allow shared_poll_publish"`
}

// Namespace is the rules of the channels whose name begins with Name and the boundary.
type Namespace struct {
	Name string `json:"name" desc:"unique, ^[-a-zA-Z0-9_.]{2,}$"`
	ChannelOptions
}
