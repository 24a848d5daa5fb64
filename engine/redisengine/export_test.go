package redisengine

import "time"

// WithProbeInterval is c with another ProbeInterval, for tests.
func (c Config) WithProbeInterval(d time.Duration) Config {
	c.probeInterval = d
	return c
}
