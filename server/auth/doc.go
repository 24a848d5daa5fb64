// Package auth finds out who a client is: from the token it brings, or from the site that its page came from.
//
//	token ── split ── header ──► key ── signature ──► claims ──► ConnectClaims, SubscribeClaims ──► policy
//	Origin ── Origins.Allowed ──► transport
//
// A token is judged in an order that gives strangers as little to work on as possible: its length, its three parts and its
// small header first, then the signature, and only what is signed has its claims read. The header names one of a fixed list
// of algorithms, which takes a key of its own kind and of no other: an RSA key is no HMAC secret, and ES256 knows only P-256.
// jku, x5u and jwk are not looked at. Signing methods are golang-jwt's; its parser is not used, because it reads claims before
// it verifies, and header and claims into maps.
//
// With a JWKS (RFC 7517) the key comes from an endpoint, which issuer and audience may name a part of. So claims are read
// before the signature, and nothing is done with them but this: issuer and audience must be allowed, then a template of the
// configuration is filled with what their patterns have matched (see config.JWKSEndpoint), and the key has to be among those
// of that very endpoint, under the kid of the header. Private addresses are allowed: the operator names the endpoint.
//
// Nothing waits on a loop. If a key is not here, Connect and Subscribe return a [*Pending], whose Fetch somebody else calls;
// then they are called again. Endpoints are asked at most once in [AskInterval], so neither tokens with invented kids nor an
// endpoint that fails can make the server ask all the time.
//
// A signature of a key pair costs 40 µs (RS256) to 3 ms (ES512), so those that were right are remembered; see memo. Everything
// else is built from the configuration once and never changes; a reload builds new ones.
package auth
