package session

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSpecification keeps testdata/SPEC.md, the map from rows of the specification to tests: rows are numbered without a gap, each
// names files and tests that exist or says why not, and every conversation is there for some row.
func TestSpecification(t *testing.T) {
	page, err := os.ReadFile("testdata/SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	section, last := "", ""
	for line := range strings.Lines(string(page)) {
		for _, name := range specName.FindAllStringSubmatch(line, -1) {
			named[name[1]] = true
		}
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		switch {
		case strings.HasPrefix(line, "## "):
			section, last = strings.TrimSpace(line[3:]), "0"
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| row"):
		case len(cells) != 3:
			t.Errorf("%s: not three cells: %s", section, line)
		default:
			row := strings.TrimSpace(cells[0])
			if !follows(last, row) {
				t.Errorf("%s: row %s after %s", section, row, last)
			}
			if shown := strings.TrimSpace(cells[2]); !strings.HasPrefix(shown, "`") && shown != "missing" && !strings.HasPrefix(shown, "out of scope: ") {
				t.Errorf("%s row %s: what does this mean? %q", section, row, shown)
			}
			last = row
		}
	}
	for name := range named {
		if err := specExists(name); err != nil {
			t.Error(err)
		}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		if !named[filepath.Base(file)] {
			t.Errorf("no row of the specification is shown by %s", file)
		}
	}
}

// specName is a conversation, or a test with its folder if that is another one.
var specName = regexp.MustCompile("`([a-z0-9_]+\\.txt|(?:[a-z/]+\\.)?Test[A-Za-z]+)`")

// follows reports that a row has the number after last, or the same number and the letter after last's.
func follows(last, row string) bool {
	var n, m int
	var a, b string
	fmt.Sscanf(last, "%d%s", &n, &a)
	fmt.Sscanf(row, "%d%s", &m, &b)
	if n == m {
		return a != "" && b != "" && b[0] == a[0]+1
	}
	return m == n+1 && (b == "" || b == "a")
}

func specExists(name string) error {
	if strings.HasSuffix(name, ".txt") {
		_, err := os.Stat(filepath.Join("testdata", name))
		return err
	}
	folder, test, elsewhere := strings.Cut(name, ".")
	if !elsewhere {
		folder, test = "server/session", name
	}
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(source), "\nfunc "+test+"(t *testing.T) {") {
			return nil
		}
	}
	return fmt.Errorf("there is no test %s in %s", test, folder)
}
