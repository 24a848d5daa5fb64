package api

// Limits of requests. The reference has none of them; each answers with what comes closest there.
const (
	// BodyBytesMax is the largest HTTP body; larger ones get status 413.
	BodyBytesMax = 32 << 20
	// PublicationBytesMax is the largest publication unless Config says otherwise: data, channel, tags and keys together. It
	// stays below what a connection may have queued (1 MiB), with room for the envelope: anything larger would not arrive but
	// disconnect every subscriber as slow. Larger ones get error 107.
	PublicationBytesMax = 1<<20 - PublicationRoom
	// PublicationRoom is what to take off the queue limit of a connection to get Config.PublicationBytesMax.
	PublicationRoom = 64 << 10
	// BroadcastChannelsMax is how many channels one broadcast reaches; more get error 107.
	BroadcastChannelsMax = 100_000
	// CommandsMax is how many commands one batch, or one legacy request, has; more get error 107, or status 400.
	CommandsMax = 100_000
	// ParallelMax is how many commands of a parallel batch, or channels of a broadcast, are worked on at once.
	ParallelMax = 1024
	// HelpersMax is how many goroutines help with that, in all requests together.
	HelpersMax = 4096
	// PatternBytesMax is the longest glob pattern of channels; a longer one is a bad one, error 100.
	PatternBytesMax = 256
)
