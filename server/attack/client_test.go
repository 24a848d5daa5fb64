package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/codec/ws/wstest"
)

// client is an attacker's end of a socket, or a witness's.
type client struct {
	net.Conn
	r     reporter
	in    *bufio.Reader
	form  codec.Form
	token string // for join

	behind []codec.Reply // see next
}

// dial opens a socket to h that says nothing yet.
func dial(r reporter, h *house) *client {
	r.Helper()
	return dialWith(r, h, &net.Dialer{})
}

func dialWith(r reporter, h *house, d *net.Dialer) *client {
	r.Helper()
	conn, err := d.Dial("tcp", h.addr)
	if err != nil {
		r.Fatalf("dial: %v", err)
	}
	if t, ok := r.(tester); ok {
		t.Cleanup(func() { conn.Close() })
	}
	return &client{Conn: conn, r: r, in: bufio.NewReader(conn), token: h.token}
}

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

const (
	endpoint = "/connection/websocket"
	// upgradeRequest asks for a WebSocket; the rows of tables change it.
	upgradeRequest = "GET " + endpoint + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n\r\n"
	healthRequest = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

// upgraded is a WebSocket on which no command was sent yet.
func upgraded(r reporter, h *house, f codec.Form) *client {
	r.Helper()
	c := dial(r, h)
	c.upgrade(f)
	return c
}

func (c *client) upgrade(f codec.Form) {
	c.r.Helper()
	c.form = f
	request := upgradeRequest
	if f == codec.Protobuf {
		request = strings.Replace(request, endpoint, endpoint+"?format=protobuf", 1)
	}
	c.say(request)
	c.hearUpgrade()
}

func (c *client) hearUpgrade() {
	c.r.Helper()
	if status, head := c.head(); status != 101 || !strings.Contains(head, ws.AcceptKey(testKey)) {
		c.r.Fatalf("no upgrade:\n%s", head)
	}
}

// joined is a client that is connected and has subscribed.
func joined(r reporter, h *house, f codec.Form, channels ...string) *client {
	r.Helper()
	c := upgraded(r, h, f)
	c.join(channels...)
	return c
}

func (c *client) join(channels ...string) {
	c.r.Helper()
	c.say(c.commands(connectWith(c.token)))
	c.expectReply(1, 0)
	for i, ch := range channels {
		id := uint32(2 + i)
		c.say(c.commands(&codec.Command{ID: id, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: ch}}))
		c.expectReply(id, 0)
	}
}

// connectWith is a command with id 1.
func connectWith(token string) *codec.Command {
	return &codec.Command{ID: 1, Method: codec.MethodConnect, Connect: codec.ConnectRequest{Token: token}}
}

// subscribeTo is a command with id 2.
func subscribeTo(req codec.SubscribeRequest) *codec.Command {
	return &codec.Command{ID: 2, Method: codec.MethodSubscribe, Subscribe: req}
}

// fate sends a command and says what becomes of it: a reply and 0, or the code of an error, or the code with which the server closed
// the connection. Pushes that come before are left out; what came behind the reply in its message is for next.
func (c *client) fate(cmd *codec.Command) (code uint32, reply codec.Reply) {
	c.r.Helper()
	c.say(c.commands(cmd))
	for {
		op, payload, err := c.hear()
		if err == nil && op == ws.OpClose {
			code, _, err := ws.ParseClose([]byte(payload))
			if err != nil {
				c.r.Fatalf("%v in %q", err, payload)
			}
			c.expectEndAfterClose()
			return uint32(code), reply
		}
		if err != nil || op != c.opCode() {
			c.r.Fatalf("heard %v %.200q (%v), want the reply to %v", op, payload, err, cmd.Method)
		}
		all, err := decode(c.form, payload)
		if err != nil {
			c.r.Fatalf("%v in %.200q", err, payload)
		}
		for i, r := range all {
			if r.ID == cmd.ID {
				c.behind = all[i+1:]
				return errorCode(&r), r
			}
		}
	}
}

// next is what came behind the reply of fate, or else the next message.
func (c *client) next() []codec.Reply {
	c.r.Helper()
	if all := c.behind; len(all) > 0 {
		c.behind = nil
		return all
	}
	return c.replies()
}

// commands is one ws frame with all of them.
func (c *client) commands(all ...*codec.Command) string {
	c.r.Helper()
	var msg []byte
	for _, cmd := range all {
		var err error
		if msg, err = codec.AppendCommand(msg, c.form, cmd); err != nil {
			c.r.Fatalf("encode: %v", err)
		}
	}
	return frame(c.opCode(), true, string(msg))
}

func (c *client) opCode() ws.OpCode {
	if c.form == codec.Protobuf {
		return ws.OpBinary
	}
	return ws.OpText
}

func (c *client) say(s string) {
	c.r.Helper()
	if err := c.trySay(s); err != nil {
		c.r.Fatalf("write: %v", err)
	}
}

// trySay is for attackers that are thrown out while they speak.
func (c *client) trySay(s string) error {
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.WriteString(c, s)
	return err
}

// frame is one ws frame of a client.
func frame(op ws.OpCode, fin bool, payload string) string {
	return string(ws.AppendClientFrame(nil, op, fin, [4]byte{1, 2, 3, 4}, []byte(payload)))
}

func text(s string) string   { return frame(ws.OpText, true, s) }
func binary(s string) string { return frame(ws.OpBinary, true, s) }

func closing(code uint16) string {
	return string(ws.AppendClientClose(nil, [4]byte{5, 6, 7, 8}, code, ""))
}

func (c *client) awaitInput() {
	c.r.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.r.Fatalf("%v", err)
	}
}

