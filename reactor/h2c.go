package reactor

import "bytes"

// http2Preface is the part of HTTP/2's connection preface (RFC 9113 section 3.4) that looks like a request head.
const http2Preface = "PRI * HTTP/2.0\r\n\r\n"

// beginsHTTP2 reports that the client speaks HTTP/2 in clear text, and that this is wanted here.
func (c *Conn) beginsHTTP2(b []byte) bool {
	return c.driver.cfg.H2C && bytes.HasPrefix(b, []byte(http2Preface))
}
