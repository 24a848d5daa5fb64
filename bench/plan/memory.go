package plan

import "stentor/bench/cost"

// clientsPerChannel is the density at which subscriptions were measured: their coefficient holds a tenth of a channel.
const clientsPerChannel = 10

// slotBytes is what the engine keeps of a publication besides its data.
const slotBytes = 24

// traffic is how much there is of everything.
func (p *Plan) traffic() {
	w := &p.Workload
	n, subs := float64(w.Connections), float64(w.Subscriptions)
	p.channels = p.add("channels", "channels", Things, ceil(n*subs/float64(w.PerChannel)), "%s connections × %s subscriptions ÷ %s clients to a channel", n, subs, float64(w.PerChannel))
	p.publications = p.add("publications_per_second", "publications", PerSec, p.channels*w.Rate, "%s channels × %s", p.channels, w.Rate)
	p.deliveries = p.add("deliveries_per_second", "deliveries", PerSec, n*subs*w.Rate, "%s connections × %s subscriptions × %s", n, subs, w.Rate)
	if w.PingInterval > 0 {
		seconds := w.PingInterval.Seconds()
		p.pings = p.add("pings_per_second", "pings", PerSec, n/seconds, "%s connections ÷ %s s", n, seconds)
	}
}

// memory is that of the process and of the kernel.
func (p *Plan) memory() {
	w, c := &p.Workload, &p.Coefficients
	n, subs := float64(w.Connections), float64(w.Subscriptions)
	further := max(subs-1, 0)
	clients := p.add("heap_clients_bytes", "heap: clients", Bytes, n*(c.BytesPerClientHeap+further*c.BytesPerSubscription),
		"%s × (%s bytes with one subscription + %s further × %s)", n, c.BytesPerClientHeap, further, c.BytesPerSubscription)
	usual := n * subs / clientsPerChannel
	channels := p.addIf(subs > 0 && w.PerChannel != clientsPerChannel, "heap_channels_bytes", "heap: channels", Bytes, (p.channels-usual)*c.BytesPerChannel,
		"(%s channels − %s that are in the figure of subscriptions) × %s bytes", p.channels, usual, c.BytesPerChannel)
	recovery := p.addIf(w.Recoverable, "heap_recovery_bytes", "heap: recovery", Bytes,
		n*subs*c.BytesPerRecoverable+p.channels*(c.BytesPerHistoryChannel+float64(w.History)*float64(w.SizeBytes+slotBytes)),
		"%s × %s × %s bytes + %s channels × (%s + %s publications × (%s + %s))", n, subs, c.BytesPerRecoverable, p.channels, c.BytesPerHistoryChannel,
		float64(w.History), float64(w.SizeBytes), slotBytes)
	presence := p.addIf(w.Presence, "heap_presence_bytes", "heap: presence", Bytes, n*subs*c.BytesPerPresence, "%s × %s × %s bytes", n, subs, c.BytesPerPresence)
	tls := p.addIf(w.TLS, "heap_tls_bytes", "heap: TLS", Bytes, n*c.BytesPerTLS, "%s × %s bytes", n, c.BytesPerTLS)
	p.heap = p.add("heap_bytes", "heap", Bytes, clients+channels+recovery+presence+tls, "the sum, live after a collection")
	rss := p.add("rss_bytes", "process memory (RSS)", Bytes, c.BaseBytesRSS+p.heap*c.RSSRatio, "%s bytes without clients + heap × %s", c.BaseBytesRSS, c.RSSRatio)

	sockets := p.add("kernel_sockets_bytes", "kernel: sockets", Bytes, n*c.KernelBytesPerSocket, "%s × %s bytes", n, c.KernelBytesPerSocket)
	inFlight := min(n, p.deliveries*cost.AckSeconds)
	p.buffers = p.add("kernel_buffers_bytes", "kernel: socket buffers", Bytes, n*cost.StalledShare*c.KernelBytesPerStalled+inFlight*c.KernelBytesPerInFlight,
		"%s that do not read × %s bytes + %s not acknowledged within %s s × %s", n*cost.StalledShare, c.KernelBytesPerStalled, inFlight, cost.AckSeconds, c.KernelBytesPerInFlight)
	p.kernel = p.add("kernel_bytes", "kernel memory", Bytes, sockets+p.buffers, "the sum; in a container it counts against its limit")
	p.add("memory_bytes", "memory", Bytes, rss+p.kernel, "process + kernel")
}
