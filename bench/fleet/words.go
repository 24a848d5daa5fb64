package fleet

import "time"

// The words between a fleet and its workers, each with the body that it brings.
const (
	opOpen  = "open"  // swarm.Group → swarm.Opened
	opAwait = "await" // awaitBody → bool
	opStats = "stats" // statsBody → swarm.Stats
	opTally = "tally" // tallyBody → swarm.Tally
	opAsk   = "ask"   // askBody
	opHush  = "hush"  // hushBody
	opShut  = "shut"  // nameBody
	opLeave = "leave" // nameBody
	opBack  = "back"  // nameBody → swarm.Opened
	opChurn = "churn" // askBody
	opShake = "shake" // askBody
	opStall = "stall" // stallBody
	opYield = "yield" // nothing
	opLoad  = "load"  // nothing → swarm.Load
	opHeap  = "heap"  // nothing → int64
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
		Last []int  `json:"last"` // see swarm.Group.Last
	}
	askBody struct {
		Name      string  `json:"name"`
		PerSecond float64 `json:"per_second"`
	}
	stallBody struct {
		Name    string `json:"name"`
		Stalled bool   `json:"stalled"`
	}
	hushBody struct {
		Name     string        `json:"name"`
		Patience time.Duration `json:"patience"`
	}
)
