package probe

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
	"stentor/server/hub"
)

// node is a table with loops that goroutines turn.
type node struct {
	loops  []*loop.Loop
	table  *hub.Table
	broker *moody
	prober *Prober
	turned sync.WaitGroup
	stop   chan struct{}
}

// moody is a broker that may refuse, or take and not deliver.
type moody struct {
	engine.Broker
	fault     error
	swallows  int // publications, from now on
	published int
}

func (m *moody) Publish(ctx context.Context, channel string, p *codec.Publication, o engine.PublishOptions) (engine.PublishResult, error) {
	m.published++
	if m.fault != nil {
		return engine.PublishResult{}, m.fault
	}
	if m.swallows > 0 {
		m.swallows--
		return engine.PublishResult{}, nil
	}
	return m.Broker.Publish(ctx, channel, p, o)
}

func newNode(loops int) *node {
	n := &node{stop: make(chan struct{})}
	var bells []chan struct{}
	for id := range loops {
		bell := make(chan struct{}, 1)
		bells = append(bells, bell)
		n.loops = append(n.loops, loop.New(id, loop.Config{Ring: func() {
			select {
			case bell <- struct{}{}:
			default:
			}
		}}))
	}
	n.table = hub.NewTable(n.loops)
	n.broker = &moody{Broker: memengine.New(memengine.Config{Stripes: 1}, n.table)}
	n.prober = New("node", n.broker, n.table, n.loops)
	for i, l := range n.loops {
		n.turned.Go(func() {
			for {
				select {
				case <-bells[i]:
					l.Turn(1)
				case <-n.stop:
					return
				}
			}
		})
	}
	return n
}

func (n *node) close() {
	close(n.stop)
	n.turned.Wait()
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(n *node)
		want   string // in the error; empty: none
		around time.Duration
	}{
		{"well", func(*node) {}, "", 0},
		{"late", func(n *node) { n.broker.swallows = 3 }, "", 3 * again},
		{"no delivery", func(n *node) { n.broker.swallows = 1000 }, "did not deliver", Timeout},
		{"refused", func(n *node) { n.broker.fault = engine.ErrUnreachable }, "does not take publications", Timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(3)
				defer n.close()
				tt.spoil(n)
				began := time.Now()
				err := n.prober.Check(t.Context())
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("error %v", err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				if took := time.Since(began); took != tt.around {
					t.Errorf("it took %v, want %v", took, tt.around)
				}
				synctest.Wait()
				if channels, _ := n.table.Count(); channels != 0 {
					t.Errorf("%d channels are left", channels)
				}
			})
		})
	}
}

// TestStoppedLoop: a loop that does not turn is named.
func TestStoppedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(3)
		defer n.close()
		gate := make(chan struct{})
		n.loops[1].Post(blocked(gate), nil, 0)
		n.loops[1].Wake()
		err := n.prober.Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), "loop 1 has come to a stop") {
			t.Errorf("error %v", err)
		}
		close(gate)
		synctest.Wait()
		time.Sleep(Fresh)
		if err := n.prober.Check(t.Context()); err != nil {
			t.Errorf("error %v although it turns again", err)
		}
	})
}

type blocked chan struct{}

func (b blocked) Take(*loop.Loop, any) { <-b }

// TestCheckIsShared: many who ask cost one check.
func TestCheckIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(1)
		defer n.close()
		for range 100 {
			if err := n.prober.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n.broker.published != 1 {
			t.Errorf("%d probes, want 1", n.broker.published)
		}
		time.Sleep(Fresh)
		n.broker.fault = errors.New("no")
		if n.prober.Check(t.Context()) == nil {
			t.Error("an old outcome is told")
		}
	})
}

func TestHandler(t *testing.T) {
	for _, tt := range []struct {
		target string
		fault  error
		code   int
		body   string
	}{
		{"/health", errors.New("dead"), 200, "{}"},
		{"/health?deep=1", nil, 200, "{}"},
		{"/health?deep=true", errors.New("dead"), 503, `{"error":"dead"}` + "\n"},
		{"/health?deep=0", errors.New("dead"), 200, "{}"},
	} {
		w := httptest.NewRecorder()
		Handler(func(context.Context) error { return tt.fault }).ServeHTTP(w, httptest.NewRequest("GET", tt.target, nil))
		if w.Code != tt.code || w.Body.String() != tt.body || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s with fault %v: %d %q", tt.target, tt.fault, w.Code, w.Body.String())
		}
	}
}
