package config

// Consumer is one source of asynchronous commands.
type Consumer struct {
	Name            string                  `json:"name" desc:"unique, ^[a-zA-Z0-9_]{2,}$"`
	Enabled         bool                    `json:"enabled" desc:"must be true to run"`
	Type            string                  `json:"type" enum:"|postgresql|kafka|nats_jetstream|redis_stream|google_pub_sub|aws_sqs|azure_service_bus" desc:"postgresql, kafka, nats_jetstream, redis_stream, google_pub_sub, aws_sqs, azure_service_bus"`
	PostgreSQL      PostgreSQLConsumer      `json:"postgresql"`
	Kafka           KafkaConsumer           `json:"kafka"`
	NATSJetStream   NATSJetStreamConsumer   `json:"nats_jetstream"`
	RedisStream     RedisStreamConsumer     `json:"redis_stream"`
	GooglePubSub    GooglePubSubConsumer    `json:"google_pub_sub"`
	AWSSQS          AWSSQSConsumer          `json:"aws_sqs"`
	AzureServiceBus AzureServiceBusConsumer `json:"azure_service_bus"`
}

// PostgreSQLConsumer reads an outbox table.
type PostgreSQLConsumer struct {
	DSN                          string    `json:"dsn" secret:"true" desc:"connection string"`
	OutboxTableName              string    `json:"outbox_table_name" desc:"table"`
	NumPartitions                int       `json:"num_partitions" default:"1" desc:"partitions 0…n-1, one worker each"`
	PartitionSelectLimit         int       `json:"partition_select_limit" default:"100" desc:"rows per batch"`
	PartitionPollInterval        Duration  `json:"partition_poll_interval" default:"300ms" desc:"poll period"`
	PartitionNotificationChannel string    `json:"partition_notification_channel" desc:"LISTEN channel; payload = partition number"`
	PartitionNotificationDSN     string    `json:"partition_notification_dsn" secret:"true" desc:"direct DSN for LISTEN"`
	TLS                          TLSConfig `json:"tls" desc:"TLS block"`
	UseTryLock                   bool      `json:"use_try_lock" desc:"try-lock in place of blocking lock"`
}

// KafkaConsumer reads Kafka topics.
type KafkaConsumer struct {
	Brokers               []string                    `json:"brokers" desc:"host:port list"`
	Topics                []string                    `json:"topics" desc:"topics"`
	ConsumerGroup         string                      `json:"consumer_group" desc:"group"`
	MaxPollRecords        int                         `json:"max_poll_records" default:"100" desc:"records per poll"`
	FetchMaxBytes         int32                       `json:"fetch_max_bytes" desc:"0 = library default"`
	FetchMaxWait          Duration                    `json:"fetch_max_wait" default:"500ms" desc:"fetch wait"`
	FetchReadUncommitted  bool                        `json:"fetch_read_uncommitted" desc:"read uncommitted"`
	PartitionQueueMaxSize int                         `json:"partition_queue_max_size" default:"1000" desc:"records queued per partition before pausing"`
	DialTimeout           Duration                    `json:"dial_timeout" default:"3s" desc:"connect time limit"`
	TLS                   TLSConfig                   `json:"tls" desc:"TLS block"`
	SASLMechanism         string                      `json:"sasl_mechanism" desc:"plain, scram-sha-256, scram-sha-512, aws-msk-iam"`
	SASLUser              string                      `json:"sasl_user" desc:"user"`
	SASLPassword          string                      `json:"sasl_password" secret:"true" desc:"password"`
	AssumeRoleARN         string                      `json:"assume_role_arn" desc:"role for aws-msk-iam"`
	InstanceID            string                      `json:"instance_id" desc:"static group membership id"`
	MethodHeader          string                      `json:"method_header" default:"centrifugo-method" desc:"header naming the method"`
	PublicationDataMode   PublicationDataModeByHeader `json:"publication_data_mode"`
}

