package swarm

import (
	"fmt"
	"slices"

	"stentor/bench/response"
)

// stream is what a client needs for messages in the body of a response: 24 bytes.
type stream struct {
	session session
	body    response.Body
}

// answered takes the head of the response to client i's first request, and returns what it needs more of.
func (g *group) answered(i int32, data []byte) (rest []byte) {
	var h response.Head
	n, ok, err := h.Parse(data)
	switch {
	case err != nil:
		g.drop(i, 0, "request: "+err.Error())
		return nil
	case !ok:
		return data
	case h.Status != 200:
		g.drop(i, 0, fmt.Sprintf("request: the server answers %d%s", h.Status, statusHint(h.Status)))
		return nil
	}
	g.streams[i].body = response.Body{}
	if !h.Chunked {
		g.streams[i].body = response.Plain() // it ends with its conn: HTTP/1.0, or a proxy that speaks it
	}
	g.enter(i, stateConnecting)
	g.stream(i, data[n:])
	return nil
}

// stream acts on what has come of the body of client i's response.
func (g *group) stream(i int32, data []byte) {
	c, body := &g.conns[i], &g.streams[i].body
	g.swarm.readAt = g.swarm.now()
	for len(data) > 0 && c.fd >= 0 {
		part, n, err := body.Next(data)
		if err != nil {
			g.drop(i, 0, "not the body of a response: "+err.Error())
			return
		}
		data = data[n:]
		if len(part.Data) > 0 {
			g.part(i, part)
		}
		if body.Ended() && c.fd >= 0 {
			g.drop(i, 0, "the response ended while waiting for "+c.state.String())
			return
		}
	}
}

// part acts on the messages in one part of a body.
func (g *group) part(i int32, p response.Part) {
	c, at := &g.conns[i], place{g.number, i}
	text, whole := p.Data, p.Whole && !c.half
	if c.half {
		text = append(g.swarm.halves[at], text...)
		delete(g.swarm.halves, at)
		c.half = false
	}
	messages, publications := 0, 0
	for c.fd >= 0 {
		delimited, bare, rest, ok, err := g.cut(text)
		if err != nil {
			g.drop(i, 0, err.Error())
			return
		}
		text = rest
		if !ok {
			break
		}
		messages++
		if g.hear(i, delimited, bare) {
			publications++
		}
	}
	if publications > 0 {
		g.stats.Frames++
	}
	if publications == 1 && messages == 1 && whole && len(text) == 0 && g.stats.Sample == nil {
		g.stats.Sample = fmt.Appendf(nil, "%x\r\n%s\r\n", len(p.Data), p.Data)
	}
	switch {
	case c.fd < 0 || len(text) == 0:
	case len(text) > MessageBytesMax:
		g.drop(i, 0, fmt.Sprintf("a message of more than %d bytes", MessageBytesMax))
	default:
		g.swarm.halves[at] = slices.Clone(text)
		c.half = true
	}
}

// statusHint adds the usual cause to the status of a response.
func statusHint(status int) string {
	switch status {
	case 400:
		return ": is the path of --target that of --transport?"
	case 404:
		return ": is --transport enabled in the server's configuration, at the path of --target?"
	case 503:
		return ": the server is full or shuts down (its connection limits, its descriptor limit)"
	}
	return ""
}
