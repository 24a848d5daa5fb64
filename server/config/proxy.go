package config

// ClientProxy is the pair of proxies of a connection.
type ClientProxy struct {
	Connect EnabledProxy `json:"connect" desc:"connect proxy block + enabled"`
	Refresh EnabledProxy `json:"refresh" desc:"refresh proxy block + enabled"`
}

// ChannelProxy is the default proxies of channels.
type ChannelProxy struct {
	Subscribe         Proxy `json:"subscribe" desc:"default subscribe proxy block"`
	Publish           Proxy `json:"publish" desc:"default publish proxy block"`
	SubRefresh        Proxy `json:"sub_refresh" desc:"default sub refresh proxy block"`
	SubscribeStream   Proxy `json:"subscribe_stream" desc:"default stream proxy block (gRPC)"`
	MapPublish        Proxy `json:"map_publish" desc:"default map publish proxy block"`
	MapRemove         Proxy `json:"map_remove" desc:"default map remove proxy block"`
	SharedPollRefresh Proxy `json:"shared_poll_refresh" desc:"default shared poll proxy block"`
}

// RPC says what answers RPC calls.
type RPC struct {
	Proxy             Proxy          `json:"proxy" desc:"default RPC proxy block"`
	WithoutNamespace  RPCOptions     `json:"without_namespace"`
	Namespaces        []RPCNamespace `json:"namespaces" desc:"list of RPC options + name"`
	Ping              RPCPing        `json:"ping"`
	NamespaceBoundary string         `json:"namespace_boundary" default:":" desc:"separator in method names"`
}

// RPCOptions is the rules of one RPC namespace, or of methods without one.
type RPCOptions struct {
	ProxyEnabled bool   `json:"proxy_enabled" desc:"ask the backend"`
	ProxyName    string `json:"proxy_name" default:"default" desc:"proxy to use"`
}

// RPCPing is the built-in method that answers {}.
type RPCPing struct {
	Enabled bool   `json:"enabled" desc:"built-in RPC answering {}"`
	Method  string `json:"method" default:"ping" desc:"its method name"`
}

// Proxy is one block that tells how to call the backend.
type Proxy struct {
	Endpoint              string    `json:"endpoint" desc:"http(s)://… or grpc://host:port (stream proxies gRPC only)"`
	Timeout               Duration  `json:"timeout" default:"1s" desc:"per call"`
	HTTPHeaders           []string  `json:"http_headers" desc:"client request headers to forward"`
	GRPCMetadata          []string  `json:"grpc_metadata" desc:"metadata keys to forward (uni_grpc client)"`
	EmulatedHeaders       []string  `json:"emulated_headers" desc:"names accepted from connect headers map"`
	BinaryEncoding        bool      `json:"binary_encoding" desc:"send data as base64 in b64data"`
	IncludeConnectionMeta bool      `json:"include_connection_meta" desc:"send meta"`
	HTTP                  ProxyHTTP `json:"http"`
	GRPC                  ProxyGRPC `json:"grpc"`
}

// ProxyHTTP is the part of HTTP endpoints.
type ProxyHTTP struct {
	TLS                    TLSConfig                   `json:"tls" desc:"TLS block"`
	StaticHeaders          MapStringString             `json:"static_headers" desc:"headers always sent"`
	StatusToCodeTransforms []HTTPStatusToCodeTransform `json:"status_to_code_transforms" desc:"list of {status_code, to_error:{code,message,temporary}} or {status_code, to_disconnect:{code,reason}}"`
}

// ProxyGRPC is the part of gRPC endpoints.
type ProxyGRPC struct {
	TLS              TLSConfig       `json:"tls" desc:"TLS block"`
	CredentialsKey   string          `json:"credentials_key" desc:"per-RPC credential metadata key"`
	CredentialsValue string          `json:"credentials_value" secret:"true" desc:"its value"`
	Compression      bool            `json:"compression" desc:"gzip"`
	StaticMetadata   MapStringString `json:"static_metadata" desc:"metadata always sent"`
}

// EnabledProxy is a proxy block with a switch of its own.
type EnabledProxy struct {
	Enabled bool `json:"enabled" desc:"use this proxy"`
	Proxy
}

// NamedProxy is a proxy block that namespaces choose by its name.
type NamedProxy struct {
	Name string `json:"name" desc:"unique, ^[-a-zA-Z0-9_.]{2,}$, not default"`
	Proxy
}

// RPCNamespace is the rules of the methods whose name begins with Name and the boundary.
type RPCNamespace struct {
	Name string `json:"name" desc:"unique, ^[-a-zA-Z0-9_.]{2,}$"`
	RPCOptions
}

// HTTPStatusToCodeTransform is one rule: an HTTP status of the backend and what the client gets for it.
type HTTPStatusToCodeTransform struct {
	StatusCode   int                 `json:"status_code" desc:"HTTP status of the backend"`
	ToError      TransformError      `json:"to_error"`
	ToDisconnect TransformDisconnect `json:"to_disconnect"`
}

// TransformError is the error that a rule gives.
type TransformError struct {
	Code      uint32 `json:"code" desc:"error code"`
	Message   string `json:"message" desc:"error message"`
	Temporary bool   `json:"temporary" desc:"the client may try again"`
}
