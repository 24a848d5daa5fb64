package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"stentor/bench/cost"
)

// Goal is what a machine is judged for.
type Goal struct {
	Connections int
	Client      bool // a load generator or a proxy, which connects, rather than the server
	Addresses   int  // pairs of a source and a server address that the connections are spread over; for Client
}

// ConnectionsMax is the largest goal. What is enough for more is enough for any.
const ConnectionsMax = 100_000_000

// Verdict is what a setting means for the goal.
type Verdict string

const (
	OK      Verdict = "ok"
	Low     Verdict = "low"     // the goal can be reached, but something gets slow or fails for a while
	Wall    Verdict = "wall"    // there are no more connections beyond it, and it stands below the goal
	Unknown Verdict = "unknown" // it could not be read
)

// Fix is how to move a setting.
type Fix struct {
	Run  string `json:"run,omitempty"`  // until the next boot, or for this shell
	Keep string `json:"keep,omitempty"` // for good
}

// Check is one setting.
type Check struct {
	Name    string  `json:"name"`
	Value   string  `json:"value"`
	Verdict Verdict `json:"verdict"`
	Hard    bool    `json:"hard"`    // at WallAt connections end, rather than get slow
	WallAt  *int64  `json:"wall_at"` // number of connections; null: it is no limit for them
	Why     string  `json:"why,omitempty"`
	Fixes   []Fix   `json:"fixes,omitempty"`

	needed bool // without it there is no verdict on the machine
}

// judge sets verdict and wall of a setting that is enough for so many connections, and keeps the fixes if they are needed.
func (c Check) judge(g Goal, enough int64, fixes ...Fix) Check {
	c.Verdict = OK
	if enough > ConnectionsMax {
		return c
	}
	enough = max(enough, 0)
	c.WallAt = &enough
	if enough >= int64(g.Connections) {
		return c
	}
	c.Verdict, c.Fixes = Low, fixes
	if c.Hard {
		c.Verdict = Wall
	}
	return c
}

// low marks a setting that should be changed whatever the number of connections.
func (c Check) low(why string, fixes ...Fix) Check {
	if c.Verdict == "" || c.Verdict == OK {
		c.Verdict = Low
	}
	if len(c.Fixes) > 0 {
		why = c.Why + "; " + why // it is low for two reasons
	}
	c.Why, c.Fixes = why, append(c.Fixes, fixes...)
	return c
}

// fine marks a setting that is no limit.
func (c Check) fine(value string) Check {
	c.Value, c.Verdict = value, OK
	return c
}

// unknown marks a setting that could not be read.
func (c Check) unknown(err error) Check {
	c.Value, c.Verdict, c.Why = "unknown", Unknown, err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		c.Why = "not visible here; in a container, look on the host"
	}
	return c
}

// sysctl is the fix of a kernel setting. In a container those of its network are set when it starts, the others on the host.
func (m *machine) sysctl(name, value string, ofNetwork bool) Fix {
	fix := sysctl(name, value)
	switch {
	case m.container && ofNetwork:
		fix = Fix{Keep: fmt.Sprintf("docker run --sysctl %s …", assignment(name, value))}
	case m.container:
		fix.Run, fix.Keep = "on the host: "+fix.Run, "on the host: "+fix.Keep
	}
	return fix
}

// sysctlFile is where kernel settings are kept.
const sysctlFile = "/etc/sysctl.d/90-stentor.conf"

func sysctl(name, value string) Fix {
	return Fix{
		Run:  "sysctl -w " + assignment(name, value),
		Keep: fmt.Sprintf("echo '%s = %s' >> %s", name, value, sysctlFile),
	}
}

// assignment is name=value as a shell takes it.
func assignment(name, value string) string {
	if strings.Contains(value, " ") {
		value = strconv.Quote(value)
	}
	return name + "=" + value
}

// roundUp is the multiple of step that is not below n.
func roundUp(n, step int64) int64 { return (n + step - 1) / step * step }

func count(n int64) string { return cost.Count(n) }
