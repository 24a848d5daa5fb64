package benchtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/codec/wire"
	"stentor/codec/ws"
)

// nodeName is where all sessions are.
const nodeName = "node-1"

func (c *client) uni() bool { return strings.HasPrefix(c.transport, "uni_") }
func (c *client) streamed() bool {
	return strings.HasSuffix(c.transport, "_stream") || strings.HasSuffix(c.transport, "sse")
}
func (c *client) emulated() bool { return c.streamed() && !c.uni() }

// stream answers a first request, and goes on answering until the client or the server has enough.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, transport string) {
	said := []byte(r.URL.Query().Get("cf_connect"))
	if r.Method == http.MethodPost {
		var err error
		if said, err = io.ReadAll(r.Body); err != nil {
			return
		}
	}
	if len(said) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	c := &client{server: s, conn: conn, transport: transport}
	if r.Header.Get("Content-Type") == "application/octet-stream" {
		c.form = codec.Protobuf
	}
	if s.cfg.QueueMax > 0 {
		c.queue = newQueue(conn, c.farewell(3008, "slow"))
		defer c.queue.close()
	}
	c.write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: no-cache\r\n\r\n"))
	if c.events() {
		c.write([]byte("2\r\n\r\n\r\n"))
	}
	s.mu.Lock()
	s.clients[c] = struct{}{}
	s.mu.Unlock()
	defer s.forget(c)
	if !c.commands(said) {
		c.end(3501, "bad request")
		return
	}
	_, _ = buffered.ReadByte() // there is nothing to come but the end
}

func (c *client) events() bool { return strings.HasSuffix(c.transport, "sse") }

// chunk is a message as a part of the response.
func (c *client) chunk(message []byte) []byte {
	if c.events() {
		message = append(append([]byte("data: "), message[:len(message)-1]...), "\n\n"...)
	}
	return fmt.Appendf(nil, "%x\r\n%s\r\n", len(message), message)
}

// inside takes the push out of a reply: unidirectional clients get no more. A ping has none and stays.
func inside(message []byte) []byte {
	text, ok := bytes.CutPrefix(message, []byte(`{"push":`))
	if !ok {
		return message
	}
	return append(append([]byte(nil), text[:len(text)-len("}\n")]...), '\n')
}

// end tells the client why, as its transport does it.
func (c *client) end(code uint16, reason string) { c.write(c.farewell(code, reason)) }

func (c *client) farewell(code uint16, reason string) []byte {
	if !c.streamed() {
		return ws.AppendClose(nil, code, reason)
	}
	text, err := codec.AppendPush(nil, c.form, &codec.Push{Disconnect: &codec.DisconnectPush{Code: uint32(code), Reason: reason}})
	if err != nil {
		panic(err) // there is no data in it
	}
	if c.uni() {
		text = inside(text)
	}
	return append(c.chunk(text), "0\r\n\r\n"...)
}

// introduced connects a unidirectional client with the channels of its token, or with those that it asks for. False ends the conn.
func (c *client) introduced(said []byte) bool {
	var request struct {
		Token string
		Subs  map[string]struct {
			Recover bool
			Offset  uint64
			Epoch   string
		}
	}
	if err := json.Unmarshal(said, &request); err != nil {
		return false
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := s.answer(c, &codec.Command{Method: codec.MethodConnect, Connect: codec.ConnectRequest{Token: request.Token}})
	if reply == nil {
		return false
	}
	connect := &codec.Connect{Client: "c", Ping: reply.Connect.Ping, Subs: map[string]*codec.SubscribeResult{}}
	var claims struct {
		jwt.RegisteredClaims
		Channels []string `json:"channels"`
	}
	if s.cfg.Secret != "" {
		_, _, _ = jwt.NewParser().ParseUnverified(request.Token, &claims) // answer has verified it
	} else {
		for name := range request.Subs {
			claims.Channels = append(claims.Channels, name)
		}
	}
	for _, name := range claims.Channels {
		asked := request.Subs[name]
		r := s.subscribe(c, &codec.SubscribeRequest{
			Channel: name, Recoverable: s.cfg.History > 0, Recover: asked.Recover, Offset: asked.Offset, Epoch: asked.Epoch,
		})
		if r.Error == nil {
			connect.Subs[name] = r.Subscribe
		}
	}
	text, err := codec.AppendPush(nil, c.form, &codec.Push{Connect: connect})
	if err == nil {
		c.send(text)
	}
	return err == nil
}

// emulation takes what emulated clients say.
func (s *Server) emulation(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.posts++
	hang := s.cfg.Hang > 0 && s.posts%s.cfg.Hang == 0
	s.mu.Unlock()
	if hang {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	session, node, data, err := parseEmulation(r.Header.Get("Content-Type"), body)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	case node != nodeName:
		http.Error(w, "no such node", http.StatusNotFound)
		return
	}
	s.mu.Lock()
	c := s.sessions[session]
	s.mu.Unlock()
	if c != nil && !c.commands(data) {
		c.end(3501, "bad request")
		c.conn.Close()
	}
	w.WriteHeader(http.StatusNoContent)
}

func parseEmulation(contentType string, body []byte) (session, node string, data []byte, err error) {
	if contentType == "application/octet-stream" {
		var e wire.EmulationRequest
		err := e.UnmarshalVT(body)
		return e.Session, e.Node, e.Data, err
	}
	var e struct{ Session, Node, Data string }
	err = json.Unmarshal(body, &e)
	return e.Session, e.Node, []byte(e.Data), err
}
