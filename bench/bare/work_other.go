//go:build !linux

package bare

import (
	"errors"
	"io"
)

// Work needs Linux.
func Work(io.Reader, io.Writer) error { return errors.New("bare writers are Linux only") }
