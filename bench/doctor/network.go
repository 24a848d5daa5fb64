package doctor

import (
	"fmt"
	"strconv"

	"stentor/bench/cost"
)

// tcpMem bounds the buffers of all TCP sockets, in pages: low, pressure, most.
func (m *machine) tcpMem(g Goal) Check {
	c := Check{Name: "net.ipv4.tcp_mem", Hard: true}
	n, err := m.numbers("proc/sys/net/ipv4/tcp_mem", 3)
	if err != nil {
		return c.unknown(err)
	}
	c.Value = fmt.Sprintf("%d %d %d pages", n[0], n[1], n[2])
	c.Why = fmt.Sprintf("buffers of %.0f bytes a connection; beyond the third number the kernel drops packets of all of them. Idle ones take nothing, and with reactor.send_buffer_size 0 some %s that do not read would fill it",
		bufferBytes, count(n[2]*m.PageBytes/uncappedBytes))
	return c.judge(g, int64(float64(n[2]*m.PageBytes)/bufferBytes), m.sysctl("net.ipv4.tcp_mem", tcpMemFor(buffersFor(g.Connections), m.PageBytes), false))
}

// uncappedBytes is what a client that does not read fills where its send buffer is not capped: the third number of tcp_wmem.
const uncappedBytes = 4 << 20

// tcpMemLeast is the least second number of tcp_mem that is recommended, in pages: what the kernel chooses for 4 GiB of RAM.
const tcpMemLeast = 65536

// buffersFor is what the socket buffers of so many connections take, in bytes.
func buffersFor(connections int) float64 { return float64(connections) * bufferBytes }

// tcpMemFor is a tcp_mem with room for so many bytes below its second number, in pages of pageBytes.
func tcpMemFor(bytes float64, pageBytes int64) string {
	pressure := max(tcpMemLeast, roundUp(int64(bytes/float64(pageBytes)), 1024))
	return fmt.Sprintf("%d %d %d", pressure*3/4, pressure, pressure*3/2)
}

// tcpReceive and tcpSend bound the buffers of one socket. They are taken as they fill, out of tcp_mem.
func (m *machine) tcpReceive(Goal) Check {
	return m.buffers("net.ipv4.tcp_rmem", "proc/sys/net/ipv4/tcp_rmem")
}
func (m *machine) tcpSend(Goal) Check {
	return m.buffers("net.ipv4.tcp_wmem", "proc/sys/net/ipv4/tcp_wmem")
}

func (m *machine) buffers(name, path string) Check {
	c := Check{Name: name, Why: "least, first and most of one socket's buffer; taken as it fills, and out of tcp_mem"}
	n, err := m.numbers(path, 3)
	if err != nil {
		return c.unknown(err)
	}
	return c.fine(fmt.Sprintf("%d %d %d bytes", n[0], n[1], n[2]))
}

// backlogSeconds is how long connections may have to wait for a loop in a storm.
const backlogSeconds = 1

// backlogGood is a queue of waiting connections that is enough for nearly all machines.
const backlogGood = 65535

// stormOf is the number of clients whose return within cost.StormSeconds keeps so many waiting for backlogSeconds.
func stormOf(waiting int64) int64 { return waiting * cost.StormSeconds / backlogSeconds }

func backlogFor(connections, loops int) string {
	need := int64(connections) * backlogSeconds / cost.StormSeconds / int64(loops)
	if need <= backlogGood {
		return strconv.Itoa(backlogGood)
	}
	return strconv.FormatInt(roundUp(need, filesStep), 10)
}

// backlog: each loop listens by itself, so that each has a queue of this length.
func (m *machine) backlog(g Goal) Check {
	c := Check{Name: "net.core.somaxconn", Why: fmt.Sprintf("connections that wait for each of %d loops; when all clients come back within %d s, those that find it full try again a second later and more", m.loops, cost.StormSeconds)}
	n, err := m.number("proc/sys/net/core/somaxconn")
	if err != nil {
		return c.unknown(err)
	}
	c.Value = count(n)
	return c.judge(g, stormOf(min(n, ConnectionsMax)*int64(m.loops)), m.sysctl("net.core.somaxconn", backlogFor(g.Connections, m.loops), true))
}

// synBacklog: while SYN cookies are on, the kernel answers without keeping a half-open connection.
func (m *machine) synBacklog(g Goal) Check {
	c := Check{Name: "net.ipv4.tcp_max_syn_backlog"}
	n, err := m.number("proc/sys/net/ipv4/tcp_max_syn_backlog")
	if err != nil {
		return c.unknown(err)
	}
	c.Value = count(n)
	if cookies, err := m.number("proc/sys/net/ipv4/tcp_syncookies"); err == nil && cookies > 0 {
		return c.fine(c.Value + ", SYN cookies beyond")
	}
	c.Why = "half-open connections; without SYN cookies the kernel drops newcomers beyond three quarters of it"
	return c.judge(g, stormOf(min(n, ConnectionsMax)*int64(m.loops)*3/4), m.sysctl("net.ipv4.tcp_max_syn_backlog", backlogFor(g.Connections, m.loops), true))
}

// conntrack: where a firewall tracks connections, each is one entry, and newcomers are dropped silently when there is no room.
func (m *machine) conntrack(g Goal) Check {
	c := Check{Name: "net.netfilter.nf_conntrack_max"}
	if !m.exists("proc/sys/net/netfilter/nf_conntrack_max") {
		return c.fine("not loaded")
	}
	most, err := m.number("proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		return c.unknown(err)
	}
	used, err := m.number("proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		return c.unknown(err)
	}
	c.Value = fmt.Sprintf("%s, %s tracked", count(most), count(used))
	c.Why = "one entry for each connection, and for some minutes after it; when there is no room, newcomers are dropped silently"
	if c.Hard = used > 0; !c.Hard {
		c.Why = "nothing is tracked now; when a firewall begins to, " + c.Why
	}
	return c.judge(g, most-used, m.sysctl("net.netfilter.nf_conntrack_max", conntrackFor(g.Connections, used), false), Fix{
		Keep: "or do not track the port: iptables -t raw -A PREROUTING -p tcp --dport 8000 -j NOTRACK; iptables -t raw -A OUTPUT -p tcp --sport 8000 -j NOTRACK",
	})
}

// conntrackLeast is the least nf_conntrack_max that is recommended: the kernel's own choice for most machines.
const conntrackLeast = 262144

// conntrackFor leaves as much room again for connections that have ended.
func conntrackFor(connections int, used int64) string {
	return strconv.FormatInt(max(conntrackLeast, 2*int64(connections)+used), 10)
}
