#!/usr/bin/env bash
# cross.sh MODULE...: builds the root module and those in the given folders, but for examples and benchmarks, without cgo for each platform.
set -euo pipefail
cd "$(dirname "$0")/.."
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
	for module in . "$@"; do
		case $module in
		examples* | bench* | internal* | */internal/*) continue ;;
		esac
		echo "cross: $platform in $module" >&2
		(cd "$module" && CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} go build ./...)
	done
done
