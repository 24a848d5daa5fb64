//go:build !linux

package bare

import (
	"errors"
	"io"
)

// Work needs Linux.
func Work(io.Reader, io.Writer) error { return errors.New("bare writers are Linux only") }

// UringRefusal says that there is none.
func UringRefusal() error { return errors.New("io_uring is Linux only") }
