//go:build !linux

package bench

import (
	"errors"
	"runtime"
)

// checkSystem refuses to measure without epoll and /proc.
func checkSystem() error {
	return errors.New("bench is Linux only (epoll, /proc): this is " + runtime.GOOS + "; run it on a Linux machine, the server may be elsewhere")
}
