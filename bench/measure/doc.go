// Package measure turns what a benchmark saw into figures that can be trusted: latencies counted from the moment a message was due
// (Schedule, Latency), messages that are missing or came twice (Stamp, Window), a cost per client as the slope of a line with
// its residual (Fit), and the spread of paired runs (Summarize, Ratios). It reads no clock and does no I/O.
package measure
