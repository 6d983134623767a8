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

# module runs the tests of a module's folder, one package at a time, and gives its output in one piece.
module() {
	local out="$work/${1//\//.}" failed=0
	(cd "$1" && $go_test -p=1 ./...) >"$out" || failed=1
	flock "$work/lock" cat "$out"
	return $failed
}

# all runs on after a failure, so that one run shows everything. The modules go two at a time, those with the most tests first.
all() {
	local failed=0
	$go_test -coverpkg="$root" . || failed=1
	$go_test "${others[@]}" || failed=1
	printf '%s\n' "$@" | awk '{ print ($0 ~ /stacks|testapp|webapp|^examples$/ ? 0 : 1), $0 }' | sort | cut -d" " -f2 |
		xargs -P 2 -I{} bash -c 'module {}' || failed=1
	return $failed
}
export work
export -f module

all "$@" | "$work/testsum"
