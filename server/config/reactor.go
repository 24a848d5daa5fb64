package config

// Reactor is our own section: the event loops and the memory they may use.
//
// GOGC defaults to 30, less than a third of Go's own default: the hot paths allocate nothing, so collections are rare
// and cheap in CPU, while the slack that the collector leaves above the live heap is paid for by every idle client. The
// runtime keeps up to a tenth more than its goal resident, so 30 is what keeps resident memory below 1.5 times the live
// heap; 50 was measured at 1.7 times.
type Reactor struct {
	Loops                int      `json:"loops" max:"64" desc:"event loops; 0 = one per CPU that the process may use"`
	MaxConnections       int      `json:"max_connections" desc:"connections of all kinds; 0 = as the descriptor limit allows"`
	HTTPMaxConnections   int      `json:"http_max_connections" default:"1024" min:"1" desc:"connections that speak plain HTTP (API, metrics) at the same time"`
	StreamMaxConnections int      `json:"stream_max_connections" default:"16384" min:"1" desc:"clients over HTTP/2, HTTP/3, gRPC and WebTransport at the same time; they take goroutines; they count in max_connections, too"`
	ReadBufferSize       int      `json:"read_buffer_size" default:"65536" min:"1024" max:"16777216" desc:"bytes read at once, one buffer per loop"`
	SendBufferSize       int      `json:"send_buffer_size" default:"65536" max:"67108864" desc:"bytes of the kernel's send buffer per connection; 0 = the kernel decides"`
	FlushDelay           Duration `json:"flush_delay" max:"1s" desc:"how long output may wait for more; 0 = written in the same turn of the loop"`
	QueueTotalMax        int64    `json:"queue_total_max" desc:"unsent bytes of the whole process; 0 = a quarter of the memory limit"`
	GOGC                 int      `json:"gogc" default:"30" min:"10" max:"1000" desc:"garbage collection target, percent of the live heap"`
	MemoryLimit          int64    `json:"memory_limit" desc:"bytes the process aims to stay below; 0 = from the cgroup or the RAM"`
}
