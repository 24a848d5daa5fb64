package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// source reads the files of a machine below its root.
type source struct{ root fs.FS }

// text is a file's content without the space around it. The error is fs.ErrNotExist where there is no such file.
func (s source) text(path string) (string, error) {
	b, err := fs.ReadFile(s.root, path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// numbers reads a file of exactly so many whole numbers, none below 0.
func (s source) numbers(path string, want int) ([]int64, error) {
	text, err := s.text(path)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(text)
	if len(fields) != want {
		return nil, fmt.Errorf("/%s: %d fields, want %d: %q", path, len(fields), want, brief(text))
	}
	n := make([]int64, want)
	for i, f := range fields {
		if n[i], err = parseNumber(f); err != nil {
			return nil, fmt.Errorf("/%s: %w", path, err)
		}
	}
	return n, nil
}

// number reads a file of one number.
func (s source) number(path string) (int64, error) {
	n, err := s.numbers(path, 1)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// parseNumber takes what fits in 63 bits; a larger number, which some kernels show for "no limit", becomes the largest.
func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 64) // beyond 64 bits n is the largest, too
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is not a number", brief(text))
	}
	return int64(min(n, 1<<63-1)), nil
}

// briefBytes is how much of a text that makes no sense is shown.
const briefBytes = 60

func brief(text string) string {
	if len(text) > briefBytes {
		return text[:briefBytes] + "…"
	}
	return text
}

// meminfo reads lines like "MemTotal: 123 kB" of /proc/meminfo, in bytes.
func (s source) meminfo(names ...string) ([]int64, error) {
	text, err := s.text("proc/meminfo")
	if err != nil {
		return nil, err
	}
	n := make([]int64, len(names))
	for i, name := range names {
		fields := strings.Fields(lineOf(text, name))
		if len(fields) != 2 || fields[1] != "kB" {
			return nil, fmt.Errorf("/proc/meminfo: no %s in kB", name)
		}
		kilobytes, err := parseNumber(fields[0])
		if err != nil || kilobytes > 1<<52 {
			return nil, fmt.Errorf("/proc/meminfo: %s: %q is not a size", name, brief(fields[0]))
		}
		n[i] = kilobytes << 10
	}
	return n, nil
}

// exists reports that there is such a file.
func (s source) exists(path string) bool {
	_, err := fs.Stat(s.root, path)
	return err == nil
}

// lineOf is the value of a line "name: value"; "" if there is none.
func lineOf(text, name string) string {
	for line := range strings.Lines(text) {
		if n, value, ok := strings.Cut(line, ":"); ok && n == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
