package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/panjf2000/gnet/v2"

	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/server"
	"stentor/server/config"
)

// patience is how long anything may take that will happen in the end. It is never waited for when all is well.
const patience = 60 * time.Second

// reporter is what a testing.TB is to the helpers here; TestMain, which has none, has its own.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

const (
	apiKey      = "key-of-the-attacked"
	tokenSecret = "secret-of-the-attacked"
)

// house is a running server.
type house struct {
	addr   string
	token  string // with which clients connect that mean no harm; empty if they need none
	open   string // namespace and boundary of channels that are open to them; empty if those without namespace are
	config *config.Config
	server *server.Server
	logs   *logbook
	api    *http.Client
	stop   context.CancelFunc
	ended  chan error
}

// settings are the options of a house: no authentication but for the API, all endpoints on one port. Pings come so late that attackers
// need not answer them, however long a test takes; TestPongs is about those.
func settings() *config.Config {
	cfg := config.Default()
	cfg.HTTPServer.Address, cfg.HTTPServer.Port = "127.0.0.1", 0
	cfg.HTTPAPI.Key = apiKey
	cfg.Client.Insecure = true
	cfg.Client.Token.HMACSecretKey = tokenSecret
	cfg.Prometheus.Enabled, cfg.Health.Enabled = true, true
	cfg.Client.PingInterval, cfg.Client.PongTimeout = config.Duration(10*time.Minute), config.Duration(time.Minute)
	cfg.Reactor.Loops = 2
	cfg.Shutdown.Timeout = config.Duration(patience)
	return cfg
}

