// Package result is what one run of a scenario found, in one shape for all scenarios, so that what reads results need know none of them.
//
//	scenario ──► Result ──► Append: one line of JSON ──► Read ──► Compare ──► Comparison
//	                │                                      │
//	                └──► Text: tables for people           └──► a page (package page)
//
// It measures nothing and starts nothing.
package result
