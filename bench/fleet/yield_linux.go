package fleet

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// yieldNice is the niceness of a worker that yields: against a process of the usual niceness it gets a tenth of a core that both want.
const yieldNice = 10

// yield lowers the priority of this process. Linux has one for each thread; those to come have that of the thread which makes them.
func yield() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("lower priority: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		// Only less than before may be asked for; a thread that has ended meanwhile needs nothing.
		if now, err := unix.Getpriority(unix.PRIO_PROCESS, id); err != nil || 20-now >= yieldNice {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, yieldNice); err != nil && err != unix.ESRCH {
			return fmt.Errorf("lower priority: %w", err)
		}
	}
	return nil
}
