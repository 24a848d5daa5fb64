package proxyproto

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// v2 is a header of version 2 with the right length.
func v2(command, family byte, body string) string {
	head := append([]byte(signature2), command, family)
	return string(binary.BigEndian.AppendUint16(head, uint16(len(body)))) + body
}

const (
	body4 = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb" // 192.0.2.1:56324 to 198.51.100.1:443
	body6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x01\xbb"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x01\xdc\x04\x01\xbb"
)

// withChecksum is a header of TCP4 whose one value is the checksum, changed by the mask.
func withChecksum(mask uint32) string {
	h := []byte(v2(0x21, familyTCP4, body4+"\x03\x00\x04\x00\x00\x00\x00"))
	at := len(h) - crc32cBytes
	binary.BigEndian.PutUint32(h[at:], checksum(h, at)^mask)
	return string(h)
}

var headers = []struct {
	name, header string
	client       string // "" none
	err          error
}{
	{"v1 of IPv4", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1:56324", nil},
	{"v1 of IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "[2001:db8::1]:56324", nil},
	{"v1 of IPv4 in IPv6", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 1 2\r\n", "192.0.2.1:1", nil},
	{"v1 with the largest addresses", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", nil},
	{"v1 with port 0", "PROXY TCP4 192.0.2.1 198.51.100.1 0 443\r\n", "192.0.2.1:0", nil},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "", nil},
	{"v1 unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "", nil},

	{"nothing like it", "GET / HTTP/1.1\r\n", "", errSignature},
	{"a TLS hello", "\x16\x03\x01", "", errSignature},
	{"small letters", "proxy TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "", errSignature},
	{"v1 without CR", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n", "", errLine},
	{"v1 without a family", "PROXY \r\n", "", errLine},
	{"v1 that ends at once", "PROXY \n", "", errLine},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", lineBytesMax), "", errLine},
	{"v1 with too few fields", "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", "", errLine},
	{"v1 with too many fields", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n", "", errLine},
	{"v1 with two spaces", "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n", "", errLine},
	{"v1 with a tab", "PROXY TCP4\t192.0.2.1 198.51.100.1 56324 443\r\n", "", errLine},
	{"v1 of UDP", "PROXY UDP4 192.0.2.1 198.51.100.1 56324 443\r\n", "", errLine},
	{"v1 of the other family", "PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n", "", errLine},
	{"v1 of the other family, too", "PROXY TCP6 192.0.2.1 198.51.100.1 56324 443\r\n", "", errLine},
	{"v1 with a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 56324 443\r\n", "", errLine},
	{"v1 with zeros in an address", "PROXY TCP4 192.000.2.1 198.51.100.1 56324 443\r\n", "", errLine},
	{"v1 with a zero in a port", "PROXY TCP4 192.0.2.1 198.51.100.1 056324 443\r\n", "", errLine},
	{"v1 with a port too large", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n", "", errLine},
	{"v1 with a port far too large", "PROXY TCP4 192.0.2.1 198.51.100.1 4295023619 443\r\n", "", errLine},
	{"v1 with a signed port", "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n", "", errLine},
	{"v1 with no port", "PROXY TCP4 192.0.2.1 198.51.100.1  443\r\n", "", errLine},
	{"v1 with a bad destination", "PROXY TCP4 192.0.2.1 nobody 56324 443\r\n", "", errLine},

	{"v2 of IPv4", v2(0x21, familyTCP4, body4), "192.0.2.1:56324", nil},
	{"v2 of IPv6", v2(0x21, familyTCP6, body6), "[2001:db8::1]:56324", nil},
	{"v2 of IPv4 in IPv6", v2(0x21, familyTCP6, mapped), "192.0.2.1:56324", nil},
	{"v2 with values", v2(0x21, familyTCP4, body4+"\x01\x00\x02h2"+"\x04\x00\x00"+"\x02\x00\x01a"), "192.0.2.1:56324", nil},
	{"v2 with a checksum", withChecksum(0), "192.0.2.1:56324", nil},
	{"v2 unknown", v2(0x21, familyUnknown, ""), "", nil},
	{"v2 unknown with values", v2(0x21, familyUnknown, "\x04\x00\x00"), "", nil},
	{"v2 of a Unix socket", v2(0x21, familyUnix, strings.Repeat("\x00", 216)), "", nil},
	{"v2 local", v2(0x20, familyUnknown, ""), "", nil},
	{"v2 local with addresses", v2(0x20, familyTCP4, body4), "", nil},
	{"v2 local with anything", v2(0x20, 0xff, "anything"), "", nil},

	{"v2 with another version", v2(0x11, familyTCP4, body4), "", errVersion},
	{"v2 with another command", v2(0x22, familyTCP4, body4), "", errVersion},
	{"v2 of UDP", v2(0x21, 0x12, body4), "", errFamily},
	{"v2 of no family", v2(0x21, 0x41, body4), "", errFamily},
	{"v2 too short", v2(0x21, familyTCP4, body4[1:]), "", errLength},
	{"v2 too short for IPv6", v2(0x21, familyTCP6, body4), "", errLength},
	{"v2 empty", v2(0x21, familyTCP4, ""), "", errLength},
	{"v2 too long", v2(0x21, familyTCP4, strings.Repeat("x", HeaderBytesMax-fixedBytes+1)), "", errLength},
	{"v2 local and too long", v2(0x20, familyTCP4, strings.Repeat("x", 65535)), "", errLength},
	{"v2 with half a value", v2(0x21, familyTCP4, body4+"\x01\x00"), "", errLength},
	{"v2 with a value too long", v2(0x21, familyTCP4, body4+"\x01\x00\x03h2"), "", errLength},
	{"v2 with a wrong checksum", withChecksum(1), "", errChecksum},
	{"v2 with half a checksum", v2(0x21, familyTCP4, body4+"\x03\x00\x02\x00\x00"), "", errChecksum},
}

// Whole, with what follows it, and byte by byte: a good header is complete at its last byte and not before, a bad one is never taken.
func TestParse(t *testing.T) {
	for _, h := range headers {
		t.Run(h.name, func(t *testing.T) {
			want := netip.AddrPort{}
			if h.client != "" {
				want = netip.MustParseAddrPort(h.client)
			}
			for cut := range len(h.header) + 1 {
				client, n, err := Parse([]byte(h.header[:cut]))
				switch {
				case h.err != nil && (n > 0 || err != nil && !errors.Is(err, h.err)):
					t.Fatalf("%d bytes: %d, %v", cut, n, err)
				case h.err == nil && cut < len(h.header) && (n > 0 || err != nil):
					t.Fatalf("%d bytes: %d, %v", cut, n, err)
				case cut == len(h.header) && !errors.Is(err, h.err):
					t.Fatalf("all of it: %v, want %v", err, h.err)
				case cut == len(h.header) && h.err == nil && (n != cut || client != want):
					t.Fatalf("all of it: %v, %d bytes of %d", client, n, cut)
				}
			}
			if client, n, err := Parse([]byte(h.header + "GET / HTTP/1.1\r\n")); h.err == nil && (client != want || n != len(h.header) || err != nil) {
				t.Errorf("with a request behind it: %v, %d, %v", client, n, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, n, err := Parse(b)
		switch {
		case n < 0 || n > len(b) || n > HeaderBytesMax:
			t.Fatalf("%d bytes of %d", n, len(b))
		case err != nil && (n != 0 || client.IsValid()):
			t.Fatalf("%v, %d with %v", client, n, err)
		case n == 0 && err == nil && len(b) >= HeaderBytesMax:
			t.Fatal("more than the longest header is not enough")
		case n == 0:
			return
		}
		if client.Addr().Is4In6() || client.Addr().Zone() != "" {
			t.Errorf("%v is not in its plain form", client)
		}
		if again, m, err := Parse(b[:n]); again != client || m != n || err != nil {
			t.Errorf("without what follows: %v, %d, %v", again, m, err)
		}
		if _, m, err := Parse(b[:n-1]); m != 0 || err != nil {
			t.Errorf("without its last byte: %d, %v", m, err)
		}
	})
}
