package natstest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// attributes have the server end with the test, however that ends, and keep a signal from the keyboard from it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// standsStill reports that every thread of a process has stopped: SIGSTOP gets to them one by one.
func standsStill(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		return false
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			return false
		}
		_, state, _ := bytes.Cut(stat, []byte(") ")) // behind the name of the program
		if len(state) == 0 || state[0] != 'T' {
			return false
		}
	}
	return true
}
