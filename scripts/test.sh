#!/usr/bin/env bash
# test.sh MODULE...: all tests of the root module and of those in the given folders, with the race detector. A database
# server that is missing is a failure. The last line counts the tests; the root package's line has its coverage.
set -euo pipefail
cd "$(dirname "$0")/.."
export ENTSESSION_REQUIRE_SERVERS=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/testsum" ./internal/cmd/testsum
root=$(go list -m)
go list ./... >"$work/packages"
# Those that take longest begin first: they wait more than they work.
long="$root/internal/(torture|topology|migrator)"
mapfile -t others < <(grep -xE "$long" "$work/packages"; grep -vxF "$root" "$work/packages" | grep -vxE "$long")

# The results of an earlier run are no news (-count=1), and vet is a check of its own. Most tests wait more than they work.
export go_test="go test -json -race -count=1 -vet=off -parallel=5 -timeout=20m"

# part FOLDER ARGUMENT...: some packages' tests, with their output in one piece.
part() {
	local out failed=0
	out=$(mktemp -p "$work")
	(cd "$1" && $go_test "${@:2}") >"$out" || failed=1
	flock "$work/lock" cat "$out" || failed=1
	return $failed
}

# all runs on after a failure, so that one run shows everything. The root package goes beside the others of its module, and the modules three at a time,
# one package of each, those with the most tests first.
all() {
	local failed=0
	part . -coverpkg="$root" . >"$work/root" &
	$go_test "${others[@]}" || failed=1
	wait $! || failed=1
	cat "$work/root"
	printf '%s\n' "$@" | awk '{ print ($0 ~ /stacks|testapp|webapp|^examples$/ ? 0 : 1), $0 }' | sort | cut -d" " -f2 |
		xargs -P 3 -I{} bash -c 'part {} -p=1 ./...' || failed=1
	return $failed
}
export work
export -f part

all "$@" | "$work/testsum"
