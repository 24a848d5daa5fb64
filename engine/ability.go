package engine

// Ability is a set of what a broker can do beyond delivery.
type Ability uint

// Abilities.
const (
	History     Ability = 1 << iota // keeping publications, offsets and epochs: recovery and positions
	Reverse                         // reading newest first
	Idempotency                     // remembering the results of publishes
	Versions                        // suppressing what is not newer
	Delta                           // giving the previous publication along
	Joins                           // carrying joins and leaves
	Admission                       // asking the receiver before an offset is given
	Wildcards                       // patterns as channels (spec: engines, section 4)
)

// Has reports that all of want are there.
func (a Ability) Has(want Ability) bool { return a&want == want }
