package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// cluster is some nodes over one broker, clients of theirs, and publishers who write down what was acknowledged. Faults are what a test
// does to the broker meanwhile.
type cluster struct {
	*testing.T
	nodes    []*process
	api      *http.Client
	channels []string
	fans     []*faultFan

	stop       chan struct{} // ends the publishers
	publishing sync.WaitGroup
	retry      bool // until a publication is acknowledged

	mu     sync.Mutex
	ledger map[string][]acknowledged // by channel
	number map[string]int            // of the last publication, by channel

	sent, failed atomic.Int64
	slowest      atomic.Int64 // answer of the API, in nanoseconds
}

// acknowledged is a publication that the API said was published.
type acknowledged struct {
	number, offset int
	epoch          string
	at             time.Time // sent
}

// faultChannels and fansPerChannel are the size of a cluster in fault tests.
const (
	faultChannels  = 10
	fansPerChannel = 4
)

// faultConfig is what nodes of a cluster have in common; engine is what they stand on. Channels of the namespace "log" keep history.
func faultConfig(engine, namespace string) string {
	options := `"allow_subscribe_for_client":true`
	if namespace == "log" {
		options += `,"history_size":100000,"history_ttl":"300s","force_recovery":true`
	}
	return `{"client":{"insecure":true,"channel_position_check_delay":"1s","recovery_max_publication_limit":100000},
	"http_api":{"key":"` + quickStartAPIKey + `"},
	"channel":{"namespaces":[{"name":"` + namespace + `",` + options + `}]},` + engine + `}`
}

// newCluster starts nodes and clients, clients and publishers spread over all nodes.
func newCluster(t *testing.T, nodes int, engine, namespace string, channels, fans int) *cluster {
	t.Helper()
	c := &cluster{
		T: t, stop: make(chan struct{}), ledger: map[string][]acknowledged{}, number: map[string]int{},
		api: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
	for range nodes {
		c.nodes = append(c.nodes, start(t, faultConfig(engine, namespace)))
	}
	for i := range channels {
		c.channels = append(c.channels, fmt.Sprintf("%s:%d", namespace, i))
	}
	for i := range channels * fans {
		c.fans = append(c.fans, c.newFan(c.nodes[i%nodes], c.channels[i/fans]))
	}
	t.Cleanup(func() {
		c.endPublishing()
		for _, f := range c.fans {
			f.client.Close()
		}
		c.api.CloseIdleConnections()
	})
	return c
}

// subscribed waits until every client is.
func (c *cluster) subscribed() {
	c.Helper()
	c.within(60*time.Second, "all clients are subscribed", func() bool {
		return !slices.ContainsFunc(c.fans, func(f *faultFan) bool { return f.sub.State() != centrifuge.SubStateSubscribed })
	})
}

// within waits until holds does.
func (c *cluster) within(d time.Duration, what string, holds func() bool) {
	c.Helper()
	for end := time.Now().Add(d); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("%s: not so after %v", what, d)
		}
	}
}

// publishFrom begins to publish, so many publications a second on all channels together, until the test ends or endPublishing.
func (c *cluster) publishFrom(perSecond int) {
	for i, channel := range c.channels {
		every := time.Second * time.Duration(len(c.channels)) / time.Duration(perSecond)
		c.publishing.Go(func() {
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			for n := 0; ; n++ {
				select {
				case <-c.stop:
					return
				case <-ticker.C:
					c.publishNext(c.nodes[(i+n)%len(c.nodes)], channel)
				}
			}
		})
	}
}

func (c *cluster) endPublishing() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.publishing.Wait()
}

