package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ResultsMax is how many results one file may hold for Read.
const ResultsMax = 100_000

// Append writes r as one line of JSON.
func (r *Result) Append(w io.Writer) error {
	return json.NewEncoder(w).Encode(r) // ends with a newline
}

// AppendFile writes r as one more line of the file at path, which is made if it is not there.
func (r *Result) AppendFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = r.Append(f)
	return errors.Join(err, f.Close())
}

// Read reads results until the end of in.
func Read(in io.Reader) ([]Result, error) {
	lines := json.NewDecoder(in)
	var all []Result
	for {
		var r Result
		err := lines.Decode(&r)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("result %d: %w: a file of results has one JSON object per line, as --json and --out write it", len(all)+1, err)
		case len(all) == ResultsMax:
			return nil, fmt.Errorf("more than %d results", ResultsMax)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("result %d: %w", len(all)+1, err)
		}
		all = append(all, r)
	}
}

// check refuses what would break those that draw tables.
func (r *Result) check() error {
	if r.Scenario == "" {
		return errors.New("it names no scenario")
	}
	for _, t := range r.Tables {
		for i, row := range t.Rows {
			if len(row.Cells) != len(t.Columns) {
				return fmt.Errorf("table %q: row %d has %d cells, there are %d columns", t.Name, i+1, len(row.Cells), len(t.Columns))
			}
		}
	}
	return nil
}

// ReadFile reads the results in the file at path; "-" is standard input.
func ReadFile(path string) ([]Result, error) {
	if path == "-" {
		return Read(os.Stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}
