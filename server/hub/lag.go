package hub

import "time"

// maxLag is how late publications may be for members with positions.
type maxLag struct {
	most time.Duration // 0: any time
	now  func() time.Duration
}

// SetMaxLag says how long a publication may be on its way to a positioned member: one that comes later makes the member fail as Lost.
// 0 is any time. now is the time since some moment, and never goes back. Called before the table is used.
func (t *Table) SetMaxLag(most time.Duration, now func() time.Duration) { t.lag = maxLag{most, now} }

// stamp is when an event is made, or 0 while nobody asks.
func (g *maxLag) stamp() time.Duration {
	if g.most == 0 {
		return 0
	}
	return g.now()
}

// late reports that e has been on its way for too long.
func (g *maxLag) late(e *event) bool { return g.most > 0 && g.now()-e.at > g.most }
