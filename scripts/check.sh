#!/usr/bin/env bash
# Quick and local checks: formatting, vet and build for every system we promise, staticcheck, the import table.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l . | grep -v '\.pb\.go$' || true)
if [ -n "$unformatted" ]; then
	printf 'not formatted, run gofmt -w on:\n%s\n' "$unformatted" >&2
	exit 1
fi

go vet ./...
for target in linux/arm64 darwin/arm64 freebsd/amd64; do
	echo "vet and build for $target"
	GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go vet ./...
	GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go build -o /dev/null ./...
done

go tool -modfile=scripts/tools.mod staticcheck ./...
go test ./server -run '^TestImports$' -count=1
