package doctor

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"stentor/bench/cost"
)

// procsOfQuota is GOMAXPROCS as Go sets it for a CPU quota: rounded up, and at least 2.
func procsOfQuota(quota float64) int { return max(2, int(math.Ceil(quota))) }

// cores is how many the process can use at the same time.
func (m *machine) cores() float64 {
	n := float64(min(m.CPUs, m.Procs))
	if m.cpu > 0 {
		n = min(n, m.cpu)
	}
	return n
}

// cpus: idle clients need little; the wall of a server's CPU is the return of all clients at once.
func (m *machine) cpus(g Goal) Check {
	c := Check{Name: "CPUs"}
	if m.cpuErr != nil {
		return c.unknown(m.cpuErr)
	}
	c.Value = fmt.Sprintf("%d, GOMAXPROCS %d", m.CPUs, m.Procs)
	if m.cpu > 0 {
		c.Value += fmt.Sprintf(", quota %.4g (v%d)", m.cpu, m.version)
	}
	c.Verdict = OK
	if !g.Client {
		each := (cost.Shipped().NsPerConnect + cost.Shipped().NsPerSubscribe) / 1e9
		c.Why = fmt.Sprintf("a client that comes back takes %.0f µs with one subscription; so many can within %d s", each*1e6, cost.StormSeconds)
		c = c.judge(g, int64(m.cores()*cost.StormSeconds/each),
			Fix{Keep: fmt.Sprintf("%.0f cores, or several machines (stentor plan)", math.Ceil(float64(g.Connections)*each/cost.StormSeconds))})
	}
	switch {
	case m.cpu > 0 && m.Procs > procsOfQuota(m.cpu):
		return c.low("more threads run than the quota has cores: the kernel stops them all for the rest of each period, and loops with them", procsFix(procsOfQuota(m.cpu)))
	case m.cpu == 0 && m.Procs < m.CPUs:
		return c.low("some CPUs are not used; so be it if they are for others", procsFix(m.CPUs))
	}
	return c
}

func procsFix(n int) Fix {
	return Fix{Run: "export GOMAXPROCS=" + strconv.Itoa(n), Keep: fmt.Sprintf("Environment=GOMAXPROCS=%d under [Service] of the systemd unit, or no such variable and reactor.loops %d", n, n)}
}

// Kernels by what they brought, as major*1000 + minor.
const (
	kernelReusePort = 3009 // SO_REUSEPORT: a listener for each loop
	kernelListeners = 4004 // listeners without a lock for all newcomers
)

func (m *machine) kernel(Goal) Check {
	c := Check{Name: "kernel", Hard: true}
	text, err := m.text("proc/sys/kernel/osrelease")
	if err != nil {
		return c.unknown(err)
	}
	version, err := kernelVersion(text)
	if err != nil {
		return c.unknown(err)
	}
	c = c.fine(brief(text))
	switch {
	case version < kernelReusePort:
		none := int64(0)
		c.Verdict, c.WallAt = Wall, &none
		return c.low("the server needs SO_REUSEPORT", Fix{Keep: "a kernel of 3.9 or later"})
	case version < kernelListeners:
		return c.low("all newcomers to a port take one lock: storms of reconnects are slow", Fix{Keep: "a kernel of 4.4 or later"})
	}
	return c
}

// kernelVersion reads the first two numbers of a release such as 6.1.0-18-amd64.
func kernelVersion(release string) (int, error) {
	major, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	a, errMajor := strconv.ParseUint(major, 10, 16)
	b, errMinor := strconv.ParseUint(rest[:end], 10, 16)
	if errMajor != nil || errMinor != nil || b >= 1000 {
		return 0, fmt.Errorf("/proc/sys/kernel/osrelease: %q is no version", brief(release))
	}
	return int(a)*1000 + int(b), nil
}
