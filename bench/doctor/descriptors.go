package doctor

import (
	"fmt"
	"strconv"

	"stentor/bench/cost"
)

// filesStep is what recommended limits of open files are multiples of, and filesLeast the least that is recommended for a process.
const (
	filesStep  = 65536
	filesLeast = 65536
	nrOpenMin  = 1048576 // the kernel's default
)

// filesFor is the limit of open files for so many connections to a server.
func filesFor(connections, loops int) int64 {
	return max(filesLeast, roundUp(int64(cost.Descriptors(connections, loops)), filesStep))
}

func filesFix(n int64) Fix {
	return Fix{
		Run:  fmt.Sprintf("ulimit -n %d", n),
		Keep: fmt.Sprintf("LimitNOFILE=%d under [Service] of the systemd unit; docker run --ulimit nofile=%d:%d …", n, n, n),
	}
}

// openFiles: each connection is one. The server raises its soft limit to the hard one; nothing but the line above its start moves that.
func (m *machine) openFiles(g Goal) Check {
	c := Check{Name: "open files", Hard: !g.Client, needed: !g.Client}
	if m.Files.Err != nil {
		return c.unknown(m.Files.Err)
	}
	c.Value = fmt.Sprintf("soft %s, hard %s", filesText(m.Files.Soft), filesText(m.Files.Hard))
	kept := int64(cost.Descriptors(0, m.loops))
	hard := int64(min(m.Files.Hard, noLimit))
	fix := filesFix(filesFor(g.Connections, m.loops))
	if g.Client {
		c.Why = "for each process: stentor bench starts as many as it takes, and a proxy has two for each connection (nginx: worker_rlimit_nofile)"
		return c.judge(g, hard-kept, fix)
	}
	c.Why = fmt.Sprintf("each connection is one, and the server keeps or uses %d others; it raises its soft limit to the hard one by itself", kept)
	if m.OS == "linux" {
		c.Why += "; raising the hard one " + m.mayRaise()
	}
	return c.judge(g, hard-kept, fix)
}

func filesText(n uint64) string {
	if n >= noLimit {
		return "unlimited"
	}
	return count(int64(n))
}

// capSysResource is the number of the capability to raise hard limits (capabilities(7)).
const capSysResource = 24

// mayRaise tells whether this process may raise its hard limits.
func (m *machine) mayRaise() string {
	text, err := m.text("proc/self/status")
	if err != nil {
		return "takes root"
	}
	set, err := strconv.ParseUint(lineOf(text, "CapEff"), 16, 64)
	switch {
	case err != nil:
		return "takes root"
	case set>>capSysResource&1 == 1:
		return "is allowed here, up to fs.nr_open"
	}
	return "is not allowed to this process: it takes root, or CAP_SYS_RESOURCE"
}

// nrOpen is above every process's limit of open files.
func (m *machine) nrOpen(g Goal) Check {
	c := Check{Name: "fs.nr_open", Hard: true}
	n, err := m.number("proc/sys/fs/nr_open")
	if err != nil {
		return c.unknown(err)
	}
	c.Value, c.Why = count(n), "no process's limit of open files can be above it"
	return c.judge(g, n-int64(cost.Descriptors(0, m.loops)), m.sysctl("fs.nr_open", nrOpenFor(g.Connections, m.loops), false))
}

func nrOpenFor(connections, loops int) string {
	return strconv.FormatInt(max(nrOpenMin, filesFor(connections, loops)), 10)
}

// fileMax is above what all processes together have open.
func (m *machine) fileMax(g Goal) Check {
	c := Check{Name: "fs.file-max", Hard: true}
	most, err := m.number("proc/sys/fs/file-max")
	if err != nil {
		return c.unknown(err)
	}
	c.Value, c.Why = count(most), "all files of the machine together"
	if most >= noLimit {
		return c.fine("unlimited")
	}
	var used int64
	if n, err := m.numbers("proc/sys/fs/file-nr", 3); err == nil {
		used = max(n[0]-n[1], 0) // open files, of which some are free
		c.Value += ", " + count(used) + " open"
	}
	return c.judge(g, most-used-int64(cost.Descriptors(0, m.loops)), m.sysctl("fs.file-max", fileMaxFor(g.Connections, m.loops, used), false))
}

func fileMaxFor(connections, loops int, used int64) string {
	return strconv.FormatInt(filesFor(connections, loops)+roundUp(used+filesStep, filesStep), 10)
}

// epollWatches bounds what all epolls of one user wait for (epoll(7)); the kernel sets it to 4 % of the memory at the start.
func (m *machine) epollWatches(g Goal) Check {
	c := Check{Name: "fs.epoll.max_user_watches", Hard: true, Why: "each connection is one, for all processes of a user together"}
	n, err := m.number("proc/sys/fs/epoll/max_user_watches")
	if err != nil {
		return c.unknown(err)
	}
	c.Value = count(n)
	own := int64(cost.Descriptors(0, m.loops))
	need := roundUp(int64(g.Connections)+own, filesStep)
	return c.judge(g, n-own, m.sysctl("fs.epoll.max_user_watches", strconv.FormatInt(need, 10), false))
}