// head reads the head of a response.
func (c *client) head() (status int, head string) {
	c.r.Helper()
	c.awaitInput()
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			c.r.Fatalf("read a response: %v, after %q", err, all.String())
		}
		if line == "\r\n" {
			break
		}
	}
	if _, err := fmt.Sscanf(all.String(), "HTTP/1.1 %d ", &status); err != nil {
		c.r.Fatalf("no response: %q", all.String())
	}
	return status, all.String()
}

// response reads a whole response with a Content-Length.
func (c *client) response() (status int, head, body string) {
	c.r.Helper()
	status, head = c.head()
	var length int
	for line := range strings.SplitSeq(head, "\r\n") {
		if value, ok := strings.CutPrefix(strings.ToLower(line), "content-length: "); ok {
			fmt.Sscan(value, &length)
		}
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(c.in, text); err != nil {
		c.r.Fatalf("read a body of %d bytes: %v", length, err)
	}
	return status, head, string(text)
}

// hear reads one ws frame.
func (c *client) hear() (op ws.OpCode, payload string, err error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, "", err
	}
	return wstest.ReadFrame(c.in)
}

// replies reads the next message, which must be data, and takes it apart. Pings are left out, and not answered.
func (c *client) replies() []codec.Reply {
	c.r.Helper()
	for {
		op, payload, err := c.hear()
		if err != nil || op != c.opCode() {
			c.r.Fatalf("heard %v %.200q (%v), want a message", op, payload, err)
		}
		all, err := decode(c.form, payload)
		if err != nil {
			c.r.Fatalf("%v in %.200q", err, payload)
		}
		if len(all) > 0 {
			return all
		}
	}
}

func decode(f codec.Form, payload string) (all []codec.Reply, err error) {
	for rest := []byte(payload); len(rest) > 0; {
		var r codec.Reply
		if rest, err = codec.DecodeReply(f, rest, &r); err != nil {
			return nil, err
		}
		if !isPing(&r) {
			all = append(all, r)
		}
	}
	return all, nil
}

func isPing(r *codec.Reply) bool {
	return r.ID == 0 && r.Push == nil && r.Error == nil && r.Connect == nil
}

// expectReply reads one message with one reply, of this id and error code (0 is none).
func (c *client) expectReply(id, code uint32) {
	c.r.Helper()
	all := c.replies()
	if len(all) != 1 || all[0].ID != id || errorCode(&all[0]) != code {
		c.r.Fatalf("heard %+v, want one reply with id %d and error %d", all, id, code)
	}
}

func errorCode(r *codec.Reply) uint32 {
	if r.Error == nil {
		return 0
	}
	return r.Error.Code
}

// expectPush reads one message with one publication.
func (c *client) expectPush(channel, data string) {
	c.r.Helper()
	all := c.replies()
	if len(all) != 1 || all[0].Push == nil || all[0].Push.Pub == nil || all[0].Push.Channel != channel || string(all[0].Push.Pub.Data) != data {
		c.r.Fatalf("heard %+v, want the publication %s on %s", all, data, channel)
	}
}

// expectClose reads the next frame, which must be a close frame, and then the end of the stream.
func (c *client) expectClose(code uint16, reason string) {
	c.r.Helper()
	op, payload, err := c.hear()
	if err != nil || op != ws.OpClose {
		c.r.Fatalf("heard %v %.200q (%v), want close %d", op, payload, err, code)
	}
	gotCode, gotReason, err := ws.ParseClose([]byte(payload))
	if err != nil || gotCode != code || reason != anyReason && gotReason != reason {
		c.r.Fatalf("closed with %d %q (%v), want %d %q", gotCode, gotReason, err, code, reason)
	}
	c.expectEndAfterClose()
}

// untilClose reads until the server closes, whatever comes before that.
func (c *client) untilClose(code uint16) {
	c.r.Helper()
	for {
		op, payload, err := c.hear()
		if err != nil {
			c.r.Fatalf("%v, want close %d", err, code)
		}
		if op != ws.OpClose {
			continue
		}
		if got, reason, err := ws.ParseClose([]byte(payload)); err != nil || got != code {
			c.r.Fatalf("closed with %d %q (%v), want %d", got, reason, err, code)
		}
		c.expectEndAfterClose()
		return
	}
}

// anyReason is for closes of RFC 6455, whose text nobody relies on.
const anyReason = "*"

// expectEndAfterClose answers a close frame, so that the server need not wait for that, and reads the end.
func (c *client) expectEndAfterClose() {
	c.r.Helper()
	_ = c.trySay(closing(1000)) // the server may have gone already
	c.expectEnd()
}

// expectEnd reads the end of the stream. A reset counts: the server had closed with some of our input unread.
func (c *client) expectEnd() {
	c.r.Helper()
	c.awaitInput()
	rest, err := io.ReadAll(c.in)
	if errors.Is(err, os.ErrDeadlineExceeded) || len(rest) > 0 {
		c.r.Fatalf("the stream does not end: %.200q, %v", rest, err)
	}
	c.Close()
}

// reset ends the connection with a TCP reset.
func (c *client) reset() {
	c.r.Helper()
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		c.r.Fatalf("%v", err)
	}
	c.Close()
}

// expectGone reads until the stream ends, whatever comes before that.
func (c *client) expectGone() {
	c.r.Helper()
	c.awaitInput()
	if rest, err := io.ReadAll(c.in); errors.Is(err, os.ErrDeadlineExceeded) {
		c.r.Fatalf("the stream does not end: %.200q", rest)
	}
	c.Close()
}
