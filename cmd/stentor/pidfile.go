package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
)

// pidFile holds the process id while the server runs; nil does nothing. It is opened before the start, so that a path that
// cannot be written stops it, and filled only by a server that serves: a second instance, which fails on the port, leaves the
// file of the first alone.
type pidFile struct {
	f *os.File
}

func openPIDFile(path string) (*pidFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("pid_file: %w; name a file in a directory that the server may write to", err)
	}
	return &pidFile{f}, nil
}

func pidLine() string { return strconv.Itoa(os.Getpid()) + "\n" }

func (p *pidFile) write(log *slog.Logger) {
	if p == nil {
		return
	}
	err := p.f.Truncate(0)
	if err == nil {
		_, err = p.f.WriteAt([]byte(pidLine()), 0)
	}
	if err != nil {
		log.Error("pid_file could not be written", "error", err)
	}
}

// remove deletes the file, unless another process wrote it.
func (p *pidFile) remove(log *slog.Logger) {
	if p == nil {
		return
	}
	p.f.Close()
	holds, err := os.ReadFile(p.f.Name())
	if s := string(holds); err == nil && (s == pidLine() || s == "") {
		err = os.Remove(p.f.Name())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("pid_file could not be removed", "error", err)
	}
}
