package bench

import (
	"io"

	"stentor/bench/bare"
	"stentor/bench/fleet"
)

// What the hidden sub-commands do.
func work(in io.Reader, out io.Writer) error     { return fleet.Work(in, out) }
func workBare(in io.Reader, out io.Writer) error { return bare.Work(in, out) }
