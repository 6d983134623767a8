#!/usr/bin/env bash
# fuzz.sh TIME: runs each fuzz target of all modules for that time, one after the other. Inputs that fail are kept
# in testdata/fuzz, where every test run tries them again.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t targets < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | LC_ALL=C sort)
for target in "${targets[@]+"${targets[@]}"}"; do
	name=${target##*:func }
	echo "fuzz: $name in $(dirname "$target"), $1"
	(cd "$(dirname "$target")" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" .)
done
