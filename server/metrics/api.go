package metrics

import (
	"sync/atomic"
	"time"
)

// API are the counters of one mouth of the server API: HTTP, gRPC, a consumer. Any goroutine may use it.
type API struct {
	protocol string
	methods  []apiMethod
}

type apiMethod struct {
	name   string
	took   histogram
	errors []atomic.Uint64
	window window[counts] // guarded by Metrics.scrape
}

// API makes the counters of a protocol whose methods have these names. Callers count by index into methods.
func (m *Metrics) API(protocol string, methods []string) *API {
	a := &API{protocol: protocol, methods: make([]apiMethod, len(methods))}
	for i, name := range methods {
		a.methods[i].name = name
		a.methods[i].errors = make([]atomic.Uint64, errorCodes.size())
	}
	m.scrape.Lock()
	defer m.scrape.Unlock()
	m.apis = append(m.apis, a)
	return a
}

// Command counts one call and the time it took.
func (a *API) Command(method int, took time.Duration) { a.methods[method].took.observe(took) }

// Error counts a call that was answered with an error.
func (a *API) Error(method int, code uint32) {
	a.methods[method].errors[errorCodes.index(code)].Add(1)
}

func (a *API) labels(method int) string {
	return `protocol=` + quoteLabel(a.protocol) + `,method=` + quoteLabel(a.methods[method].name)
}

// writeAPIs writes family by family, each with all mouths.
func (m *Metrics) writeAPIs(p *page) {
	now := m.now()
	each := func(f func(a *API, i int, method *apiMethod)) {
		for _, a := range m.apis {
			for i := range a.methods {
				f(a, i, &a.methods[i])
			}
		}
	}
	each(func(a *API, i int, method *apiMethod) {
		var c counts
		c.add(&method.took)
		p.summary("centrifugo_api_command_duration_seconds", a.labels(i), &c, c.since(method.window.before(&c, now)))
	})
	each(func(a *API, i int, method *apiMethod) {
		var c counts
		c.add(&method.took)
		p.histogram("centrifugo_api_command_duration_seconds_histogram", a.labels(i), &c)
	})
	each(func(a *API, i int, method *apiMethod) {
		for code := range method.errors {
			p.counter("centrifugo_api_command_errors_total", a.labels(i)+`,error="`+errorCodes.label(code)+`"`, method.errors[code].Load())
		}
	})
}
