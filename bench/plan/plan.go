package plan

import (
	"math"

	"stentor/bench/cost"
	"stentor/bench/doctor"
)

// Plan is a workload, and what it takes.
type Plan struct {
	Workload     Workload
	Coefficients cost.Coefficients // complete
	From         string            // the file of the coefficients, or "shipped"
	Shipped      []string          // coefficients that the file does not have

	sheet

	// Figures that later ones are made of.
	channels, publications, deliveries, pings float64
	heap, kernel, buffers, peak               float64

	Box Box
}

// Box is one machine of as many as it takes, and how to set it.
type Box struct {
	Boxes       int          `json:"boxes"`
	Connections int          `json:"connections"`          // of each
	Loops       int          `json:"reactor.loops"`        //
	MemoryLimit int64        `json:"reactor.memory_limit"` // bytes
	Descriptors int          `json:"descriptors"`          //
	Lines       []doctor.Fix `json:"settings"`             // of the system
}

// Make reckons. Coefficients that were not measured are the shipped ones.
func Make(w Workload, c cost.Coefficients, from string) (*Plan, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	w.PerChannel = min(w.PerChannel, w.Connections)
	p := &Plan{Workload: w, Coefficients: c, From: from}
	p.Shipped = p.Coefficients.Complete()
	p.traffic()
	p.memory()
	p.network()
	p.cpu()
	p.boxes()
	return p, nil
}

// How much of a machine is planned for.
const (
	// coresShare is the part of the cores that is busy at the peak: beyond it queues grow.
	coresShare = 0.7
	// queueShare is the part of reactor.memory_limit that unsent messages may take (reactor.queue_total_max); clients get the rest.
	queueShare = 0.25
	// systemBytes is for the rest of the machine.
	systemBytes = 512 << 20
	// boxBytesMin holds a server with a few clients.
	boxBytesMin = 1 << 30
	// limitStep is what recommended memory limits are multiples of.
	limitStep = 64 << 20
)

// boxes finds how many machines of the given size it takes, and their settings.
func (p *Plan) boxes() {
	w, c := &p.Workload, &p.Coefficients
	byCores, byMemory := 1.0, 1.0
	if w.BoxCores > 0 {
		byCores = p.add("boxes_by_cores", "machines, by cores", Things, max(1, ceil(p.peak/(coresShare*float64(w.BoxCores)))),
			"%s cores at the peak ÷ (%s × %s)", p.peak, coresShare, float64(w.BoxCores))
	}
	if w.BoxBytes > 0 {
		// The base is there on each machine; the rest is shared.
		room := float64(w.BoxBytes) - systemBytes - c.BaseBytesRSS/(1-queueShare)
		need := p.heap*c.RSSRatio/(1-queueShare) + p.kernel
		byMemory = p.add("boxes_by_memory", "machines, by memory", Things, max(1, ceil(need/room)),
			"(heap × %s ÷ %s, as a quarter is for unsent messages, + kernel memory) ÷ (%s bytes − %s for the system and a server without clients)",
			c.RSSRatio, 1-queueShare, float64(w.BoxBytes), math.Round(float64(w.BoxBytes)-room))
	}
	p.Box.Boxes = int(max(byCores, byMemory))
	if w.BoxCores > 0 || w.BoxBytes > 0 {
		p.add("boxes", "machines", Things, float64(p.Box.Boxes), "the larger; one more lets one fail")
	}
	p.settings()
}

// settings are those of each box.
func (p *Plan) settings() {
	n := float64(p.Box.Boxes)
	each := ceil(float64(p.Workload.Connections) / n)
	p.Box.Connections = int(each)
	loops := p.Workload.BoxCores
	if loops == 0 {
		loops = int(ceil(p.peak / n / coresShare))
	}
	p.Box.Loops = max(1, min(loops, cost.LoopsMax))
	rss := p.Coefficients.BaseBytesRSS + p.heap*p.Coefficients.RSSRatio/n
	limit := p.add("memory_limit_bytes", "reactor.memory_limit", Bytes, ceil(rss/(1-queueShare)/limitStep)*limitStep,
		"%s bytes of process memory on each machine ÷ %s, as a quarter is for unsent messages", math.Round(rss), 1-queueShare)
	p.Box.MemoryLimit = int64(limit)
	p.Box.Descriptors = cost.Descriptors(p.Box.Connections, p.Box.Loops)
	p.add("descriptors", "open files", Things, float64(p.Box.Descriptors), "%s connections on each machine + %s kept + %s + %s loops × %s",
		each, cost.DescriptorsKept, cost.DescriptorsOpen, float64(p.Box.Loops), cost.DescriptorsPerLoop)
	p.Box.Lines = doctor.Advice(p.Box.Connections, p.Box.Loops, p.buffers/n)
}

// ceil is math.Ceil that forgives what adding floats leaves behind, and never is -0.
func ceil(n float64) float64 { return math.Ceil(n-1e-9) + 0 }
