// Package page shows results as one self-contained HTML page: tables, latency curves, step charts, memory and CPU over time, the
// command and the machine. The page fetches nothing.
package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"stentor/bench/result"
)

//go:embed page.html
var template []byte

// marker stands in the template where the results go.
var marker = []byte("__RESULTS__")

// Write writes the page of results to w.
func Write(w io.Writer, results []result.Result) error {
	data, err := json.Marshal(results) // escapes <, > and &: no text in it can end the script element around it
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	head, tail, _ := bytes.Cut(template, marker)
	for _, part := range [][]byte{head, data, tail} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("page: %w", err)
		}
	}
	return nil
}

// WriteFile writes the page of results to the file at path.
func WriteFile(path string, results []result.Result) error {
	var b bytes.Buffer
	if err := Write(&b, results); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
