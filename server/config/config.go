package config

// Config is the whole option tree. Field tags say all that is known of an option without code:
//
//	json     its name; the path is the names joined by dots
//	default  its default in text form; none: the zero value
//	min max  the range of a number or duration; without min it is 0
//	enum     the words it may hold, separated by |
//	unit     "s": whole seconds only
//	secret   it must never be printed
//	desc     its meaning, for --help and the option reference
//
// The zero value is not usable; Default and Load make one. A Config is not changed after Load.
type Config struct {
	HTTPServer               HTTPServer      `json:"http_server"`
	Log                      Log             `json:"log"`
	Engine                   Engine          `json:"engine"`
	Broker                   Broker          `json:"broker"`
	PresenceManager          PresenceManager `json:"presence_manager"`
	MapBroker                MapBroker       `json:"map_broker"`
	Controller               Controller      `json:"controller"`
	SharedPoll               SharedPoll      `json:"shared_poll"`
	Client                   Client          `json:"client"`
	Channel                  Channel         `json:"channel"`
	RPC                      RPC             `json:"rpc"`
	Proxies                  []NamedProxy    `json:"proxies" desc:"list of named proxy blocks + name (not \"default\")"`
	HTTPAPI                  HTTPAPI         `json:"http_api"`
	GRPCAPI                  GRPCAPI         `json:"grpc_api"`
	WebSocket                WebSocket       `json:"websocket"`
	SSE                      SSE             `json:"sse"`
	HTTPStream               HTTPStream      `json:"http_stream"`
	WebTransport             WebTransport    `json:"webtransport"`
	Emulation                Emulation       `json:"emulation"`
	UniSSE                   UniSSE          `json:"uni_sse"`
	UniHTTPStream            UniHTTPStream   `json:"uni_http_stream"`
	UniWebSocket             UniWebSocket    `json:"uni_websocket"`
	UniGRPC                  UniGRPC         `json:"uni_grpc"`
	Admin                    Admin           `json:"admin"`
	Prometheus               Prometheus      `json:"prometheus"`
	Health                   Health          `json:"health"`
	Swagger                  Swagger         `json:"swagger"`
	Debug                    Debug           `json:"debug"`
	Init                     Init            `json:"init"`
	OpenTelemetry            OpenTelemetry   `json:"opentelemetry"`
	Graphite                 Graphite        `json:"graphite"`
	UsageStats               UsageStats      `json:"usage_stats"`
	Node                     Node            `json:"node"`
	Shutdown                 Shutdown        `json:"shutdown"`
	PIDFile                  string          `json:"pid_file" desc:"file that holds the process id while the server runs"`
	EnableUnreleasedFeatures bool            `json:"enable_unreleased_features" desc:"gate for unfinished parts"`
	Consumers                []Consumer      `json:"consumers" desc:"sources of asynchronous commands"`
	Reactor                  Reactor         `json:"reactor"`
	Dev                      Dev             `json:"dev"`
}

// Log says how much is logged and where to.
type Log struct {
	Level string `json:"level" default:"info" enum:"none|trace|debug|info|warn|error|fatal" desc:"least severe messages to log: none, trace, debug, info, warn, error, fatal"`
	File  string `json:"file" desc:"append JSON log to a file in place of the terminal"`
}

// Node names this process.
type Node struct {
	Name                         string   `json:"name" desc:"node name; empty = hostname_port"`
	InfoMetricsAggregateInterval Duration `json:"info_metrics_aggregate_interval" default:"60s" desc:"period of the metrics in info"`
}

// Shutdown bounds the graceful stop.
type Shutdown struct {
	Timeout Duration `json:"timeout" default:"30s" min:"1ms" desc:"time for a graceful stop"`
}
