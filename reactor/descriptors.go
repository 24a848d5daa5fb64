package reactor

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// DescriptorsKept is how many file descriptors Config.MaxConns leaves to engines, files and outgoing requests. Running out of
// them would end the engine, as gnet takes an accept that fails for the end.
const DescriptorsKept = 256

// RaiseDescriptorLimit raises this process's limit of open files as far as it may, and returns the limit that holds then.
func RaiseDescriptorLimit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reactor: read the limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		raised := limit
		raised.Cur = raised.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err == nil {
			limit = raised // some systems do not allow what they say is allowed: the old limit stays then
		}
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)), nil
}

// admitted is how many client sockets may be open at once: what descriptors are left for, or less if that was asked for.
func (r *Reactor) admitted(listeners int) (int, error) {
	limit, err := RaiseDescriptorLimit()
	if err != nil {
		return 0, err
	}
	// Each of gnet's loops is about to take its listeners, an epoll and an eventfd.
	most := limit - DescriptorsKept - openDescriptors() - (2+listeners)*r.cfg.Loops
	if most < 1 {
		return 0, fmt.Errorf("reactor: the limit of %d open files leaves none for clients; raise it with ulimit -n", limit)
	}
	switch asked := r.cfg.MaxConns; {
	case asked > most:
		r.cfg.Log.Warn("fewer connections than asked for: raise the limit of open files (ulimit -n)",
			"asked", asked, "connections", most, "open_files", limit)
	case asked > 0:
		most = asked
	}
	return most, nil
}

// openDescriptors counts what the process has open.
func openDescriptors() int {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if open, err := os.ReadDir(dir); err == nil {
			return len(open)
		}
	}
	return DescriptorsKept
}
