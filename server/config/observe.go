package config

// Admin is the web panel.
type Admin struct {
	Enabled         bool   `json:"enabled" desc:"serve the admin panel"`
	HandlerPrefix   string `json:"handler_prefix" desc:"prefix of UI and admin endpoints"`
	Password        string `json:"password" secret:"true" desc:"login password (required unless insecure)"`
	Secret          string `json:"secret" secret:"true" desc:"token signing secret (required unless insecure)"`
	Insecure        bool   `json:"insecure" desc:"no login; only for development"`
	WebPath         string `json:"web_path" desc:"serve another UI directory"`
	WebProxyAddress string `json:"web_proxy_address" desc:"proxy UI from another address"`
	External        bool   `json:"external" desc:"serve the admin panel on the external port when there is an internal one"`
}

// Prometheus is the metrics endpoint.
type Prometheus struct {
	Enabled                        bool   `json:"enabled" desc:"serve metrics"`
	HandlerPrefix                  string `json:"handler_prefix" default:"/metrics" desc:"path"`
	InstrumentHTTPHandlers         bool   `json:"instrument_http_handlers" desc:"count HTTP requests per path"`
	RecoveredPublicationsHistogram bool   `json:"recovered_publications_histogram" desc:"histogram of recovered counts"`
	NativeHistograms               bool   `json:"native_histograms" desc:"native histograms"`
	ChannelNamespaces              bool   `json:"channel_namespaces" desc:"tell up to 1000 configured namespaces apart in the label channel_namespace"`
}

// Health is the health endpoint.
type Health struct {
	Enabled       bool   `json:"enabled" desc:"serve a health check"`
	HandlerPrefix string `json:"handler_prefix" default:"/health" desc:"path"`
}

// Swagger is the API description endpoint.
type Swagger struct {
	Enabled       bool   `json:"enabled" desc:"serve the description of the HTTP API"`
	HandlerPrefix string `json:"handler_prefix" default:"/swagger" desc:"path"`
}

// Debug is the pprof endpoint.
type Debug struct {
	Enabled       bool   `json:"enabled" desc:"serve Go profiles (pprof)"`
	HandlerPrefix string `json:"handler_prefix" default:"/debug/pprof" desc:"path"`
}

// Init is the endpoint that answers {} before a client connects.
type Init struct {
	Enabled       bool   `json:"enabled" desc:"serve an endpoint that answers {} (sets cookies before a client connects)"`
	HandlerPrefix string `json:"handler_prefix" default:"/connection/init" desc:"path"`
}

// OpenTelemetry is tracing.
type OpenTelemetry struct {
	Enabled            bool `json:"enabled" desc:"tracing on"`
	API                bool `json:"api" desc:"trace server API"`
	Consuming          bool `json:"consuming" desc:"trace consumers"`
	GoogleCloudADCAuth bool `json:"google_cloud_adc_auth" desc:"Google ADC credentials for OTLP"`
}

// Graphite is the Graphite exporter.
type Graphite struct {
	Enabled  bool     `json:"enabled" desc:"export to Graphite"`
	Host     string   `json:"host" default:"localhost" desc:"host"`
	Port     int      `json:"port" default:"2003" max:"65535" desc:"port"`
	Prefix   string   `json:"prefix" default:"centrifugo" desc:"metric prefix"`
	Interval Duration `json:"interval" default:"10s" desc:"period"`
	Tags     bool     `json:"tags" desc:"tagged metrics"`
}

// UsageStats is accepted for compatibility; this server reports to nobody.
type UsageStats struct {
	Disabled bool `json:"disabled" desc:"no anonymous usage reports"`
}
