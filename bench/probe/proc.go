package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// procRoot is where the kernel shows processes.
const procRoot = "/proc"

// clockTick is the unit of the times in /proc/<pid>/stat (USER_HZ, 100 on every Linux that Go runs on).
const clockTick = 10 * time.Millisecond

// Process is one process, known by its id.
type Process struct {
	pid  int
	root string // procRoot but in tests
}

// Open checks that process pid exists.
func Open(pid int) (Process, error) {
	p := Process{pid: pid, root: procRoot}
	if _, err := os.Stat(p.path("stat")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return p, fmt.Errorf("there is no process %d: give the id of one that runs", pid)
		}
		return p, err
	}
	return p, nil
}

// PID is the process id.
func (p Process) PID() int { return p.pid }

func (p Process) path(file string) string { return filepath.Join(p.root, strconv.Itoa(p.pid), file) }

// read reads one file of the process.
func (p Process) read(file string) ([]byte, error) {
	b, err := os.ReadFile(p.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("process %d is gone: did the server crash? its log says more", p.pid)
	}
	return b, err
}

// Status is a part of /proc/<pid>/status.
type Status struct {
	RSS     int64 // resident bytes now (VmRSS)
	RSSPeak int64 // the most so far, bytes (VmHWM)
	Threads int
}

// Status reads memory and threads.
func (p Process) Status() (Status, error) {
	b, err := p.read("status")
	if err != nil {
		return Status{}, err
	}
	return parseStatus(b)
}

func parseStatus(b []byte) (s Status, err error) {
	var found int
	for line := range bytes.Lines(b) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		var into *int64
		var threads int64
		switch string(name) {
		case "VmRSS":
			into = &s.RSS
		case "VmHWM":
			into = &s.RSSPeak
		case "Threads":
			into = &threads
		default:
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return s, fmt.Errorf("/proc status: no value in %q", line)
		}
		if *into, err = strconv.ParseInt(string(fields[0]), 10, 64); err != nil {
			return s, fmt.Errorf("/proc status: %w", err)
		}
		if len(fields) == 2 && string(fields[1]) == "kB" {
			*into *= 1024
		}
		if threads > 0 {
			s.Threads = int(threads)
		}
		found++
	}
	if found < 3 {
		return s, errors.New("/proc status: VmRSS, VmHWM or Threads is not there (a kernel thread or a zombie?)")
	}
	return s, nil
}

// statCPU reads utime + stime, in steps of clockTick.
func (p Process) statCPU() (time.Duration, error) {
	b, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	return parseStatCPU(b)
}

// parseStatCPU adds fields 14 and 15 of /proc/<pid>/stat (proc_pid_stat(5)). The command name in field 2 may hold spaces and
// parentheses, so that counting starts after the last ")".
func parseStatCPU(b []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, errors.New("/proc stat: no command name")
	}
	fields := bytes.Fields(b[end+1:])
	const utime, stime = 14 - 3, 15 - 3 // the first field here is number 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc stat: %d fields after the command name", len(fields))
	}
	var sum time.Duration
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc stat: %w", err)
		}
		sum += time.Duration(n) * clockTick
	}
	return sum, nil
}

// FilesMax reads the soft limit of open files. The second result is false if there is none.
func (p Process) FilesMax() (int64, bool, error) {
	b, err := p.read("limits")
	if err != nil {
		return 0, false, err
	}
	return parseFilesMax(b)
}

func parseFilesMax(b []byte) (int64, bool, error) {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("Max open files"))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) < 2 {
			break
		}
		if string(fields[0]) == "unlimited" {
			return 0, false, nil
		}
		n, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return n, true, err
	}
	return 0, false, errors.New("/proc limits: no line \"Max open files\"")
}
