package swarm

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"stentor/codec"
)

// Limits of posts.
const (
	// postLines is how many conns carry what all emulated clients of a group in one worker say.
	postLines = 4
	// postsAhead and postsAheadBytes are how much may be on its way on one of them: servers bound what comes ahead of an answer.
	postsAhead      = 64
	postsAheadBytes = 32 << 10
	// postsWaitingMax is how many may wait for that: beyond it the server is not keeping up, and requests are dropped and counted.
	postsWaitingMax = 1 << 16
	// nodesMax is how many nodes of a cluster the sessions of a group may be on.
	nodesMax = 1 << 16
	// postTries is how often a line is dialed whose requests are not answered at all.
	postTries = 3
)

// posts brings what emulated clients say to the emulation endpoint: kept-alive conns for all of them together, on which requests follow
// each other without waiting for answers. What one client says takes one line, and so stays in order. Requests of a turn are written
// together at its end.
type posts struct {
	group *group
	lines [postLines]postLine
	nodes []string          // where sessions are, each once
	plain map[string]uint16 // their numbers
	long  map[int32]string  // sessions that do not fit in 16 bytes
	dash  bool              // sessions are written with dashes
	pong  []byte            // the command that answers a ping
	known bool              // dash is
	data  []byte            // of the request that is being made
	path  string
}

func newPosts(g *group) *posts {
	p := &posts{group: g, plain: map[string]uint16{}, long: map[int32]string{}, pong: []byte("{}"), path: g.cfg.Emulation}
	if p.path == "" {
		p.path = EmulationPath
	}
	if g.cfg.Protobuf {
		p.pong = []byte{0}
	}
	for k := range p.lines {
		p.lines[k] = postLine{posts: p, number: k, fd: -1}
	}
	return p
}

// meet notes where the session of client i is. It is false if that cannot be, and the client gone.
func (p *posts) meet(i int32, r *codec.ConnectResult) bool {
	if r.Session == "" || r.Node == "" {
		p.group.drop(i, 0, "connect: the reply has no session and node, which the transport needs")
		return false
	}
	node, ok := p.plain[r.Node]
	if !ok {
		if len(p.nodes) >= nodesMax {
			p.group.drop(i, 0, fmt.Sprintf("connect: sessions on more than %d nodes", nodesMax))
			return false
		}
		node = uint16(len(p.nodes))
		name := string([]byte(r.Node))
		p.nodes = append(p.nodes, name)
		p.plain[name] = node
	}
	p.group.conns[i].node = node
	delete(p.long, i)
	s, dashes, ok := parseSession(r.Session)
	if ok && !p.known {
		p.dash, p.known = dashes, true
	}
	if !ok || dashes != p.dash {
		p.long[i] = string([]byte(r.Session))
		return true
	}
	p.group.streams[i].session = s
	return true
}

// post sends commands of client i at the end of this turn.
func (p *posts) post(i int32, commands []byte) {
	line := &p.lines[i%postLines]
	if len(line.queue) >= postsWaitingMax {
		p.group.fault(fmt.Sprintf("emulation: more than %d requests wait for the server", postsWaitingMax))
		return
	}
	body := p.body(i, commands)
	request := p.group.words.appendPost(make([]byte, 0, 256+len(body)), p.path, len(body))
	line.queue = append(line.queue, append(request, body...))
	p.group.due = 0
}

// body is that of a request, valid until the next call.
func (p *posts) body(i int32, commands []byte) []byte {
	var room [uuidLength]byte
	secret := p.group.streams[i].session.append(room[:0], p.dash)
	if long, ok := p.long[i]; ok {
		secret = []byte(long)
	}
	node := p.nodes[p.group.conns[i].node]
	b := p.data[:0]
	if p.group.cfg.Protobuf {
		for field, value := range [][]byte{[]byte(node), secret, commands} {
			b = append(b, byte(field+1)<<3|2)
			b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
		}
	} else {
		b = append(append(append(b, `{"session":"`...), secret...), `","node":"`...)
		b = append(append(append(b, node...), `","data":`...), quote(commands)...)
		b = append(b, '}')
	}
	p.data = b
	return b
}

// quote makes a JSON string of commands.
func quote(commands []byte) []byte {
	if string(commands) == "{}" {
		return []byte(`"{}"`)
	}
	text, _ := json.Marshal(string(commands)) // a string is always one
	return text
}

// flush writes what was posted since it was last called.
func (p *posts) flush() {
	for k := range p.lines {
		p.lines[k].flush()
	}
}

func (p *posts) close() {
	for k := range p.lines {
		p.lines[k].hangUp()
		p.lines[k].queue = nil
	}
}

func (p *posts) event(k int, events uint32) { p.lines[k].event(events) }

// answered counts one answer of the endpoint.
func (p *posts) answered(status int) {
	p.group.stats.Posts++
	switch status {
	case 204, 200:
		return
	case 404:
		p.group.fault("emulation: 404: is --emulation-path the server's, and does the node of the session still run?")
	default:
		p.group.fault("emulation: the server answers " + strconv.Itoa(status))
	}
}

// forget drops the first request of a line, which has its answer.
func (l *postLine) forget() {
	l.queue[0] = nil
	if l.queue = l.queue[1:]; len(l.queue) == 0 {
		l.queue = nil
	}
}