// NATSJetStreamConsumer reads a JetStream stream.
type NATSJetStreamConsumer struct {
	URL                 string                      `json:"url" default:"nats://127.0.0.1:4222" desc:"server URL"`
	CredentialsFile     string                      `json:"credentials_file" desc:"creds file"`
	Username            string                      `json:"username" desc:"user"`
	Password            string                      `json:"password" secret:"true" desc:"password"`
	Token               string                      `json:"token" secret:"true" desc:"token"`
	StreamName          string                      `json:"stream_name" desc:"stream"`
	UseExistingConsumer bool                        `json:"use_existing_consumer" desc:"bind, never create"`
	Subjects            []string                    `json:"subjects" desc:"filter subjects"`
	DurableConsumerName string                      `json:"durable_consumer_name" desc:"durable name"`
	DeliverPolicy       string                      `json:"deliver_policy" default:"new" desc:"new or all"`
	MaxAckPending       int                         `json:"max_ack_pending" default:"100" desc:"outstanding acks"`
	MethodHeader        string                      `json:"method_header" default:"centrifugo-method" desc:"header naming the method"`
	TLS                 TLSConfig                   `json:"tls" desc:"TLS block"`
	PublicationDataMode PublicationDataModeByHeader `json:"publication_data_mode"`
}

// RedisStreamConsumer reads Redis streams.
type RedisStreamConsumer struct {
	RedisConnection
	Streams             []string                   `json:"streams" desc:"stream keys"`
	ConsumerGroup       string                     `json:"consumer_group" desc:"group"`
	VisibilityTimeout   Duration                   `json:"visibility_timeout" default:"30s" desc:"idle time until reclaim"`
	NumWorkers          int                        `json:"num_workers" default:"1" desc:"workers per stream"`
	PayloadValue        string                     `json:"payload_value" default:"payload" desc:"entry field with payload"`
	MethodValue         string                     `json:"method_value" default:"method" desc:"entry field with method"`
	PublicationDataMode PublicationDataModeByValue `json:"publication_data_mode"`
}

// GooglePubSubConsumer reads Google Pub/Sub subscriptions.
type GooglePubSubConsumer struct {
	ProjectID              string                         `json:"project_id" desc:"project"`
	Subscriptions          []string                       `json:"subscriptions" desc:"subscription ids"`
	MaxOutstandingMessages int                            `json:"max_outstanding_messages" default:"100" desc:"flow control"`
	MaxOutstandingBytes    int                            `json:"max_outstanding_bytes" default:"1000000" desc:"flow control"`
	AuthMechanism          string                         `json:"auth_mechanism" desc:"\"\" default, service_account"`
	CredentialsFile        string                         `json:"credentials_file" desc:"JSON key file"`
	MethodAttribute        string                         `json:"method_attribute" default:"centrifugo-method" desc:"attribute naming the method"`
	PublicationDataMode    PublicationDataModeByAttribute `json:"publication_data_mode"`
}

// AWSSQSConsumer reads SQS queues.
type AWSSQSConsumer struct {
	Queues              []string                       `json:"queues" desc:"queue URLs"`
	SNSEnvelope         bool                           `json:"sns_envelope" desc:"body is an SNS envelope"`
	Region              string                         `json:"region" desc:"region"`
	MaxNumberOfMessages int32                          `json:"max_number_of_messages" default:"10" desc:"per receive"`
	WaitTimeTime        Duration                       `json:"wait_time_time" default:"20s" desc:"long-poll wait (sic)"`
	VisibilityTimeout   Duration                       `json:"visibility_timeout" default:"30s" desc:"visibility"`
	MaxConcurrency      int                            `json:"max_concurrency" default:"1" desc:"workers per queue"`
	CredentialsProfile  string                         `json:"credentials_profile" desc:"AWS profile"`
	AssumeRoleARN       string                         `json:"assume_role_arn" desc:"role"`
	MethodAttribute     string                         `json:"method_attribute" default:"centrifugo-method" desc:"attribute naming the method"`
	LocalstackEndpoint  string                         `json:"localstack_endpoint" desc:"endpoint for tests"`
	PublicationDataMode PublicationDataModeByAttribute `json:"publication_data_mode"`
}

// AzureServiceBusConsumer reads Service Bus queues.
type AzureServiceBusConsumer struct {
	ConnectionString        string                        `json:"connection_string" secret:"true" desc:"connection string"`
	UseAzureIdentity        bool                          `json:"use_azure_identity" desc:"use Entra identity"`
	FullyQualifiedNamespace string                        `json:"fully_qualified_namespace" desc:"namespace host"`
	TenantID                string                        `json:"tenant_id" desc:"tenant"`
	ClientID                string                        `json:"client_id" desc:"client"`
	ClientSecret            string                        `json:"client_secret" secret:"true" desc:"secret"`
	Queues                  []string                      `json:"queues" desc:"queues"`
	UseSessions             bool                          `json:"use_sessions" desc:"session mode (ordering)"`
	MaxConcurrentCalls      int                           `json:"max_concurrent_calls" default:"1" desc:"workers"`
	MaxReceiveMessages      int                           `json:"max_receive_messages" default:"1" desc:"per receive"`
	MethodProperty          string                        `json:"method_property" default:"centrifugo-method" desc:"property naming the method"`
	PublicationDataMode     PublicationDataModeByProperty `json:"publication_data_mode"`
}

