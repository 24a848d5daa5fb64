package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"stentor/bench/pipe"
	"stentor/bench/swarm"
)

// The words between a fleet and its workers, each with the body that it brings.
const (
	opOpen  = "open"  // swarm.Group → swarm.Opened
	opAwait = "await" // awaitBody → bool
	opStats = "stats" // statsBody → swarm.Stats
	opTally = "tally" // tallyBody → swarm.Tally
	opAsk   = "ask"   // askBody
	opHush  = "hush"  // hushBody
	opShut  = "shut"  // nameBody
)

type (
	nameBody struct {
		Name string `json:"name"`
	}
	awaitBody struct {
		Name       string        `json:"name"`
		Deliveries uint64        `json:"deliveries"`
		Patience   time.Duration `json:"patience"`
	}
	statsBody struct {
		Name  string `json:"name"`
		Reset bool   `json:"reset"`
	}
	tallyBody struct {
		Name string `json:"name"`
		Last uint32 `json:"last"`
	}
	askBody struct {
		Name      string  `json:"name"`
		PerSecond float64 `json:"per_second"`
	}
	hushBody struct {
		Name     string        `json:"name"`
		Patience time.Duration `json:"patience"`
	}
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
		return with(body, func(b tallyBody) error { return at(reply)(s.Tally(b.Name, b.Last)) })
	case opAsk:
		return with(body, func(b askBody) error { return at(reply)(nil, s.Ask(b.Name, b.PerSecond)) })
	case opHush:
		return with(body, func(b hushBody) error { return s.Hush(b.Name, b.Patience, func() { reply(nil, nil) }) })
	case opShut:
		return with(body, func(b nameBody) error { return at(reply)(nil, s.Close(b.Name)) })
	}
	return fmt.Errorf("unknown word %q", op)
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
