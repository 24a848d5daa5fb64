package metrics

import (
	"io"
	"sync/atomic"

	"stentor/codec"
)

// namespace is the label of what is not told apart by namespace, in front of others.
const namespace = `channel_namespace=""`

// write appends to a scrape what is not in the set. The set calls it.
func (m *Metrics) write(w io.Writer) {
	m.scrape.Lock()
	defer m.scrape.Unlock()

	p := &page{text: make([]byte, 0, 64<<10)}
	if f := m.node.Load(); f != nil {
		p.nodeGauges((*f)())
	}
	labels := m.namespaces.Load().labels
	m.writeMessages(p, labels)
	m.writeChannels(p, labels)
	m.writeDurations(p, labels)
	m.writeCodes(p, labels)
	m.writeClasses(p)
	m.writeSubscriptions(p, labels)
	m.writeTraffic(p)
	m.writeAPIs(p)
	m.writeControl(p)
	m.requests.write(p)
	if f := m.brokers.Load(); f != nil {
		p.brokerGauges((*f)())
	}
	if f := m.reactor.Load(); f != nil {
		p.reactorGauges((*f)())
	}
	w.Write(p.text)
}

// sum adds up one counter of all loops.
func (m *Metrics) sum(of func(l *local) *atomic.Uint64) (n uint64) {
	for i := range m.locals {
		n += of(&m.locals[i]).Load()
	}
	return n
}

// sumSpace adds up one counter of a namespace.
func (m *Metrics) sumSpace(n int, of func(s *space) *atomic.Uint64) uint64 {
	return m.sum(func(l *local) *atomic.Uint64 { return of(l.space(Namespace(n))) })
}

// merge adds up one histogram of all loops that have it. It is nil if none has.
func (m *Metrics) merge(of func(l *local) *histogram) (c *counts) {
	for i := range m.locals {
		h := of(&m.locals[i])
		if h == nil {
			continue
		}
		if c == nil {
			c = new(counts)
		}
		c.add(h)
	}
	return c
}

// writeMessages, as those below it that take labels, writes family by family, each with all namespaces.
func (m *Metrics) writeMessages(p *page, labels []string) {
	for n, label := range labels {
		for t := range numMessageTypes {
			p.counter("centrifugo_node_messages_sent_count", `type="`+t.String()+`",`+label,
				m.sumSpace(n, func(s *space) *atomic.Uint64 { return &s.messagesSent[t] }))
		}
	}
	for n, label := range labels {
		for t := range numMessageTypes {
			p.counter("centrifugo_node_messages_received_count", `type="`+t.String()+`",`+label,
				m.sumSpace(n, func(s *space) *atomic.Uint64 { return &s.messagesReceived[t] }))
		}
	}
	answers := [2]string{"no", "yes"}
	for n, label := range labels {
		for recovered, yes := range answers {
			for publications, some := range answers {
				p.counter("centrifugo_client_recover", `recovered="`+yes+`",`+label+`,has_recovered_publications="`+some+`"`,
					m.sumSpace(n, func(s *space) *atomic.Uint64 { return &s.recovered[recovered][publications] }))
			}
		}
	}
	for n, label := range labels {
		for i, reason := range suppressReasons {
			p.expected(n == 0, "centrifugo_broker_publish_suppressed_count", label+`,reason="`+string(reason)+`"`,
				m.outcome(Namespace(n)).suppressed[i].Load())
		}
	}
}

// writeChannels writes the life of channels. Those vacated are read first, so that there are never more of them.
func (m *Metrics) writeChannels(p *page, labels []string) {
	vacated := make([]uint64, len(labels))
	for n := range labels {
		vacated[n] = m.sumSpace(n, func(s *space) *atomic.Uint64 { return &s.vacated })
	}
	for n, label := range labels {
		p.expected(n == 0, "stentor_channels_occupied_total", label, m.sumSpace(n, func(s *space) *atomic.Uint64 { return &s.occupied }))
	}
	for n, label := range labels {
		p.expected(n == 0, "stentor_channels_vacated_total", label, vacated[n])
	}
	for n, label := range labels {
		p.expected(n == 0, "centrifugo_node_tags_filter_dropped_publications", label,
			m.sumSpace(n, func(s *space) *atomic.Uint64 { return &s.filteredOut }))
	}
}

func (m *Metrics) writeDurations(p *page, labels []string) {
	for t := range numMessageTypes {
		p.histogram("centrifugo_node_broadcast_duration_seconds", `type="`+t.String()+`",`+namespace,
			m.merge(func(l *local) *histogram { return &l.broadcasts[t] }))
	}
	m.writeCommands(p, labels)
	for t := range numTransports {
		p.histogram("centrifugo_client_ping_pong_duration_seconds", `transport="`+t.String()+`"`,
			m.merge(func(l *local) *histogram { return &l.pongs[t] }))
	}
}

