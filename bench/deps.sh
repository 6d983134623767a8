#!/usr/bin/env bash
# Installs what the benchmark needs on top of what scripts/deps.sh installs for the tests (PostgreSQL with pgbench, MariaDB):
# Redis, from Debian. It does nothing when Redis is there, and starts no service: the benchmark runs a server of its own.
#
# Run it as root, or as a user with sudo.
set -euo pipefail

say() { echo "bench/deps: $*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

have redis-server && exit
have apt-get || die "please install redis-server yourself"
[ "$(id -u)" = 0 ] || have sudo || die "not root and no sudo; please run as root: apt-get install redis-server"
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"; ${policy_cleanup:-:}' EXIT

# run LABEL COMMAND...: quiet, unless it fails.
run() {
	local label=$1
	shift
	say "$label ..."
	if ! "$@" >"$work/log" 2>&1; then
		tail -n 60 "$work/log" >&2
		die "$label: failed: $*"
	fi
}

# Debian starts a service it installs unless this policy says no.
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$work/policy"
	as_root install -m 755 "$work/policy" "$policy"
	policy_cleanup="as_root rm -f $policy"
fi
apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
run "reading Debian's package lists" "${apt[@]}" update
run "installing redis-server" "${apt[@]}" install --no-install-recommends redis-server
