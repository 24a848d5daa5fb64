package config

// Engine chooses what keeps channels and presence.
type Engine struct {
	Type  string      `json:"type" default:"memory" enum:"memory|redis" desc:"memory or redis"`
	Redis RedisEngine `json:"redis" desc:"Redis block; used by broker, presence manager"`
}

// RedisConnection is how to reach Redis; every Redis block has it.
type RedisConnection struct {
	Address            []string           `json:"address" default:"redis://127.0.0.1:6379" desc:"one or more shards: host:port, redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://, unix://, tcp://; several = client-side sharding"`
	ConnectTimeout     Duration           `json:"connect_timeout" default:"1s" desc:"dial limit"`
	IOTimeout          Duration           `json:"io_timeout" default:"4s" desc:"read/write limit"`
	DB                 int                `json:"db" desc:"database number"`
	User               string             `json:"user" desc:"ACL user"`
	Password           string             `json:"password" secret:"true" desc:"password"`
	ClientName         string             `json:"client_name" desc:"CLIENT SETNAME"`
	ForceRESP2         bool               `json:"force_resp2" desc:"use RESP2"`
	ClusterAddress     []string           `json:"cluster_address" desc:"cluster seeds; list of comma-separated lists for several clusters"`
	TLS                TLSConfig          `json:"tls" desc:"TLS block"`
	SentinelAddress    []string           `json:"sentinel_address" desc:"sentinels"`
	SentinelUser       string             `json:"sentinel_user" desc:"sentinel user"`
	SentinelPassword   string             `json:"sentinel_password" secret:"true" desc:"sentinel password"`
	SentinelMasterName string             `json:"sentinel_master_name" desc:"master name"`
	SentinelClientName string             `json:"sentinel_client_name" desc:"client name on sentinel"`
	SentinelTLS        TLSConfig          `json:"sentinel_tls" desc:"TLS block"`
	ReplicaClient      RedisReplicaClient `json:"replica_client"`
}

// RedisReplicaClient reads from replicas.
type RedisReplicaClient struct {
	Enabled bool `json:"enabled" desc:"read history and presence from replicas"`
}

// RedisBrokerOptions is what the publish/subscribe part adds.
type RedisBrokerOptions struct {
	HistoryUseLists         bool `json:"history_use_lists" desc:"lists in place of streams (broker)"`
	ShardedPubSubPartitions int  `json:"sharded_pub_sub_partitions" max:"16384" desc:"of a Redis Cluster: carry publications by sharded PUB/SUB, with the channels in so many partitions, the same number for all nodes; 0 = PUB/SUB of the whole cluster (broker)"`
}

// RedisPresenceOptions is what the presence part adds.
type RedisPresenceOptions struct {
	PresenceTTL          Duration `json:"presence_ttl" default:"60s" desc:"presence entry TTL (presence)"`
	PresenceHashFieldTTL bool     `json:"presence_hash_field_ttl" desc:"HEXPIRE per field, Redis 7.4+ (presence)"`
	PresenceUserMapping  bool     `json:"presence_user_mapping" desc:"extra per-user keys for cheap num_users (presence)"`
}

// RedisPrefix is what separates our keys from those of others.
type RedisPrefix struct {
	Prefix string `json:"prefix" default:"centrifugo" desc:"key and channel prefix"`
}

// RedisEngine is Redis as broker and presence manager at once.
type RedisEngine struct {
	RedisPrefix
	RedisConnection
	RedisBrokerOptions
	RedisPresenceOptions
}

// RedisBroker is Redis as broker.
type RedisBroker struct {
	RedisPrefix
	RedisConnection
	RedisBrokerOptions
}

// RedisPresenceManager is Redis as presence manager.
type RedisPresenceManager struct {
	RedisPrefix
	RedisConnection
	RedisPresenceOptions
}

