#!/usr/bin/env bash
# Makes the Go code in codec/wire and server/cluster/control from the .proto files there. The plugins are pinned in tools.mod. The
# compiler is the system's protoc, and its version leaves no trace in the result; as root on Debian and Ubuntu it is installed if
# missing.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v protoc >/dev/null 2>&1; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -q
		apt-get install -q -y --no-install-recommends protobuf-compiler
	else
		echo "This needs protoc: install Debian's package protobuf-compiler, or Homebrew's protobuf." >&2
		exit 1
	fi
fi

plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
go build -modfile=scripts/tools.mod -o "$plugins/" \
	google.golang.org/protobuf/cmd/protoc-gen-go \
	github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto

# The path from the root is the name under which the files register at run time: "client.proto" alone would clash with
# other libraries of this protocol in one process.
PATH="$plugins:$PATH" protoc --proto_path=. \
	--go_out=. --go_opt=paths=source_relative \
	--go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+size \
	codec/wire/*.proto server/cluster/control/*.proto

for file in codec/wire/*.pb.go server/cluster/control/*.pb.go; do
	sed '/^\/\/ \tprotoc /d' "$file" >"$plugins/out"
	cat "$plugins/out" >"$file"
done
