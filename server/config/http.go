package config

// HTTPServer says where the server listens.
type HTTPServer struct {
	Address         string      `json:"address" desc:"bind host of the external listener; empty = all interfaces"`
	Port            int         `json:"port" default:"8000" min:"1" max:"65535" desc:"bind port of the external listener"`
	InternalAddress string      `json:"internal_address" desc:"bind host of internal endpoints; empty = same as address"`
	InternalPort    string      `json:"internal_port" desc:"port of internal endpoints (API, metrics, health, debug); empty = same listener"`
	TLS             TLSConfig   `json:"tls" desc:"TLS block for the external listener (and internal, unless tls_external or internal_tls)"`
	TLSAutocert     TLSAutocert `json:"tls_autocert"`
	TLSExternal     bool        `json:"tls_external" desc:"use TLS on the external listener only"`
	InternalTLS     TLSConfig   `json:"internal_tls" desc:"separate TLS block for the internal listener"`
	HTTP3           HTTP3       `json:"http3"`
	H2CExternal     bool        `json:"h2c_external" desc:"HTTP/2 clear text on the external listener; needs internal_port, no TLS"`

	// Our own.
	TLSPort       int           `json:"tls_port" max:"65535" desc:"port of its own for TLS on the external side; port speaks plain text then; 0 = port speaks TLS"`
	TLSOptional   bool          `json:"tls_optional" desc:"take plain connections on the port that speaks TLS as well"`
	ProxyProtocol ProxyProtocol `json:"proxy_protocol"`
}

// Secure reports that the external listener speaks TLS.
func (h *HTTPServer) Secure() bool { return h.TLS.Enabled || h.TLSAutocert.Enabled }

// Scheme is that of addresses with http_server.port.
func (h *HTTPServer) Scheme() string {
	if h.Secure() && h.TLSPort == 0 {
		return "https"
	}
	return "http"
}

// ProxyProtocol is our own section: balancers in front that tell the client's address by the PROXY protocol.
type ProxyProtocol struct {
	Trusted []string `json:"trusted" desc:"addresses and networks of balancers, as 10.0.0.0/8; every connection from there must begin with a PROXY header"`
}

// TLSAutocert asks an ACME authority for certificates.
type TLSAutocert struct {
	Enabled       bool     `json:"enabled" desc:"ACME certificates"`
	HostWhitelist []string `json:"host_whitelist" desc:"hosts that may get certificates"`
	CacheDir      string   `json:"cache_dir" desc:"directory for issued certificates"`
	Email         string   `json:"email" desc:"account contact"`
	ServerName    string   `json:"server_name" desc:"server name assumed when the client sends no SNI"`
	HTTP          bool     `json:"http" desc:"also answer http-01 challenges"`
	HTTPAddr      string   `json:"http_addr" default:":80" desc:"listen address for http-01"`

	// Our own.
	DirectoryURL   string  `json:"directory_url" desc:"directory of the ACME authority; empty = Let's Encrypt"`
	DirectoryCAPEM PEMData `json:"directory_ca_pem" desc:"CA to verify that authority, in place of those of this system"`
}

// HTTP3 turns HTTP/3 on.
type HTTP3 struct {
	Enabled bool `json:"enabled" desc:"HTTP/3 over QUIC on the external port (needs TLS); required by WebTransport"`
}

// TLSConfig is one block that tells how to speak TLS.
type TLSConfig struct {
	Enabled            bool    `json:"enabled" desc:"speak TLS"`
	CertPEM            PEMData `json:"cert_pem" desc:"certificate"`
	KeyPEM             PEMData `json:"key_pem" secret:"true" desc:"private key"`
	ServerCAPEM        PEMData `json:"server_ca_pem" desc:"CA to verify a server (client role)"`
	ClientCAPEM        PEMData `json:"client_ca_pem" desc:"CA to verify clients (mutual TLS)"`
	InsecureSkipVerify bool    `json:"insecure_skip_verify" desc:"skip verification"`
	ServerName         string  `json:"server_name" desc:"expected name"`
}

// HTTPAPI is the server API over HTTP.
type HTTPAPI struct {
	Disabled      bool   `json:"disabled" desc:"do not serve the HTTP API"`
	HandlerPrefix string `json:"handler_prefix" default:"/api" desc:"path"`
	Key           string `json:"key" secret:"true" desc:"API key; empty = all calls 401"`
	ErrorMode     string `json:"error_mode" enum:"|transport" desc:"transport: errors are told by HTTP or gRPC status"`
	External      bool   `json:"external" desc:"serve the API on the external port when there is an internal one"`
	Insecure      bool   `json:"insecure" desc:"take API calls without a key; only for development"`
}

// GRPCAPI is the server API over gRPC.
type GRPCAPI struct {
	Enabled               bool      `json:"enabled" desc:"serve the gRPC API"`
	ErrorMode             string    `json:"error_mode" enum:"|transport" desc:"transport: errors are told by HTTP or gRPC status"`
	Address               string    `json:"address" desc:"bind host"`
	Port                  int       `json:"port" default:"10000" max:"65535" desc:"bind port"`
	Key                   string    `json:"key" secret:"true" desc:"API key; empty = open"`
	TLS                   TLSConfig `json:"tls" desc:"TLS block"`
	Reflection            bool      `json:"reflection" desc:"gRPC reflection"`
	MaxReceiveMessageSize int       `json:"max_receive_message_size" desc:"0 = 4 MiB"`
}
