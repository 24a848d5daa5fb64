// Package benchtest is a small server of the client protocol for the tests of the load generator: enough of connect, subscribe,
// recovery, joins, unsubscribe, publish, presence, pings and the HTTP API to be loaded, over all transports of HTTP/1.1, plain or with TLS,
// one goroutine per conn, and faults on request: publications that are lost, sent twice or out of order, frames cut to pieces, closes. It
// is no part of the program.
package benchtest

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"path"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"stentor/codec"
	"stentor/codec/ws"
)

// Config says how the server behaves. The zero value is a faultless server for anonymous JSON clients.
type Config struct {
	Secret    string        // verify HS256 tokens with it; empty: anonymous clients only
	APIKey    string        // of the HTTP API
	Protobuf  bool          // speak Protobuf to everyone
	ChopBytes int           // write in pieces of so many bytes; 0: whole
	PingEvery time.Duration // 0: no pings
	LoseEvery int           // lose every n-th publication for the first subscriber; 0: none
	TwiceAt   int           // send the n-th publication twice; 0: never
	SwapAt    int           // send the n-th publication after the one behind it; 0: never
	History   int           // publications that each channel keeps; 0: none, and nothing recovers
	Forgets   bool          // nobody recovers in spite of it
	LoseJoin  int           // lose the n-th join; 0: none
	QueueMax  int           // bytes that a client may owe reading before it is closed with 3008; 0: any
	NoMetrics bool          // no page of metrics
	Deny      string        // subscriptions to this channel get error 103
	HeadMax   time.Duration // close a conn whose head is not whole in time; 0: never
	TLS       bool          // with the certificate of net/http/httptest
	Hang      int           // close the conn of every n-th request to the emulation endpoint without an answer; 0: none
}

// Server is a running server.
type Server struct {
	cfg  Config
	http *httptest.Server

	mu       sync.Mutex
	channels map[string]*channel
	clients  map[*client]struct{}
	slow     int // clients closed with 3008
	joins    int
	users    map[string]int
	sessions map[string]*client
	posts    int
	pongs    int
	stopPing chan struct{}
}

// client is one conn.
type client struct {
	server    *Server
	form      codec.Form
	conn      net.Conn
	transport string // as in the paths; empty: websocket
	session   string

	mu       sync.Mutex // of writes
	answered bool       // has its connect reply
	queue    *queue     // nil: writes go out at once
}

// Start runs a server on a free port until Close.
func Start(cfg Config) *Server {
	s, err := StartAt("127.0.0.1:0", cfg)
	if err != nil {
		panic(err) // a test cannot go on without it
	}
	return s
}

// StartAt runs a server at an address until Close.
func StartAt(addr string, cfg Config) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, channels: map[string]*channel{}, clients: map[*client]struct{}{},
		users: map[string]int{}, sessions: map[string]*client{}, stopPing: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/connection/websocket", s.upgrade)
	mux.HandleFunc("/connection/uni_websocket", s.upgrade)
	for _, transport := range []string{"http_stream", "sse", "uni_http_stream", "uni_sse"} {
		mux.HandleFunc("/connection/"+transport, func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, transport) })
	}
	mux.HandleFunc("/emulation", s.emulation)
	mux.HandleFunc("/api/", s.api)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	if !cfg.NoMetrics {
		mux.HandleFunc("/metrics", s.metrics)
	}
	s.http = httptest.NewUnstartedServer(mux)
	s.http.Listener.Close()
	s.http.Listener = l
	s.http.Config.ReadHeaderTimeout = cfg.HeadMax
	s.http.Config.ReadTimeout = cfg.HeadMax
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that go in the middle are meant
	if cfg.TLS {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	if cfg.PingEvery > 0 {
		go s.ping()
	}
	return s, nil
}

// Addr is where it listens, host and port.
func (s *Server) Addr() string { return s.http.Listener.Addr().String() }

// CA is the certificate of a server with TLS, in PEM.
func (s *Server) CA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw}))
}

// ServerName is what that certificate is for.
const ServerName = "example.com"

// Posts is how many requests to the emulation endpoint were answered.
func (s *Server) Posts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

// Close ends the server and all its conns.
func (s *Server) Close() {
	close(s.stopPing)
	s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.conn.Close()
	}
}

// Pongs is how many pings were answered.
func (s *Server) Pongs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pongs
}

// Users counts conns by user id.
func (s *Server) Users() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := map[string]int{}
	for u, n := range s.users {
		users[u] = n
	}
	return users
}

// Kick closes every conn with a close frame.
func (s *Server) Kick(code uint16, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.end(code, reason)
		c.conn.Close()
	}
}

func (s *Server) ping() {
	every := time.NewTicker(s.cfg.PingEvery)
	defer every.Stop()
	for {
		select {
		case <-s.stopPing:
			return
		case <-every.C:
		}
		s.mu.Lock()
		for c := range s.clients {
			c.mu.Lock()
			ready := c.answered
			c.mu.Unlock()
			if ready {
				c.send(codec.AppendPing(nil, c.form))
			}
		}
		s.mu.Unlock()
	}
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	c := &client{server: s, conn: conn, transport: path.Base(r.URL.Path)}
	if s.cfg.QueueMax > 0 {
		c.queue = newQueue(conn, c.farewell(3008, "slow"))
		defer c.queue.close()
	}
	protocol := ""
	if s.cfg.Protobuf {
		c.form, protocol = codec.Protobuf, "centrifuge-protobuf"
	}
	c.write(ws.AppendUpgradeResponse(nil, r.Header.Get("Sec-WebSocket-Key"), protocol, ""))
	s.mu.Lock()
	s.clients[c] = struct{}{}
	s.mu.Unlock()
	defer s.forget(c)

	var reader ws.Reader
	var data []byte
	piece := make([]byte, 4096)
	for {
		event, n, _, err := reader.Next(data, 64<<10)
		if err != nil {
			return
		}
		data = data[n:]
		switch event.Kind {
		case ws.EventNone:
			n, err := buffered.Read(piece)
			if err != nil {
				return
			}
			data = append(data[:len(data):len(data)], piece[:n]...)
		case ws.EventPing:
			c.write(ws.AppendFrame(nil, ws.OpPong, event.Payload))
		case ws.EventMessage:
			if !c.commands(event.Payload) {
				c.end(3501, "bad request")
				return
			}
		case ws.EventClose:
			return
		}
	}
}

