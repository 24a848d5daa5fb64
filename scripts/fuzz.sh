#!/usr/bin/env bash
# Runs every fuzz target for the given time each (default 60s). A finding stops it; its input is then in testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}

go list ./... | while read -r package; do
	tests=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$tests" || true); do
		echo "== $package $target"
		go test -run "^$" -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 50x "$package"
	done
done
