package config

// WebSocket is the bidirectional WebSocket transport.
type WebSocket struct {
	Disabled                     bool     `json:"disabled" desc:"do not serve WebSocket"`
	HandlerPrefix                string   `json:"handler_prefix" default:"/connection/websocket" desc:"path"`
	Compression                  bool     `json:"compression" desc:"permessage-deflate, for clients that offer it"`
	CompressionMinSize           int      `json:"compression_min_size" desc:"bytes; shorter frames are sent plain"`
	CompressionLevel             int      `json:"compression_level" default:"1" min:"1" max:"9" desc:"1–9, from quick to thorough"`
	ReadBufferSize               int      `json:"read_buffer_size" desc:"0 = from HTTP server"`
	UseWriteBufferPool           bool     `json:"use_write_buffer_pool" desc:"share write buffers"`
	WriteBufferSize              int      `json:"write_buffer_size" desc:"0 = from HTTP server"`
	WriteTimeout                 Duration `json:"write_timeout" default:"1000ms" desc:"per write"`
	MessageSizeLimit             int      `json:"message_size_limit" default:"65536" min:"1" desc:"max bytes of an incoming message"`
	DecompressedMessageSizeLimit int      `json:"decompressed_message_size_limit" desc:"max bytes of an incoming message once it is decompressed; 0 = 10 × message_size_limit"`
}

// SSE is the bidirectional SSE transport.
type SSE struct {
	Enabled            bool   `json:"enabled" desc:"serve SSE"`
	HandlerPrefix      string `json:"handler_prefix" default:"/connection/sse" desc:"path"`
	MaxRequestBodySize int    `json:"max_request_body_size" default:"65536" min:"1" desc:"bytes"`
}

// HTTPStream is the bidirectional HTTP streaming transport.
type HTTPStream struct {
	Enabled            bool   `json:"enabled" desc:"serve HTTP streaming"`
	HandlerPrefix      string `json:"handler_prefix" default:"/connection/http_stream" desc:"path"`
	MaxRequestBodySize int    `json:"max_request_body_size" default:"65536" min:"1" desc:"bytes"`
}

// WebTransport is the bidirectional WebTransport transport.
type WebTransport struct {
	Enabled          bool   `json:"enabled" desc:"serve WebTransport"`
	HandlerPrefix    string `json:"handler_prefix" default:"/connection/webtransport" desc:"path"`
	MessageSizeLimit int    `json:"message_size_limit" default:"65536" desc:"bytes"`
}

// Emulation is the upstream half of SSE and HTTP streaming.
type Emulation struct {
	HandlerPrefix      string `json:"handler_prefix" default:"/emulation" desc:"path"`
	MaxRequestBodySize int    `json:"max_request_body_size" default:"65536" min:"1" desc:"bytes"`
}

// UniSSE is the unidirectional SSE transport.
type UniSSE struct {
	Enabled                   bool                      `json:"enabled" desc:"serve unidirectional SSE"`
	HandlerPrefix             string                    `json:"handler_prefix" default:"/connection/uni_sse" desc:"path"`
	MaxRequestBodySize        int                       `json:"max_request_body_size" default:"65536" min:"1" desc:"bytes"`
	ConnectCodeToHTTPResponse ConnectCodeToHTTPResponse `json:"connect_code_to_http_response"`
}

// ConnectCodeToHTTPResponse turns connect errors into HTTP statuses.
type ConnectCodeToHTTPResponse struct {
	Enabled    bool                                 `json:"enabled" desc:"turn connect errors into HTTP statuses"`
	Transforms []ConnectCodeToHTTPResponseTransform `json:"transforms" desc:"list of {code, to:{status_code, body}}"`
}

// UniHTTPStream is the unidirectional HTTP streaming transport.
type UniHTTPStream struct {
	Enabled                   bool                      `json:"enabled" desc:"serve unidirectional HTTP streaming"`
	HandlerPrefix             string                    `json:"handler_prefix" default:"/connection/uni_http_stream" desc:"path"`
	MaxRequestBodySize        int                       `json:"max_request_body_size" default:"65536" min:"1" desc:"bytes"`
	ConnectCodeToHTTPResponse ConnectCodeToHTTPResponse `json:"connect_code_to_http_response"`
}

// UniWebSocket is the unidirectional WebSocket transport.
type UniWebSocket struct {
	Enabled                      bool     `json:"enabled" desc:"serve unidirectional WebSocket"`
	HandlerPrefix                string   `json:"handler_prefix" default:"/connection/uni_websocket" desc:"path"`
	Compression                  bool     `json:"compression" desc:"permessage-deflate"`
	CompressionMinSize           int      `json:"compression_min_size" desc:"bytes"`
	CompressionLevel             int      `json:"compression_level" default:"1" min:"1" max:"9" desc:"1–9"`
	ReadBufferSize               int      `json:"read_buffer_size" desc:"as websocket"`
	UseWriteBufferPool           bool     `json:"use_write_buffer_pool" desc:"as websocket"`
	WriteBufferSize              int      `json:"write_buffer_size" desc:"as websocket"`
	WriteTimeout                 Duration `json:"write_timeout" default:"1000ms" desc:"as websocket"`
	MessageSizeLimit             int      `json:"message_size_limit" default:"65536" desc:"bytes"`
	DecompressedMessageSizeLimit int      `json:"decompressed_message_size_limit" desc:"as websocket"`
	DisableClosingHandshake      bool     `json:"disable_closing_handshake" desc:"close without close frame"`
	DisableDisconnectPush        bool     `json:"disable_disconnect_push" desc:"no Disconnect push before close"`
	JoinPushMessages             bool     `json:"join_push_messages" desc:"several pushes per frame, a newline between"`
}

// UniGRPC is the unidirectional gRPC transport.
type UniGRPC struct {
	Enabled               bool      `json:"enabled" desc:"serve unidirectional gRPC"`
	Address               string    `json:"address" desc:"bind host"`
	Port                  int       `json:"port" default:"11000" max:"65535" desc:"bind port"`
	MaxReceiveMessageSize int       `json:"max_receive_message_size" desc:"0 = 4 MiB"`
	TLS                   TLSConfig `json:"tls" desc:"TLS block"`
}

// ConnectCodeToHTTPResponseTransform is one rule: an error code and the HTTP response that replaces it.
type ConnectCodeToHTTPResponseTransform struct {
	Code uint32                `json:"code" desc:"error code of connect"`
	To   TransformHTTPResponse `json:"to"`
}

// TransformHTTPResponse is the HTTP response that a rule gives.
type TransformHTTPResponse struct {
	StatusCode int    `json:"status_code" desc:"HTTP status"`
	Body       string `json:"body" desc:"response body"`
}
