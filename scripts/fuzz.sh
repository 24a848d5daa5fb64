#!/usr/bin/env bash
# Runs every fuzz target for the given time each (default 60s), then the crowd of clients with the given number of seeds (default
# 5000, some ten minutes). A finding stops it; the input of a target is then in testdata/fuzz, a seed is printed with the command
# that repeats it.
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
