package bench

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"stentor/bench/bare"
	"stentor/bench/pipe"
	"stentor/bench/result"
)

// Floor compares the server's CPU with that of bare processes.
type Floor struct {
	On                 bool
	Program            string // a yardstick of the user's own beside ours; empty: none
	Threads            int
	Rounds             int
	RoundPublications  int
	RoundBursts        int
	RatioMax, BurstMax float64 // gates against our floor; 0: none
	ProgramMax         float64 // likewise against Program
}

// DefaultFloor is nine rounds.
func DefaultFloor() Floor {
	return Floor{Threads: 1, Rounds: 9, RoundPublications: 20, RoundBursts: 5}
}

// floorBurst is the burst of a comparison if the user names none.
const floorBurst = 10

// programName names the user's own floor among the sides.
const programName = "program"

// roundsMax is how many rounds a comparison may have.
const roundsMax = 1000

func (o *Floor) flags(f *pflag.FlagSet) {
	o.commonFlags(f, "write(2), and of an io_uring where the kernel allows it")
	o.programFlags(f)
	f.BoolVar(&o.On, "against-bare", o.On, "the same as --floor")
	_ = f.MarkHidden("against-bare") // an older name; the flag exists
	f.IntVar(&o.RoundPublications, "round-publications", o.RoundPublications, "publications that come alone, per round and side")
	f.IntVar(&o.RoundBursts, "round-bursts", o.RoundBursts, fmt.Sprintf("bursts per round and side; each has --burst publications, or %d if that is 1", floorBurst))
	f.Float64Var(&o.RatioMax, "max-ratio", 0, "fail above this median ratio of publications that come alone against write(2); 0: no gate")
	f.Float64Var(&o.BurstMax, "max-burst-ratio", 0, "fail above this median ratio of bursts; 0: no gate")
}

// commonFlags are those of every scenario with a floor.
func (o *Floor) commonFlags(f *pflag.FlagSet, of string) {
	f.BoolVar(&o.On, "floor", o.On, "compare the server's CPU with a bare loop of "+of+"; needs --server or --pid")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of server and floors")
}

// programFlags are those of scenarios that another floor can stand beside.
func (o *Floor) programFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Program, "floor-program", o.Program, "a floor of your own beside ours: a program that speaks the words of package bench/bare over its standard input and output")
	f.IntVar(&o.Threads, "bare-threads", o.Threads, "threads that share the sockets of a floor; the bare upgrade always has one")
	f.Float64Var(&o.ProgramMax, "max-program-ratio", 0, "fail above this median ratio to --floor-program; 0: no gate")
}

func (o *Floor) check(t *Target) error {
	switch {
	case o.On && !t.watched():
		return errors.New("--floor needs --server, or the --pid of the server (pgrep -xo stentor)")
	case o.Rounds < 1 || o.Rounds > roundsMax:
		return fmt.Errorf("--rounds must be from 1 to %d", roundsMax)
	case o.On && (o.RoundPublications < 1 || o.RoundBursts < 1):
		return errors.New("--round-publications and --round-bursts must be at least 1")
	case o.On && (o.Threads < 1 || o.Threads > bare.ThreadsMax):
		return fmt.Errorf("--bare-threads must be from 1 to %d", bare.ThreadsMax)
	case !o.On && (o.RatioMax > 0 || o.BurstMax > 0):
		return errors.New("--max-ratio and --max-burst-ratio belong to --floor")
	case !o.On && o.Program != "":
		return errors.New("--floor-program belongs to --floor")
	case o.ProgramMax > 0 && o.Program == "":
		return errors.New("--max-program-ratio belongs to --floor-program")
	}
	return nil
}

// programs is how many processes are compared with.
func (o *Floor) programs() int {
	if o.Program == "" {
		return 1
	}
	return 2
}

// program is the user's own floor as a command.
func (o *Floor) program() pipe.Command {
	words := strings.Fields(o.Program)
	return pipe.Command{Path: words[0], Args: words[1:]}
}

// sides are figures by side and round: the server's first, then those of the floors.
type sides struct {
	names []string
	of    [][]float64
}

func newSides(names ...string) *sides {
	return &sides{names: names, of: make([][]float64, len(names))}
}

func (s *sides) add(side int, v float64) { s.of[side] = append(s.of[side], v) }

// fill writes the rounds as a table and the paired ratios as metrics: the server's to each floor, and the floors' to the first of them.
func (s *sides) fill(r *result.Result, what, unitOf string) {
	var table byRound
	for i, name := range s.names {
		table.add(name, result.Nanoseconds, s.of[i])
		if i > 0 {
			table.add(s.names[0]+" / "+name, result.Ratio, pairwise(s.of[0], s.of[i], per))
		}
	}
	r.Tables = append(r.Tables, table.named(what+": CPU per "+unitOf+" by round"))
	for i, name := range s.names {
		r.AddSpread(what+": "+name+" CPU per "+unitOf, s.of[i], result.Nanoseconds, result.Less)
	}
	for i, name := range s.names[1:] {
		addRatio(r, what+": "+s.names[0]+" / "+name, s.of[0], s.of[i+1])
	}
	for i := 2; i < len(s.names); i++ {
		addRatio(r, what+": "+s.names[i]+" / "+s.names[1], s.of[i], s.of[1])
	}
}

// overBudget is an error if a median ratio is above its limit.
func overBudget(r *result.Result, metric string, limit float64) error {
	m, ok := r.Metric(metric)
	if limit > 0 && ok && m.Value > limit {
		return fmt.Errorf("over budget: %s: median ratio %.3f, the most is %.2f", metric, m.Value, limit)
	}
	return nil
}
