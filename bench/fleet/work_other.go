//go:build !linux

package fleet

import (
	"errors"
	"io"
	"runtime"
)

var errLinuxOnly = errors.New("bench is Linux only (epoll, /proc): this is " + runtime.GOOS + "; run it on a Linux machine, the server may be elsewhere")

// Work needs Linux.
func Work(io.Reader, io.Writer) error { return errLinuxOnly }