func (s *Server) forget(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
	delete(s.sessions, c.session)
	for name := range s.channels {
		s.leave(name, c)
	}
}

// commands handles one ws message. False ends the conn.
func (c *client) commands(data []byte) bool {
	if c.uni() {
		return c.introduced(data)
	}
	for len(data) > 0 {
		var cmd codec.Command
		rest, err := codec.DecodeCommand(c.form, data, &cmd)
		if err != nil {
			return false
		}
		data = rest
		if cmd.Method == codec.MethodNone {
			c.server.mu.Lock()
			c.server.pongs++
			c.server.mu.Unlock()
			continue
		}
		if !c.command(&cmd) {
			return false
		}
	}
	return true
}

// command handles and answers one command. False ends the conn.
func (c *client) command(cmd *codec.Command) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock() // after the reply: what is published then comes behind it
	reply := c.server.answer(c, cmd)
	if reply == nil {
		return false
	}
	reply.ID = cmd.ID
	if c.emulated() && reply.Connect != nil {
		c.session = uuid.NewString()
		c.server.sessions[c.session] = c
		reply.Connect.Session, reply.Connect.Node = c.session, nodeName
	}
	text, err := codec.AppendReply(nil, c.form, reply)
	if err == nil {
		c.send(text)
	}
	return err == nil
}

// answer handles one command; nil ends the conn. The caller holds the lock.
func (s *Server) answer(c *client, cmd *codec.Command) *codec.Reply {
	switch cmd.Method {
	case codec.MethodConnect:
		user := ""
		if s.cfg.Secret != "" {
			token, err := jwt.Parse(cmd.Connect.Token, func(*jwt.Token) (any, error) { return []byte(s.cfg.Secret), nil }, jwt.WithValidMethods([]string{"HS256"}))
			if err != nil {
				c.end(3500, "invalid token")
				return nil
			}
			user, _ = token.Claims.GetSubject()
		}
		s.users[user]++
		c.mu.Lock()
		c.answered = true
		c.mu.Unlock()
		return &codec.Reply{Connect: &codec.ConnectResult{Client: "c", Version: "test", Ping: uint32(s.cfg.PingEvery.Seconds()), Pong: s.cfg.PingEvery > 0}}
	case codec.MethodSubscribe:
		return s.subscribe(c, &cmd.Subscribe)
	case codec.MethodUnsubscribe:
		s.leave(cmd.Unsubscribe.Channel, c)
		return &codec.Reply{Unsubscribe: &codec.UnsubscribeResult{}}
	case codec.MethodPublish:
		return &codec.Reply{Publish: &codec.PublishResult{}}
	case codec.MethodPresence:
		return &codec.Reply{Presence: &codec.PresenceResult{Presence: map[string]*codec.ClientInfo{"c": {Client: "c"}}}}
	case codec.MethodPresenceStats:
		return &codec.Reply{PresenceStats: &codec.PresenceStatsResult{NumClients: 1, NumUsers: 1}}
	case codec.MethodHistory:
		return &codec.Reply{History: &codec.HistoryResult{}}
	}
	return nil
}

func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-API-Key") != s.cfg.APIKey {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	type publication struct {
		Channel string
		Data    json.RawMessage
	}
	var body struct {
		publication
		Channels []string
		Commands []struct{ Publish publication }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	empty := map[string]any{}
	answer := map[string]any{"result": empty}
	switch r.URL.Path {
	case "/api/publish":
		s.Publish(body.Channel, body.Data)
	case "/api/broadcast":
		var responses []any
		for _, name := range body.Channels {
			s.Publish(name, body.Data)
			responses = append(responses, map[string]any{"result": empty})
		}
		answer["result"] = map[string]any{"responses": responses}
	case "/api/batch":
		var replies []any
		for _, cmd := range body.Commands {
			s.Publish(cmd.Publish.Channel, cmd.Publish.Data)
			replies = append(replies, map[string]any{"publish": empty})
		}
		answer = map[string]any{"replies": replies}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// send writes one delimited message as a ws frame, or as a chunk of the response.
func (c *client) send(message []byte) {
	if c.uni() {
		message = inside(message)
	}
	if c.streamed() {
		c.write(c.chunk(message))
		return
	}
	op := ws.OpBinary
	if c.form == codec.JSON {
		op, message = ws.OpText, message[:len(message)-1]
	}
	c.write(ws.AppendFrame(nil, op, message))
}

func (c *client) write(b []byte) {
	if c.queue != nil {
		if !c.queue.add(b, c.server.cfg.QueueMax) {
			c.server.slow++ // whoever sends holds the lock of the server
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		n := len(b)
		if chop := c.server.cfg.ChopBytes; chop > 0 {
			n = min(n, chop)
		}
		if _, err := c.conn.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}
