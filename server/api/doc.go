// Package api is the server API: what a backend may ask of this server.
//
//	POST /api/publish ──► HTTP ──► methods (one table) ──► API.Publish ──► engine
//	POST /api, NDJSON ──►  key,                            API.Disconnect ──► Clients
//	                      limits,                          API.Channels ──► Node
//	                      errors
//
// [API] has one method per method of the API and knows nothing of transports: HTTP is one mouth of it, gRPC another. A method
// takes its request and answers with a result or an [Error]. What comes in is checked in the order of the reference (spec:
// server-api, sections 1 and 2), so that a request with two faults gets the same answer here.
//
// Everything has a limit (see limits.go): the reference has none, and a backend gone wild must not take the clients along.
package api
