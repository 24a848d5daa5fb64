// Package auth finds out who a client is: from the token it brings, or from the site that its page came from.
//
//	token ── split ── header ──► key set ── signature ──► claims ──► ConnectClaims, SubscribeClaims ──► policy
//	Origin ── Origins.Allowed ──► transport
//
// A token is judged in an order that gives strangers as little to work on as possible: its length, its three parts and its
// small header first, then the signature, and only what is signed has its claims read. The header chooses among the keys
// that the configuration gives for its algorithm and nothing else: kid, jku, x5u and jwk are not looked at, and a key of one
// family never verifies an algorithm of another. Signing methods are golang-jwt's; its parser is not used, because it reads
// claims before it verifies, and header and claims into maps.
//
// Everything here is built from the configuration once and never changes; a reload builds new ones. Nothing waits.
package auth
