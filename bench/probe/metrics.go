package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of a question to a page of metrics.
const (
	metricsTimeout  = 10 * time.Second
	metricsBytesMax = 16 << 20
)

// Metrics asks a server's page of metrics in the text format of Prometheus.
type Metrics struct {
	url  string
	http *http.Client
}

// NewMetrics takes the address of the page, such as http://127.0.0.1:8000/metrics. secured is for an https address; nil: whatever the
// system trusts.
func NewMetrics(url string, secured *tls.Config) *Metrics {
	return &Metrics{url: url, http: &http.Client{Timeout: metricsTimeout, Transport: overTLS(secured)}}
}

// Sum adds up all series of a metric whose labels hold each of labels, written as on the page: code="3008".
func (m *Metrics) Sum(ctx context.Context, name string, labels ...string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return 0, fmt.Errorf("--metrics-url: %w", err)
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("metrics: %s answers %s: is the page of metrics turned on (prometheus.enabled)?", m.url, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, metricsBytesMax))
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	return sumMetrics(text, name, labels)
}

func sumMetrics(text []byte, name string, labels []string) (sum float64, err error) {
	for line := range bytes.Lines(text) {
		rest, ok := strings.CutPrefix(string(bytes.TrimSpace(line)), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue // another metric with a longer name
		}
		held, value := "", rest
		if end := strings.LastIndexByte(rest, '}'); end >= 0 {
			held, value = rest[:end], rest[end+1:]
		}
		if !holdsAll(held, labels) {
			continue
		}
		value, _, _ = strings.Cut(strings.TrimSpace(value), " ") // a time may follow
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metrics: %s: %w", name, err)
		}
		sum += v
	}
	return sum, nil
}

func holdsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
