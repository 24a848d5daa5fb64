package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// Format is the syntax of a configuration file.
type Format string

// The formats.
const (
	JSON Format = "json"
	YAML Format = "yaml"
	TOML Format = "toml"
)

// FormatOf returns the format of a file by its extension: .json, .yaml, .yml, .toml.
func FormatOf(file string) (Format, error) {
	switch ext := strings.ToLower(filepath.Ext(file)); ext {
	case ".json":
		return JSON, nil
	case ".yaml", ".yml":
		return YAML, nil
	case ".toml":
		return TOML, nil
	default:
		return "", fmt.Errorf("the extension %q of the configuration file is not known; use .json, .yaml, .yml or .toml", ext)
	}
}

// parse turns the bytes of a file into maps, lists and scalars. repeated lists the keys that JSON gives twice
// (YAML and TOML refuse them). Errors tell the line.
func parse(f Format, data []byte) (tree map[string]any, repeated []string, err error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var in any
	switch f {
	case JSON:
		in, repeated, err = parseJSON(data)
	case YAML:
		in, err = parseYAML(data)
	case TOML:
		in, err = parseTOML(data)
	default:
		err = fmt.Errorf("unknown format %q", f)
	}
	if err != nil {
		return nil, nil, err
	}
	tree, ok := in.(map[string]any)
	if !ok {
		return nil, nil, errors.New("the file must hold one object with the sections as keys")
	}
	return tree, repeated, nil
}

// depthMax bounds the nesting of a file; the option tree is 8 deep.
const depthMax = 64

// parseJSON keeps numbers as they are written and notes repeated keys; encoding/json would round the one and hide the other.
func parseJSON(data []byte) (any, []string, error) {
	p := jsonParser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	v, err := p.value("", 0)
	if err == nil {
		if _, err = p.dec.Token(); err == io.EOF {
			return v, p.repeated, nil
		}
		if err == nil {
			err = errors.New("something follows the end of the object")
		}
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the text ends too early")
	}
	return nil, nil, fmt.Errorf("%s: %w", lineOf(data, p.dec.InputOffset()), err)
}

type jsonParser struct {
	dec      *json.Decoder
	repeated []string
}

func (p *jsonParser) value(path string, depth int) (any, error) {
	if depth > depthMax {
		return nil, fmt.Errorf("nested deeper than %d", depthMax)
	}
	t, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return p.object(path, depth)
	case json.Delim('['):
		return p.array(path, depth)
	}
	return t, nil
}

func (p *jsonParser) object(path string, depth int) (any, error) {
	m := map[string]any{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string) // the decoder lets nothing else pass
		if _, dup := m[key]; dup {
			p.repeated = append(p.repeated, join(path, key))
		}
		if m[key], err = p.value(join(path, key), depth+1); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.Token()
	return m, err
}

func (p *jsonParser) array(path string, depth int) (any, error) {
	list := []any{}
	for p.dec.More() {
		v, err := p.value(fmt.Sprintf("%s[%d]", path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.dec.Token()
	return list, err
}

func lineOf(data []byte, offset int64) string {
	before := data[:min(int(offset), len(data))]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

func parseYAML(data []byte) (any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var in any
	if err := dec.Decode(&in); err == io.EOF || err == nil && in == nil {
		return map[string]any{}, nil
	} else if err != nil {
		return nil, err
	}
	var second any
	if err := dec.Decode(&second); err != io.EOF {
		return nil, errors.New("the file holds more than one document (---)")
	}
	return plain(in, 0)
}

func parseTOML(data []byte) (any, error) {
	in := map[string]any{}
	err := toml.Unmarshal(data, &in)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, column := at.Position()
		return nil, fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	if err != nil {
		return nil, err
	}
	return plain(in, 0)
}

// plain gives the trees of YAML and TOML the shape of the JSON one: string keys and []any.
func plain(in any, depth int) (any, error) {
	if depth > depthMax {
		return nil, fmt.Errorf("nested deeper than %d", depthMax)
	}
	var err error
	switch in := in.(type) {
	case map[string]any:
		for k, v := range in {
			if in[k], err = plain(v, depth+1); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		m := make(map[string]any, len(in))
		for k, v := range in {
			if m[fmt.Sprint(k)], err = plain(v, depth+1); err != nil {
				return nil, err
			}
		}
		return m, nil
	case []any:
		for i, v := range in {
			if in[i], err = plain(v, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return in, nil
}
