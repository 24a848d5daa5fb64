package cost

// shippedName is what Find says of where the shipped figures are from.
const shippedName = "shipped"

// The shipped figures. Memory is that of docs/benchmarks.md and of the density tests of the packages. CPU was measured on the same
// 2 cores of a virtual machine, beside other work and over loopback, where a write(2) also does the receiver's half of TCP: real
// machines tend to need less. How each was measured is in docs/capacity.md.
const (
	bytesPerClientHeap     = 661  // docs/benchmarks.md
	bytesPerSubscription   = 86   // bench idle with 5 and with 1 subscription
	bytesPerChannel        = 124  // bench idle with 1 and with 10 clients to a channel
	bytesPerRecoverable    = 9    // TestFeatureDensity of server/session, ten to a channel
	bytesPerHistoryChannel = 91   // the density test of engine/memengine: 203, of which 112 are the data of the one publication it keeps
	bytesPerPresence       = 47   // TestFeatureDensity
	bytesPerTLS            = 4200 // crypto/tls with its buffers dropped when idle: 3.6 to 4.2 KB

	baseBytesRSS = 22 << 20 // docs/benchmarks.md
	rssRatio     = 1.44     // docs/benchmarks.md

	// SocketBytes is what the kernel keeps for one idle TCP connection: the socket, its inode, file and directory entry, and its item
	// in epoll. 3.9 to 5.1 KB were measured.
	SocketBytes = 5000
	// StalledBytes is what a client that does not read fills: reactor.send_buffer_size of 64 KiB, which Linux doubles for its
	// bookkeeping (socket(7), SO_SNDBUF). 32 pages each were measured.
	StalledBytes = 2 * 64 << 10
	// InFlightBytes is what a socket takes whose last message is not acknowledged yet: tcp_mem is charged by the page.
	InFlightBytes = 4096

	nsPerDelivery        = 10_000 // bench fanout, 200 bytes to 5,000 subscribers
	nsPerDeliveryBatched = 2_000  // the same in bursts of ten; 0.4 µs were seen in overload, where more meet
	nsPerPing            = 18_000 // bench idle, 9,000 clients with client.ping_interval 2s
	nsPerConnect         = 95_000 // bench idle, 9,000 clients without subscriptions
	nsPerSubscribe       = 16_000 // bench idle with 9 and with no subscriptions
	nsPerPublish         = 59_000 // bench fanout with one subscriber, 8 publishers

	// TLS is reckoned from crypto/tls of Go 1.26 with TLS 1.3 and AES-128-GCM in hardware. A handshake of both ends took 0.73 ms of
	// CPU, half of which is the server's; a record 0.2 µs and 0.65 ns for each byte.
	nsPerTLSHandshake = 365_000
	nsPerTLSRecord    = 200
	nsPerTLSByte      = 0.65
)

// Shipped are the figures for a machine that was not measured.
func Shipped() Coefficients {
	return Coefficients{
		Version: Version,
		Machine: Machine{CPU: "AMD EPYC (family 25, virtual)", Cores: 2, Kernel: "6.18"},

		BytesPerClientHeap: bytesPerClientHeap, BytesPerSubscription: bytesPerSubscription, BytesPerChannel: bytesPerChannel,
		BytesPerRecoverable: bytesPerRecoverable, BytesPerHistoryChannel: bytesPerHistoryChannel, BytesPerPresence: bytesPerPresence,
		BytesPerTLS:  bytesPerTLS,
		BaseBytesRSS: baseBytesRSS, RSSRatio: rssRatio,
		KernelBytesPerSocket: SocketBytes, KernelBytesPerStalled: StalledBytes, KernelBytesPerInFlight: InFlightBytes,

		NsPerDelivery: nsPerDelivery, NsPerDeliveryBatched: nsPerDeliveryBatched, NsPerPing: nsPerPing,
		NsPerConnect: nsPerConnect, NsPerSubscribe: nsPerSubscribe, NsPerPublish: nsPerPublish,
		NsPerTLSHandshake: nsPerTLSHandshake, NsPerTLSRecord: nsPerTLSRecord, NsPerTLSByte: nsPerTLSByte,
	}
}

// Assumptions about clients, of doctor and plan alike.
const (
	// StalledShare is the part of clients that do not read at a given moment: phones in tunnels, tabs asleep.
	StalledShare = 0.01
	// InFlightShare is the part of them that waits for an acknowledgement while a publication goes to all.
	InFlightShare = 0.1
	// AckSeconds is how long a message waits for its acknowledgement.
	AckSeconds = 0.1
	// StormSeconds is how long all clients take to come back after a restart: SDKs spread their attempts over some 20 s.
	StormSeconds = 30
	// DescriptorsKept is what the server keeps for engines, files and outgoing requests, and DescriptorsPerLoop what each event loop
	// takes (listener, epoll, bell). DescriptorsOpen is what else is open when it starts.
	DescriptorsKept    = 256
	DescriptorsPerLoop = 3
	DescriptorsOpen    = 16
	// LoopsMax is the largest number of event loops.
	LoopsMax = 64
)

// Descriptors is how many files a server with so many clients and loops has open at most, or keeps free.
func Descriptors(clients, loops int) int {
	return clients + DescriptorsKept + DescriptorsOpen + DescriptorsPerLoop*loops
}
