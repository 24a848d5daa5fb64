package config

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration whose text form is Go's ("1m30s"). A bare number is nanoseconds.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest usual form: "25s", "720h", "1m30s" (not "720h0m0s").
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalText returns String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// parseDuration reads the text form of a Duration.
func parseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil {
		return Duration(d), nil
	}
	if _, nerr := strconv.ParseFloat(s, 64); nerr == nil {
		return 0, fmt.Errorf("a duration needs a unit, for example %q or %q", s+"s", s+"ms")
	}
	return 0, errors.New("not a duration; write for example 500ms, 25s, 1m30s or 24h")
}

// MapStringString is a string map. A file gives it as an object or, for keys whose case or dots matter,
// as a list of {"key": …, "value": …}.
type MapStringString map[string]string

// PEMData is a certificate or key: a file path, the PEM text itself, or the base64 of PEM text.
type PEMData string

// ErrNotPEM says that a PEMData is none of the three things it may be.
var ErrNotPEM = errors.New("neither PEM text, base64 of PEM text, nor the path of a PEM file")

// Load returns the PEM bytes. Errors wrap ErrNotPEM and, where the value was taken for a file name, the
// reason why it could not be read. They do not tell the value: it may be a mangled private key.
func (p PEMData) Load() ([]byte, error) {
	if isPEM([]byte(p)) {
		return []byte(p), nil
	}
	if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(p))); err == nil && isPEM(b) {
		return b, nil
	}
	b, err := os.ReadFile(string(p))
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return nil, fmt.Errorf("%w (%w)", ErrNotPEM, pathErr.Err)
	}
	if err != nil {
		return nil, ErrNotPEM
	}
	if !isPEM(b) {
		return nil, fmt.Errorf("the file named holds no PEM text: %w", ErrNotPEM)
	}
	return b, nil
}

func isPEM(b []byte) bool {
	block, _ := pem.Decode(b)
	return block != nil
}
