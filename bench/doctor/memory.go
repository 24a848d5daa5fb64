package doctor

import (
	"fmt"
	"strings"

	"stentor/bench/cost"
)

// systemBytes is what the rest of the machine needs: the kernel itself, services, page cache.
const systemBytes = 512 << 20

// processBytes is what the server's process takes for each client: one subscription, ten clients to a channel.
func processBytes() float64 {
	c := cost.Shipped()
	return c.BytesPerClientHeap * c.RSSRatio
}

// bufferBytes is what the kernel's socket buffers take for each client, on average: most are empty.
const bufferBytes = cost.StalledShare*cost.StalledBytes + cost.InFlightShare*cost.InFlightBytes

// clientBytes is the memory of one connection on the server, and on a machine that connects, whose programs take what they take.
func clientBytes(g Goal) float64 {
	if g.Client {
		return cost.SocketBytes + bufferBytes
	}
	return processBytes() + cost.SocketBytes + bufferBytes
}

// memoryFor is what a server with so many clients needs, in bytes.
func memoryFor(g Goal) float64 {
	return float64(g.Connections)*clientBytes(g) + cost.Shipped().BaseBytesRSS
}

func memoryWhy(g Goal) string {
	process := ""
	if !g.Client {
		process = fmt.Sprintf("%.0f bytes of the process with one subscription, ", processBytes())
	}
	return fmt.Sprintf("each connection takes %.0f bytes: %s%d of the kernel for an idle socket, %.0f of socket buffers (1 %% do not read and fill %s, 10 %% wait for an acknowledgement)",
		clientBytes(g), process, cost.SocketBytes, bufferBytes, cost.Bytes(cost.StalledBytes))
}

// enoughFor is the number of clients that fit into so many bytes.
func enoughFor(g Goal, bytes float64) int64 {
	return int64((bytes - cost.Shipped().BaseBytesRSS) / clientBytes(g))
}

func (m *machine) ram(g Goal) Check {
	c := Check{Name: "RAM", Hard: true, needed: true, Why: memoryWhy(g)}
	n, err := m.meminfo("MemTotal")
	if err != nil {
		return c.unknown(err)
	}
	c.Value = cost.Bytes(float64(n[0]))
	if n, err := m.meminfo("MemAvailable"); err == nil {
		c.Value += ", " + cost.Bytes(float64(n[0])) + " available"
	}
	need := memoryFor(g) + systemBytes
	return c.judge(g, enoughFor(g, float64(n[0])-systemBytes), Fix{Keep: fmt.Sprintf("%s of RAM, or several machines (stentor plan)", cost.Bytes(need))})
}

// cgroupMemory: the kernel's socket memory counts against the same limit as the process.
func (m *machine) cgroupMemory(g Goal) Check {
	c := Check{Name: "cgroup memory", Hard: true, needed: true, Why: memoryWhy(g)}
	switch {
	case m.memoryErr != nil:
		return c.unknown(m.memoryErr)
	case m.version == 0:
		return c.fine("no cgroup")
	case m.memory == 0:
		return c.fine(fmt.Sprintf("no limit (v%d)", m.version))
	}
	c.Value = fmt.Sprintf("%s (v%d)", cost.Bytes(float64(m.memory)), m.version)
	return c.judge(g, enoughFor(g, float64(m.memory)), cgroupFix(int64(memoryFor(g))))
}

// memoryStep is what recommended memory limits are multiples of.
const memoryStep = 256 << 20

func cgroupFix(bytes int64) Fix {
	megabytes := roundUp(bytes, memoryStep) >> 20
	return Fix{Keep: fmt.Sprintf("MemoryMax=%dM under [Service] of the systemd unit; docker run --memory %dm …; resources.limits.memory: %dMi in Kubernetes", megabytes, megabytes, megabytes)}
}

// overcommitNever is vm.overcommit_memory where the kernel promises no more memory than there is (proc_sys_vm(5)).
const overcommitNever = 2

func (m *machine) overcommit(g Goal) Check {
	c := Check{Name: "vm.overcommit_memory", Hard: true}
	mode, err := m.number("proc/sys/vm/overcommit_memory")
	if err != nil {
		return c.unknown(err)
	}
	if mode != overcommitNever {
		return c.fine(count(mode))
	}
	n, err := m.meminfo("CommitLimit", "Committed_AS")
	if err != nil {
		return c.unknown(err)
	}
	c.Value = fmt.Sprintf("%d: %s of %s promised", mode, cost.Bytes(float64(n[1])), cost.Bytes(float64(n[0])))
	c.Why = "the kernel refuses memory beyond CommitLimit, even if nothing uses what others asked for"
	left := float64(n[0]-n[1]) - cost.Shipped().BaseBytesRSS
	return c.judge(g, int64(left/processBytes()), m.sysctl("vm.overcommit_memory", "0", false))
}

// swappinessLow is a vm.swappiness at which the kernel swaps little but in need.
const swappinessLow = 10

func (m *machine) swap(g Goal) Check {
	c := Check{Name: "swap"}
	n, err := m.meminfo("SwapTotal")
	if err != nil {
		return c.unknown(err)
	}
	if n[0] == 0 {
		return c.fine("none")
	}
	c.Value, c.Verdict = cost.Bytes(float64(n[0])), OK
	swappiness, err := m.number("proc/sys/vm/swappiness")
	if err != nil {
		return c
	}
	c.Value += fmt.Sprintf(", vm.swappiness %d", swappiness)
	if swappiness <= swappinessLow {
		return c
	}
	return c.low("memory of idle clients is swapped out, and each collection of garbage reads all of it again while loops wait",
		m.sysctl("vm.swappiness", "1", false), Fix{Keep: "MemorySwapMax=0 under [Service] of the systemd unit"})
}

func (m *machine) hugePages(Goal) Check {
	const file = "sys/kernel/mm/transparent_hugepage/enabled"
	c := Check{Name: "transparent huge pages"}
	text, err := m.text(file)
	if err != nil {
		return c.unknown(err)
	}
	_, rest, _ := strings.Cut(text, "[")
	chosen, _, found := strings.Cut(rest, "]")
	switch {
	case !found:
		return c.unknown(fmt.Errorf("/%s: nothing is chosen in %q", file, brief(text)))
	case chosen != "always":
		return c.fine(chosen)
	}
	c.Value = chosen
	return c.low("resident memory can grow above the figures: the kernel fills holes of the heap with huge pages",
		Fix{Run: "echo madvise > /" + file, Keep: "transparent_hugepage=madvise on the kernel's command line"})
}
