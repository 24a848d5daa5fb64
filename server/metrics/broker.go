package metrics

// BrokerGauges is the state of a broker on other machines. Counts are since the start.
type BrokerGauges struct {
	Name         string // "redis", "nats"
	Published    uint64
	Received     uint64
	Dropped      uint64 // received, and no room for them in time
	Malformed    uint64 // received, and nobody understands them
	Resubscribed uint64 // channels, after a loss
	Channels     int    // subscribed to
	Servers      []BrokerServer
}

// BrokerServer is one server of a broker, or one cluster or group that acts as one.
type BrokerServer struct {
	Name string
	// Reachable: commands get there. Listening: publications come from there.
	Reachable, Listening bool
}

// WatchBrokers asks f at each scrape. f may be called from any goroutine.
func (m *Metrics) WatchBrokers(f func() []BrokerGauges) { m.brokers.Store(&f) }

func (p *page) brokerGauges(all []BrokerGauges) {
	label := func(g *BrokerGauges) string { return "broker=" + quoteLabel(g.Name) }
	for _, c := range []struct {
		name string
		of   func(g *BrokerGauges) uint64
	}{
		{"stentor_broker_published_total", func(g *BrokerGauges) uint64 { return g.Published }},
		{"stentor_broker_received_total", func(g *BrokerGauges) uint64 { return g.Received }},
		{"stentor_broker_dropped_total", func(g *BrokerGauges) uint64 { return g.Dropped }},
		{"stentor_broker_malformed_total", func(g *BrokerGauges) uint64 { return g.Malformed }},
		{"stentor_broker_resubscribed_total", func(g *BrokerGauges) uint64 { return g.Resubscribed }},
	} {
		for i := range all {
			p.always("counter", c.name, label(&all[i]), c.of(&all[i]))
		}
	}
	for i := range all {
		p.gauge("stentor_broker_channels", label(&all[i]), int64(all[i].Channels))
	}
	for _, gauge := range []struct {
		name string
		of   func(s *BrokerServer) bool
	}{
		{"stentor_broker_reachable", func(s *BrokerServer) bool { return s.Reachable }},
		{"stentor_broker_listening", func(s *BrokerServer) bool { return s.Listening }},
	} {
		for i := range all {
			for k := range all[i].Servers {
				s := &all[i].Servers[k]
				yes := int64(0)
				if gauge.of(s) {
					yes = 1
				}
				p.gauge(gauge.name, label(&all[i])+",server="+quoteLabel(s.Name), yes)
			}
		}
	}
}
