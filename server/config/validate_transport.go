package config

import (
	"fmt"
	"strconv"
)

// Codes of disconnects that may go over the wire, and the longest reason that a close frame has room for, in bytes (RFC 6455, sections
// 5.5.1 and 7.4.2).
const (
	disconnectCodeMin = 3000
	disconnectCodeMax = 4999
	reasonBytesMax    = 123
)

// transports checks the port of gRPC, and what errors of connect become on the unidirectional transports.
func (p *checker) transports() {
	p.grpcPort()
	p.refusedWith("uni_sse", &p.cfg.UniSSE.ConnectCodeToHTTPResponse)
	p.refusedWith("uni_http_stream", &p.cfg.UniHTTPStream.ConnectCodeToHTTPResponse)
	for i, t := range p.cfg.Client.ConnectCodeToUnidirectionalDisconnect.Transforms {
		path := fmt.Sprintf("client.connect_code_to_unidirectional_disconnect.transforms[%d]", i)
		p.code(path, t.Code)
		if t.To.Code < disconnectCodeMin || t.To.Code > disconnectCodeMax {
			p.fail(path+".to.code", strconv.Itoa(int(t.To.Code)), "not the code of a disconnect",
				fmt.Sprintf("use one from %d to %d", disconnectCodeMin, disconnectCodeMax))
		}
		if len(t.To.Reason) > reasonBytesMax {
			p.fail(path+".to.reason", t.To.Reason, "longer than a close frame can have it", fmt.Sprintf("use %d bytes at most", reasonBytesMax))
		}
	}
}

// grpcPort checks that gRPC has a port of its own.
func (p *checker) grpcPort() {
	g, h := &p.cfg.UniGRPC, &p.cfg.HTTPServer
	if g.Enabled && g.Port > 0 && (g.Port == h.Port || g.Port == h.TLSPort || strconv.Itoa(g.Port) == h.InternalPort) {
		p.fail("uni_grpc.port", strconv.Itoa(g.Port), "is another port's number, too", "choose a port of its own")
	}
}

// refusedWith checks the statuses of one transport.
func (p *checker) refusedWith(transport string, c *ConnectCodeToHTTPResponse) {
	for i, t := range c.Transforms {
		path := fmt.Sprintf("%s.connect_code_to_http_response.transforms[%d]", transport, i)
		p.code(path, t.Code)
		if t.To.StatusCode < 200 || t.To.StatusCode > 599 {
			p.fail(path+".to.status_code", strconv.Itoa(t.To.StatusCode), "not the status of a response", "use one from 200 to 599")
		}
	}
}

func (p *checker) code(path string, code uint32) {
	if code == 0 {
		p.fail(path+".code", "0", "is missing", "name the code of an error or of a disconnect")
	}
}

// transportAdvice returns what is experimental, and what has no effect: all conns of a loop share what compresses for them.
func (c *Config) transportAdvice() (list []Warning) {
	if c.WebTransport.Enabled {
		list = append(list, Warning{Topic: Advice, Path: "webtransport.enabled",
			Text: "webtransport.enabled: WebTransport is experimental, as the draft is that browsers follow; clients need another transport to fall back to"})
	}
	w, u := &c.WebSocket, &c.UniWebSocket
	if !u.Enabled || !u.Compression || w.Disabled || !w.Compression {
		return list
	}
	for _, one := range []struct {
		option string
		differ bool
	}{
		{"compression_level", u.CompressionLevel != w.CompressionLevel},
		{"compression_min_size", u.CompressionMinSize != w.CompressionMinSize},
		{"decompressed_message_size_limit", u.DecompressedMessageSizeLimit != w.DecompressedMessageSizeLimit},
	} {
		if one.differ {
			path := "uni_websocket." + one.option
			list = append(list, Warning{Topic: Advice, Path: path,
				Text: path + " has no effect beside websocket.compression: set websocket." + one.option + ", which counts for both"})
		}
	}
	return list
}
