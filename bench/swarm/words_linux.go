package swarm

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/codec/ws"
)

// Command ids: 1 is connect, then one for each subscription, then requests.
const (
	idConnect   = 1
	idSubscribe = 2
	idRequest   = idSubscribe + SubscriptionsMax
)

// tokenLife is long enough for any run.
const tokenLife = 24 * time.Hour

// words are the bytes that the clients of a group say. One key and one mask serve all of them: both protect browsers behind
// proxies, not load generators.
type words struct {
	form codec.Form
	cfg  *Group
	op   ws.OpCode
	key  string
	mask [4]byte
	head []byte // the upgrade request
	pong []byte // the ws frame that answers a ping of the protocol
	push []byte // how a push begins

	command codec.Command
	body    []byte
	frame   []byte
	wrapped []byte
}

func newWords(form codec.Form, cfg *Group) words {
	w := words{form: form, cfg: cfg, op: ws.OpText, key: ws.NewKey(), push: pushBegins[form]}
	if cfg.uni() {
		w.push = uniPushBegins
	}
	_, _ = rand.Read(w.mask[:]) // never fails: see its documentation
	request := ws.ClientRequest{Host: cfg.Host, Target: cfg.Path, Key: w.key, Origin: cfg.Origin}
	if form == codec.Protobuf {
		w.op, request.Protocols = ws.OpBinary, "centrifuge-protobuf"
	}
	w.head = request.Append(nil)
	w.pong = appendPong(nil, cfg.Protobuf, w.mask)
	return w
}

// add encodes w.command behind those that wait to be said.
func (w *words) add() (err error) {
	w.body, err = codec.AppendCommand(w.body, w.form, &w.command)
	return err
}

// take is what was added, valid until more is.
func (w *words) take() []byte {
	body := w.body
	w.body = w.body[:0]
	return body
}

// say puts what was added into one ws frame, valid until the next call.
func (w *words) say() []byte { return w.frameOf(w.take()) }

// frameOf puts commands into one ws frame, valid until the next call.
func (w *words) frameOf(body []byte) []byte {
	if w.form == codec.JSON {
		body = bytes.TrimSuffix(body, []byte("\n"))
	}
	return w.wrap(w.op, body)
}

// wrap puts payload into a ws frame, valid until the next call.
func (w *words) wrap(op ws.OpCode, payload []byte) []byte {
	w.frame = ws.AppendClientFrame(w.frame[:0], op, true, w.mask, payload)
	return w.frame
}

// connect adds the first command of client n.
func (w *words) connect(n int) error {
	w.command = codec.Command{ID: idConnect, Method: codec.MethodConnect}
	w.command.Connect.Name = clientName
	token, err := w.token(n)
	if err != nil {
		return err
	}
	w.command.Connect.Token = token
	return w.add()
}

// clientName is what clients call themselves.
const clientName = "stentor-bench"

// token is that of client n; empty for an anonymous one. Clients that cannot ask for subscriptions have them from their token.
func (w *words) token(n int) (string, error) {
	if w.cfg.TokenSecret == "" {
		return "", nil
	}
	now := time.Now()
	claims := jwt.MapClaims{"sub": w.cfg.User(n), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix()}
	if w.cfg.uni() && w.cfg.Subscribed > 0 {
		claims["channels"] = w.cfg.channels(n)
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(w.cfg.TokenSecret))
}

// subscribe adds a request for a subscription.
func (w *words) subscribe(id uint32, r codec.SubscribeRequest) error {
	w.command = codec.Command{ID: id, Method: codec.MethodSubscribe, Subscribe: r}
	return w.add()
}

// next cuts the first message off payload: delimited as the codec reads it, bare as it is looked at. ok is false at the end,
// and for a length that is not in the payload.
func (w *words) next(payload []byte) (delimited, bare, rest []byte, ok bool) {
	if len(payload) == 0 {
		return nil, nil, nil, false
	}
	if w.form == codec.JSON {
		bare, rest, _ = bytes.Cut(payload, []byte("\n"))
		return bare, bare, rest, true
	}
	length, n := binary.Uvarint(payload)
	if n <= 0 || length > uint64(len(payload)-n) {
		return nil, nil, payload, false
	}
	end := n + int(length)
	return payload[:end], payload[n:end], payload[end:], true
}

// How a push begins: the outer member in JSON; the tag of field 4 with a length in Protobuf.
var pushBegins = [codec.NumForms][]byte{codec.JSON: []byte(`{"push":`), codec.Protobuf: {4<<3 | 2}}

// uniPushBegins is how a push to a channel begins where there is nothing but pushes.
var uniPushBegins = []byte(`{"channel":`)

func (w *words) isPing(bare []byte) bool {
	if w.form == codec.JSON {
		return string(bare) == "{}"
	}
	return len(bare) == 0
}

func (w *words) isPush(bare []byte) bool { return bytes.HasPrefix(bare, w.push) }

// decode reads a message. What unidirectional clients get is the inside of a push.
func (w *words) decode(delimited []byte, r *codec.Reply) error {
	if w.cfg.uni() {
		w.wrapped = append(append(append(w.wrapped[:0], pushBegins[codec.JSON]...), delimited...), '}')
		delimited = w.wrapped
	}
	_, err := codec.DecodeReply(w.form, delimited, r)
	return err
}

// errorText names a reply's error, with its usual cause.
func errorText(what string, e *codec.Error) string {
	hint := ""
	switch e.Code {
	case codec.ErrorUnknownChannel.Code:
		hint = ": the channel's namespace is not in the server's configuration"
	case codec.ErrorPermissionDenied.Code:
		hint = ": the channel's namespace must allow it (allow_subscribe_for_client, allow_publish_for_client)"
	case codec.ErrorTokenExpired.Code:
		hint = ": do the clocks agree?"
	}
	return what + ": " + strconv.Itoa(int(e.Code)) + " " + e.Message + hint
}

// closeText adds the usual cause to the reason of a close frame.
func closeText(code uint16, reason string) string {
	switch uint32(code) {
	case codec.DisconnectInvalidToken.Code:
		return reason + ": --token-hmac-secret is not the server's client.token.hmac_secret_key"
	case codec.DisconnectConnectionLimit.Code:
		return reason + ": the server allows fewer conns per user: {n} in --user gives each client its own"
	}
	return reason
}
