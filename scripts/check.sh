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

for module in "${modules[@]}"; do
	cd "$root/$module"
	step "vet in $module"
	go vet ./...
	step "staticcheck in $module"
	go tool -modfile="$root/tools/go.mod" staticcheck ./...
done

for module in "${modules[@]}" tools; do
	cd "$root/$module"
	step "go.mod in $module"
	go mod tidy -diff || die "run go mod tidy in $module"
	go mod verify >"$work/verify" || die "$(<"$work/verify")"
done
cd "$root"

# Hashes, not git's view: a tree in which more has changed than what is generated can be checked as well.
sums() { find . -type f \( -name '*.go' -o -name go.mod -o -name go.sum \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; }

step "generated code"
sums >"$work/before"
for module in "${modules[@]}"; do
	(cd "$module" && go generate ./...)
done
sums >"$work/after"
diff "$work/before" "$work/after" >&2 || die "generated code was stale; it has been rebuilt now, commit it"

step "migrations"
go run ./internal/cmd/migrations check

step "the exported API"
scripts/api.sh "$@"
