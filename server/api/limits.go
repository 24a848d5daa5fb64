package api

// Limits of requests. The reference has none of them; each answers with what comes closest there.
const (
	// BodyBytesMax is the largest HTTP body; larger ones get status 413.
	BodyBytesMax = 32 << 20
	// publicationRoom is the part of a connection's queue, one in so many bytes, that a publication leaves for its envelope. Data,
	// channel, tags and keys together may take the rest: 960 KiB of 1 MiB. Larger ones get error 107.
	publicationRoom = 16
	// BroadcastChannelsMax is how many channels one broadcast reaches; more get error 107.
	BroadcastChannelsMax = 100_000
	// CommandsMax is how many commands one batch, or one legacy request, has; more get error 107, or status 400.
	CommandsMax = 100_000
	// ResponseBytesMax is how much the commands of one batch, or one legacy request, may answer together. What comes when that much
	// is there is not run and gets error 107; what runs at that moment still answers.
	ResponseBytesMax = 64 << 20
	// ParallelMax is how many commands of a parallel batch, or channels of a broadcast, are worked on at once.
	ParallelMax = 1024
	// HelpersMax is how many goroutines help with that, in all requests together.
	HelpersMax = 4096
	// PatternBytesMax is the longest glob pattern of channels; a longer one is a bad one, error 100.
	PatternBytesMax = 256
)
