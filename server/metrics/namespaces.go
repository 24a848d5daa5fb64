package metrics

import (
	"maps"
	"slices"
)

// Namespace is the number of a value of the label channel_namespace. 0 is the empty one: of channels without a namespace, of what
// is about no channel, and of everything while namespaces are not told apart.
type Namespace uint16

// NamespacesMax bounds the namespaces that are told apart. Later ones share the label "other", which also is that of a namespace
// with this name.
const NamespacesMax = 1000

// Numbers that always mean the same.
const (
	noNamespace Namespace = iota
	otherNamespaces
	firstNamespace
)

// namespaces are all values of the label so far. It is replaced as a whole, and never changed.
type namespaces struct {
	labels []string // whole labels, by number
	number map[string]Namespace
}

// oneNamespace is for a server that does not tell namespaces apart.
func oneNamespace() *namespaces { return &namespaces{labels: []string{namespace}} }

// of is the number of a namespace. One that is not known is not told apart.
func (s *namespaces) of(name string) Namespace {
	if n, known := s.number[name]; known {
		return n
	}
	if name != "" && len(s.labels) == int(firstNamespace)+NamespacesMax {
		return otherNamespaces
	}
	return noNamespace
}

// with is s and names, in their order, as far as there is room.
func (s *namespaces) with(names []string) *namespaces {
	more := &namespaces{labels: slices.Clone(s.labels), number: maps.Clone(s.number)}
	if more.number == nil {
		more.number = map[string]Namespace{"": noNamespace, "other": otherNamespaces}
		more.labels = append(more.labels, namespaceLabel("other"))
	}
	for _, name := range names {
		if _, known := more.number[name]; !known && len(more.labels) < int(firstNamespace)+NamespacesMax {
			more.number[name] = Namespace(len(more.labels))
			more.labels = append(more.labels, namespaceLabel(name))
		}
	}
	return more
}

func namespaceLabel(name string) string { return "channel_namespace=" + quoteLabel(name) }

// TellApart gives the namespaces called names labels of their own, from now on and for good: a namespace that goes with a reload
// keeps its number, for there may be subscriptions left. split says which namespace the name of a channel names. That of the first
// call stays, because what was counted in must be counted out under the same label. The first call comes before anything is
// counted, later ones on any goroutine.
func (m *Metrics) TellApart(split func(channel string) (namespace string), names []string) {
	m.growing.Lock()
	defer m.growing.Unlock()
	if m.split == nil {
		m.split = split
	}
	more := m.namespaces.Load().with(names)
	// Whoever learns of a number finds room for it.
	for i := range m.locals {
		m.locals[i].grow(len(more.labels))
	}
	outcomes := slices.Clone(*m.outcomes.Load())
	for len(outcomes) < len(more.labels) {
		outcomes = append(outcomes, newOutcomes())
	}
	m.outcomes.Store(&outcomes)
	m.namespaces.Store(more)
}

// Namespace is the number of the namespace called name.
func (m *Metrics) Namespace(name string) Namespace { return m.namespaces.Load().of(name) }

// NamespaceOf is the number of the namespace of a channel. It looks names up, so it is for what does not happen often; hot paths
// have the number from the options of the channel.
func (m *Metrics) NamespaceOf(channel string) Namespace {
	if m.split == nil {
		return noNamespace
	}
	return m.Namespace(m.split(channel))
}
