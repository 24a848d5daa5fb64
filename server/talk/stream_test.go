package talk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"stentor/codec"
)

var (
	overHTTPStream = way{"http_stream", []codec.Form{codec.JSON, codec.Protobuf}, posting("/connection/http_stream", ""), nil}
	overSSE        = way{"sse", []codec.Form{codec.JSON}, getting("/connection/sse"), nil}
	overSSEPost    = way{"sse_post", []codec.Form{codec.JSON}, posting("/connection/sse", "text/event-stream"), nil}

	overUniHTTPStream = way{"uni_http_stream", []codec.Form{codec.UniJSON}, posting("/connection/uni_http_stream", ""), nil}
	overUniSSE        = way{"uni_sse", []codec.Form{codec.UniJSON}, getting("/connection/uni_sse"), nil}
	overUniSSEPost    = way{"uni_sse_post", []codec.Form{codec.UniJSON}, posting("/connection/uni_sse", "text/event-stream"), nil}
)

func posting(path, contentType string) func(testing.TB, *house, codec.Form, string, []byte) peer {
	return func(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer {
		req, err := http.NewRequest(http.MethodPost, h.url(path), bytes.NewReader(batch))
		if err != nil {
			t.Fatal(err)
		}
		return stream(t, h, f, user, req, contentType)
	}
}

func getting(path string) func(testing.TB, *house, codec.Form, string, []byte) peer {
	return func(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer {
		req, err := http.NewRequest(http.MethodGet, h.url(path)+"?cf_connect="+url.QueryEscape(string(batch)), nil)
		if err != nil {
			t.Fatal(err)
		}
		return stream(t, h, f, user, req, "text/event-stream")
	}
}

// streamPeer is a client whose response does not end, and which posts what it has to say.
type streamPeer struct {
	t      testing.TB
	house  *house
	form   codec.Form
	resp   *http.Response
	in     *bufio.Reader
	cancel context.CancelFunc

	mu   sync.Mutex
	node string // of the session, and its secret; empty before the connect reply
	key  string
	came sync.Cond
}

func stream(t testing.TB, h *house, f codec.Form, user string, req *http.Request, contentType string) peer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req.Header = header(user)
	req.Header.Set("Content-Type", "application/json")
	want := "text/plain; charset=utf-8"
	if f.Encoding() == codec.Protobuf {
		req.Header.Set("Content-Type", "application/octet-stream")
		want = "application/octet-stream"
	}
	if contentType != "" {
		want = contentType
	}
	resp, err := h.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != want {
		t.Errorf("%s: %s, content of type %q", req.URL.Path, resp.Status, got)
	}
	p := &streamPeer{t: t, house: h, form: f, resp: resp, in: bufio.NewReader(resp.Body), cancel: cancel}
	p.came.L = &p.mu
	if contentType != "" {
		p.expectBegin()
		return &eventPeer{p}
	}
	return p
}

// expectBegin reads the first bytes of a stream of events.
func (p *streamPeer) expectBegin() {
	p.t.Helper()
	var begin [2]byte
	if _, err := io.ReadFull(p.in, begin[:]); err != nil || string(begin[:]) != "\r\n" {
		p.t.Errorf("the stream begins with %q (%v)", begin, err)
	}
}

// say posts a batch, once the session has said how.
func (p *streamPeer) say(batch []byte) {
	p.mu.Lock()
	for p.key == "" {
		p.came.Wait()
	}
	request := codec.EmulationRequest{Node: p.node, Session: p.key, Data: batch}
	p.mu.Unlock()
	if status := p.house.emulate(p.t, p.form, &request); status != http.StatusNoContent {
		p.t.Errorf("emulation: status %d", status)
	}
}

// emulate posts commands of a session.
func (h *house) emulate(t testing.TB, f codec.Form, m *codec.EmulationRequest) (status int) {
	t.Helper()
	contentType := "application/json"
	if f == codec.Protobuf {
		contentType = "application/octet-stream"
	}
	resp, err := http.Post(h.url("/emulation"), contentType, bytes.NewReader(codec.AppendEmulationRequest(nil, f, m)))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) > 0 {
		t.Errorf("emulation: answered %q (%v)", body, err)
	}
	return resp.StatusCode
}

// hear reads one message.
func (p *streamPeer) hear() ([]codec.Reply, *codec.Disconnect) { return p.take(p.message()) }

// message reads one message with its delimiter.
func (p *streamPeer) message() ([]byte, error) {
	if p.form.Encoding() == codec.JSON {
		return p.in.ReadBytes('\n')
	}
	size, err := binary.ReadUvarint(p.in)
	if err != nil {
		return nil, err
	}
	all := binary.AppendUvarint(nil, size)
	from := len(all)
	all = append(all, make([]byte, size)...)
	_, err = io.ReadFull(p.in, all[from:])
	return all, err
}

// take takes what was read: a message or the end.
func (p *streamPeer) take(message []byte, err error) ([]codec.Reply, *codec.Disconnect) {
	if err != nil {
		p.learn("", "-") // nobody need wait any more
		return nil, &gone
	}
	all := decodeAll(p.t, p.form, message)
	for _, r := range all {
		if r.Connect != nil {
			p.learn(r.Connect.Node, r.Connect.Session)
		}
	}
	all, end := cutDisconnect(all)
	if end != nil {
		p.learn("", "-")
		if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 {
			p.t.Errorf("behind the push that says why it ends: %q (%v)", rest, err)
		}
	}
	return all, end
}

func (p *streamPeer) learn(node, session string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == "" {
		p.node, p.key = node, session
		p.came.Broadcast()
	}
}

func (p *streamPeer) close() {
	p.cancel()
	p.resp.Body.Close()
}

// eventPeer gets messages as events.
type eventPeer struct{ *streamPeer }

func (p *eventPeer) hear() ([]codec.Reply, *codec.Disconnect) {
	line, err := p.in.ReadString('\n')
	if err == nil {
		var empty string
		if empty, err = p.in.ReadString('\n'); err == nil && empty != "\n" {
			p.t.Errorf("an event of more than one line: %q %q", line, empty)
		}
	}
	data, ok := strings.CutPrefix(line, "data: ")
	if err == nil && !ok {
		p.t.Errorf("no event: %q", line)
	}
	return p.take([]byte(data), err)
}
