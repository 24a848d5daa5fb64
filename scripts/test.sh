#!/usr/bin/env bash
# All tests: unit, conversation and fuzz seeds, then the same under the race detector, then the real SDKs and a real browser
# against a running server. Installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/install.sh

echo "== tests"
go test -timeout 10m ./...
echo "== tests under the race detector"
go test -race -timeout 15m ./...

echo "== the reactor's tests over TLS"
go test -tags overtls -timeout 10m ./reactor

echo "== tests of the loops whose input is overwritten as soon as it is no longer theirs"
go test -tags poison -timeout 10m ./reactor ./server/transport/stream ./server/transport/websocket
