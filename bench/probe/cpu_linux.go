package probe

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuClockSched is CPUCLOCK_SCHED of linux/posix-timers.h: the scheduler's nanoseconds of a whole process.
const cpuClockSched = 2

// CPU is the CPU time, user and system, that the process has used so far with all its threads, also those that ended. It asks
// the process's own CPU clock, exact to the nanosecond once its threads sleep; /proc/<pid>/stat counts in steps of 10 ms and
// serves where that clock is refused.
func (p Process) CPU() (time.Duration, error) {
	var t unix.Timespec
	// clock_getcpuclockid(3): the clock of process n is ^n << 3 with the kind of the clock below.
	if err := unix.ClockGettime(int32(^p.pid<<3|cpuClockSched), &t); err == nil {
		return time.Duration(t.Nano()), nil
	}
	return p.statCPU()
}