// Broker replaces the publish/subscribe part of the engine.
type Broker struct {
	Enabled  bool           `json:"enabled" desc:"use a separate broker in place of the engine's"`
	Type     string         `json:"type" default:"memory" enum:"memory|nats|redis|redisnats|postgres" desc:"memory, nats, redis, redisnats (unreleased features), postgres"`
	Redis    RedisBroker    `json:"redis" desc:"Redis block (broker part)"`
	NATS     NATSBroker     `json:"nats"`
	Postgres PostgresBroker `json:"postgres"`
}

// NATSBroker is the NATS broker.
type NATSBroker struct {
	Prefix         string      `json:"prefix" default:"centrifugo" desc:"subject prefix"`
	URL            string      `json:"url" default:"nats://localhost:4222" desc:"server URL(s)"`
	DialTimeout    Duration    `json:"dial_timeout" default:"1s" desc:"connect time limit"`
	WriteTimeout   Duration    `json:"write_timeout" default:"1s" desc:"flush time limit"`
	TLS            TLSConfig   `json:"tls" desc:"TLS block"`
	AllowWildcards bool        `json:"allow_wildcards" desc:"permit * and > in channels (only for subscribe)"`
	RawMode        NATSRawMode `json:"raw_mode"`
}

// NATSRawMode maps channels to bare subjects.
type NATSRawMode struct {
	Enabled             bool            `json:"enabled" desc:"map channels to bare NATS subjects; payload is the publication data"`
	ChannelReplacements MapStringString `json:"channel_replacements" desc:"string replacements when building the subject"`
	Prefix              string          `json:"prefix" desc:"subject prefix in raw mode"`
}

// PostgresBroker is the PostgreSQL broker.
type PostgresBroker struct {
	DSN                    string         `json:"dsn" secret:"true" desc:"connection string; required"`
	TLS                    TLSConfig      `json:"tls" desc:"TLS block"`
	PoolSize               int            `json:"pool_size" default:"16" desc:"connections"`
	NumShards              int            `json:"num_shards" default:"8" desc:"outbox shards and locks"`
	CleanupInterval        Duration       `json:"cleanup_interval" default:"1m" desc:"expired row removal period"`
	IdempotentResultTTL    Duration       `json:"idempotent_result_ttl" default:"5m" desc:"retention of idempotent results"`
	BinaryData             bool           `json:"binary_data" desc:"BYTEA in place of JSONB tables"`
	StreamRetention        Duration       `json:"stream_retention" default:"24h" desc:"floor for meta TTL so every meta row ends some time"`
	UseNotify              bool           `json:"use_notify" desc:"LISTEN/NOTIFY wake-ups on top of polling"`
	NotifyDSN              string         `json:"notify_dsn" secret:"true" desc:"direct DSN for LISTEN (when main DSN is a pooler)"`
	TablePrefix            string         `json:"table_prefix" default:"cf" desc:"table and function name prefix"`
	SkipSchemaInit         bool           `json:"skip_schema_init" desc:"do not create schema"`
	Outbox                 PostgresOutbox `json:"outbox"`
	PartitionLookaheadDays int            `json:"partition_lookahead_days" default:"2" desc:"daily partitions made in advance"`
	PartitionRetentionDays int            `json:"partition_retention_days" default:"7" desc:"days until a partition is dropped"`
}

// PostgresOutbox is the polling of an outbox table.
type PostgresOutbox struct {
	PollInterval Duration `json:"poll_interval" default:"100ms" desc:"poll period"`
	BatchSize    int      `json:"batch_size" default:"1000" desc:"rows per poll"`
}

// PresenceManager replaces the presence part of the engine.
type PresenceManager struct {
	Enabled bool                 `json:"enabled" desc:"use a separate presence manager"`
	Type    string               `json:"type" default:"memory" enum:"memory|redis" desc:"memory or redis"`
	Redis   RedisPresenceManager `json:"redis" desc:"Redis block (presence part)"`
}

// MapBroker chooses what keeps map channels.
type MapBroker struct {
	Type     string            `json:"type" default:"memory" enum:"memory|redis|postgres" desc:"memory, redis, postgres"`
	Redis    RedisMapBroker    `json:"redis" desc:"Redis block"`
	Postgres PostgresMapBroker `json:"postgres"`
}