// publishNext publishes the next number of a channel. Only one goroutine does that for a channel.
func (c *cluster) publishNext(node *process, channel string) {
	c.mu.Lock()
	c.number[channel]++
	n := c.number[channel]
	c.mu.Unlock()
	c.sent.Add(1)
	at := time.Now()
	for {
		offset, epoch, err := c.publish(node, channel, n)
		if err == nil {
			c.mu.Lock()
			c.ledger[channel] = append(c.ledger[channel], acknowledged{n, offset, epoch, at})
			c.mu.Unlock()
			return
		}
		c.failed.Add(1)
		select {
		case <-c.stop:
			if !c.retry {
				return
			}
		default:
		}
		if !c.retry {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// publish calls the API once.
func (c *cluster) publish(node *process, channel string, n int) (offset int, epoch string, err error) {
	body := fmt.Sprintf(`{"channel":%q,"data":{"n":%d},"idempotency_key":"%d"}`, channel, n, n)
	req, err := http.NewRequest(http.MethodPost, node.url+"/api/publish", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("X-API-Key", quickStartAPIKey)
	began := time.Now()
	res, err := c.api.Do(req)
	took := int64(time.Since(began))
	for was := c.slowest.Load(); took > was && !c.slowest.CompareAndSwap(was, took); was = c.slowest.Load() {
	}
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	var answer struct {
		Result *struct {
			Offset int
			Epoch  string
		}
		Error *struct{ Code int }
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&answer); err != nil || answer.Result == nil {
		return 0, "", fmt.Errorf("%d %s", res.StatusCode, text)
	}
	return answer.Result.Offset, answer.Result.Epoch, nil
}

// faultFan is one client with one subscription, and all it was told.
type faultFan struct {
	client  *centrifuge.Client
	sub     *centrifuge.Subscription
	channel string

	mu       sync.Mutex
	segments []segment
	numbers  map[int]time.Time // of publications, when they came
	twice    int
	outOf    int // order
	breaks   int // of the connection
}

// segment is a time in which the client was promised everything: from a position on, without a gap, whatever happened to connections.
type segment struct {
	epoch      string
	from, last int
	open       bool // goes on
}

func (c *cluster) newFan(node *process, channel string) *faultFan {
	c.Helper()
	f := &faultFan{channel: channel, numbers: map[int]time.Time{}}
	f.client = centrifuge.NewProtobufClient(strings.Replace(node.url, "http", "ws", 1)+"/connection/websocket?format=protobuf", centrifuge.Config{
		MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 500 * time.Millisecond,
	})
	var err error
	f.sub, err = f.client.NewSubscription(channel, centrifuge.SubscriptionConfig{
		MinResubscribeDelay: 50 * time.Millisecond, MaxResubscribeDelay: 500 * time.Millisecond,
	})
	if err != nil {
		c.Fatal(err)
	}
	f.sub.OnSubscribed(f.subscribed)
	f.sub.OnPublication(f.came)
	f.client.OnConnecting(func(e centrifuge.ConnectingEvent) {
		if e.Code != 0 { // the first time
			f.mu.Lock()
			f.breaks++
			f.mu.Unlock()
		}
	})
	if err := f.client.Connect(); err != nil {
		c.Fatal(err)
	}
	if err := f.sub.Subscribe(); err != nil {
		c.Fatal(err)
	}
	return f
}

// subscribed begins a segment, unless everything that was missed has been recovered.
func (f *faultFan) subscribed(e centrifuge.SubscribedEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.WasRecovering && e.Recovered {
		return // publications follow
	}
	if n := len(f.segments); n > 0 {
		f.segments[n-1].open = false
	}
	s := segment{open: true}
	if e.StreamPosition != nil {
		s.epoch, s.from, s.last = e.StreamPosition.Epoch, int(e.StreamPosition.Offset), int(e.StreamPosition.Offset)
	}
	f.segments = append(f.segments, s)
}

func (f *faultFan) came(e centrifuge.PublicationEvent) {
	var data struct{ N int }
	if err := json.Unmarshal(e.Data, &data); err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, again := f.numbers[data.N]; again {
		f.twice++
	}
	f.numbers[data.N] = time.Now()
	if e.Offset == 0 {
		return
	}
	s := &f.segments[len(f.segments)-1]
	if int(e.Offset) <= s.last {
		f.outOf++
	}
	s.last = int(e.Offset)
}

// account is what became of all publications.
type account struct {
	sent, acknowledged, failed int
	delivered                  int // to clients, counted for each
	announced                  int // missed by clients who were told so
	lost                       int // missed by clients who were not told
	twice, outOfOrder          int
	breaks                     int // connections that broke
}

// settle waits until every client has what it was promised, and counts.
func (c *cluster) settle(d time.Duration) account {
	c.Helper()
	c.endPublishing()
	var a account
	for end := time.Now().Add(d); ; time.Sleep(100 * time.Millisecond) {
		if a = c.count(); a.lost == 0 || time.Now().After(end) {
			return a
		}
	}
}

func (c *cluster) count() (a account) {
	a.sent, a.failed = int(c.sent.Load()), int(c.failed.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range c.ledger {
		a.acknowledged += len(list)
	}
	for _, f := range c.fans {
		f.count(&a, c.ledger[f.channel])
	}
	return a
}

func (f *faultFan) count(a *account, ledger []acknowledged) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a.delivered += len(f.numbers)
	a.twice += f.twice
	a.outOfOrder += f.outOf
	a.breaks += f.breaks
	for _, p := range ledger {
		if _, ok := f.numbers[p.number]; ok {
			continue
		}
		if f.promised(p) {
			a.lost++
		} else {
			a.announced++
		}
	}
}

// promised reports that a publication had to come: it is in a segment, before its end if that has one.
func (f *faultFan) promised(p acknowledged) bool {
	for _, s := range f.segments {
		if s.epoch == p.epoch && p.offset > s.from && (s.open || p.offset <= s.last) {
			return true
		}
	}
	return false
}

// service waits until every client has a publication that was sent after since, and returns how long that took.
func (c *cluster) service(since time.Time, d time.Duration) time.Duration {
	c.Helper()
	var last time.Time
	c.within(d, "full service", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		last = since
		for _, f := range c.fans {
			at, ok := f.served(c.ledger[f.channel], since)
			if !ok {
				return false
			}
			if at.After(last) {
				last = at
			}
		}
		return true
	})
	return last.Sub(since)
}

// served is when the first publication came that was sent after since.
func (f *faultFan) served(ledger []acknowledged, since time.Time) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range ledger {
		if p.at.After(since) {
			if at, ok := f.numbers[p.number]; ok {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// fault is one thing that goes wrong, and how long the nodes may take to serve as before.
type fault struct {
	name    string
	happens func(c *cluster) (over time.Time) // and is over then
	breaks  bool                              // connections of clients may break
}

// play has publications go on before, during and after a fault, and checks what became of them.
func (c *cluster) play(x fault) account {
	c.Helper()
	c.subscribed()
	c.publishFrom(100)
	time.Sleep(time.Second)
	over := x.happens(c)
	took := c.service(over, 60*time.Second)
	time.Sleep(time.Second)
	a := c.settle(30 * time.Second)
	c.Logf("%-26s sent %d, acknowledged %d, refused %d, delivered %d, missed and told %d, lost silently %d, twice %d, out of order %d; connections broken %d; "+
		"slowest answer %v; full service %.1f s after the end", x.name, a.sent, a.acknowledged, a.failed, a.delivered, a.announced, a.lost, a.twice, a.outOfOrder,
		a.breaks, time.Duration(c.slowest.Load()).Round(time.Millisecond), took.Seconds())
	if a.lost > 0 || a.twice > 0 || a.outOfOrder > 0 {
		c.Errorf("%d publications were lost silently, %d came twice, %d out of order", a.lost, a.twice, a.outOfOrder)
	}
	if a.breaks > 0 && !x.breaks {
		c.Errorf("%d connections of clients broke", a.breaks)
	}
	return a
}

// TestNoFault: the instrument itself finds nothing where nothing happens, on one node with the memory engine.
func TestNoFault(t *testing.T) {
	c := newCluster(t, 1, `"engine":{"type":"memory"}`, "log", faultChannels, fansPerChannel)
	a := c.play(fault{name: "none", happens: func(*cluster) time.Time { time.Sleep(time.Second); return time.Now() }})
	if a.acknowledged != a.sent || a.delivered != a.sent*fansPerChannel || a.announced > 0 {
		t.Errorf("%+v", a)
	}
}
