package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// The widest range of ports: those below 1024 are for services.
const (
	portsWide = "1024 65535"
	portsMost = 65535 - 1024 + 1
)

// localPorts is how many ports a machine has for connections that it opens, to one address and from one.
func (m *machine) localPorts() (n int64, text string, err error) {
	limits, err := m.numbers("proc/sys/net/ipv4/ip_local_port_range", 2)
	if err != nil {
		return 0, "", err
	}
	first, last := limits[0], limits[1]
	if first > last || last > 65535 {
		return 0, "", fmt.Errorf("/proc/sys/net/ipv4/ip_local_port_range: %d to %d is no range of ports", first, last)
	}
	reserved, _ := m.text("proc/sys/net/ipv4/ip_local_reserved_ports") // a kernel before 2.6.35 has none
	n = last - first + 1 - within(reserved, first, last)
	return n, fmt.Sprintf("%d to %d: %s to one address", first, last, count(n)), nil
}

// within counts the ports of a list like "8080,9000-9010" that are from first to last. What is no number is not counted.
func within(list string, first, last int64) (n int64) {
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			to = from
		}
		a, errFrom := strconv.ParseInt(from, 10, 32)
		b, errTo := strconv.ParseInt(to, 10, 32)
		if errFrom == nil && errTo == nil {
			n += max(0, min(b, last)-max(a, first)+1)
		}
	}
	return n
}

// ports: whoever connects has one port for each connection between two addresses.
func (m *machine) ports(g Goal) Check {
	c := Check{Name: "net.ipv4.ip_local_port_range", Hard: true, needed: true}
	n, text, err := m.localPorts()
	if err != nil {
		return c.unknown(err)
	}
	c.Value = text
	c.Why = fmt.Sprintf("one for each connection between a source and a server address; pairs of addresses: %s (--addresses)", count(g.addresses()))
	fixes := []Fix{m.sysctl("net.ipv4.ip_local_port_range", portsWide, true)}
	if need := addressesFor(g.Connections); need > g.addresses() {
		fixes = append(fixes, Fix{Keep: fmt.Sprintf("and %d pairs of addresses: name several addresses of the server in the proxy, or give the generator more sources (stentor bench --source-count)", need)})
	}
	return c.judge(g, n*g.addresses(), fixes...)
}

func (g Goal) addresses() int64 { return int64(max(1, g.Addresses)) }

// addressesFor is how many pairs of addresses so many connections take with the widest range.
func addressesFor(connections int) int64 { return roundUp(int64(connections), portsMost) / portsMost }

// portsOfProxy only informs: the server itself takes no port for a client.
func (m *machine) portsOfProxy(Goal) Check {
	c := Check{Name: "net.ipv4.ip_local_port_range", Why: "not for the server, but for a proxy on this machine: see stentor doctor --client"}
	_, text, err := m.localPorts()
	if err != nil {
		return c.unknown(err)
	}
	return c.fine(text + ", for a proxy here")
}

// timeWaitSeconds is how long the side that closes first keeps the port of a connection (TCP_TIMEWAIT_LEN of Linux).
const timeWaitSeconds = 60

func (m *machine) timeWait(Goal) Check {
	c := Check{Name: "net.ipv4.tcp_tw_reuse", Why: "ports of closed connections; 1 reuses them after a second, 2 only on loopback"}
	n, err := m.number("proc/sys/net/ipv4/tcp_tw_reuse")
	if err != nil {
		return c.unknown(err)
	}
	c = c.fine(count(n))
	if n != 0 {
		return c
	}
	return c.low(fmt.Sprintf("the port of a closed connection stays taken for %d s: who comes and goes faster than that runs out of ports early", timeWaitSeconds),
		m.sysctl("net.ipv4.tcp_tw_reuse", "1", true))
}

func (m *machine) finTimeout(Goal) Check {
	c := Check{Name: "net.ipv4.tcp_fin_timeout", Why: "seconds that a half-closed connection keeps its port"}
	n, err := m.number("proc/sys/net/ipv4/tcp_fin_timeout")
	if err != nil {
		return c.unknown(err)
	}
	c = c.fine(fmt.Sprintf("%d s", n))
	if n <= timeWaitSeconds {
		return c
	}
	return c.low("half-closed connections keep their ports for longer than closed ones", m.sysctl("net.ipv4.tcp_fin_timeout", strconv.Itoa(timeWaitSeconds), true))
}
