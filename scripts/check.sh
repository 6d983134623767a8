#!/usr/bin/env bash
# check.sh MODULE...: what `make check` does, for the root module and those in the given folders.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
modules=(. "$@")

step() { echo "check: $*" >&2; }
die() { echo "check: $*" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step formatting
gofmt -l . >"$work/unformatted"
[ ! -s "$work/unformatted" ] || die "run gofmt -w on these:" "$(<"$work/unformatted")"

# These leave a processor idle one after the other.
each() { printf '%s\n' "${@:2}" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c "$1 {}"; }
vet() {
	cd "$root/$1"
	step "vet in $1"
	go vet ./...
	step "staticcheck in $1"
	go tool -modfile="$root/tools/go.mod" staticcheck ./...
}
tidy() {
	cd "$root/$1"
	step "go.mod in $1"
	go mod tidy -diff || die "run go mod tidy in $1"
	go mod verify >"$work/verify.${1//\//.}" || die "$(<"$work/verify.${1//\//.}")"
}
generate() { cd "$root/$1" && go generate ./...; }
export root work
export -f step die vet tidy generate

each vet "${modules[@]}"
each tidy "${modules[@]}" tools

# Hashes, not git's view: a tree in which more has changed than what is generated can be checked as well.
sums() { find . -type f \( -name '*.go' -o -name go.mod -o -name go.sum \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; }

step "generated code"
sums >"$work/before"
generate . # what the others are generated with
each generate "$@"
sums >"$work/after"
diff "$work/before" "$work/after" >&2 || die "generated code was stale; it has been rebuilt now, commit it"

step "migrations"
go run ./internal/cmd/migrations check

step "the exported API"
scripts/api.sh "$@"
