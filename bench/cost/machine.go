package cost

import (
	"bytes"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// ThisMachine describes the machine that the program runs on, as far as it says.
func ThisMachine() Machine { return machineOf(os.DirFS("/"), runtime.NumCPU()) }

func machineOf(root fs.FS, cores int) Machine {
	m := Machine{Cores: cores}
	if b, err := fs.ReadFile(root, "proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	b, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(bytes.TrimSpace(name)) == "model name" {
			m.CPU = string(bytes.TrimSpace(value))
			break
		}
	}
	return m
}