// RedisMapBroker is the Redis map broker.
type RedisMapBroker struct {
	RedisPrefix
	RedisConnection
	CleanupInterval     Duration `json:"cleanup_interval" default:"1s" desc:"expired key sweep period"`
	CleanupBatchSize    int      `json:"cleanup_batch_size" default:"100" desc:"keys per sweep"`
	IdempotentResultTTL Duration `json:"idempotent_result_ttl" default:"5m" desc:"retention of idempotent results"`
	SkipPubSub          bool     `json:"skip_pub_sub" desc:"do not use PUB/SUB (state only)"`
}

// PostgresMapBroker is the PostgreSQL map broker.
type PostgresMapBroker struct {
	DSN                    string         `json:"dsn" secret:"true" desc:"connection string"`
	TLS                    TLSConfig      `json:"tls" desc:"TLS block"`
	PoolSize               int            `json:"pool_size" default:"16" desc:"connections"`
	NumShards              int            `json:"num_shards" default:"8" desc:"outbox shards"`
	TTLCheckInterval       Duration       `json:"ttl_check_interval" default:"1s" desc:"key expiry check period"`
	CleanupInterval        Duration       `json:"cleanup_interval" default:"1m" desc:"stream/meta clean-up period"`
	IdempotentResultTTL    Duration       `json:"idempotent_result_ttl" default:"5m" desc:"retention of idempotent results"`
	BinaryData             bool           `json:"binary_data" desc:"BYTEA tables"`
	StreamRetention        Duration       `json:"stream_retention" default:"24h" desc:"how long stream rows live"`
	UseNotify              bool           `json:"use_notify" desc:"LISTEN/NOTIFY wake-ups"`
	NotifyDSN              string         `json:"notify_dsn" secret:"true" desc:"direct DSN for LISTEN"`
	TablePrefix            string         `json:"table_prefix" default:"cf" desc:"prefix"`
	SkipSchemaInit         bool           `json:"skip_schema_init" desc:"do not create schema"`
	Outbox                 PostgresOutbox `json:"outbox"`
	PartitionLookaheadDays int            `json:"partition_lookahead_days" default:"2" desc:"partitions in advance (> 0)"`
	PartitionRetentionDays int            `json:"partition_retention_days" default:"7" desc:"days kept"`
}

// Controller replaces the transport of node control messages.
type Controller struct {
	Enabled  bool               `json:"enabled" desc:"use a separate transport for node control messages"`
	Type     string             `json:"type" enum:"|postgres" desc:"postgres only"`
	Postgres PostgresController `json:"postgres"`
}

// PostgresController is the PostgreSQL controller.
type PostgresController struct {
	DSN                      string    `json:"dsn" secret:"true" desc:"connection string"`
	TLS                      TLSConfig `json:"tls" desc:"TLS block"`
	PoolSize                 int       `json:"pool_size" default:"8" desc:"connections"`
	NumShards                int       `json:"num_shards" default:"1" desc:"shards"`
	TablePrefix              string    `json:"table_prefix" default:"cf" desc:"prefix"`
	PollInterval             Duration  `json:"poll_interval" default:"50ms" desc:"poll period"`
	UseNotify                bool      `json:"use_notify" desc:"LISTEN/NOTIFY (effective default on)"`
	NotifyDSN                string    `json:"notify_dsn" secret:"true" desc:"direct DSN for LISTEN"`
	PartitionRetentionDays   int       `json:"partition_retention_days" default:"1" desc:"days kept"`
	PartitionLookaheadDays   int       `json:"partition_lookahead_days" default:"2" desc:"partitions in advance"`
	PartitionCleanupInterval Duration  `json:"partition_cleanup_interval" default:"1m" desc:"partition worker period"`
	BatchSize                int       `json:"batch_size" default:"1000" desc:"rows per poll"`
	SkipSchemaInit           bool      `json:"skip_schema_init" desc:"do not create schema"`
}
