package plan

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"stentor/bench/cost"
	"stentor/bench/doctor"
)

// Workload is what clients do, and what machines there are for them.
type Workload struct {
	Connections    int           `json:"connections"`
	Subscriptions  int           `json:"subscriptions"` // of each client
	PerChannel     int           `json:"per_channel"`   // clients to a channel, at most all
	Rate           float64       `json:"rate"`          // publications a second in each channel
	SizeBytes      int           `json:"size_bytes"`    // data of a publication
	PingInterval   time.Duration `json:"ping_interval_ns"`
	TLS            bool          `json:"tls"`
	Recoverable    bool          `json:"recoverable"`
	History        int           `json:"history"` // publications that a recoverable channel keeps
	Presence       bool          `json:"presence"`
	ConnectSeconds int           `json:"connect_seconds"` // in which all clients come back

	BoxCores int   `json:"box_cores,omitempty"` // of one machine; 0: cores do not limit it
	BoxBytes int64 `json:"box_bytes,omitempty"` // its memory; 0: memory does not limit it
}

// DefaultWorkload is a million clients with one quiet subscription.
func DefaultWorkload() Workload {
	return Workload{
		Connections: 1_000_000, Subscriptions: 1, PerChannel: 10, SizeBytes: 200, PingInterval: 25 * time.Second,
		History: 1, ConnectSeconds: cost.StormSeconds,
	}
}

// Limits of what can be planned for. They keep all products well inside float64 and int64.
const (
	subscriptionsMax  = 100_000
	rateMax           = 1_000_000
	sizeBytesMax      = 1 << 20 // client.queue_max_size, which the largest publication has to fit into
	historyMax        = 1_000_000
	pingIntervalMin   = time.Second
	pingIntervalMax   = 24 * time.Hour
	connectSecondsMax = 86_400
	boxCoresMax       = 1024
	boxBytesMax       = 1 << 50
)

// check refuses what makes no sense, and names the flag.
func (w *Workload) check() error {
	for _, f := range []struct {
		flag               string
		value, least, most int
	}{
		{"connections", w.Connections, 1, doctor.ConnectionsMax},
		{"subscriptions", w.Subscriptions, 0, subscriptionsMax},
		{"per-channel", w.PerChannel, 1, doctor.ConnectionsMax},
		{"size", w.SizeBytes, 1, sizeBytesMax},
		{"history", w.History, 1, historyMax},
		{"connect-seconds", w.ConnectSeconds, 1, connectSecondsMax},
		{"cores", w.BoxCores, 0, boxCoresMax},
	} {
		if f.value < f.least || f.value > f.most {
			return fmt.Errorf("--%s %d: want %s to %s", f.flag, f.value, cost.Count(f.least), cost.Count(f.most))
		}
	}
	switch {
	case math.IsNaN(w.Rate) || w.Rate < 0 || w.Rate > rateMax:
		return fmt.Errorf("--rate %v: want 0 to %s publications a second", w.Rate, cost.Count(rateMax))
	case w.Rate > 0 && w.Subscriptions == 0:
		return errors.New("--rate needs --subscriptions: nobody is there to receive")
	case w.PingInterval != 0 && (w.PingInterval < pingIntervalMin || w.PingInterval > pingIntervalMax):
		return fmt.Errorf("--ping-interval %v: want %v to %v, or 0 for none", w.PingInterval, pingIntervalMin, pingIntervalMax)
	case w.History > 1 && !w.Recoverable:
		return errors.New("--history belongs to --recoverable: other channels keep nothing")
	case (w.Recoverable || w.Presence) && w.Subscriptions == 0:
		return errors.New("--recoverable and --presence need --subscriptions")
	case w.BoxBytes != 0 && (w.BoxBytes < boxBytesMin || w.BoxBytes > boxBytesMax):
		return fmt.Errorf("--memory: want %s to %s", cost.Bytes(boxBytesMin), cost.Bytes(boxBytesMax))
	}
	return nil
}

// String is the workload in a sentence.
func (w *Workload) String() string {
	parts := []string{fmt.Sprintf("%s connections with %s subscriptions each", cost.Count(w.Connections), cost.Count(w.Subscriptions))}
	if w.Subscriptions > 0 {
		parts = append(parts, fmt.Sprintf("%s clients to a channel, %s publications a second of %s bytes in each", cost.Count(w.PerChannel), number(w.Rate), cost.Count(w.SizeBytes)))
	}
	if w.Recoverable {
		parts = append(parts, fmt.Sprintf("recoverable from %s publications", cost.Count(w.History)))
	}
	for _, f := range []struct {
		is   bool
		name string
	}{{w.Presence, "presence"}, {w.TLS, "TLS"}} {
		if f.is {
			parts = append(parts, f.name)
		}
	}
	return strings.Join(parts, "; ")
}

// bytesFlag is a size on the command line: a number of bytes, or one with a unit such as 64GiB or 64g. All units are powers of 1024.
type bytesFlag int64

func (b *bytesFlag) Type() string { return "size" }

func (b *bytesFlag) String() string {
	if *b == 0 {
		return "0"
	}
	return cost.Bytes(float64(*b))
}

// unitShifts are the powers of two that units stand for.
var unitShifts = map[string]int{
	"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30, "t": 40, "tb": 40, "tib": 40,
}

func (b *bytesFlag) Set(text string) error {
	lower := strings.ToLower(text)
	digits := strings.TrimRight(lower, "bkmgti")
	shift, known := unitShifts[lower[len(digits):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !known || !(n >= 0) {
		return fmt.Errorf("%q is no size: give a number of bytes, or one like 64GiB", text)
	}
	if n *= float64(int64(1) << shift); n > boxBytesMax {
		return fmt.Errorf("%q is more than %s", text, cost.Bytes(boxBytesMax))
	}
	*b = bytesFlag(n)
	return nil
}
