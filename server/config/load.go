package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/joho/godotenv"
	"github.com/spf13/pflag"
)

// FileDefault is the configuration file that is read when none is named.
const FileDefault = "config.json"

// fileBytesMax bounds a configuration file.
const fileBytesMax = 16 << 20

// Options says where Load looks. The zero value is what a process does that was started without arguments.
type Options struct {
	File  string         // configuration file; "" = FileDefault; its extension says its format
	Dir   string         // directory of the .env file; "" = working directory
	Env   []string       // NAME=value; nil = os.Environ()
	Flags *pflag.FlagSet // as BindFlags made it, parsed; nil = none. Only flags that were given count

	// FileRequired makes a missing file an error. It is meant for reading again while the server runs: a file that is
	// just being replaced must not count as an empty one.
	FileRequired bool
}

// Result is what Load found.
type Result struct {
	Config   *Config // nil if there were errors
	File     string  // the file that was read; "" if there was none
	Warnings []Warning
	Sources  map[string]string // path of each option that was given → where, as in Error.Source
}

// Unknown returns the warnings of names that are no options; a strict check makes them errors.
func (r Result) Unknown() []Warning {
	var list []Warning
	for _, w := range r.Warnings {
		if w.Topic == UnknownKey {
			list = append(list, w)
		}
	}
	return list
}

// loader is one Load.
type loader struct {
	cfg      *Config
	dec      decoder
	environ  *environment
	envKeys  []string // of all options, for suggestions
	warnings []Warning
}

// Load reads the configuration: flags over environment over file over defaults. The error is an Errors with all that
// is wrong; warnings come in either case.
func Load(opts Options) (Result, error) {
	l := &loader{cfg: Default()}
	l.dec.given = map[string]string{}
	l.readEnviron(opts)
	l.dec.replace = l.environ.lookup
	l.dec.unknown = l.unknownKey

	file := opts.File
	if file == "" {
		file = FileDefault
	}
	found := l.file(file, opts.FileRequired)
	l.dec.quoting = false
	l.environment()
	if opts.Flags != nil {
		l.flags(opts.Flags)
	}

	res := Result{Warnings: l.warnings, Sources: l.dec.given}
	if found {
		res.File = file
	}
	errs := l.dec.errs
	l.openForDev()
	if len(errs) == 0 { // a half-read configuration would fail for reasons that are none
		errs = append(l.cfg.problems(), l.emptySecrets()...)
		for _, e := range errs {
			e.Source = l.dec.given[e.Path]
		}
	}
	if len(errs) > 0 {
		return res, errs
	}
	for _, w := range append(l.cfg.notBuilt(), l.cfg.advice()...) {
		w.Source = l.dec.given[w.Path]
		res.Warnings = append(res.Warnings, w)
	}
	res.Config = l.cfg
	return res, nil
}

func (l *loader) warn(w Warning) { l.warnings = append(l.warnings, w) }

func (l *loader) unknownKey(path string, siblings *node) {
	text := "unknown key in configuration file: " + path
	if s := suggest(path, siblings); s != "" {
		text += "; did you mean " + s + "?"
	}
	l.warn(Warning{Topic: UnknownKey, Path: path, Source: l.dec.source, Text: text})
}

// readEnviron takes the variables of the process and below them those of the .env file.
func (l *loader) readEnviron(opts Options) {
	lines := opts.Env
	if lines == nil {
		lines = os.Environ()
	}
	var all []string
	path := filepath.Join(opts.Dir, ".env")
	vars, err := godotenv.Read(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.warn(Warning{Topic: Advice, Source: "file " + path, Text: "the .env file cannot be read and is ignored: " + err.Error()})
	}
	for name, value := range vars {
		all = append(all, name+"="+value)
	}
	l.environ = newEnvironment(append(all, lines...))
}

// file reads the configuration file; false if it could not be read.
func (l *loader) file(path string, required bool) bool {
	l.dec.source = "file " + path
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && !required {
		l.warn(Warning{Topic: Advice, Source: l.dec.source,
			Text: "the configuration file does not exist; going on with environment and defaults; `stentor genconfig` writes one"})
		return false
	}
	if err != nil {
		l.dec.fail("", "", err.Error(), "")
		return false
	}
	format, err := FormatOf(path)
	if err != nil {
		l.dec.fail("", "", err.Error(), "")
		return true
	}
	l.parsed(format, data)
	return true
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err == nil && len(data) > fileBytesMax {
		err = fmt.Errorf("larger than %d bytes", fileBytesMax)
	}
	return data, err
}

// parsed puts the text of a file into the configuration.
func (l *loader) parsed(format Format, data []byte) {
	tree, repeated, err := parse(format, data)
	if err != nil {
		l.dec.fail("", "", err.Error(), "")
		return
	}
	for _, path := range repeated {
		l.warn(Warning{Topic: Advice, Path: path, Source: l.dec.source, Text: "key given twice, the later one holds: " + path})
	}
	l.dec.quoting = format != JSON
	l.translateFile(tree)
	l.dec.block(root(), reflect.ValueOf(l.cfg).Elem(), "", tree)
}

// environment puts the variables into the configuration: old names first, then the paths of version 6 over them.
func (l *loader) environment() {
	names := map[string]bool{}
	root().paths("", func(path string, n *node) { names[envKey("", path)] = true })
	l.dec.source = "environment"
	for _, mv := range l.envOld(names) {
		l.oldVariable(mv)
	}
	l.env(root(), reflect.ValueOf(l.cfg).Elem(), "", "")
	l.unknownEnv()
}

// oldVariable puts the value of a variable with an old name where it belongs now.
func (l *loader) oldVariable(mv move) {
	name, _, _ := l.environ.get(envKey("", mv.old))
	l.dec.source = "environment"
	if newName, _, both := l.environ.get(envKey("", mv.path)); both {
		l.warnOld(name, newName, "both are given; the new name holds")
		return
	}
	l.warnOld(name, envPrefixes[0]+envKey("", mv.path), "")
	l.dec.source = "environment " + name
	n, v := l.cfg.at(mv.path)
	if n.kind == kindList {
		l.translateItems(n, mv.path, mv.value)
	}
	l.dec.value(n, v, mv.path, mv.value)
}
