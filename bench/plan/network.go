package plan

import (
	"bytes"

	"stentor/codec"
	"stentor/codec/ws"
)

// Sizes on the wire, in bytes.
const (
	packetBytes  = 14 + 20 + 32 // heads of Ethernet, IPv4 and TCP with timestamps
	segmentBytes = 1448         // the most that one packet carries of a stream, with an MTU of 1500
	recordBytes  = 5 + 1 + 16   // what TLS 1.3 adds to a record: head, type, tag (RFC 8446, section 5.2)
	maskBytes    = 4            // of a client's ws frame (RFC 6455, section 5.3)

	requestBytes = 300 // head of a publish request over HTTP, and names around the data
	answerBytes  = 150 // its answer
)

// channelNameBytes and offsetTypical are those of the publication that is counted.
const (
	channelNameBytes = 16
	offsetTypical    = 1_000_000
	pingBytes        = len("{}") // and of a pong
)

// network is what goes over the wire in a quiet hour: no storms of reconnects, nothing lost.
func (p *Plan) network() {
	w := &p.Workload
	message := messageBytes(w)
	head, record := ws.HeaderSize(message), 0
	if w.TLS {
		record = recordBytes
	}
	push := p.addIf(w.Subscriptions > 0, "push_bytes", "a delivery", Bytes, p.framed(message), "%s bytes of JSON with %s of data and a channel name of %s + %s of ws head + %s of TLS",
		float64(message), float64(w.SizeBytes), channelNameBytes, float64(head), float64(record))
	packets := ceil(push / segmentBytes)
	delivery := push + packets*packetBytes
	ping := p.framed(pingBytes) + packetBytes
	pong := ping + maskBytes
	request := float64(requestBytes + w.SizeBytes)
	requestPackets := ceil(request / segmentBytes)

	p.add("out_bits_per_second", "network out", BitsSec, 8*(p.deliveries*delivery+p.pings*(ping+packetBytes)+p.publications*(answerBytes+packetBytes)),
		"8 × (%s deliveries × (%s + %s packets × %s) + %s pings × (%s + %s) + %s answers × %s)", p.deliveries, push, packets, packetBytes, p.pings, ping, packetBytes, p.publications, answerBytes+packetBytes)
	p.add("in_bits_per_second", "network in", BitsSec, 8*(p.deliveries*packets*packetBytes+p.pings*pong+p.publications*(request+requestPackets*packetBytes)),
		"8 × (%s acknowledgements × %s + %s pongs × %s + %s requests × %s)", p.deliveries*packets, packetBytes, p.pings, pong, p.publications, request+requestPackets*packetBytes)
	p.add("out_packets_per_second", "packets out", PerSec, p.deliveries*packets+2*p.pings+p.publications, "%s deliveries × %s + 2 × %s pings and acknowledged pongs + %s answers", p.deliveries, packets, p.pings, p.publications)
	p.add("in_packets_per_second", "packets in", PerSec, p.deliveries*packets+p.pings+p.publications*requestPackets, "%s acknowledgements + %s pongs + %s requests × %s", p.deliveries*packets, p.pings, p.publications, requestPackets)
}

// messageBytes is the length of the push of a typical publication, as the codec writes it.
func messageBytes(w *Workload) int {
	pub := codec.Publication{Data: bytes.Repeat([]byte("1"), w.SizeBytes)}
	if w.Recoverable {
		pub.Offset = offsetTypical
	}
	line, err := codec.AppendPublication(nil, codec.JSON, string(bytes.Repeat([]byte("c"), channelNameBytes)), &pub)
	if err != nil {
		panic("plan: digits are no JSON: " + err.Error()) // a number is
	}
	return len(line) - 1 // the newline only parts messages that share a frame
}

// framed is a message with its ws head, unmasked, and its TLS record.
func (p *Plan) framed(message int) float64 {
	n := message + ws.HeaderSize(message)
	if p.Workload.TLS {
		n += recordBytes
	}
	return float64(n)
}
