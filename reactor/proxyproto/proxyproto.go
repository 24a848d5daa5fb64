// Package proxyproto reads the header that a balancer puts in front of a connection to tell whose it is: the PROXY protocol of
// HAProxy, version 1 (a line of text) and version 2 (binary). It is a function over bytes: it reads no socket and trusts nobody.
//
//	bytes so far ─► Parse ─► more are needed
//	                     ├─► a header of so many bytes: the client's address, or none (then the socket's own holds)
//	                     └─► none at all: an error, whatever may still come
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
)

// HeaderBytesMax is the longest header that is taken. A line of version 1 has at most 107 bytes, the addresses of version 2 take 232 at
// most; the rest is for what balancers add to them, like the names in a TLS certificate.
const HeaderBytesMax = 4096

// Errors. A connection that begins like this cannot be understood.
var (
	errSignature = errors.New("proxyproto: there is no PROXY header")
	errLine      = errors.New("proxyproto: malformed line of version 1")
	errVersion   = errors.New("proxyproto: unknown version or command")
	errFamily    = errors.New("proxyproto: unknown family of addresses, or not of a stream")
	errLength    = errors.New("proxyproto: a length that does not fit")
	errChecksum  = errors.New("proxyproto: wrong checksum")
)

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"

	lineBytesMax = 107 // of version 1, its CR LF included
	fixedBytes   = 16  // of version 2: signature, version and command, family, length
)

// Parse reads the header at the beginning of b. n is its length, 0 if b is only the beginning of one. The address is that of the client;
// it is not valid if the balancer speaks for itself, or does not know: then the address of the socket holds.
func Parse(b []byte) (client netip.AddrPort, n int, err error) {
	switch {
	case isPrefix(b, signature2):
		return parse2(b)
	case isPrefix(b, signature1):
		return parse1(b)
	}
	return client, 0, errSignature
}

// isPrefix reports that b begins with the signature, or is the beginning of it.
func isPrefix(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}

// parse1 reads a line such as "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443".
func parse1(b []byte) (client netip.AddrPort, n int, err error) {
	end := bytes.IndexByte(b[:min(len(b), lineBytesMax)], '\n')
	switch {
	case end < 0 && len(b) >= lineBytesMax:
		return client, 0, errLine
	case end < 0:
		return client, 0, nil
	case end < len(signature1)+1 || b[end-1] != '\r':
		return client, 0, errLine
	}
	line := string(b[len(signature1) : end-1])
	if line == "UNKNOWN" || strings.HasPrefix(line, "UNKNOWN ") {
		return client, end + 1, nil
	}
	fields := strings.Split(line, " ")
	if len(fields) != 5 {
		return client, 0, errLine
	}
	source, ok1 := address1(fields[0], fields[1], fields[3])
	_, ok2 := address1(fields[0], fields[2], fields[4])
	if !ok1 || !ok2 {
		return client, 0, errLine
	}
	return source, end + 1, nil
}

// address1 reads one of the two addresses of a line. They are written in one way only: no zeros in front, no zone.
func address1(family, host, port string) (a netip.AddrPort, ok bool) {
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Zone() != "" || family == "TCP4" && !ip.Is4() || family == "TCP6" && !ip.Is6() || family != "TCP4" && family != "TCP6" {
		return a, false
	}
	var number uint32
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || i > 4 || i == 1 && port[0] == '0' {
			return a, false
		}
		number = 10*number + uint32(port[i]-'0')
	}
	if port == "" || number > 65535 {
		return a, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), true
}

// Commands and families of version 2.
const (
	version2     = 0x2 << 4
	commandLocal = 0x0 // the balancer itself, for example to see whether we are alive
	commandProxy = 0x1

	familyUnknown = 0x00
	familyTCP4    = 0x11
	familyTCP6    = 0x21
	familyUnix    = 0x31
)

// addressBytes is how long the two addresses of a family are.
var addressBytes = map[byte]int{familyUnknown: 0, familyTCP4: 12, familyTCP6: 36, familyUnix: 216}

func parse2(b []byte) (client netip.AddrPort, n int, err error) {
	if len(b) < fixedBytes {
		return client, 0, nil
	}
	command, family := b[12], b[13]
	n = fixedBytes + int(binary.BigEndian.Uint16(b[14:]))
	length, known := addressBytes[family]
	switch {
	case command != version2|commandLocal && command != version2|commandProxy:
		return client, 0, errVersion
	case n > HeaderBytesMax:
		return client, 0, errLength
	case command == version2|commandLocal:
		length = 0 // whatever is there is to be skipped
	case !known:
		return client, 0, errFamily
	case n < fixedBytes+length:
		return client, 0, errLength
	}
	if len(b) < n {
		return client, 0, nil
	}
	b = b[:n]
	if command == version2|commandLocal {
		return client, n, nil
	}
	if err := checkValues(b, fixedBytes+length); err != nil {
		return client, 0, err
	}
	switch a := b[fixedBytes:]; family {
	case familyTCP4:
		client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), binary.BigEndian.Uint16(a[8:]))
	case familyTCP6:
		client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[:16])).Unmap(), binary.BigEndian.Uint16(a[32:]))
	}
	return client, n, nil
}

const (
	valueCRC32C    = 0x03
	valueHeadBytes = 3 // type, length
	crc32cBytes    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkValues goes through what follows the addresses in the header b, and verifies the checksum if there is one.
func checkValues(b []byte, at int) error {
	for at < len(b) {
		if len(b)-at < valueHeadBytes {
			return errLength
		}
		kind, length := b[at], int(binary.BigEndian.Uint16(b[at+1:]))
		at += valueHeadBytes
		if len(b)-at < length {
			return errLength
		}
		if kind == valueCRC32C {
			if length != crc32cBytes || checksum(b, at) != binary.BigEndian.Uint32(b[at:]) {
				return errChecksum
			}
		}
		at += length
	}
	return nil
}

// checksum is that of the header with zeros in the place of the checksum.
func checksum(b []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, b[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, crc32cBytes))
	return crc32.Update(sum, castagnoli, b[at+crc32cBytes:])
}
