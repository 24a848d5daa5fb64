package talk

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"stentor/codec"
)

var (
	overWebSocket = way{"websocket", []codec.Form{codec.JSON, codec.Protobuf},
		func(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer {
			path := "/connection/websocket"
			if f == codec.Protobuf {
				path += "?format=protobuf"
			}
			return dial(t, h, path, f, user, batch)
		}, nil}
	overUniWebSocket = way{"uni_websocket", []codec.Form{codec.UniJSON},
		func(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer {
			return &told{peer: dial(t, h, "/connection/uni_websocket", f, user, batch), t: t}
		}, nil}
)

// wsPeer is a client of another library.
type wsPeer struct {
	t    testing.TB
	form codec.Form
	conn *websocket.Conn
}

// header has the user that a trusted header names.
func header(user string) http.Header {
	if user == "" {
		return http.Header{}
	}
	return http.Header{"X-User": {user}}
}

func dial(t testing.TB, h *house, path string, f codec.Form, user string, batch []byte) *wsPeer {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+h.addr+path, header(user))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	p := &wsPeer{t: t, form: f, conn: conn}
	p.say(batch)
	return p
}

func (p *wsPeer) say(batch []byte) {
	kind := websocket.TextMessage
	if p.form.Encoding() == codec.Protobuf {
		kind = websocket.BinaryMessage
	}
	if err := p.conn.WriteMessage(kind, bytes.TrimSuffix(batch, []byte("\n"))); err != nil {
		p.t.Errorf("write: %v", err)
	}
}

func (p *wsPeer) hear() ([]codec.Reply, *codec.Disconnect) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, &gone
	}
	_, message, err := p.conn.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
		return nil, &codec.Disconnect{Code: uint32(closed.Code), Reason: closed.Text}
	}
	if err != nil {
		return nil, &gone
	}
	if p.form.Encoding() == codec.JSON {
		message = append(message, '\n')
	}
	return decodeAll(p.t, p.form, message), nil
}

func (p *wsPeer) close() { p.conn.Close() }

// told is a peer that is told twice why it ends, by a push and by a close frame, and expects both to say the same.
type told struct {
	peer
	t   testing.TB
	end *codec.Disconnect
}

func (p *told) hear() ([]codec.Reply, *codec.Disconnect) {
	all, end := p.peer.hear()
	if end == nil {
		all, p.end = cutDisconnect(all)
		return all, nil
	}
	if *end != gone && (p.end == nil || *p.end != *end) {
		p.t.Errorf("the push said %v, the close frame %v", p.end, end)
	}
	return all, end
}
