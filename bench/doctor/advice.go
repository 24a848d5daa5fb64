package doctor

// Advice is the settings that a server with so many connections and loops needs, whatever the machine has now. Its socket buffers take
// so many bytes; less than doctor itself reckons with counts as that. Pages are of 4 KiB.
func Advice(connections, loops int, buffers float64) []Fix {
	const pageBytes = 4096
	return []Fix{
		filesFix(filesFor(connections, loops)),
		sysctl("fs.nr_open", nrOpenFor(connections, loops)),
		sysctl("fs.file-max", fileMaxFor(connections, loops, 0)),
		sysctl("net.core.somaxconn", backlogFor(connections, loops)),
		sysctl("net.ipv4.tcp_max_syn_backlog", backlogFor(connections, loops)),
		sysctl("net.ipv4.tcp_mem", tcpMemFor(max(buffers, buffersFor(connections)), pageBytes)),
		sysctl("net.netfilter.nf_conntrack_max", conntrackFor(connections, 0)),
	}
}
