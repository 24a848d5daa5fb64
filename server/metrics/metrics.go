package metrics

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// Config is what a server's metrics are made of.
type Config struct {
	// Loops is how many event loops there are, 0..64.
	Loops int
	// Version of the server, a label.
	Version string
	// Set takes what is exposed; nil makes one. Each server has its own.
	Set *vm.Set
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
}

// Metrics are the counters of one server. Any goroutine may use them; a loop number says whose block to count in, -1 is for
// goroutines that are no loop.
type Metrics struct {
	set     *vm.Set
	now     func() time.Time
	locals  []local // one per loop, and one for all others
	classes classes

	growing    sync.Mutex                              // held while namespaces come
	split      func(channel string) (namespace string) // nil while namespaces are not told apart
	namespaces atomic.Pointer[namespaces]
	outcomes   atomic.Pointer[[]*outcomes] // by namespace

	userLimit   *vm.Counter
	overloaded  *vm.Counter
	disconnects []atomic.Uint64
	ends        []atomic.Uint64
	closes      [numTransports][]atomic.Uint64

	controlFailures controlFailures

	node    atomic.Pointer[func() NodeGauges]
	reactor atomic.Pointer[func() ReactorGauges]
	brokers atomic.Pointer[func() []BrokerGauges]

	scrape    sync.Mutex // held while a scrape reads; guards what follows
	apis      []*API
	surveys   []*Survey
	requests  requests
	collector collector
}

// New makes the metrics of a server.
func New(cfg Config) *Metrics {
	if cfg.Set == nil {
		cfg.Set = vm.NewSet()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	// TYPE lines are a switch of the whole process in this library. It is only ever turned on.
	vm.ExposeMetadata(true)

	m := &Metrics{
		set:         cfg.Set,
		now:         cfg.Now,
		locals:      make([]local, cfg.Loops+1),
		classes:     classes{number: make(map[Client]Class)},
		disconnects: make([]atomic.Uint64, disconnectCodes.size()),
		ends:        make([]atomic.Uint64, endCodes.size()),
	}
	m.namespaces.Store(oneNamespace())
	m.outcomes.Store(&[]*outcomes{newOutcomes()})
	for i := range m.closes {
		m.closes[i] = make([]atomic.Uint64, closeCodes.size())
	}
	m.userLimit = m.set.NewCounter("centrifugo_node_client_connection_limit")
	m.overloaded = m.set.NewCounter("stentor_publications_refused_total")
	m.set.NewGauge("centrifugo_node_build{version="+quoteLabel(cfg.Version)+"}", func() float64 { return 1 })
	m.set.RegisterMetricsWriter(m.write)
	return m
}

// UserLimit counts a client that was refused because its user has too many.
func (m *Metrics) UserLimit() { m.userLimit.Inc() }

// Overloaded counts a publication that was refused because too many wait for delivery.
func (m *Metrics) Overloaded() { m.overloaded.Inc() }

// Disconnect counts a client that the server disconnected.
func (m *Metrics) Disconnect(code uint32) { m.disconnects[disconnectCodes.index(code)].Add(1) }

// Close counts a close frame, or its like, that was sent.
func (m *Metrics) Close(t Transport, code uint32) {
	m.closes[t][closeCodes.index(code)].Add(1)
}

// Handler serves the metrics in the text format of Prometheus, version 0.0.4.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.Write(w)
		vm.WriteProcessMetrics(w)
		m.writeCollector(w)
		writeFiles(w)
	})
}

// Write writes the metrics of the server, without those of the process.
func (m *Metrics) Write(w io.Writer) { m.set.WritePrometheus(w) }
