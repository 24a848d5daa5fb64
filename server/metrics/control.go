package metrics

import (
	"sync/atomic"
	"time"
)

// ControlFailure is why a control message between nodes had no effect.
type ControlFailure uint8

// Reasons, as the label "reason" names them.
const (
	ControlUnsent   ControlFailure = iota // the bus did not take it
	ControlJunk                           // it could not be read, or is none
	ControlDropped                        // too many wait already
	ControlRefused                        // it asks for what this server cannot do
	ControlStranger                       // it is of a node too many

	numControlFailures
)

var controlFailureNames = [numControlFailures]string{"unsent", "junk", "dropped", "refused", "stranger"}

// String names the reason as its label does.
func (f ControlFailure) String() string { return controlFailureNames[f] }

// ControlFailed counts a control message without effect.
func (m *Metrics) ControlFailed(why ControlFailure) { m.controlFailures[why].Add(1) }

// Survey counts the questions to other nodes of one kind. Any goroutine may use it.
type Survey struct {
	op     string
	took   histogram
	window window[counts] // guarded by Metrics.scrape
}

// Survey makes the counters of surveys called op. It is called once for each, with a name from a fixed list.
func (m *Metrics) Survey(op string) *Survey {
	s := &Survey{op: op}
	m.scrape.Lock()
	defer m.scrape.Unlock()
	m.surveys = append(m.surveys, s)
	return s
}

// Took counts one survey and the time until all nodes had answered, or were waited for in vain.
func (s *Survey) Took(d time.Duration) { s.took.observe(d) }

func (m *Metrics) writeControl(p *page) {
	for why := range numControlFailures {
		p.always("counter", "stentor_control_messages_failed_total", `reason="`+why.String()+`"`, m.controlFailures[why].Load())
	}
	now := m.now()
	all := make([]counts, len(m.surveys))
	for i, s := range m.surveys {
		c := &all[i]
		c.add(&s.took)
		p.summary("centrifugo_node_survey_duration_seconds", "op="+quoteLabel(s.op), c, c.since(s.window.before(c, now)))
	}
	for i, s := range m.surveys {
		p.histogram("centrifugo_node_survey_duration_seconds_histogram", "op="+quoteLabel(s.op), &all[i])
	}
}

// controlFailures are counters by reason.
type controlFailures [numControlFailures]atomic.Uint64