func (m *Metrics) writeCommands(p *page, labels []string) {
	now := m.now()
	commands := make([][numMethods]*counts, len(labels)) // nil without any
	for n, label := range labels {
		windows := &m.outcome(Namespace(n)).windows
		for method := range numMethods {
			c := m.merge(func(l *local) *histogram { return l.space(Namespace(n)).commands[method].Load() })
			if c == nil {
				continue
			}
			if windows[method] == nil {
				windows[method] = new(window[counts])
			}
			commands[n][method] = c
			p.summary("centrifugo_client_command_duration_seconds", methodLabel(method)+","+label, c, c.since(windows[method].before(c, now)))
		}
	}
	for n, label := range labels {
		for method, c := range commands[n] {
			if c != nil {
				p.histogram("centrifugo_client_command_duration_seconds_histogram", methodLabel(method)+","+label, c)
			}
		}
	}
}

func methodLabel(method int) string { return `method="` + codec.Method(method).String() + `"` }

func (m *Metrics) writeCodes(p *page, labels []string) {
	for n, label := range labels {
		for method, codes := range m.outcome(Namespace(n)).replyErrors {
			for i := range codes {
				if n := codes[i].Load(); n > 0 { // there are many, and nearly all are 0
					p.counter("centrifugo_client_num_reply_errors", methodLabel(method)+`,code="`+errorCodes.label(i)+`",`+label, n)
				}
			}
		}
	}
	for n, label := range labels {
		codes := m.outcome(Namespace(n)).unsubscribes
		for i := range codes {
			p.counter("centrifugo_client_num_server_unsubscribes", `code="`+unsubscribeCodes.label(i)+`",`+label, codes[i].Load())
		}
	}
	for i := range m.disconnects {
		p.counter("centrifugo_client_num_server_disconnects", `code="`+disconnectCodes.label(i)+`"`, m.disconnects[i].Load())
	}
	for i := range m.ends {
		p.expected(i == 0, "stentor_client_disconnects_total", `code="`+endCodes.label(i)+`"`, m.ends[i].Load())
	}
	for t := range numTransports {
		for i := range m.closes[t] {
			p.counter("centrifugo_transport_outgoing_close_count", `transport="`+t.String()+`",code="`+closeCodes.label(i)+`"`,
				m.closes[t][i].Load())
		}
	}
}

// sumFlow adds up what came and what went. Those who went are read first: who goes in between must not make the difference negative.
func (m *Metrics) sumFlow(of func(l *local) *flow) (in, out uint64) {
	for i := range m.locals {
		f := of(&m.locals[i])
		out += f.out.Load()
		in += f.in.Load()
	}
	return in, out
}

// writeClasses writes which clients are here.
func (m *Metrics) writeClasses(p *page) {
	classes := m.classes.list()
	here := make([]int64, len(classes))
	label := func(c Client) string {
		return `transport="` + c.Transport.String() + `",accept_protocol="` + c.AcceptProtocol + `",client_name="` + c.Name +
			`",client_version="` + c.Version + `"`
	}
	for i, c := range classes {
		in, out := m.sumFlow(func(l *local) *flow { return &l.classes[i] })
		here[i] = int64(in - out)
		p.always("counter", "centrifugo_client_connections_accepted", label(c), in)
	}
	for i, c := range classes {
		p.gauge("centrifugo_client_connections_inflight", label(c), here[i])
	}
}

// writeSubscriptions writes what they are subscribed to.
func (m *Metrics) writeSubscriptions(p *page, labels []string) {
	type line struct {
		labels string
		here   int64
	}
	var lines []line
	for n, label := range labels {
		for i, name := range clientNames {
			in, out := m.sumFlow(func(l *local) *flow { return &l.space(Namespace(n)).subscriptions[i] })
			if in > 0 {
				lines = append(lines, line{`client_name="` + name + `",` + label, int64(in - out)})
				p.counter("centrifugo_client_subscriptions_accepted", lines[len(lines)-1].labels, in)
			}
		}
	}
	for _, l := range lines {
		p.gauge("centrifugo_client_subscriptions_inflight", l.labels, l.here)
	}
}

func (m *Metrics) writeTraffic(p *page) {
	for _, f := range []struct {
		name string
		of   func(l *local, t Transport, f FrameType) *atomic.Uint64
	}{
		{"sent", func(l *local, t Transport, f FrameType) *atomic.Uint64 { return &l.sent[t][f].messages }},
		{"sent_size", func(l *local, t Transport, f FrameType) *atomic.Uint64 { return &l.sent[t][f].bytes }},
		{"received", func(l *local, t Transport, f FrameType) *atomic.Uint64 { return &l.received[t][f].messages }},
		{"received_size", func(l *local, t Transport, f FrameType) *atomic.Uint64 { return &l.received[t][f].bytes }},
	} {
		for t := range numTransports {
			for frame := range numFrameTypes {
				p.counter("centrifugo_transport_messages_"+f.name, `transport="`+t.String()+`",frame_type="`+frame.String()+`",`+namespace,
					m.sum(func(l *local) *atomic.Uint64 { return f.of(l, t, frame) }))
			}
		}
	}
}
