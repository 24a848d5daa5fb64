package metrics

import (
	"io"
	"sync/atomic"

	"stentor/codec"
)

// namespace is the label that stays empty, in front of others.
const namespace = `channel_namespace=""`

// write appends to a scrape what is not in the set. The set calls it.
func (m *Metrics) write(w io.Writer) {
	m.scrape.Lock()
	defer m.scrape.Unlock()

	p := &page{text: make([]byte, 0, 64<<10)}
	if f := m.node.Load(); f != nil {
		p.nodeGauges((*f)())
	}
	m.writeMessages(p)
	m.writeDurations(p)
	m.writeCodes(p)
	m.writeClasses(p)
	m.writeTraffic(p)
	m.writeAPIs(p)
	m.requests.write(p)
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

// merge adds up one histogram of all loops.
func (m *Metrics) merge(of func(l *local) *histogram) *counts {
	c := new(counts)
	for i := range m.locals {
		c.add(of(&m.locals[i]))
	}
	return c
}

func (m *Metrics) writeMessages(p *page) {
	for t := range numMessageTypes {
		p.counter("centrifugo_node_messages_sent_count", `type="`+t.String()+`",`+namespace,
			m.sum(func(l *local) *atomic.Uint64 { return &l.messagesSent[t] }))
	}
	for t := range numMessageTypes {
		p.counter("centrifugo_node_messages_received_count", `type="`+t.String()+`",`+namespace,
			m.sum(func(l *local) *atomic.Uint64 { return &l.messagesReceived[t] }))
	}
	answers := [2]string{"no", "yes"}
	for recovered, yes := range answers {
		for publications, some := range answers {
			p.counter("centrifugo_client_recover", `recovered="`+yes+`",`+namespace+`,has_recovered_publications="`+some+`"`,
				m.sum(func(l *local) *atomic.Uint64 { return &l.recovered[recovered][publications] }))
		}
	}
}

func (m *Metrics) writeDurations(p *page) {
	for t := range numMessageTypes {
		p.histogram("centrifugo_node_broadcast_duration_seconds", `type="`+t.String()+`",`+namespace,
			m.merge(func(l *local) *histogram { return &l.broadcasts[t] }))
	}
	now := m.now()
	var commands [numMethods]*counts
	for method := range commands {
		commands[method] = m.merge(func(l *local) *histogram { return &l.commands[method] })
		p.summary("centrifugo_client_command_duration_seconds", methodLabel(method)+","+namespace,
			commands[method], m.windows[method].recent(commands[method], now))
	}
	for method, c := range commands {
		p.histogram("centrifugo_client_command_duration_seconds_histogram", methodLabel(method)+","+namespace, c)
	}
	for t := range numTransports {
		p.histogram("centrifugo_client_ping_pong_duration_seconds", `transport="`+t.String()+`"`,
			m.merge(func(l *local) *histogram { return &l.pongs[t] }))
	}
}

func methodLabel(method int) string { return `method="` + codec.Method(method).String() + `"` }

func (m *Metrics) writeCodes(p *page) {
	for method := range m.replyErrors {
		for i := range m.replyErrors[method] {
			p.counter("centrifugo_client_num_reply_errors", methodLabel(method)+`,code="`+errorCodes.label(i)+`",`+namespace,
				m.replyErrors[method][i].Load())
		}
	}
	for i := range m.unsubscribes {
		p.counter("centrifugo_client_num_server_unsubscribes", `code="`+unsubscribeCodes.label(i)+`",`+namespace, m.unsubscribes[i].Load())
	}
	for i := range m.disconnects {
		p.counter("centrifugo_client_num_server_disconnects", `code="`+disconnectCodes.label(i)+`"`, m.disconnects[i].Load())
	}
	for t := range numTransports {
		for i := range m.closes[t] {
			p.counter("centrifugo_transport_outgoing_close_count", `transport="`+t.String()+`",code="`+closeCodes.label(i)+`"`,
				m.closes[t][i].Load())
		}
	}
}

// writeClasses writes who is here. Subscriptions are told apart by name only, so versions are added up.
func (m *Metrics) writeClasses(p *page) {
	classes := m.classes.list()
	labels := make([]string, len(classes))
	total := make([]struct{ joined, left, subscribed, unsubscribed uint64 }, len(classes))
	names := make(map[string]int) // client name → index of the class that adds up for it
	for i, c := range classes {
		labels[i] = `transport="` + c.Transport.String() + `",accept_protocol="` + c.AcceptProtocol + `",client_name="` + c.Name +
			`",client_version="` + c.Version + `"`
		first, known := names[c.Name]
		if !known {
			first = i
			names[c.Name] = i
		}
		for l := range m.locals {
			pop := &m.locals[l].classes[i]
			// Those who left are read first: who leaves in between must not make the difference negative.
			total[i].left += pop.left.Load()
			total[i].joined += pop.joined.Load()
			total[first].unsubscribed += pop.unsubscribed.Load()
			total[first].subscribed += pop.subscribed.Load()
		}
	}
	for i := range classes {
		p.always("counter", "centrifugo_client_connections_accepted", labels[i], total[i].joined)
	}
	for i := range classes {
		p.gauge("centrifugo_client_connections_inflight", labels[i], int64(total[i].joined-total[i].left))
	}
	name := func(i int) string { return `client_name="` + classes[i].Name + `",` + namespace }
	for i, c := range classes {
		if names[c.Name] == i {
			p.always("counter", "centrifugo_client_subscriptions_accepted", name(i), total[i].subscribed)
		}
	}
	for i, c := range classes {
		if names[c.Name] == i {
			p.gauge("centrifugo_client_subscriptions_inflight", name(i), int64(total[i].subscribed-total[i].unsubscribed))
		}
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
