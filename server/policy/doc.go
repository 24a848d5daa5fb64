// Package policy decides who may connect, subscribe and publish. It joins what the configuration allows (package channel) with
// what tokens say (package auth); the answers of backends will come in here too.
//
//	connect   ──► token │ anonymous │ header of a trusted proxy ──► Credentials
//	subscribe ──► type, name ──► token │ user list │ namespace ──► Subscription
//	publish   ──► name, data ──► namespace ──► engine.PublishOptions
//
// The checks run in the order of the protocol's tables, because a client sees which one failed: each returns a *codec.Error,
// which is answered, or a codec.Disconnect, which closes the session. What depends on a session's own state, such as the
// number of its channels, is the session's to check.
//
// A Policy is built from the configuration and never changes, so that every loop uses it without a lock; a reload builds a
// new one. Nothing here waits: where a token needs a key that has to be fetched, the *auth.Pending of package auth comes back
// as it is. A decision without a token allocates nothing, whether it is yes or no.
//
// A refusal that a newcomer to the server runs into says in the log which option to set; see notice.go for why that cannot
// flood the log.
package policy
