// Package config is the whole option tree of the server and the way from its sources to a checked value.
//
//	file (JSON, YAML, TOML) ─► parse ─► tree of maps ─► old names moved ─┐
//	environment, .env ──────────────────► old names moved ───────────────┼─► decoder ─► Config ─► checks ─► Result
//	flags ───────────────────────────────────────────────────────────────┘
//
// Each source is decoded over the one before: defaults, file, environment, flags. All names, defaults, limits and
// meanings are tags of the fields of Config; the tree of nodes that reflection makes of them (tree.go) serves
// the decoder, the environment names, the flags, the generators of files and the option reference alike.
//
// Three things can come of a value. It is taken. It is taken with a warning: unknown names (with the nearest known
// one), names of versions 3 to 5 (with the new one), options of features that do not exist yet (notbuilt.go). Or the
// server does not start: wrong values and contradictions (validate.go), and options whose being ignored would
// leave the server less protected than its configuration says (refuse.go). All of them are told at once, each with
// path, value, source and remedy.
//
// There is a decoder of our own instead of one of the usual merging libraries: those join the sources first and decode
// later, when it is no longer known who gave a value, and stop at the first value that does not fit.
package config
