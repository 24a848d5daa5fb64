package auth

import (
	"context"
	"errors"
	"time"
)

// Pending is the error of Connect and Subscribe when the key of a token is not here yet. Somebody who may wait calls Fetch, off
// the loops, and then the same call is made again. It answers then, whether the fetch went well or not: an endpoint that was
// asked just now is not waited for again.
type Pending struct {
	store    *keyStore
	endpoint string
}

func (p *Pending) Error() string {
	return "the key of the token has to be fetched from " + p.store.option + " first"
}

// Fetch asks the endpoint for its keys and returns when they are here, in at most [FetchTimeMax]. Calls for one endpoint share
// one request. The error says why there are no keys, for whoever wants to know; the call that is made again has it, too. The
// end of ctx ends the waiting and not the request, because others may wait for it.
func (p *Pending) Fetch(ctx context.Context) error { return p.store.fetch(ctx, p.endpoint) }

// IsPending reports an error of Connect or Subscribe that a fetch may mend.
func IsPending(err error) bool {
	if err == nil {
		return false // before there is anything to allocate
	}
	var p *Pending
	return errors.As(err, &p)
}

// ConnectWait is Connect for those who may wait.
func (v *Verifier) ConnectWait(ctx context.Context, token string) (ConnectClaims, error) {
	return wait(ctx, v.Connect, token)
}

// SubscribeWait is Subscribe for those who may wait.
func (v *Verifier) SubscribeWait(ctx context.Context, token string) (SubscribeClaims, error) {
	return wait(ctx, v.Subscribe, token)
}

// waitFetches bounds the fetches of one wait. One is enough, unless the machine sleeps between it and the next line.
const waitFetches = 3

func wait[C any](ctx context.Context, verify func(string, time.Time) (C, error), token string) (C, error) {
	claims, err := verify(token, time.Now())
	var p *Pending
	for try := 0; try < waitFetches && errors.As(err, &p) && ctx.Err() == nil; try++ {
		_ = p.Fetch(ctx) // what it says comes again
		claims, err = verify(token, time.Now())
	}
	return claims, err
}