// PublicationDataModeByHeader takes the body of a message as the data of a publication, all else from message headers.
type PublicationDataModeByHeader struct {
	Enabled              bool   `json:"enabled" desc:"turn on"`
	ChannelsHeader       string `json:"channels_header" default:"centrifugo-channels" desc:"names the channels"`
	IdempotencyKeyHeader string `json:"idempotency_key_header" default:"centrifugo-idempotency-key" desc:"names the idempotency key"`
	DeltaHeader          string `json:"delta_header" default:"centrifugo-delta" desc:"names the delta flag"`
	VersionHeader        string `json:"version_header" default:"centrifugo-version" desc:"names the version"`
	VersionEpochHeader   string `json:"version_epoch_header" default:"centrifugo-version-epoch" desc:"names the version epoch"`
	TagsHeaderPrefix     string `json:"tags_header_prefix" default:"centrifugo-tag-" desc:"begins the names of tags"`
}

// PublicationDataModeByAttribute takes the body of a message as the data of a publication, all else from message attributes.
type PublicationDataModeByAttribute struct {
	Enabled                 bool   `json:"enabled" desc:"turn on"`
	ChannelsAttribute       string `json:"channels_attribute" default:"centrifugo-channels" desc:"names the channels"`
	IdempotencyKeyAttribute string `json:"idempotency_key_attribute" default:"centrifugo-idempotency-key" desc:"names the idempotency key"`
	DeltaAttribute          string `json:"delta_attribute" default:"centrifugo-delta" desc:"names the delta flag"`
	VersionAttribute        string `json:"version_attribute" default:"centrifugo-version" desc:"names the version"`
	VersionEpochAttribute   string `json:"version_epoch_attribute" default:"centrifugo-version-epoch" desc:"names the version epoch"`
	TagsAttributePrefix     string `json:"tags_attribute_prefix" default:"centrifugo-tag-" desc:"begins the names of tags"`
}

// PublicationDataModeByProperty takes the body of a message as the data of a publication, all else from message properties.
type PublicationDataModeByProperty struct {
	Enabled                bool   `json:"enabled" desc:"turn on"`
	ChannelsProperty       string `json:"channels_property" default:"centrifugo-channels" desc:"names the channels"`
	IdempotencyKeyProperty string `json:"idempotency_key_property" default:"centrifugo-idempotency-key" desc:"names the idempotency key"`
	DeltaProperty          string `json:"delta_property" default:"centrifugo-delta" desc:"names the delta flag"`
	VersionProperty        string `json:"version_property" default:"centrifugo-version" desc:"names the version"`
	VersionEpochProperty   string `json:"version_epoch_property" default:"centrifugo-version-epoch" desc:"names the version epoch"`
	TagsPropertyPrefix     string `json:"tags_property_prefix" default:"centrifugo-tag-" desc:"begins the names of tags"`
}

// PublicationDataModeByValue takes the body of a message as the data of a publication, all else from entry fields.
type PublicationDataModeByValue struct {
	Enabled             bool   `json:"enabled" desc:"turn on"`
	ChannelsValue       string `json:"channels_value" default:"centrifugo-channels" desc:"names the channels"`
	IdempotencyKeyValue string `json:"idempotency_key_value" default:"centrifugo-idempotency-key" desc:"names the idempotency key"`
	DeltaValue          string `json:"delta_value" default:"centrifugo-delta" desc:"names the delta flag"`
	VersionValue        string `json:"version_value" default:"centrifugo-version" desc:"names the version"`
	VersionEpochValue   string `json:"version_epoch_value" default:"centrifugo-version-epoch" desc:"names the version epoch"`
	TagsValuePrefix     string `json:"tags_value_prefix" default:"centrifugo-tag-" desc:"begins the names of tags"`
}
