package doctor

import (
	"io/fs"
	"runtime"

	"golang.org/x/sys/unix"

	"stentor/bench/cost"
)

// Process is what the running program knows of itself.
type Process struct {
	OS        string // GOOS
	CPUs      int    // that it may use
	Procs     int    // GOMAXPROCS
	PageBytes int64
	Files     FileLimit
}

// FileLimit is the limit of open files; without an error.
type FileLimit struct {
	Soft, Hard uint64
	Err        error // why it is not known
}

// noLimit is above every limit of open files that is one.
const noLimit = 1 << 62

// ThisProcess asks the running program. Go has raised its soft limit of open files to the hard one by then.
func ThisProcess() Process {
	p := Process{OS: runtime.GOOS, CPUs: runtime.NumCPU(), Procs: runtime.GOMAXPROCS(0), PageBytes: int64(unix.Getpagesize())}
	var limit unix.Rlimit
	if p.Files.Err = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); p.Files.Err == nil {
		p.Files.Soft, p.Files.Hard = uint64(limit.Cur), uint64(limit.Max)
	}
	return p
}

// machine is one machine while it is judged.
type machine struct {
	source
	Process
	cgroup
	container bool
	loops     int // of a server here
}

func newMachine(root fs.FS, p Process) *machine {
	s := source{root}
	return &machine{
		source: s, Process: p, cgroup: readCgroup(s),
		container: s.exists(".dockerenv") || s.exists("run/.containerenv"),
		loops:     max(1, min(p.Procs, cost.LoopsMax)),
	}
}

// serverChecks and clientChecks are the settings that matter to each side, the likely walls first.
var (
	serverChecks = []func(*machine, Goal) Check{
		(*machine).openFiles, (*machine).nrOpen, (*machine).fileMax, (*machine).epollWatches,
		(*machine).ram, (*machine).cgroupMemory, (*machine).overcommit, (*machine).swap, (*machine).hugePages,
		(*machine).tcpMem, (*machine).tcpReceive, (*machine).tcpSend,
		(*machine).backlog, (*machine).synBacklog, (*machine).conntrack, (*machine).portsOfProxy,
		(*machine).cpus, (*machine).kernel,
	}
	clientChecks = []func(*machine, Goal) Check{
		(*machine).ports, (*machine).timeWait, (*machine).finTimeout,
		(*machine).openFiles, (*machine).fileMax, (*machine).epollWatches,
		(*machine).ram, (*machine).cgroupMemory, (*machine).tcpMem, (*machine).tcpReceive, (*machine).tcpSend,
		(*machine).conntrack, (*machine).cpus, (*machine).kernel,
	}
)

// Judge judges the machine whose files are below root. On other systems than Linux only the limit of open files is known.
func Judge(root fs.FS, p Process, g Goal) *Report {
	m := newMachine(root, p)
	checks := serverChecks
	switch {
	case p.OS != "linux":
		checks = []func(*machine, Goal) Check{(*machine).openFiles}
	case g.Client:
		checks = clientChecks
	}
	r := &Report{Goal: g.Connections, Role: "server", OS: p.OS}
	if g.Client {
		r.Role = "client"
	}
	for _, check := range checks {
		r.Checks = append(r.Checks, check(m, g))
	}
	r.conclude()
	return r
}
