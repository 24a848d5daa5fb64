package probe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Machine is the machine that this runs on. What the kernel does not show stays empty.
type Machine struct {
	Kernel string
	CPU    string
	Memory int64 // bytes
	root   string
}

// OpenMachine reads what does not change.
func OpenMachine() Machine { return openMachine(procRoot) }

func openMachine(root string) Machine {
	m := Machine{root: root}
	if b, err := os.ReadFile(filepath.Join(root, "sys/kernel/osrelease")); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	m.CPU = m.field("cpuinfo", "model name")
	if kb, err := strconv.ParseInt(strings.TrimSuffix(m.field("meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kb << 10
	}
	return m
}

// field is the value of the first line "name: value" of a file.
func (m Machine) field(file, name string) string {
	b, err := os.ReadFile(filepath.Join(m.root, file))
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(b) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == name {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// Busy is the CPU time that all cores together have spent on anything since the machine started, in steps of clockTick.
func (m Machine) Busy() (time.Duration, error) {
	b, err := os.ReadFile(filepath.Join(m.root, "stat"))
	if err != nil {
		return 0, err
	}
	return parseBusy(b)
}

// parseBusy adds up the line "cpu" of /proc/stat (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal. Guests are in
// user and nice already.
func parseBusy(b []byte) (time.Duration, error) {
	const idle, iowait, last = 3, 4, 7
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 2+last || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat: the first line is %q, not that of all cores", line)
	}
	var sum time.Duration
	for i, f := range fields[1 : 2+last] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != idle && i != iowait {
			sum += time.Duration(n) * clockTick
		}
	}
	return sum, nil
}
