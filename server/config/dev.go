package config

// Dev is our own section: a server to try on one's own machine.
type Dev struct {
	Enabled bool `json:"enabled" desc:"serve a page to try the server; anonymous clients may do everything in channels without a namespace; only this machine can connect"`
}