// open runs a server until close.
func open(cfg *config.Config) (*house, error) {
	h := &house{
		config: cfg,
		logs:   new(logbook),
		api:    &http.Client{Transport: &http.Transport{MaxIdleConns: 4}, Timeout: patience},
		ended:  make(chan error, 1),
	}
	var err error
	h.server, err = server.New(server.Options{
		Config:     cfg,
		Version:    "attacked",
		Log:        slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OpenEngine: openMemoryEngine,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	go func() { h.ended <- h.server.Run(ctx) }()
	select {
	case <-h.server.Ready():
	case err := <-h.ended:
		stop()
		return nil, fmt.Errorf("the server ended: %v", err)
	}
	h.addr = h.server.Addr().String()
	return h, nil
}

func openMemoryEngine(n engine.Node, _ string) (server.Engines, error) {
	e := memengine.New(memengine.Config{}, n)
	return server.Engines{Broker: e, Presence: e, Run: []func(context.Context) error{e.Run}}, nil
}

func (h *house) close() error {
	h.api.CloseIdleConnections()
	h.stop()
	err := <-h.ended
	// gnet keeps every engine that ever ran in a table of the process, unless it is stopped by its address, too. It would keep the
	// whole server alive, and the memory of the process could not be compared.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	//lint:ignore SA1019 Engine.Stop, which is what the reactor uses, leaves the table as it is
	_ = gnet.Stop(done, "tcp4://"+h.addr) // it has stopped already, and says so
	return err
}

// newHouse runs a server with other settings than the common one, for one test.
func newHouse(t tester, change func(*config.Config)) *house {
	t.Helper()
	cfg := settings()
	change(cfg)
	h, err := open(cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if cfg.HTTPServer.InternalPort != "" {
			// The metrics are on a port that nobody knows.
		} else if left := h.settle(0); left != "" {
			t.Errorf("what is left when all clients have gone: %s", left)
		}
		if err := h.close(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if faults := h.logs.errors(); faults != "" {
			t.Errorf("errors in the log:\n%s", faults)
		}
	})
	return h
}

// guarded runs a server that wants tokens. Who has one may subscribe to channels without namespace and publish to them.
func guarded(t tester, change func(*config.Config)) *house {
	t.Helper()
	h := newHouse(t, func(cfg *config.Config) {
		cfg.Client.Insecure = false
		open := &cfg.Channel.WithoutNamespace
		open.AllowSubscribeForClient, open.AllowPublishForClient = true, true
		change(cfg)
	})
	h.token = sign(t, jwt.MapClaims{"sub": "witness"})
	return h
}

// sign makes a token of the common secret.
func sign(r reporter, claims jwt.MapClaims) string {
	r.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
	if err != nil {
		r.Fatalf("%v", err)
	}
	return token
}

// tester is a testing.TB, less what it does not let others implement.
type tester interface {
	reporter
	Errorf(format string, args ...any)
	Cleanup(func())
}

// call posts body to a path of the API.
func (h *house) call(path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+h.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("X-API-Key", apiKey)
	return h.do(req)
}

func (h *house) do(req *http.Request) (status int, answer string, err error) {
	resp, err := h.api.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// publish sends data, which is JSON, to a channel.
func (h *house) publish(channel, data string) error {
	status, answer, err := h.call("/api/publish", fmt.Sprintf(`{"channel":%q,"data":%s}`, channel, data))
	if err == nil && (status != http.StatusOK || strings.Contains(answer, `"error"`)) {
		err = fmt.Errorf("publish: %d %s", status, answer)
	}
	return err
}

// metrics reads the server's metrics, summed over labels, and once more for each label set.
func (h *house) metrics() (map[string]int64, error) {
	resp, err := h.api.Get("http://" + h.addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	values := map[string]int64{}
	for line := range bytes.Lines(text) {
		m := metricLine.FindSubmatch(line)
		if m == nil {
			continue
		}
		n, err := strconv.ParseInt(string(m[3]), 10, 64)
		if err != nil {
			continue // fractions are durations, which no test looks at
		}
		values[string(m[1])] += n
		if len(m[2]) > 0 {
			values[string(m[1])+string(m[2])] = n
		}
	}
	return values, nil
}

var metricLine = regexp.MustCompile(`^([a-z_]+)(\{.*\})? (\S+)\n$`)

// load is what clients cause on a server.
type load struct {
	Conns, Clients, Subscriptions, Channels, Users, Queued, Mail, HTTP int64
}

func (h *house) load() (load, error) {
	m, err := h.metrics()
	return load{
		Conns:         m["stentor_loop_conns"],
		Clients:       m["centrifugo_node_num_clients"],
		Subscriptions: m["centrifugo_node_num_subscriptions"],
		Channels:      m["centrifugo_node_num_channels"],
		Users:         m["centrifugo_node_num_users"],
		Queued:        m["stentor_queued_bytes"],
		Mail:          m["stentor_loop_mailbox_items"] + m["stentor_loop_mailbox_bytes"],
		HTTP:          m["stentor_http_conns"],
	}, err
}

// settle waits until a number of clients with one subscription each are all that is left, and the request that looks. It says
// what is too much, "" if nothing is.
func (h *house) settle(clients int64) string {
	want := load{Conns: clients, Clients: clients, Subscriptions: clients, Channels: clients, HTTP: 1}
	var have load
	ok := poll(2*time.Minute, func() bool {
		h.api.CloseIdleConnections()
		var err error
		have, err = h.load()
		return err == nil && have == want
	})
	if ok {
		return ""
	}
	return fmt.Sprintf("%+v, want %+v", have, want)
}

// await polls the metrics until ok.
func (h *house) await(what string, ok func(m map[string]int64) bool) error {
	var m map[string]int64
	var err error
	if poll(patience, func() bool {
		m, err = h.metrics()
		return err == nil && ok(m)
	}) {
		return nil
	}
	return fmt.Errorf("never: %s (%v)\n%v", what, err, m)
}

// poll asks until ok or until the time is over.
func poll(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// logbook is where a server logs to. It keeps errors, and everything while it is told to.
type logbook struct {
	mu     sync.Mutex
	faults bytes.Buffer
	all    *bytes.Buffer // nil: not kept
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(line, []byte("level=ERROR")) && l.faults.Len() < 64<<10 {
		l.faults.Write(line)
	}
	if l.all != nil {
		l.all.Write(line)
	}
	return len(line), nil
}

func (l *logbook) errors() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults.String()
}

// keep makes the book keep everything from now on.
func (l *logbook) keep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = new(bytes.Buffer)
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// answerOf is what an API response says: the code of its error, or 0, and its result.
func answerOf(text string) (code int, result map[string]any, err error) {
	var answer struct {
		Error  *struct{ Code int }
		Result map[string]any
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return 0, nil, err
	}
	switch {
	case answer.Error != nil:
		return answer.Error.Code, nil, nil
	case answer.Result == nil:
		return 0, nil, errors.New("neither result nor error")
	}
	return 0, answer.Result, nil
}
