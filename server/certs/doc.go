// Package certs holds the certificates that the server shows to its clients, and how they get there.
//
//	a block of the configuration ─► read: file, PEM text or base64 ─► check ─► Keeper ─┐
//	                                                                                 ├─► every handshake from now on
//	tls_autocert ─► Authority: ACME, in the background, one host after another ────────┘
//
// There is one Keeper for each block that ports share; a port gets a *tls.Config from it once, at the start, and each of its handshakes
// looks up what holds then. So a reload touches no listener and no connection: those that exist go on with what they have agreed on.
// A Reload reads and checks all blocks before it changes any, and if one of them cannot be used, nothing changes.
//
// Session tickets are left to crypto/tls: keys of a day, kept for a week, in this process only. They belong to the port and not to the
// certificate, so a client that was here before a reload resumes its session after it. What is asked of client certificates is checked
// again then: a session whose certificate has expired, or whose authority is not in client_ca_pem any more, is not resumed.
//
// A handshake never waits for an ACME authority. Certificates are ordered when the server starts, and renewed in time by autocert;
// until the first one of a host is there, handshakes for it fail at once. They are ECDSA P-256 certificates.
package certs
