//go:build !linux

package natstest

import (
	"syscall"
	"time"
)

func attributes() *syscall.SysProcAttr { return nil }

// standsStill gives SIGSTOP some time; there is no way to see it.
func standsStill(int) bool {
	time.Sleep(100 * time.Millisecond)
	return true
}
