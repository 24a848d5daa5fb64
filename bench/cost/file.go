package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileBytesMax is far above the size of a file of coefficients.
const fileBytesMax = 1 << 20

// DefaultPath is where a calibration leaves its file: stentor/coefficients.json in the user's cache directory.
func DefaultPath() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no directory for coefficients: %w; name a file with --coefficients", err)
	}
	return filepath.Join(dir, "stentor", "coefficients.json"), nil
}

// Load reads a file of coefficients. Figures that it does not have are 0 until Complete. An error that is fs.ErrNotExist means that
// nothing was measured here yet.
func Load(path string) (Coefficients, error) {
	f, err := os.Open(path)
	if err != nil {
		return Coefficients{}, fmt.Errorf("coefficients: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return Coefficients{}, fmt.Errorf("coefficients: %w", err)
	}
	c, err := decode(content)
	if err != nil {
		return Coefficients{}, fmt.Errorf("coefficients of %s: %w", path, err)
	}
	return c, nil
}

// decode reads one JSON object. Fields of a later program are no error; figures that make no sense are.
func decode(content []byte) (c Coefficients, err error) {
	if len(content) > fileBytesMax {
		return c, fmt.Errorf("more than %d bytes: not a file of coefficients", fileBytesMax)
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return Coefficients{}, fmt.Errorf("not a file of coefficients: %w", err)
	}
	if err := c.check(); err != nil {
		return Coefficients{}, err
	}
	return c, nil
}

// Save writes the coefficients to path, with the directories that it needs. Whoever reads meanwhile sees the old file or the new one.
func (c *Coefficients) Save(path string) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("coefficients: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("coefficients: %w", err)
	}
	if err := replace(path, b.Bytes()); err != nil {
		return fmt.Errorf("coefficients: %w", err)
	}
	return nil
}

func replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Find loads the coefficients that a command uses: those of the named file, or else those of the default path, or else the shipped
// ones, as from says.
func Find(named string) (c Coefficients, from string, err error) {
	path := named
	if named == "" {
		if path, err = DefaultPath(); err != nil {
			return Shipped(), shippedName, nil // a service without a home directory
		}
	}
	switch c, err = Load(path); {
	case err == nil:
		return c, path, nil
	case named == "" && errors.Is(err, fs.ErrNotExist):
		return Shipped(), shippedName, nil
	case named == "":
		return c, path, fmt.Errorf("%w; remove the file, or measure again", err)
	}
	return c, path, err
}
