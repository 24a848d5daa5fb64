// Package doctor tells what keeps a Linux machine from many connections: which limit comes first, at how many connections, and the
// line that moves it.
//
//	files below a root ── source ──► one check for each setting ──► Report ──► a table, or JSON
//	Process (limits, CPUs)  ───────►        │
//	Goal (connections)      ───────►        └── Fix: the line for now, and the one to keep
//
// A check reads its own files, so that one function tells all about one setting. A file that is missing or that makes no sense is not an
// error: its check is unknown. What a client costs is reckoned with the shipped figures of package cost.
package doctor
