package config

// Client is what holds for every client connection.
type Client struct {
	Proxy                                 ClientProxy             `json:"proxy"`
	AllowedOrigins                        []string                `json:"allowed_origins" desc:"glob patterns for Origin; empty = no browser origin allowed"`
	Token                                 Token                   `json:"token" desc:"connection token block"`
	SubscriptionToken                     SubscriptionToken       `json:"subscription_token" desc:"separate subscription token block"`
	AllowAnonymousConnectWithoutToken     bool                    `json:"allow_anonymous_connect_without_token" desc:"no token → user \"\""`
	DisallowAnonymousConnectionTokens     bool                    `json:"disallow_anonymous_connection_tokens" desc:"token with empty sub → 3507"`
	PingInterval                          Duration                `json:"ping_interval" default:"25s" min:"1ms" desc:"application ping period; must exceed pong_timeout"`
	PongTimeout                           Duration                `json:"pong_timeout" default:"8s" min:"1ms" desc:"wait for the pong of a ping"`
	ExpiredCloseDelay                     Duration                `json:"expired_close_delay" default:"25s" desc:"grace after connection expiry"`
	ExpiredSubCloseDelay                  Duration                `json:"expired_sub_close_delay" default:"25s" desc:"grace after subscription expiry"`
	StaleCloseDelay                       Duration                `json:"stale_close_delay" default:"10s" min:"1ms" desc:"time a new connection has to send connect"`
	ChannelLimit                          int                     `json:"channel_limit" default:"128" min:"1" desc:"max channels per connection"`
	QueueMaxSize                          int                     `json:"queue_max_size" default:"1048576" min:"1024" desc:"max bytes queued per connection"`
	PresenceUpdateInterval                Duration                `json:"presence_update_interval" default:"27s" min:"1s" desc:"period of presence/position/expiry tick"`
	Concurrency                           int                     `json:"concurrency" desc:"commands handled in parallel per connection; 0/1 = in order"`
	ChannelPositionCheckDelay             Duration                `json:"channel_position_check_delay" default:"40s" desc:"min time between position checks"`
	ChannelPositionMaxTimeLag             Duration                `json:"channel_position_max_time_lag" desc:"max delivery lag; 0 off"`
	ConnectionLimit                       int                     `json:"connection_limit" desc:"connections per node; 0 off"`
	ConnectionLimitPerIP                  int                     `json:"connection_limit_per_ip" desc:"connections of clients per IPv4 address or IPv6 /64 and node; 0 off; not behind a proxy, whose address they would all have"`
	UserConnectionLimit                   int                     `json:"user_connection_limit" desc:"connections per user per node; 0 off"`
	ConnectionRateLimit                   int                     `json:"connection_rate_limit" desc:"token bucket: burst = value, refill 1/s; 0 off"`
	CommandRateLimit                      int                     `json:"command_rate_limit" desc:"commands a second of one connection; more are answered with error 111; 0 off; not in the reference"`
	CommandRateBurst                      int                     `json:"command_rate_burst" desc:"commands that may come at once; at least a second's"`
	ConnectIncludeServerTime              bool                    `json:"connect_include_server_time" desc:"add time to connect result"`
	HistoryMaxPublicationLimit            int                     `json:"history_max_publication_limit" default:"300" desc:"max per client history call"`
	RecoveryMaxPublicationLimit           int                     `json:"recovery_max_publication_limit" default:"300" desc:"max recovered publications"`
	InsecureSkipTokenSignatureVerify      bool                    `json:"insecure_skip_token_signature_verify" desc:"do not check JWT signatures; only for development"`
	UserIDHTTPHeader                      string                  `json:"user_id_http_header" desc:"header holding a trusted user id"`
	Insecure                              bool                    `json:"insecure" desc:"no authentication; all may subscribe and publish; only for development"`
	SubscribeToUserPersonalChannel        PersonalChannel         `json:"subscribe_to_user_personal_channel"`
	ConnectCodeToUnidirectionalDisconnect ConnectCodeToDisconnect `json:"connect_code_to_unidirectional_disconnect"`
}

// PersonalChannel subscribes each user to a channel of its own.
type PersonalChannel struct {
	Enabled                  bool   `json:"enabled" desc:"auto-subscribe users to own channel"`
	PersonalChannelNamespace string `json:"personal_channel_namespace" desc:"namespace of it"`
	SingleConnection         bool   `json:"single_connection" desc:"keep only newest connection (needs presence)"`
}

// ConnectCodeToDisconnect turns connect errors of unidirectional clients into disconnects.
type ConnectCodeToDisconnect struct {
	Enabled    bool                               `json:"enabled" desc:"use transforms"`
	Transforms []ConnectCodeToDisconnectTransform `json:"transforms" desc:"list of {code, to:{code, reason}}"`
}

// Token is how JSON Web Tokens are verified.
type Token struct {
	HMACSecretKey                       string `json:"hmac_secret_key" secret:"true" desc:"HS256/384/512 key"`
	HMACPreviousSecretKey               string `json:"hmac_previous_secret_key" secret:"true" desc:"former key for rotation"`
	HMACPreviousSecretKeyValidUntil     int64  `json:"hmac_previous_secret_key_valid_until" desc:"unix s until former key accepted; 0 = no end"`
	RSAPublicKey                        string `json:"rsa_public_key" desc:"RS256/384/512 public key: PEM text, base64 of it, or a file"`
	ECDSAPublicKey                      string `json:"ecdsa_public_key" desc:"ES256/384/512 public key, by its curve: PEM text, base64 of it, or a file"`
	JWKSPublicEndpoint                  string `json:"jwks_public_endpoint" desc:"address of a JSON Web Key Set; {{name}} stands for a named group of the patterns; other keys do not count beside it"`
	Audience                            string `json:"audience" desc:"required aud"`
	AudienceRegex                       string `json:"audience_regex" desc:"aud pattern"`
	Issuer                              string `json:"issuer" desc:"required iss"`
	IssuerRegex                         string `json:"issuer_regex" desc:"iss pattern"`
	UserIDClaim                         string `json:"user_id_claim" desc:"claim used in place of sub"`
	InsecureSkipJWKSEndpointSafetyCheck bool   `json:"insecure_skip_jwks_endpoint_safety_check" desc:"allow unsafe templates"`
}

// SubscriptionToken is a separate verifier for subscription tokens.
type SubscriptionToken struct {
	Enabled bool `json:"enabled" desc:"use it; otherwise client.token verifies both"`
	Token
}

// ConnectCodeToDisconnectTransform is one rule: an error code and the disconnect that replaces it.
type ConnectCodeToDisconnectTransform struct {
	Code uint32              `json:"code" desc:"error code of connect"`
	To   TransformDisconnect `json:"to"`
}

// TransformDisconnect is the disconnect that a rule gives.
type TransformDisconnect struct {
	Code   uint32 `json:"code" desc:"disconnect code"`
	Reason string `json:"reason" desc:"disconnect reason"`
}
