// Package metrics counts what a server does and shows it in the text format of Prometheus.
//
//	sessions, fan-out ── counters of their loop ──┐
//	API, engines ─────── shared counters ─────────┼──► Handler: summed and written at a scrape
//	node, reactor ────── callbacks ───────────────┘
//
// What happens per command or per delivery is counted by loop: each loop has a block of counters that no other loop writes,
// far enough from its neighbours that no two cores share a cache line. What happens once per publication, connection or
// API call is counted in shared atomics. What others count anyway (conns, queued bytes, subscribers) is asked at a scrape.
//
// Names and labels are those of Centrifugo where the meaning is equal (spec: admin-cli-observability, section 5), so that its
// dashboards work; channel_namespace is always empty, as there, unless TellApart is called. What only this server has starts with
// "stentor_". A series appears with its first event. The values of every label come from a fixed list or a bounded table: clients and backends
// choose names, versions and codes, and must not be able to fill the memory of whoever scrapes.
//
// A namespace is a small number that the options of its channels carry, and each loop has a block of counters (space) for each number.
// Namespaces that are not told apart all have the number 0, whose counters are in the block of the loop itself.
//
// Durations are histograms of 4 buckets per octave; an octave is one bucket of what is exposed. Where Centrifugo has a summary
// too, its quantiles are computed from the same histogram over the last 5 to 10 minutes.
package metrics
