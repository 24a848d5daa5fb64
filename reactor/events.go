package reactor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"stentor/reactor/loop"
)

// events is the reactor as gnet sees it. A gnet conn's context says what it is: a *Conn, a *bell, or at its opening an
// *adoption, a probe or nothing (a client that was just accepted).
type events struct {
	*Reactor
	engine  gnet.Engine
	ticking bool // only OnTick's goroutine looks at it
}

// probe is enrolled to meet one of gnet's loops, and closed again.
type probe struct{}

func (e *events) OnBoot(engine gnet.Engine) gnet.Action {
	e.engine = engine
	e.helpers.Go(func() {
		<-e.stop
		// A done context: begin the shutdown and do not wait for it, gnet.Run's return tells.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = engine.Stop(ctx)
	})
	return gnet.None
}

func (e *events) OnShutdown(gnet.Engine) {}

// OnTick runs on one goroutine of its own.
func (e *events) OnTick() (time.Duration, gnet.Action) {
	if !e.ticking {
		e.ticking = true
		if err := e.meetAll(); err != nil {
			e.giveUp(err)
			return loop.TickPeriod, gnet.None
		}
	}
	now := e.clock.Now()
	for _, d := range e.drivers {
		d.loop.TickDue(now)
	}
	e.noticeBusy()
	e.handshakes.tick()
	return loop.TickPeriod, gnet.None
}

func (e *events) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	d := e.meet(gc)
	if d == nil {
		return nil, gnet.Close
	}
	switch x := gc.Context().(type) {
	case probe:
		return nil, gnet.Close
	case *bell:
		if int(e.bells.Add(1)) == len(e.drivers) {
			close(e.ready)
		}
		return nil, gnet.None
	case *adoption:
		d.adopt(gc, x)
		return nil, gnet.None
	}
	return nil, d.accept(gc)
}

func (e *events) OnTraffic(gc gnet.Conn) gnet.Action {
	switch x := gc.Context().(type) {
	case *Conn:
		x.driver.traffic(x)
	case *bell:
		drop(gc, gc.InboundBuffered())
		x.driver.turn()
	}
	return gnet.None
}

func (e *events) OnClose(gc gnet.Conn, err error) gnet.Action {
	if c, ok := gc.Context().(*Conn); ok {
		c.driver.closed(c, err)
	}
	return gnet.None
}

// drop discards n bytes of input. gnet takes a 0 for "all".
func drop(gc gnet.Conn, n int) {
	if n > 0 {
		_, _ = gc.Discard(n)
	}
}

// meetAll makes sure that every driver has one of gnet's loops, and that its bell hangs there. gnet shows its loops only
// through conns, so probes are enrolled: in turn on every loop where each of them accepts by itself, and where gnet's one
// acceptor uses the same counter, until all have been met.
func (e *events) meetAll() error {
	const triesMax = 16 * loop.LoopsMax
	for try := 0; len(*e.met.Load()) < len(e.drivers); try++ {
		if try == triesMax || e.stopping.Load() {
			return errors.New("could not meet all of gnet's loops")
		}
		if err := e.enrollProbe(); err != nil {
			return err
		}
	}
	return nil
}

func (e *events) enrollProbe() error {
	near, far, err := socketPair()
	if err != nil {
		return err
	}
	defer near.Close()
	ctx := gnet.NewNetConnContext(gnet.NewContext(context.Background(), probe{}), far)
	result, err := e.engine.Register(ctx)
	if err != nil {
		_ = far.Close()
		return fmt.Errorf("enroll a probe: %w", err)
	}
	return e.await(result)
}

// meet returns the driver of the gnet loop that gc lives on; at the first meeting it ties one to it. It is called on that loop.
func (e *events) meet(gc gnet.Conn) *driver {
	gl := gc.EventLoop()
	if d := (*e.met.Load())[gl]; d != nil {
		return d
	}
	e.meeting.Lock()
	defer e.meeting.Unlock()
	met := maps.Clone(*e.met.Load())
	if len(met) == len(e.drivers) {
		return nil
	}
	d := e.drivers[len(met)]
	d.gl, d.layout = gl, layoutOf(reflect.TypeOf(gc))
	met[gl] = d
	e.met.Store(&met)
	result, err := gl.Enroll(gnet.NewContext(context.Background(), &d.bell), d.bell.clap)
	if err != nil {
		e.giveUp(err)
		return d
	}
	e.helpers.Go(func() {
		if err := e.await(result); err != nil {
			e.giveUp(err)
		}
	})
	return d
}

// await waits until a conn has been enrolled, which does not happen any more once gnet stops.
func (e *events) await(result <-chan gnet.RegisteredResult) error {
	select {
	case r := <-result:
		return r.Err
	case <-e.stop:
		return nil
	}
}

// giveUp ends a start that has failed; Run then returns the error.
func (e *events) giveUp(err error) {
	if !e.stopping.Load() {
		e.failed.CompareAndSwap(nil, &err)
		e.shutDown()
	}
}

// accept takes a client's socket, or refuses it over MaxConns.
func (d *driver) accept(gc gnet.Conn) gnet.Action {
	d.enter()
	defer d.leave()
	r, first := d.reactor, d.firstState(gc)
	if r.conns.Add(1) > r.connsMax.Load() {
		r.conns.Add(-1)
		r.stats.refusedConns.Add(1)
		// The client may not even have sent its request: best effort, straight to the socket.
		_, _ = unix.Write(gc.Fd(), d.noPlace(first))
		return gnet.Close
	}
	r.stats.accepted.Add(1)
	fromBalancer := d.trusts(gc) // which asks for the peer's address: newConn lets go of it
	c := d.newConn(gc)
	if fromBalancer {
		first = stateProxy
	}
	c.enter(first, d.cfg.HeadTimeout)
	return gnet.None
}

// noPlace is what a client hears that has said nothing yet, and is not let in.
func (d *driver) noPlace(first state) []byte {
	if first == stateHello && !d.cfg.TLS.PlainToo {
		return fatalAlert(alertInternalError)
	}
	return appendResponse(nil, 503, "too many connections\n", false)
}
