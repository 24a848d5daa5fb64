package metrics

import (
	"io"
	"os"

	vm "github.com/VictoriaMetrics/metrics"
	"golang.org/x/sys/unix"
)

// writeFiles writes how many descriptors are open. The size of /proc/self/fd says so since Linux 6.2; on older systems the line is
// left out, for counting a million directory entries at each scrape costs more than it tells.
func writeFiles(w io.Writer) {
	if fi, err := os.Stat("/proc/self/fd"); err == nil && fi.Size() > 0 {
		vm.WriteGaugeUint64(w, "process_open_fds", uint64(fi.Size()))
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		vm.WriteGaugeUint64(w, "process_max_fds", limit.Cur)
	}
}
