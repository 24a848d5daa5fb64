package plan

// cpu is in cores: seconds of CPU a second.
func (p *Plan) cpu() {
	w, c := &p.Workload, &p.Coefficients
	const ns = 1e-9
	n, subs := float64(w.Connections), float64(w.Subscriptions)
	busy := p.deliveries > 0
	deliveries := p.addIf(busy, "cpu_deliveries", "CPU: deliveries", Cores, p.deliveries*c.NsPerDelivery*ns, "%s/s × %s ns, each alone", p.deliveries, c.NsPerDelivery)
	p.addIf(busy, "cpu_deliveries_batched", "  or in batches", Cores, p.deliveries*c.NsPerDeliveryBatched*ns, "%s/s × %s ns, if ten for a client meet in a tick (reactor.flush_delay); not in the sum", p.deliveries, c.NsPerDeliveryBatched)
	publishes := p.addIf(busy, "cpu_publishes", "CPU: publications", Cores, p.publications*c.NsPerPublish*ns, "%s/s × %s ns, one to an API request", p.publications, c.NsPerPublish)
	pings := p.addIf(p.pings > 0, "cpu_pings", "CPU: pings", Cores, p.pings*c.NsPerPing*ns, "%s/s × %s ns with its pong", p.pings, c.NsPerPing)
	records := p.deliveries + 2*p.pings
	tls := p.addIf(w.TLS, "cpu_tls", "CPU: TLS records", Cores, (records*c.NsPerTLSRecord+p.deliveries*p.framed(messageBytes(w))*c.NsPerTLSByte)*ns,
		"%s records/s × %s ns + %s deliveries/s × %s bytes × %s ns", records, c.NsPerTLSRecord, p.deliveries, p.framed(messageBytes(w)), c.NsPerTLSByte)
	steady := p.add("cpu_steady", "CPU, steady", Cores, deliveries+publishes+pings+tls, "the sum")
	handshake := 0.0
	if w.TLS {
		handshake = c.NsPerTLSHandshake
	}
	storm := p.add("cpu_storm", "CPU: all come back", Cores, n*(c.NsPerConnect+subs*c.NsPerSubscribe+handshake)*ns/float64(w.ConnectSeconds),
		"%s × (%s ns to connect + %s × %s to subscribe + %s of TLS) ÷ %s s", n, c.NsPerConnect, subs, c.NsPerSubscribe, handshake, float64(w.ConnectSeconds))
	p.peak = p.add("cpu_peak", "CPU, peak", Cores, steady+storm, "steady + all come back")
}
