package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is one option that cannot be used as it is.
type Error struct {
	Path    string // of the option; "" when a whole source is meant
	Value   string // as given; "" when there is none or it must not be shown
	Source  string // where it was given: "file config.json", "environment STENTOR_X", "flag --x"; "" unknown
	Problem string // what is wrong
	Remedy  string // what to do about it
}

// Error returns one line: path = "value" (source): problem; remedy.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Path)
	if e.Value != "" {
		fmt.Fprintf(&b, " = %s", clip(e.Value))
	}
	if e.Source != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "(%s)", e.Source)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// valueCharsMax bounds an offending value in a message.
const valueCharsMax = 80

// clip quotes s and cuts it, on a rune border.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= valueCharsMax {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", string([]rune(s)[:valueCharsMax]))
}

// Errors is all that is wrong with a configuration.
type Errors []*Error

// Error returns one line per error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single errors.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// err returns e as an error, nil when it is empty.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// All returns the single errors inside err, whatever it is, so that each can be logged on its own line.
func All(err error) []error {
	var list Errors
	if errors.As(err, &list) {
		return list.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// Topic sorts warnings.
type Topic string

// The topics of warnings.
const (
	UnknownKey Topic = "unknown"   // no such option
	OldName    Topic = "old name"  // a name of earlier versions, translated
	NotBuilt   Topic = "not built" // an option of a feature that does not exist yet
	Advice     Topic = "advice"    // valid, but hardly meant or dangerous
)

// Warning is something to tell the operator; the server starts all the same.
type Warning struct {
	Topic  Topic
	Path   string // of the option, or the name as written if there is no such option
	Source string // as in Error
	Text   string
}

// String returns one line: text (source).
func (w Warning) String() string {
	if w.Source == "" {
		return w.Text
	}
	return w.Text + " (" + w.Source + ")"
}
