#!/usr/bin/env bash
# api.sh MODULE...: compares what the root module and those in the given folders export with their last tag. An incompatible change fails, unless
# CHANGELOG.md announces it under "### Breaking" in its section "Unreleased". A module without a tag has promised nothing yet.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -C tools -o "$work/apidiff" golang.org/x/exp/cmd/apidiff

announced() { awk '/^## /{on = /^## Unreleased/} on && /^### Breaking/{found = 1} END{exit !found}' CHANGELOG.md; }

# export_api MODULE FILE, in the module's folder
export_api() { "$work/apidiff" -m -w "$2" "$1" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }; }

status=0
for module in . "$@"; do
	case $module in
	examples* | bench* | internal* | */internal/*) continue ;; # not for others to import
	.) prefix= ;;
	*) prefix=$module/ ;;
	esac
	name=$(cd "$module" && go list -m)
	if ! tag=$(git describe --tags --abbrev=0 --match "${prefix}v[0-9]*" 2>"$work/none"); then
		echo "api: $name has no tag yet, nothing to compare with" >&2
		continue
	fi
	mkdir -p "$work/old"
	git archive "$tag" | tar -x -C "$work/old" # with the modules beside it, which replace directives name
	(cd "$work/old/$module" && export_api "$name" "$work/before")
	(cd "$root/$module" && export_api "$name" "$work/after")
	"$work/apidiff" -m -incompatible "$work/before" "$work/after" >"$work/changes" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
	rm -rf "$work/old"
	if [ ! -s "$work/changes" ]; then
		echo "api: $name is compatible with $tag" >&2
	elif announced; then
		echo "api: $name is incompatible with $tag, as CHANGELOG.md announces:" >&2
		cat "$work/changes" >&2
	else
		echo "api: $name is incompatible with $tag; undo it, or announce it in CHANGELOG.md under Unreleased as ### Breaking:" >&2
		cat "$work/changes" >&2
		status=1
	fi
done
exit $status
