package talk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/webtransport-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"stentor/codec"
	"stentor/codec/wire"
	"stentor/server/certs/certtest"
	"stentor/server/transport/unigrpc"
)

// The ways that are not served by the loops alone.
var (
	overHTTP2Stream    = way{"http2/http_stream", []codec.Form{codec.JSON, codec.Protobuf}, secured(posting("/connection/http_stream", "")), secure}
	overHTTP2SSE       = way{"http2/sse", []codec.Form{codec.JSON}, secured(getting("/connection/sse")), secure}
	overHTTP2UniStream = way{"http2/uni_http_stream", []codec.Form{codec.UniJSON}, secured(posting("/connection/uni_http_stream", "")), secure}
	overHTTP2UniSSE    = way{"http2/uni_sse", []codec.Form{codec.UniJSON}, secured(getting("/connection/uni_sse")), secure}

	overWebTransport = way{"webtransport", []codec.Form{codec.JSON, codec.Protobuf}, openWebTransport, secure}
	overUniGRPC      = way{"uni_grpc", []codec.Form{codec.UniProtobuf}, openGRPC, withGRPC}
)

// house is a server that has what the way needs.
func (w way) house(t testing.TB, options string) *house {
	t.Helper()
	if w.needs == nil {
		return open(t, options)
	}
	extra, trust := w.needs(t)
	var tree, more map[string]any
	if err := json.Unmarshal([]byte(extra), &tree); err != nil {
		t.Fatal(err)
	}
	if options != "" {
		if err := json.Unmarshal([]byte(options), &more); err != nil {
			t.Fatal(err)
		}
	}
	merge(tree, more)
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, string(text))
	h.trust = trust
	return h
}

// secure is the options of a server with TLS and HTTP/3, and what its clients trust.
func secure(t testing.TB) (options string, trust *tls.Config) {
	ca := certtest.New(t)
	pair := ca.Issue(t, certtest.Leaf{})
	return fmt.Sprintf(`{
		"http_server": {"tls": {"enabled": true, "cert_pem": %q, "key_pem": %q}, "tls_optional": true, "http3": {"enabled": true}},
		"webtransport": {"enabled": true}
	}`, pair.CertFile, pair.KeyFile), &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"}
}

func withGRPC(testing.TB) (string, *tls.Config) {
	return `{"uni_grpc": {"enabled": true, "address": "127.0.0.1", "port": 0}}`, nil
}

// secured goes the same way over HTTP/2.
func secured(open func(testing.TB, *house, codec.Form, string, []byte) peer) func(testing.TB, *house, codec.Form, string, []byte) peer {
	return func(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer {
		transport := &http.Transport{TLSClientConfig: h.trust.Clone(), ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		over := *h
		over.transport = secureTransport{t, transport}
		return open(t, &over, f, user, batch)
	}
}

// secureTransport sends requests over HTTP/2 whatever their scheme.
type secureTransport struct {
	t    testing.TB
	over *http.Transport
}

func (s secureTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req.URL.Scheme = "https"
	resp, err := s.over.RoundTrip(req)
	if err == nil && resp.ProtoMajor != 2 {
		s.t.Errorf("answered over %s", resp.Proto)
	}
	if err == nil && !strings.HasPrefix(resp.Header.Get("Alt-Svc"), `h3=":`) {
		s.t.Errorf("HTTP/3 is not announced: %q", resp.Header.Get("Alt-Svc"))
	}
	return resp, err
}

// wtPeer is a client of WebTransport.
type wtPeer struct {
	t       testing.TB
	form    codec.Form
	session *webtransport.Session
	stream  *webtransport.Stream
	in      *streamPeer // reads the same messages
}

func openWebTransport(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := &webtransport.Transport{
		TLSClientConfig: h.trust.Clone(),
		QUICConfig:      &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true},
	}
	d.TLSClientConfig.NextProtos = []string{"h3"}
	t.Cleanup(func() { d.Close() })
	query := ""
	if f == codec.Protobuf {
		query = "?cf_protocol=protobuf"
	}
	resp, session, err := d.Dial(ctx, "https://"+h.server.HTTP3Addr().String()+"/connection/webtransport"+query, header(user))
	if err != nil {
		t.Fatalf("%v %v", resp, err)
	}
	stream, err := session.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p := &wtPeer{t, f, session, stream, &streamPeer{t: t, form: f, in: bufio.NewReader(stream)}}
	p.in.came.L = &p.in.mu
	p.say(batch)
	return p
}

func (p *wtPeer) say(batch []byte) {
	if p.form == codec.JSON && !bytes.HasSuffix(batch, []byte("\n")) {
		batch = append(batch, '\n')
	}
	if p.form == codec.Protobuf && !whole(batch) {
		batch = append(batch, bytes.Repeat([]byte{0xff}, 256)...) // nothing but its length says where a message of a stream ends
	}
	if _, err := p.stream.Write(batch); err != nil {
		p.t.Error(err)
	}
}

// whole reports that a batch is commands.
func whole(batch []byte) bool {
	for len(batch) > 0 {
		var c codec.Command
		var err error
		if batch, err = codec.DecodeCommand(codec.Protobuf, batch, &c); err != nil {
			return false
		}
	}
	return true
}

func (p *wtPeer) hear() ([]codec.Reply, *codec.Disconnect) { return p.in.hear() }

func (p *wtPeer) close() { _ = p.session.CloseWithError(0, "") }

// grpcPeer is a client of gRPC.
type grpcPeer struct {
	t      testing.TB
	stream grpc.ClientStream
	cancel context.CancelFunc
}

func openGRPC(t testing.TB, h *house, _ codec.Form, user string, request []byte) peer {
	t.Helper()
	cc, err := grpc.NewClient(h.server.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	for name, values := range header(user) {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), values[0])
	}
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+unigrpc.ServiceName+"/"+unigrpc.MethodName)
	if err != nil {
		t.Fatal(err)
	}
	var req wire.ConnectRequest
	if err := proto.Unmarshal(request, &req); err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&req); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return &grpcPeer{t, stream, cancel}
}

func (p *grpcPeer) say([]byte) { p.t.Error("a client that only listens speaks") }

func (p *grpcPeer) hear() ([]codec.Reply, *codec.Disconnect) {
	var push wire.Push
	if err := p.stream.RecvMsg(&push); err != nil {
		return nil, &gone
	}
	text, err := proto.Marshal(&push)
	if err != nil {
		p.t.Error(err)
	}
	message := append(protoLength(len(text)), text...)
	all, end := cutDisconnect(decodeAll(p.t, codec.UniProtobuf, message))
	if end != nil {
		if err := p.stream.RecvMsg(&push); err != io.EOF {
			p.t.Errorf("behind the push that says why it ends: %v", err)
		}
	}
	return all, end
}

func (p *grpcPeer) close() { p.cancel() }

// protoLength is the delimiter of a message.
func protoLength(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
