// Package plan reckons what a number of clients takes: memory, network, CPU, descriptors, settings, and how many machines of a given
// size. It measures nothing.
//
//	Workload ───────────────► Make ──► Plan: a sheet of figures, each with its formula ──► a table, or JSON
//	cost.Coefficients ──────►   │
//	doctor.Advice ──────────────┘ kernel settings
//
// Each figure is one line of arithmetic over figures above it and coefficients, and the line is printed with its numbers, so that
// whoever doubts it can check it. Where reality varies, a figure is the upper end: publications come alone, each delivery is
// acknowledged by a packet of its own, all clients come back at once.
package plan
