package reactor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"stentor/reactor/loop"
	"stentor/reactor/quiet"
)

// VerdictKind is what becomes of a request.
type VerdictKind uint8

const (
	HandOff  VerdictKind = iota // to net/http, through HTTPListener
	Upgrade                     // to a WebSocket on the loop
	Refuse                      // a plain response, then the end
	Exchange                    // a request that is served on the loop, with a response or a stream
)

// Verdict is what the router says about a request.
type Verdict struct {
	Kind   VerdictKind
	Status int    // Refuse: the HTTP status; 403 if 0
	Body   string // Refuse: the text of the response

	Protocol        string // Upgrade: the subprotocol to echo, "" for none
	MessageBytesMax int    // Upgrade: longer messages are answered with close 1009; 64 KiB if 0
	Deflate         string // Upgrade: what ws.ChooseDeflate answered, "" for no compression
	// Open makes the receiver of an upgraded conn. It is called on the conn's loop after the response has been queued, and
	// may write to the conn and close it.
	Open func(c *Conn) Receiver

	BodyBytesMax int // Exchange: longer request bodies are answered with 413 and the end of the conn; 0 takes none
	// Serve is called on the conn's loop when the request is whole. It answers with Conn.Respond or Conn.Stream, or says with
	// Conn.Await who will. The body is valid until Serve returns; it is empty if there was none.
	Serve func(c *Conn, body []byte)
	// Header makes header fields (Response.Header) of the answer to a request whose body is not taken, which gets no further than the
	// reactor; nil for none.
	Header func() []byte
}

const messageBytesMaxDefault = 64 << 10

// Router decides what becomes of a request. Route is called on all loops at once and must not block.
type Router interface {
	Route(h *Head) Verdict
}

// Reactor listens on one port and drives the loops. Make it with New.
type Reactor struct {
	cfg     Config
	router  Router
	clock   loop.Clock
	drivers []*driver
	http    *httpListener

	handshakes handshakes

	meeting sync.Mutex                                 // taken to change met
	met     atomic.Pointer[map[gnet.EventLoop]*driver] // who drives which of gnet's loops
	bells   atomic.Int32                               // how many are hung

	addr     listening
	tlsAddr  listening // none if TLS has no port of its own
	started  atomic.Bool
	stopping atomic.Bool
	ready    chan struct{} // closed when all loops turn
	stop     chan struct{} // closed by Stop
	stopOnce sync.Once
	done     chan struct{}         // closed when Run has returned
	helpers  sync.WaitGroup        // goroutines that Run waits for
	failed   atomic.Pointer[error] // why the start was given up
	gnetLog  gnetLog

	conns     atomic.Int64 // client sockets, handed-off ones included
	connsMax  atomic.Int64
	owed      atomic.Int64 // memory of unsent and incomplete messages, in bytes
	adoptNext atomic.Uint32
	guests    Guests

	seenBusy  chan struct{} // a loop was in a callback: see noticeBusy
	stallLine quiet.Line    // of the log
	panicLine quiet.Line    // the same: whoever finds out how to cause one does it again
	stats     counters
}

// New makes a reactor; it does not listen before Run.
func New(cfg Config, router Router) (*Reactor, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &Reactor{
		stallLine: quiet.Line{Every: stallLogPeriod},
		cfg:       cfg.withDefaults(),
		router:    router,
		clock:     loop.NewClock(),
		ready:     make(chan struct{}),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),

		seenBusy: make(chan struct{}, 1),
	}
	r.gnetLog.log = r.cfg.Log
	r.guests.reactor = r
	r.met.Store(&map[gnet.EventLoop]*driver{})
	r.http = newHTTPListener(r)
	r.handshakes.init(r)
	for i := range r.cfg.Loops {
		d, err := newDriver(r, i)
		if err != nil {
			r.closeBells()
			return nil, err
		}
		r.drivers = append(r.drivers, d)
	}
	return r, nil
}

// Run listens and drives the loops until Stop. It fails if the address is taken, and if gnet stops unasked. It can be called
// once.
func (r *Reactor) Run() error {
	if !r.started.CompareAndSwap(false, true) {
		return errors.New("reactor: Run was called before")
	}
	defer r.handshakes.wait()
	defer close(r.done)
	defer r.closeBells()
	defer r.http.Close()
	addresses, err := r.probeAll()
	if err != nil {
		return err
	}
	most, err := r.admitted(len(addresses))
	if err != nil {
		return err
	}
	r.connsMax.Store(int64(most))
	r.helpers.Go(r.watch)
	err = gnet.Rotate(&events{Reactor: r}, addresses, gnet.WithOptions(gnet.Options{
		ReusePort:        true,
		ReuseAddr:        true,
		NumEventLoop:     r.cfg.Loops,
		ReadBufferCap:    r.cfg.ReadBufferBytes,
		WriteBufferCap:   writeBytesMax,
		SocketSendBuffer: r.cfg.SendBufferBytes,
		Ticker:           true,
		Logger:           &r.gnetLog,
	}))
	asked := r.stopping.Load()
	r.shutDown()
	r.helpers.Wait()
	forget(addresses)
	switch {
	case err != nil:
		return fmt.Errorf("reactor: listen on %s: %w", strings.Join(addresses, " and "), err)
	case r.failed.Load() != nil:
		return fmt.Errorf("reactor: start: %w", *r.failed.Load())
	case !asked:
		return fmt.Errorf("reactor: gnet stopped by itself: %s", r.gnetLog.lastErrors())
	}
	return nil
}

// forget takes gnet's engine out of a table of the process that would keep the reactor, and all that hangs on it, alive. Only the
// function that stops engines by their address does that; this one has stopped already.
func forget(addresses []string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, address := range addresses {
		//lint:ignore SA1019 Engine.Stop leaves the table as it is
		_ = gnet.Stop(ctx, address)
	}
}

// Ready is closed when all loops turn and conns are accepted.
func (r *Reactor) Ready() <-chan struct{} { return r.ready }

// Stop closes all conns and ends Run. It waits for that until ctx is done.
func (r *Reactor) Stop(ctx context.Context) error {
	r.shutDown()
	if !r.started.Load() {
		r.closeBells()
		return nil
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shutDown begins the end; what waits for r.stop does the rest.
func (r *Reactor) shutDown() {
	r.stopping.Store(true)
	r.stopOnce.Do(func() { close(r.stop) })
	r.handshakes.stop()
}

// Loops are the reactor's loops, by their number.
func (r *Reactor) Loops() []*loop.Loop {
	loops := make([]*loop.Loop, len(r.drivers))
	for i, d := range r.drivers {
		loops[i] = d.loop
	}
	return loops
}

func (r *Reactor) closeBells() {
	for _, d := range r.drivers {
		d.bell.close()
	}
}
