#!/usr/bin/env bash
# Opens a million real connections on this machine: to several servers, because a process may not open as many files, each with a load
# generator beside it. All clients have a token and one subscription, answer the pings of --ping seconds, and all of them get one
# publication at the end. Prints what it took; the lines of the generators are kept in --dir.
#
#	scripts/million.sh [--clients 1000000] [--per-server 19600] [--ping 50] [--dir .cache/million]
#
# It needs some 12 GB of memory and two CPUs for about ten minutes, 2.1 million open files in all (fs.file-max), and bin/stentor
# ("make build"). Everything stays on addresses 127.x.y.z.
set -euo pipefail
cd "$(dirname "$0")/.."

clients=1000000 per=19600 ping=50 dir=.cache/million
while [ $# -gt 1 ]; do
	case $1 in
	--clients) clients=$2 ;;
	--per-server) per=$2 ;;
	--ping) ping=$2 ;;
	--dir) dir=$2 ;;
	*) echo "unknown option $1" >&2 && exit 2 ;;
	esac
	shift 2
done
binary=$PWD/bin/stentor
[ -x "$binary" ] || { echo "There is no bin/stentor: make build" >&2; exit 1; }
ulimit -n "$(ulimit -Hn)"
if [ "$(ulimit -n)" -lt $((per + 300)) ]; then
	echo "A process may open $(ulimit -n) files only: --per-server $(($(ulimit -n) - 300))" >&2
	exit 1
fi

servers=$(((clients + per - 1) / per))
rm -rf "$dir"
mkdir -p "$dir"
cat >"$dir/config.json" <<JSON
{
  "http_server": {"address": "127.0.0.1"},
  "client": {"token": {"hmac_secret_key": "secret-of-the-tokens"}, "ping_interval": "${ping}s"},
  "http_api": {"key": "secret-of-the-api"},
  "channel": {"without_namespace": {"allow_subscribe_for_client": true}},
  "reactor": {"loops": 1}
}
JSON

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT
used() { awk '/^MemTotal/ {t = $2} /^MemAvailable/ {a = $2} END {printf "%.0f", (t - a) * 1024}' /proc/meminfo; }
resident() { for p in "$@"; do awk '/^VmRSS/ {printf "%.0f\n", $2 * 1024}' "/proc/$p/status"; done | awk '{s += $1} END {printf "%.0f", s}'; }
mb() { awk -v b="$1" 'BEGIN {printf "%.0f", b / 1e6}'; }

before=$(used)
began=$(date +%s)
step=7                                     # seconds between two servers, about what the connects of one take
publish=$((servers * step + ping + 30))    # seconds from now: when all have been connected for longer than a ping takes
runs=()
for i in $(seq 1 "$servers"); do
	n=$((i < servers ? per : clients - (servers - 1) * per))
	port=$((20000 + i))
	"$binary" --config "$dir/config.json" --http_server.port "$port" 2>"$dir/server-$i.log" &
	pid=$!
	pids+=("$pid")
	sleep 1
	"$binary" bench fanout --target "ws://127.0.0.1:$port/connection/websocket" --pid "$pid" --api-key secret-of-the-api \
		--token-hmac-secret secret-of-the-tokens --source "127.$((i + 1)).0.1" --subscribers "$n" --pace rate --rate 1 --publications 1 \
		--settle "$((publish - $(date +%s) + began))s" --drain 120s --patience 120s --json --quiet >"$dir/$i.json" 2>"$dir/$i.log" &
	runs+=("$!")
	pids+=("$!")
	sleep $((step - 1))
	[ $((i % 10)) -ne 0 ] || echo "$((i * per)) clients after $(($(date +%s) - began)) s, $(mb $(($(used) - before))) MB more in use"
done
sleep $((publish - 10 - $(date +%s) + began))
servers_only=("${pids[@]}")
for ((i = 1; i < ${#pids[@]}; i += 2)); do unset "servers_only[$i]"; done
rss=$(resident "${servers_only[@]}")
echo "all connected: $(awk '/^TCP/ {print $3}' /proc/net/sockstat) TCP sockets here (two for a connection), $(mb $(($(used) - before))) MB more in use than before, kernel and generators included; the servers have $(mb "$rss") MB resident, $((rss / clients)) bytes for a client"

failed=0
for run in "${runs[@]}"; do wait "$run" || failed=$((failed + 1)); done
total() { cat "$dir"/[0-9]*.json | grep -o "$1[0-9.e+]*" | awk -F: '{s += $NF} END {printf "%.0f", s}'; }
figure() { printf '%-28s %s\n' "$1" "$(total "$2")"; }
figure "clients that got it" '"name":"delivery","percentiles":{"count":'
figure "missing" '"name":"missing","value":'
figure "came twice" '"name":"came twice","value":'
figure "pings answered before" '"name":"pings answered","value":'
echo "$servers servers, $failed generators with an error, $(($(date +%s) - began)) s in all"
[ "$failed" -eq 0 ]
