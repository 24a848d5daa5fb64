package swarm

import (
	"encoding/json"
	"net/url"
	"strconv"

	"stentor/codec"
)

// queryBytesMax is how long a query may be to stand in the first line of a request: servers allow at least so much of a head. Longer
// ones travel in the body.
const queryBytesMax = 4 << 10

// request is the first HTTP request of a client with what it says in it, valid until the next call.
func (w *words) request(body []byte) []byte {
	events := w.cfg.Transport == SSE || w.cfg.Transport == UniSSE
	if events {
		query := "cf_connect=" + url.QueryEscape(string(body))
		if len(query) <= queryBytesMax {
			w.frame = w.appendHead(w.frame[:0], "GET", withQuery(w.cfg.Path, query))
			w.frame = append(w.frame, "Accept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"...)
			return w.frame
		}
	}
	w.frame = w.appendPost(w.frame[:0], w.cfg.Path, len(body))
	w.frame = append(w.frame, body...)
	return w.frame
}

func withQuery(path, query string) string {
	for _, c := range path {
		if c == '?' {
			return path + "&" + query
		}
	}
	return path + "?" + query
}

// appendPost appends the head of a request with a body.
func (w *words) appendPost(dst []byte, path string, length int) []byte {
	dst = w.appendHead(dst, "POST", path)
	if w.form == codec.Protobuf {
		dst = append(dst, "Content-Type: application/octet-stream\r\n"...)
	} else {
		dst = append(dst, "Content-Type: application/json\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	return append(dst, "\r\n\r\n"...)
}

// appendHead appends the lines with which every request begins.
func (w *words) appendHead(dst []byte, method, target string) []byte {
	dst = append(append(append(append(dst, method...), ' '), target...), " HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, w.cfg.Host...), "\r\n"...)
	if w.cfg.Origin != "" {
		dst = append(append(append(dst, "Origin: "...), w.cfg.Origin...), "\r\n"...)
	}
	return dst
}

// introduction is all that a unidirectional client says: a connect request without an envelope.
type introduction struct {
	Token string                     `json:"token,omitempty"`
	Name  string                     `json:"name"`
	Subs  map[string]introductionSub `json:"subs,omitempty"`
}

// introductionSub asks for a subscription on the server's side, or for what was missed of one.
type introductionSub struct {
	Recover bool   `json:"recover,omitempty"`
	Offset  uint64 `json:"offset,omitempty"`
	Epoch   string `json:"epoch,omitempty"`
}

// introduce is what client i of a unidirectional transport says. Its token names its channels; without one it asks for them.
func (g *group) introduce(i int32) ([]byte, error) {
	n := g.cfg.First + int(i)
	token, err := g.words.token(n)
	if err != nil {
		return nil, err
	}
	said := introduction{Token: token, Name: clientName}
	if token == "" || g.places != nil {
		said.Subs = map[string]introductionSub{}
		for _, name := range g.cfg.channels(n) {
			var r codec.SubscribeRequest
			if g.places != nil {
				g.places.ask(i, &r)
			}
			said.Subs[name] = introductionSub{Recover: r.Recover, Offset: r.Offset, Epoch: r.Epoch}
		}
	}
	return json.Marshal(said)
}
