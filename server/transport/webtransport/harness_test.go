package webtransport

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"stentor/codec"
	"stentor/server/certs/certtest"
	"stentor/server/pipetest"
)

// house is a node with an HTTP/3 port, and WebTransport at /wt.
type house struct {
	*pipetest.House
	t      testing.TB
	server *Server
	addr   string
	client *tls.Config
}

// open runs a house until the end of the test.
func open(t testing.TB, c pipetest.Config, change func(*Config)) *house {
	t.Helper()
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	h := &house{House: pipetest.Open(t, c), t: t}
	ca := certtest.New(t)
	h.client = &tls.Config{RootCAs: ca.Pool, ServerName: "127.0.0.1", NextProtos: []string{http3.NextProtoH3}}
	cfg := Config{
		Node:  h.Node,
		Pipes: h.Pipes,
		Gate:  h.Gate,
		Path:  "/wt",
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.Proto, r.URL.Path)
		}),
		TLS:             &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, certtest.Leaf{}).TLS}},
		MessageBytesMax: 1000,
		Log:             h.Log,
	}
	if change != nil {
		change(&cfg)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	h.addr = socket.LocalAddr().String()
	h.server = New(cfg)
	h.Serve(func() error { return h.server.Serve(socket) }, func() {
		h.server.Stop()
		socket.Close()
	})
	return h
}

// quic is how clients speak QUIC: they say now and then that they are there.
func (h *house) quic() *quic.Config {
	return &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true, KeepAlivePeriod: 200 * time.Millisecond}
}

// dialer makes sessions of another library.
func (h *house) dialer() *webtransport.Transport {
	d := &webtransport.Transport{
		TLSClientConfig: h.client,
		QUICConfig:      h.quic(),
	}
	h.t.Cleanup(func() { d.Close() })
	return d
}

// dial asks for a session and returns the status.
func (h *house) dial(query string, header http.Header) (*webtransport.Session, int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), pipetest.WaitMax)
	defer cancel()
	r, s, err := h.dialer().Dial(ctx, "https://"+h.addr+"/wt"+query, header)
	if r == nil {
		h.t.Fatalf("dial: %v", err)
	}
	return s, r.StatusCode
}

// client is the one stream of a session.
type client struct {
	*webtransport.Stream
	h       *house
	session *webtransport.Session
	form    codec.Form
	in      *bufio.Reader
}

// connect opens a stream and says what there is to say at first.
func (h *house) connect(form codec.Form, say string) *client {
	h.t.Helper()
	query := ""
	if form == codec.Protobuf {
		query = "?cf_protocol=protobuf"
	}
	session, status := h.dial(query, nil)
	if status != 200 {
		h.t.Fatalf("status %d", status)
	}
	return h.speak(session, form, say)
}

func (h *house) speak(session *webtransport.Session, form codec.Form, say string) *client {
	h.t.Helper()
	c := h.open(session, form)
	c.say(say)
	return c
}

// expectNothing speaks on a session that there is no place for.
func (h *house) expectNothing(session *webtransport.Session) {
	h.t.Helper()
	c := h.open(session, codec.JSON)
	_, _ = c.Write([]byte(commandsOf(h.t, codec.JSON, connect))) // the server may have had enough before all is written
	if r, err := c.hear(); err == nil {
		h.t.Errorf("heard %+v", r)
	}
}

// open opens the one stream of a session.
func (h *house) open(session *webtransport.Session, form codec.Form) *client {
	h.t.Helper()
	stream, err := session.OpenStreamSync(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = session.CloseWithError(0, "") })
	_ = stream.SetDeadline(time.Now().Add(pipetest.WaitMax))
	return &client{stream, h, session, form, bufio.NewReader(stream)}
}

func (c *client) say(s string) {
	c.h.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.h.t.Fatalf("write: %v", err)
	}
}

// commands encodes commands.
func commandsOf(t testing.TB, form codec.Form, all ...codec.Command) (s string) {
	t.Helper()
	var buf []byte
	for i := range all {
		all[i].ID = uint32(i + 1)
		var err error
		if buf, err = codec.AppendCommand(buf, form, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return string(buf)
}

// hear reads one message.
func (c *client) hear() (reply codec.Reply, err error) {
	var msg []byte
	if c.form == codec.JSON {
		msg, err = c.in.ReadBytes('\n')
	} else {
		var size byte // all of these messages are short enough for one byte of length
		if size, err = c.in.ReadByte(); err == nil {
			msg = make([]byte, 1+int(size))
			msg[0] = size
			_, err = io.ReadFull(c.in, msg[1:])
		}
	}
	if err != nil {
		return reply, err
	}
	_, err = codec.DecodeReply(c.form, msg, &reply)
	return reply, err
}

func (c *client) expect(what string, ok func(codec.Reply) bool) {
	c.h.t.Helper()
	r, err := c.hear()
	if err != nil || !ok(r) {
		c.h.t.Fatalf("heard %+v (%v), want %s", r, err, what)
	}
}

func (c *client) expectConnect() {
	c.h.t.Helper()
	c.expect("a connect reply", func(r codec.Reply) bool { return r.ID == 1 && r.Connect != nil && r.Connect.Pong })
}

func (c *client) expectPub(data string) {
	c.h.t.Helper()
	c.expect("publication "+data, func(r codec.Reply) bool {
		return r.Push != nil && r.Push.Pub != nil && string(r.Push.Pub.Data) == data
	})
}

// expectDisconnect reads the last message, and the end.
func (c *client) expectDisconnect(code uint32) {
	c.h.t.Helper()
	c.expect(fmt.Sprintf("disconnect %d", code), func(r codec.Reply) bool {
		return r.Push != nil && r.Push.Disconnect != nil && r.Push.Disconnect.Code == code
	})
	if _, err := c.hear(); err != io.EOF {
		c.h.t.Fatalf("%v, want the end of the stream", err)
	}
	_ = c.Close()
	select {
	case <-c.session.Context().Done():
	case <-time.After(pipetest.WaitMax):
		c.h.t.Fatal("the session goes on")
	}
}

// get asks for a page over HTTP/3.
func (h *house) get(path string) (string, error) {
	tr := &http3.Transport{TLSClientConfig: h.client}
	defer tr.Close()
	r, err := (&http.Client{Transport: tr, Timeout: pipetest.WaitMax}).Get("https://" + h.addr + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return strings.TrimSpace(string(body)), err
}
