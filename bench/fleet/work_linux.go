package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"stentor/bench/pipe"
	"stentor/bench/swarm"
)

// Work runs a swarm that does what comes over in, until in ends.
func Work(in io.Reader, out io.Writer) error {
	if _, err := FilesMax(); err != nil { // raises the soft limit
		return err
	}
	s, err := swarm.New()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		served <- pipe.Serve(in, out, func(op string, body json.RawMessage, reply pipe.Reply) {
			s.Do(func() {
				if err := obey(s, op, body, reply); err != nil {
					reply(nil, err)
				}
			})
		})
		s.Stop()
	}()
	if err := s.Run(); err != nil {
		return err
	}
	return <-served
}

// obey does one thing. It replies itself, perhaps later, unless it returns an error.
func obey(s *swarm.Swarm, op string, body json.RawMessage, reply pipe.Reply) error {
	switch op {
	case opOpen:
		return with(body, func(g swarm.Group) error {
			return s.Open(g, func(o swarm.Opened) { reply(o, nil) })
		})
	case opAwait:
		return with(body, func(b awaitBody) error {
			return s.Await(b.Name, b.Deliveries, b.Patience, func(reached bool) { reply(reached, nil) })
		})
	case opStats:
		return with(body, func(b statsBody) error { return at(reply)(s.Stats(b.Name, b.Reset)) })
	case opTally:
		return with(body, func(b tallyBody) error { return at(reply)(s.Tally(b.Name, b.Last...)) })
	case opAsk:
		return with(body, func(b askBody) error { return at(reply)(nil, s.Ask(b.Name, b.PerSecond)) })
	case opHush:
		return with(body, func(b hushBody) error { return s.Hush(b.Name, b.Patience, func() { reply(nil, nil) }) })
	case opShut:
		return with(body, func(b nameBody) error { return at(reply)(nil, s.Close(b.Name)) })
	case opLeave:
		return with(body, func(b nameBody) error { return at(reply)(nil, s.Leave(b.Name)) })
	case opBack:
		return with(body, func(b nameBody) error {
			return s.Return(b.Name, func(o swarm.Opened) { reply(o, nil) })
		})
	case opChurn:
		return with(body, func(b askBody) error { return at(reply)(nil, s.Churn(b.Name, b.PerSecond)) })
	case opShake:
		return with(body, func(b askBody) error { return at(reply)(nil, s.Shake(b.Name, b.PerSecond)) })
	case opStall:
		return with(body, func(b stallBody) error { return at(reply)(nil, s.Stall(b.Name, b.Stalled)) })
	case opYield:
		return at(reply)(nil, yield())
	case opLoad:
		return at(reply)(s.Load(), nil)
	case opHeap:
		return at(reply)(heap(), nil)
	}
	return fmt.Errorf("unknown word %q", op)
}

// heap is what is alive in this process after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools keep what they have through one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// with decodes the body for f.
func with[T any](body json.RawMessage, f func(T) error) error {
	var b T
	if err := json.Unmarshal(body, &b); err != nil {
		return err
	}
	return f(b)
}

// at replies at once with what a function returned.
func at(reply pipe.Reply) func(any, error) error {
	return func(result any, err error) error {
		reply(result, err)
		return nil
	}
}
