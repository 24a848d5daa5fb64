//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"
	"runtime"
)

var errLinuxOnly = errors.New("bench is Linux only (epoll, /proc): this is " + runtime.GOOS + "; run it on a Linux machine, the server may be elsewhere")

func work(io.Reader, io.Writer) error     { return errLinuxOnly }
func workBare(io.Reader, io.Writer) error { return errLinuxOnly }

// Run needs Linux.
func (o *Idle) Run(context.Context, *Streams) error { return errLinuxOnly }

// Run needs Linux.
func (o *Fanout) Run(context.Context, *Streams) error { return errLinuxOnly }

// Run needs Linux.
func (o *Mixed) Run(context.Context, *Streams) error { return errLinuxOnly }

// Run needs Linux.
func (o *Slow) Run(context.Context, *Streams) error { return errLinuxOnly }
