package cost

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Version is the version of the file format. A file of another one is refused.
const Version = 1

// Coefficients are what things cost on one machine. A figure of 0 was not measured.
type Coefficients struct {
	Version int       `json:"version"`
	When    time.Time `json:"when,omitzero"`
	Machine Machine   `json:"machine"`

	// Bytes of live heap after a collection: slopes over rising numbers of clients (stentor bench idlesub --steps).
	BytesPerClientHeap     float64 `json:"bytes_per_client_heap,omitempty"`     // token, one subscription, ten clients to a channel
	BytesPerSubscription   float64 `json:"bytes_per_subscription,omitempty"`    // each further one, ten to a channel
	BytesPerChannel        float64 `json:"bytes_per_channel,omitempty"`         // each channel beyond one for ten subscriptions
	BytesPerRecoverable    float64 `json:"bytes_per_recoverable,omitempty"`     // what recovery adds to a subscription
	BytesPerHistoryChannel float64 `json:"bytes_per_history_channel,omitempty"` // what a history adds to a channel, without its data
	BytesPerPresence       float64 `json:"bytes_per_presence,omitempty"`        // what presence adds to a subscription
	BytesPerTLS            float64 `json:"bytes_per_tls,omitempty"`             // what TLS adds to a client

	// Resident memory of the process.
	BaseBytesRSS float64 `json:"base_bytes_rss,omitempty"` // resident, without clients
	RSSRatio     float64 `json:"rss_ratio,omitempty"`      // resident bytes to heap bytes, both above the server without clients

	// Bytes of the kernel's memory.
	KernelBytesPerSocket   float64 `json:"kernel_bytes_per_socket,omitempty"`    // an idle TCP socket with its file and its place in epoll
	KernelBytesPerStalled  float64 `json:"kernel_bytes_per_stalled,omitempty"`   // what a client that does not read fills
	KernelBytesPerInFlight float64 `json:"kernel_bytes_per_in_flight,omitempty"` // a socket with something that is not acknowledged yet

	// CPU of the server, in nanoseconds, user and system.
	NsPerDelivery        float64 `json:"ns_per_delivery,omitempty"`         // of a publication that comes alone
	NsPerDeliveryBatched float64 `json:"ns_per_delivery_batched,omitempty"` // of one of ten that meet in a tick
	NsPerPing            float64 `json:"ns_per_ping,omitempty"`             // with its pong
	NsPerConnect         float64 `json:"ns_per_connect,omitempty"`          // accept, upgrade and connect with an HMAC token
	NsPerSubscribe       float64 `json:"ns_per_subscribe,omitempty"`        // with its reply
	NsPerPublish         float64 `json:"ns_per_publish,omitempty"`          // by the HTTP API, one a request, without deliveries
	NsPerTLSHandshake    float64 `json:"ns_per_tls_handshake,omitempty"`    // a full one, ECDSA P-256
	NsPerTLSRecord       float64 `json:"ns_per_tls_record,omitempty"`       // sealing or opening one, without its bytes
	NsPerTLSByte         float64 `json:"ns_per_tls_byte,omitempty"`         // of its bytes
}

// Machine is where figures were measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
}

// figure is one of the numbers, under its name in the file.
type figure struct {
	name  string
	value *float64
}

func (c *Coefficients) figures() []figure {
	return []figure{
		{"bytes_per_client_heap", &c.BytesPerClientHeap},
		{"bytes_per_subscription", &c.BytesPerSubscription},
		{"bytes_per_channel", &c.BytesPerChannel},
		{"bytes_per_recoverable", &c.BytesPerRecoverable},
		{"bytes_per_history_channel", &c.BytesPerHistoryChannel},
		{"bytes_per_presence", &c.BytesPerPresence},
		{"bytes_per_tls", &c.BytesPerTLS},
		{"base_bytes_rss", &c.BaseBytesRSS},
		{"rss_ratio", &c.RSSRatio},
		{"kernel_bytes_per_socket", &c.KernelBytesPerSocket},
		{"kernel_bytes_per_stalled", &c.KernelBytesPerStalled},
		{"kernel_bytes_per_in_flight", &c.KernelBytesPerInFlight},
		{"ns_per_delivery", &c.NsPerDelivery},
		{"ns_per_delivery_batched", &c.NsPerDeliveryBatched},
		{"ns_per_ping", &c.NsPerPing},
		{"ns_per_connect", &c.NsPerConnect},
		{"ns_per_subscribe", &c.NsPerSubscribe},
		{"ns_per_publish", &c.NsPerPublish},
		{"ns_per_tls_handshake", &c.NsPerTLSHandshake},
		{"ns_per_tls_record", &c.NsPerTLSRecord},
		{"ns_per_tls_byte", &c.NsPerTLSByte},
	}
}

// figureMax is above every figure that makes sense: a second of CPU, a gigabyte.
const figureMax = 1 << 30

// check refuses what cannot have been measured.
func (c *Coefficients) check() error {
	if c.Version != Version {
		return fmt.Errorf("version %d, want %d: measure again with stentor bench --calibrate", c.Version, Version)
	}
	for _, f := range c.figures() {
		if v := *f.value; math.IsNaN(v) || v < 0 || v > figureMax {
			return fmt.Errorf("%s = %v, want a number from 0 (not measured) to %d", f.name, v, figureMax)
		}
	}
	return nil
}

// Complete gives figures that were not measured the shipped value, and returns their names.
func (c *Coefficients) Complete() (shipped []string) {
	s := Shipped()
	from := s.figures()
	for i, f := range c.figures() {
		if *f.value == 0 {
			*f.value = *from[i].value
			shipped = append(shipped, f.name)
		}
	}
	return shipped
}

// String says where and when the figures were measured.
func (c *Coefficients) String() string {
	parts := make([]string, 0, 4)
	if c.Machine.CPU != "" {
		parts = append(parts, c.Machine.CPU)
	}
	if c.Machine.Cores > 0 {
		parts = append(parts, fmt.Sprintf("%d cores", c.Machine.Cores))
	}
	if c.Machine.Kernel != "" {
		parts = append(parts, "kernel "+c.Machine.Kernel)
	}
	if !c.When.IsZero() {
		parts = append(parts, c.When.UTC().Format(time.DateOnly))
	}
	if len(parts) == 0 {
		return "an unnamed machine"
	}
	return strings.Join(parts, ", ")
}
