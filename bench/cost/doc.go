// Package cost holds what a client, a subscription and a message cost, as figures that were measured.
//
//	stentor bench --calibrate ──► Coefficients.Save ──► a small JSON file ──► Load ──► stentor plan
//	                                    Shipped, when there is none ─────────────────►   and doctor
//
// A figure that a file does not have is the shipped one. Package doctor judges a machine by the shipped figures alone, so that its
// verdict does not depend on what was measured before.
package cost
