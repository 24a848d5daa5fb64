package reactor

import (
	"encoding/binary"

	"github.com/panjf2000/gnet/v2"
)

// recordHeaderBytes is what goes before each TLS record: type, version, length.
const recordHeaderBytes = 5

// Types of TLS records and of handshake messages (RFC 8446 sections 5.1 and 4).
const (
	recordAlert     = 21
	recordHandshake = 22
	clientHello     = 1
)

// Descriptions of TLS alerts (RFC 8446 section 6).
const (
	alertUnexpectedMessage = 10
	alertRecordOverflow    = 22
	alertDecodeError       = 50
	alertInternalError     = 80
)

// Limits of a ClientHello: of the message, in bytes, of its records, and of bytes that come behind it.
const (
	helloBytesMax   = 16 << 10
	helloRecordsMax = 64
	helloExtraMax   = 1 << 10 // behind it: nothing can be said before it is answered
)

// recordPlainBytesMax is the most that a record carries (RFC 8446 section 5.1).
const recordPlainBytesMax = 16 << 10

// helloEnd looks for the end of the ClientHello in the records that b begins with. It returns the size of these records, 0 while
// there are more to come, and fails with a TLS alert on what cannot become a ClientHello. b begins with recordHandshake.
func helloEnd(b []byte) (size int, alert byte) {
	var header [4]byte // of the message
	got, want := 0, len(header)
	for records := 0; ; records++ {
		if len(b)-size < recordHeaderBytes {
			return 0, 0
		}
		record := b[size:]
		n := int(binary.BigEndian.Uint16(record[3:]))
		switch {
		case record[0] != recordHandshake || record[1] != 3 || n == 0 || records == helloRecordsMax:
			return 0, alertUnexpectedMessage
		case n > recordPlainBytesMax:
			return 0, alertRecordOverflow
		}
		body := record[recordHeaderBytes:min(len(record), recordHeaderBytes+n)]
		if got < len(header) {
			copy(header[got:], body)
		}
		if got += len(body); header[0] != clientHello && got > 0 {
			return 0, alertUnexpectedMessage
		}
		if got >= len(header) {
			want = len(header) + int(binary.BigEndian.Uint32(header[:])&0xffffff)
			if want > len(header)+helloBytesMax {
				return 0, alertDecodeError
			}
		}
		switch {
		case len(body) < n:
			return 0, 0
		case got >= want && got >= len(header):
			return size + recordHeaderBytes + n, 0
		}
		size += recordHeaderBytes + n
	}
}

// plainOnTLS is what a client hears that does not speak TLS where it must.
const plainOnTLS = "this port speaks TLS: use https:// or wss://\n"

// firstState is that of a conn whose first request, or ClientHello, is to come.
func (d *driver) firstState(gc gnet.Conn) state {
	if t := d.cfg.TLS; t != nil && (t.Addr == "" || d.reactor.tlsAddr.isOf(gc)) {
		return stateHello
	}
	return stateHead
}

// receiveHello looks at the first bytes of a conn on a port that speaks TLS: they decide what the conn is.
func (c *Conn) receiveHello() {
	d, n := c.driver, c.arrived()
	if n <= int(c.need) {
		return
	}
	buf := c.peek(n)
	if buf[0] != recordHandshake {
		c.receivePlain()
		return
	}
	size, alert := helloEnd(buf)
	switch {
	case alert != 0:
		d.stats.badHellos.Add(1)
		c.refuseHello(alert)
	case size == 0:
		c.need = uint32(n)
		c.hold(n)
	case n-size > helloExtraMax:
		d.stats.badHellos.Add(1)
		c.refuseHello(alertUnexpectedMessage)
	default:
		c.hold(0)
		c.beginHandshake(buf)
	}
}

// receivePlain goes on with a client that does not speak TLS.
func (c *Conn) receivePlain() {
	if !c.driver.cfg.TLS.PlainToo {
		c.driver.stats.plainOnTLS.Add(1)
		c.refuse(400, plainOnTLS)
		return
	}
	c.state = stateHead
	c.receiveHead()
}

// refuseHello ends a conn before its handshake.
func (c *Conn) refuseHello(alert byte) { c.respond(fatalAlert(alert)) }

// fatalAlert is a record with an alert, as long as nothing is encrypted.
func fatalAlert(description byte) []byte {
	const fatal = 2
	return []byte{recordAlert, 3, 1, 0, 2, fatal, description}
}
