#!/usr/bin/env bash
# Installs what the tests need beside Go: Node.js for the JavaScript SDK, Chromium for the try page, Redis for the engine, curl and
# OpenSSL as other people's TLS, HAProxy in front of the server, a C compiler for the race detector. As root on Debian and Ubuntu it
# does so by itself; elsewhere it says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
have() { command -v "$1" >/dev/null 2>&1; }
have node || packages+=(nodejs)
have nats-server || [ -x /usr/sbin/nats-server ] || packages+=(nats-server)
have npm || packages+=(npm)
have chromium || have chromium-browser || have google-chrome || packages+=(chromium)
have redis-server && have redis-cli || packages+=(redis-server redis-tools)
have curl || packages+=(curl)
have openssl || packages+=(openssl)
have haproxy || [ -x /usr/sbin/haproxy ] || packages+=(haproxy)
have "$(go env CC)" || packages+=(gcc libc6-dev)

if [ "${#packages[@]}" -gt 0 ]; then
	if [ "$(id -u)" -eq 0 ] && have apt-get; then
		export DEBIAN_FRONTEND=noninteractive
		# The tests start servers of their own, so none is to run as a service of this system: this script is asked whether one may
		# be started, and what it would start at the next boot is turned off again.
		if [ ! -e /usr/sbin/policy-rc.d ]; then
			printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
			chmod 755 /usr/sbin/policy-rc.d
			trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		fi
		apt-get update -q
		apt-get install -q -y --no-install-recommends "${packages[@]}"
		if [[ " ${packages[*]} " == *" redis-server "* ]] && have systemctl; then
			systemctl disable redis-server >/dev/null 2>&1 || true
		fi
	else
		echo "The tests need: ${packages[*]} (names of Debian's packages)." >&2
		echo "Install them, for example with: sudo apt-get install ${packages[*]}" >&2
		exit 1
	fi
fi

# Tests start NATS by themselves; where Debian's package has just come, it is not to run as a service of this system.
if [[ " ${packages[*]:-} " == *" nats-server "* ]] && have systemctl; then
	systemctl disable --now nats-server >/dev/null 2>&1 || true
fi
if [[ " ${packages[*]:-} " == *" haproxy "* ]] && have systemctl; then
	systemctl disable --now haproxy >/dev/null 2>&1 || true
fi

# The lock file decides the versions. Nothing is fetched if they are installed already.
cd scripts/e2e
if ! cmp -s package-lock.json node_modules/.installed-lock; then
	npm ci --no-audit --no-fund --ignore-scripts
	cp package-lock.json node_modules/.installed-lock
fi
