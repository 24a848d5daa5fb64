package stream

import (
	"cmp"
	"net/http"

	"stentor/server/config"
)

// Refusals says with which status a client is refused that could not connect, instead of a stream that does nothing but end.
type Refusals struct {
	byCode map[uint32]config.TransformHTTPResponse // of errors and disconnects
}

// NewRefusals makes the rules of a configuration; nil if they are off.
func NewRefusals(c *config.ConnectCodeToHTTPResponse) *Refusals {
	if !c.Enabled {
		return nil
	}
	r := &Refusals{byCode: make(map[uint32]config.TransformHTTPResponse, len(c.Transforms))}
	for _, t := range c.Transforms {
		r.byCode[t.Code] = t.To
	}
	return r
}

// Answer refuses a client because of a code.
func (r *Refusals) Answer(o *Opening, code uint32) Answer {
	to := r.byCode[code]
	return o.Refuse(cmp.Or(to.StatusCode, http.StatusInternalServerError), to.Body)
}
