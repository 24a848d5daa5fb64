package metrics

import (
	"slices"
	"strings"
	"sync"
)

// Class is a kind of client: those that share transport, name and version. A session keeps it, to be counted out as what it was
// counted in. Its lower byte is an index among the classes, the upper one the number of the client's name.
type Class uint16

func (c Class) index() int { return int(c) % ClassesMax }
func (c Class) name() int  { return int(c) / ClassesMax }

// Limits of the table of classes.
const (
	// ClassesMax bounds the kinds of clients that are told apart. Later ones count as unregistered.
	ClassesMax = 256
	// VersionBytesMax is the longest client version that becomes a label.
	VersionBytesMax = 20
)

// clientNames are the values of the label client_name: the SDKs that are known, and what the others are called.
var clientNames = [...]string{"csharp", "dart", "go", "java", "js", "python", "swift", unregistered, unnamed}

const (
	unregistered = "unregistered"
	unnamed      = "unnamed"

	numClientNames = len(clientNames)
)

// registeredNames are the SDKs whose name and version become labels.
var registeredNames = clientNames[:numClientNames-2]

// Client says what a class tells apart.
type Client struct {
	Transport      Transport
	AcceptProtocol string // "" for HTTP/1.1, "h2", "h3"
	Name, Version  string // as the client says
}

// label makes the client's words safe: a known name with a version that looks like one, or the fact that it is not.
func (c Client) label() Client {
	if c.AcceptProtocol != "" && c.AcceptProtocol != "h2" && c.AcceptProtocol != "h3" {
		c.AcceptProtocol = "other"
	}
	switch {
	case c.Name == "":
		c.Name = unnamed
	case !slices.Contains(registeredNames, c.Name):
		c.Name = unregistered
	}
	switch {
	case c.Version == "":
		c.Version = "unversioned"
	case c.Name == unnamed || c.Name == unregistered || !isVersion(c.Version):
		c.Version = unregistered
	}
	return c
}

// isVersion reports whether s is short and made of what versions are made of.
func isVersion(s string) bool {
	if len(s) > VersionBytesMax {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if b != '.' && b != '-' && b != '+' && (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			return false
		}
	}
	return true
}

// classes gives out the numbers of classes. Any goroutine may use it.
type classes struct {
	mu     sync.RWMutex
	number map[Client]Class
	known  []Client
}

// of finds or makes the class of c, whose strings may die after the call.
func (t *classes) of(c Client) Class {
	c = c.label()
	t.mu.RLock()
	n, ok := t.number[c]
	t.mu.RUnlock()
	if ok {
		return n
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok = t.number[c]; ok {
		return n
	}
	if len(t.known) >= ClassesMax-int(numTransports) { // the rest is kept for what comes now
		c = Client{Transport: c.Transport, Name: unregistered, Version: unregistered}
		if n, ok = t.number[c]; ok {
			return n
		}
	}
	c.Name, c.Version = strings.Clone(c.Name), strings.Clone(c.Version)
	n = Class(len(t.known) + ClassesMax*slices.Index(clientNames[:], c.Name))
	t.number[c] = n
	t.known = append(t.known, c)
	return n
}

// list is a copy of the classes known so far.
func (t *classes) list() []Client {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.known)
}
