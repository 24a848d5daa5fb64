#!/usr/bin/env bash
# Runs every fuzz target for the given time each (default 60s), then the crowds of clients, over an engine that is local and one that
# is not, with the given number of seeds (default 5000, some fifteen minutes). A finding stops it; the input of a target is then in
# testdata/fuzz, a seed is printed with the command that repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
crowdruns=${2:-5000}

go list ./... | while read -r package; do
	tests=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$tests" || true); do
		echo "== $package $target"
		go test -run "^$" -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 50x "$package"
	done
done

echo "== a crowd, $crowdruns times"
go test ./server/session -run '^TestCrowd$' -count=1 -timeout 0 -crowdruns="$crowdruns"

echo "== a crowd far from its engine, $crowdruns times"
go test ./server/session -run '^TestFarCrowd$' -count=1 -timeout 0 -farruns="$crowdruns"
