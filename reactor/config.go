package reactor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"stentor/codec/ws"
	"stentor/reactor/loop"
)

// Config is what a Reactor is made of. Zero values mean the defaults that each field names.
type Config struct {
	Addr  string // "host:port" to listen on; port 0 takes a free one
	Loops int    // event loops, at most loop.LoopsMax; GOMAXPROCS

	// MaxConns bounds all client sockets together, handed-off HTTP conns included; by default, and at the most, it is the
	// descriptor limit less DescriptorsKept and those that were open at the start. HTTPConnsMax bounds the handed-off ones;
	// 1,024.
	MaxConns     int
	HTTPConnsMax int

	// ReadBufferBytes is the read buffer of each loop; 64 KiB. SendBufferBytes caps what the kernel buffers for each conn
	// (SO_SNDBUF); 0 leaves it to the kernel, which goes to 4 MiB.
	ReadBufferBytes int
	SendBufferBytes int

	// QueueBytesMax bounds what is owed to one client; 1 MiB. QueueTotalBytesMax bounds the memory that unsent and
	// incomplete messages of all clients hold; 1 GiB.
	QueueBytesMax      int
	QueueTotalBytesMax int64

	// ProxyTrusted are the addresses of balancers in front that speak the PROXY protocol: every conn from there must begin with its header,
	// and no other conn may.
	ProxyTrusted []netip.Prefix

	// H2C hands HTTP/2 in clear text to HTTPListener; without it, it is a bad request.
	H2C bool

	// Limits of a request head: its size, 16 KiB; its header fields, 100; the time until it is complete, 10 s.
	HeadBytesMax int
	HeadersMax   int
	HeadTimeout  time.Duration

	// BodyTimeout is for the body of an exchange to be complete; 10 s. KeepAliveTimeout is how long a conn may wait for its next
	// request after one; 60 s.
	BodyTimeout      time.Duration
	KeepAliveTimeout time.Duration

	// TLS makes the port speak TLS; nil for plain only.
	TLS *TLS

	// Deflate is for conns whose Verdict agrees to compression.
	Deflate Deflate

	FragmentTimeout time.Duration // age of an incomplete ws frame or message; 30 s
	CloseTimeout    time.Duration // wait for the peer's close frame; 5 s

	// FlushDelay, MailboxItemsMax and MailboxBytesMax are those of loop.Config.
	FlushDelay      time.Duration
	MailboxItemsMax int
	MailboxBytesMax int64

	StallReport time.Duration // a callback that holds a loop longer is reported; 10 ms

	// What the peer is told when a handler panics (3004), is too slow to take what it is owed (3008), or when a write
	// fails (3009; it only shows in Conn.CloseCode then).
	Panic, Slow, WriteError Close

	// Closing is told of each close frame that is not an answer to the peer's, on the conn's loop, and of the receiver, which is nil
	// while Verdict.Open makes it. It may be nil.
	Closing func(recv Receiver, code uint16)

	Log *slog.Logger // slog.DiscardHandler
}

// Close is the code and the reason of a ws close frame.
type Close struct {
	Code   uint16
	Reason string
}

// Deflate says how messages are compressed, and what compressed ones may become.
type Deflate struct {
	Level    int // ws.DeflateLevelMin to ws.DeflateLevelMax; the least
	BytesMin int // shorter frames are sent plain
	// InflatedBytesMax bounds a message once it is inflated, over it: close 1009; ten times the default limit of messages,
	// 640 KiB.
	InflatedBytesMax int
}

// readBufferBytesDefault is also the default of gnet.
const readBufferBytesDefault = 64 << 10

func (c Config) withDefaults() Config {
	c.Loops = cmp.Or(c.Loops, min(runtime.GOMAXPROCS(0), loop.LoopsMax))
	c.HTTPConnsMax = cmp.Or(c.HTTPConnsMax, 1024)
	c.ReadBufferBytes = cmp.Or(c.ReadBufferBytes, readBufferBytesDefault)
	c.QueueBytesMax = cmp.Or(c.QueueBytesMax, 1<<20)
	c.QueueTotalBytesMax = cmp.Or(c.QueueTotalBytesMax, 1<<30)
	c.HeadBytesMax = cmp.Or(c.HeadBytesMax, 16<<10)
	c.HeadersMax = cmp.Or(c.HeadersMax, 100)
	c.HeadTimeout = cmp.Or(c.HeadTimeout, 10*time.Second)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.KeepAliveTimeout = cmp.Or(c.KeepAliveTimeout, 60*time.Second)
	c.Deflate.Level = cmp.Or(c.Deflate.Level, ws.DeflateLevelMin)
	c.Deflate.InflatedBytesMax = cmp.Or(c.Deflate.InflatedBytesMax, 10*messageBytesMaxDefault)
	c.FragmentTimeout = cmp.Or(c.FragmentTimeout, 30*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Second)
	c.StallReport = cmp.Or(c.StallReport, 10*time.Millisecond)
	c.TLS = c.TLS.withDefaults()
	c.Panic = cmp.Or(c.Panic, Close{3004, "internal server error"})
	c.Slow = cmp.Or(c.Slow, Close{3008, "slow"})
	c.WriteError = cmp.Or(c.WriteError, Close{3009, "write error"})
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

func (c Config) check() error {
	if c.Addr == "" {
		return errors.New("reactor: no address to listen on")
	}
	if c.Loops < 0 || c.Loops > loop.LoopsMax {
		return fmt.Errorf("reactor: %d loops, want 1 to %d", c.Loops, loop.LoopsMax)
	}
	for _, p := range c.ProxyTrusted {
		if !p.IsValid() {
			return errors.New("reactor: an invalid network among ProxyTrusted")
		}
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"MaxConns", int64(c.MaxConns)},
		{"HTTPConnsMax", int64(c.HTTPConnsMax)},
		{"ReadBufferBytes", int64(c.ReadBufferBytes)},
		{"SendBufferBytes", int64(c.SendBufferBytes)},
		{"QueueBytesMax", int64(c.QueueBytesMax)},
		{"QueueTotalBytesMax", c.QueueTotalBytesMax},
		{"HeadBytesMax", int64(c.HeadBytesMax)},
		{"HeadersMax", int64(c.HeadersMax)},
		{"Deflate.Level", int64(c.Deflate.Level)},
		{"Deflate.BytesMin", int64(c.Deflate.BytesMin)},
		{"Deflate.InflatedBytesMax", int64(c.Deflate.InflatedBytesMax)},
		{"HeadTimeout", int64(c.HeadTimeout)},
		{"BodyTimeout", int64(c.BodyTimeout)},
		{"KeepAliveTimeout", int64(c.KeepAliveTimeout)},
		{"FragmentTimeout", int64(c.FragmentTimeout)},
		{"CloseTimeout", int64(c.CloseTimeout)},
		{"FlushDelay", int64(c.FlushDelay)},
		{"StallReport", int64(c.StallReport)},
		{"MailboxItemsMax", int64(c.MailboxItemsMax)},
		{"MailboxBytesMax", c.MailboxBytesMax},
	} {
		if limit.value < 0 {
			return fmt.Errorf("reactor: %s is negative", limit.name)
		}
	}
	return c.TLS.check()
}
