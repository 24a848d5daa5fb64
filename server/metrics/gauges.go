package metrics

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// NodeGauges is how much of everything a node has now.
type NodeGauges struct {
	Clients, Users, Subscriptions, Channels int
	Nodes                                   int // of the cluster, this one included
}

// ReactorGauges is the state of the event loops and their sockets.
type ReactorGauges struct {
	Loops []LoopGauges
	// LagBound is the upper bound of bucket i of LoopGauges.LagCounts. The last bucket has none.
	LagBound func(i int) time.Duration
	// QueuedBytes wait for slow clients in all queues.
	QueuedBytes int64
	// Accepted and Refused count conns since the start, the latter by reason. Reasons are a fixed list.
	Accepted uint64
	Refused  map[string]uint64
	// Dropped counts frames that slow clients did not get since the start, by the policy of their channel.
	Dropped map[string]uint64
	// HTTPConns are conns that were handed to net/http and are still open.
	HTTPConns int
	// HandedOff and Adopted count since the start conns that went to net/http, and those that came back to a loop.
	HandedOff, Adopted uint64
	TLS                *TLSGauges // nil without TLS on the loops
}

// TLSGauges is the state of TLS on the event loops.
type TLSGauges struct {
	Conns       map[string]int    // open ones, by version
	Handshaking int               // under way or queued
	Handshakes  map[string]uint64 // since the start, by result
	Broken      uint64            // conns that sent records which made no sense
}

// LoopGauges is the state of one loop.
type LoopGauges struct {
	Conns                int
	MailItems, MailBytes int    // what waits in the mailbox
	Stalls               uint64 // callbacks that held the loop for too long
	// LagCounts says how often the loop's rings waited how long for their turn, per bucket and not cumulative.
	LagCounts []uint64
	LagSum    time.Duration
}

// WatchNode asks f at each scrape. f may be called from any goroutine.
func (m *Metrics) WatchNode(f func() NodeGauges) { m.node.Store(&f) }

// WatchReactor asks f at each scrape. f may be called from any goroutine.
func (m *Metrics) WatchReactor(f func() ReactorGauges) { m.reactor.Store(&f) }

func (p *page) nodeGauges(g NodeGauges) {
	p.gauge("centrifugo_node_num_clients", "", int64(g.Clients))
	p.gauge("centrifugo_node_num_users", "", int64(g.Users))
	p.gauge("centrifugo_node_num_subscriptions", "", int64(g.Subscriptions))
	p.gauge("centrifugo_node_num_channels", "", int64(g.Channels))
	p.gauge("centrifugo_node_num_nodes", "", int64(g.Nodes))
}

func (p *page) reactorGauges(g ReactorGauges) {
	loops := make([]string, len(g.Loops)) // labels
	for i := range loops {
		loops[i] = `loop="` + strconv.Itoa(i) + `"`
	}
	for i := range g.Loops {
		p.gauge("stentor_loop_conns", loops[i], int64(g.Loops[i].Conns))
	}
	for i := range g.Loops {
		p.gauge("stentor_loop_mailbox_items", loops[i], int64(g.Loops[i].MailItems))
	}
	for i := range g.Loops {
		p.gauge("stentor_loop_mailbox_bytes", loops[i], int64(g.Loops[i].MailBytes))
	}
	for i := range g.Loops {
		p.always("counter", "stentor_loop_stalls_total", loops[i], g.Loops[i].Stalls)
	}
	for i := range g.Loops {
		p.lag(loops[i], &g.Loops[i], g.LagBound)
	}
	p.gauge("stentor_queued_bytes", "", g.QueuedBytes)
	p.gauge("stentor_http_conns", "", int64(g.HTTPConns))
	p.always("counter", "stentor_conns_accepted_total", "", g.Accepted)
	p.always("counter", "stentor_conns_handed_off_total", "", g.HandedOff)
	p.always("counter", "stentor_conns_adopted_total", "", g.Adopted)

	p.counts("stentor_conns_refused_total", "reason", g.Refused)
	p.counts("stentor_frames_dropped_total", "policy", g.Dropped)
	if g.TLS != nil {
		p.tls(g.TLS)
	}
}

func (p *page) tls(g *TLSGauges) {
	for _, version := range slices.Sorted(maps.Keys(g.Conns)) {
		p.gauge("stentor_tls_conns", "version="+quoteLabel(version), int64(g.Conns[version]))
	}
	p.gauge("stentor_tls_handshakes_inflight", "", int64(g.Handshaking))
	p.counts("stentor_tls_handshakes_total", "result", g.Handshakes)
	p.always("counter", "stentor_tls_broken_total", "", g.Broken)
}

// counts writes a counter for each value of a label.
func (p *page) counts(name, label string, by map[string]uint64) {
	for _, value := range slices.Sorted(maps.Keys(by)) {
		p.always("counter", name, label+"="+quoteLabel(value), by[value])
	}
}

func (p *page) lag(labels string, g *LoopGauges, bound func(int) time.Duration) {
	const name = "stentor_loop_lag_seconds"
	p.family("histogram", name)
	n := uint64(0)
	for i, c := range g.LagCounts {
		n += c
		le := "+Inf"
		if i < len(g.LagCounts)-1 {
			le = seconds(float64(bound(i)))
		}
		p.line(name+"_bucket", join(labels, `le="`+le+`"`), utoa(n))
	}
	p.line(name+"_sum", labels, seconds(float64(g.LagSum)))
	p.line(name+"_count", labels, utoa(n))
}
