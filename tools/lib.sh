# Shell functions that setup, check, demo and bench share.  To be sourced by
# bash with "set -euo pipefail" in force.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SUPPORTED_MAJORS='18 17 16 15'

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# ------------------------------------------------------------ PostgreSQL

# pg_config_complete FILE: does that installation have a server of a major
# version we support, what it takes to build for it, and pg_regress?
pg_config_complete() {
	local config=$1 major bindir pgxs
	major=$("$config" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p') || return 1
	case " $SUPPORTED_MAJORS " in *" $major "*) ;; *) return 1 ;; esac
	bindir=$("$config" --bindir)
	pgxs=$("$config" --pgxs)
	[ -x "$bindir/postgres" ] && [ -x "$bindir/initdb" ] && [ -x "$bindir/psql" ] &&
		[ -x "$bindir/pg_config" ] && [ -f "$pgxs" ] &&
		[ -f "$("$config" --includedir-server)/postgres.h" ] &&
		[ -x "$(pgxs_test_dir "$config")/regress/pg_regress" ]
}

pgxs_test_dir() { printf '%s/test\n' "$(dirname "$(dirname "$("$1" --pgxs)")")"; }

# find_pg_config: prints the pg_config to use, or returns 3 where there is
# none.  An explicit PG_CONFIG is taken or refused, never replaced.
find_pg_config() {
	local config major
	# "pg_config" is what the Makefile says when nobody has chosen.
	if [ "${PG_CONFIG:-pg_config}" != pg_config ]; then
		config=$(command -v "$PG_CONFIG") || die "PG_CONFIG=$PG_CONFIG: no such program"
		pg_config_complete "$config" ||
			die "PG_CONFIG=$PG_CONFIG: not a PostgreSQL 15 to 18 with server, headers and pg_regress"
		printf '%s\n' "$config"
		return 0
	fi
	if config=$(command -v pg_config 2>/dev/null) && pg_config_complete "$config"; then
		printf '%s\n' "$config"
		return 0
	fi
	for major in $SUPPORTED_MAJORS; do
		config=/usr/lib/postgresql/$major/bin/pg_config
		if [ -x "$config" ] && pg_config_complete "$config"; then
			printf '%s\n' "$config"
			return 0
		fi
	done
	return 3
}

# need_pg_config: installs what is missing and sets PG_CONFIG.
need_pg_config() {
	PG_CONFIG=${PG_CONFIG:-} "$ROOT/tools/setup.sh"
	PG_CONFIG=$(find_pg_config)
}

# ------------------------------------------------------------ who and where

# The server refuses to run as root, so as root everything that touches a
# cluster is done by this user.
server_user() {
	local user
	[ "$(id -u)" = 0 ] || { id -un; return 0; }
	for user in postgres nobody; do
		if id "$user" >/dev/null 2>&1; then
			printf '%s\n' "$user"
			return 0
		fi
	done
	die "running as root, and there is neither a user postgres nor nobody to run the server"
}

# as_server COMMAND...: run it as the server's user, in a plain environment
# whose messages, time zone and client settings are the same everywhere.
as_server() {
	local as=()
	if [ "$(id -u)" = 0 ]; then
		as=(runuser -u "$SERVER_USER" --)
	fi
	(
		cd "$WORK" || exit 1
		exec "${as[@]}" env -u PGHOST -u PGPORT -u PGDATABASE -u PGUSER -u PGOPTIONS -u PGSERVICE \
			-u PGPASSWORD -u PGDATA -u LANGUAGE -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
			HOME="$WORK/home" LC_ALL=C.UTF-8 TZ=UTC PSQLRC=/dev/null PATH="$PGBIN:$PATH" \
			"$@" </dev/null
	)
}

# make_workdir NAME: sets WORK to a new temporary folder of our own.  Its
# path stays short because a unix socket's path may have 107 bytes.
make_workdir() {
	local parent=${TMPDIR:-/tmp}
	[ ${#parent} -le 50 ] || parent=/tmp
	SERVER_USER=$(server_user)
	WORK=$(mktemp -d "$parent/idflow-$1.XXXXXX")
	chmod 755 "$WORK"
	mkdir "$WORK/home"
	own "$WORK" "$WORK/home"
}

# own FILE...: hand over to the server's user what it must write.
own() { [ "$(id -u)" != 0 ] || chown -R "$SERVER_USER" "$@"; }

# ------------------------------------------------------------ build

# pg_major FILE: the major version of that pg_config's server.
pg_major() {
	"$1" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/'
}

# build_copy: builds the extension for PG_CONFIG in a copy of the sources and
# prints the copy's folder, so that neither root's objects nor those of
# another server version get into the work tree.  The copy is kept between
# runs where that is possible; only what changed is compiled again.
build_copy() {
	local major dir
	major=$(pg_major "$PG_CONFIG")
	dir=$ROOT/tmp_check/build-$major
	if ! mkdir -p "$dir/src" 2>/dev/null || [ ! -w "$dir/src" ]; then
		dir=$WORK/build
		mkdir -p "$dir/src"
	fi
	# Sources that are gone must go; objects and generated files stay.
	find "$dir" -type f ! -name '*.o' ! -name '*.so' ! -path '*/src/generated/*' ! -name 'idflow--*.sql' -delete
	(cd "$ROOT" && tar -cf - --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude=generated \
		Makefile idflow.control src tools "$([ -d workflows ] && echo workflows || echo LICENSE)") | tar -C "$dir" -xpf - --no-same-owner
	local stamp=$dir/flags.stamp flags
	flags="$("$PG_CONFIG" --version) $("$PG_CONFIG" --includedir-server)"
	if [ "$(cat "$stamp.kept" 2>/dev/null)" != "$flags" ]; then
		find "$dir" \( -name '*.o' -o -name '*.so' \) -delete
	fi
	make -C "$dir" -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" with_llvm=no all >&2 </dev/null
	printf '%s\n' "$flags" >"$stamp.kept"
	if [ "$(id -u)" = 0 ]; then
		chown -R --reference="$ROOT/Makefile" "$ROOT/tmp_check" 2>/dev/null || true
	fi
	printf '%s\n' "$dir"
}

# copy_server PG_CONFIG FOLDER: a private copy of the server's tree, keeping
# the relative layout, by which its programs find each other.  Prints the
# copy's pg_config.  Tests may then install into it and break it.
copy_server() {
	local config=$1 dest=$2 dir
	for dir in "$("$config" --bindir)" "$("$config" --pkglibdir)" "$("$config" --sharedir)"; do
		mkdir -p "$dest$dir"
		tar -C "$dir" -cf - --exclude=./bitcode --exclude=./man --exclude=./doc . | tar -C "$dest$dir" -xpf -
	done
	for dir in "$("$config" --pkgincludedir)" "$("$config" --includedir-server)"; do
		if [ ! -e "$dest$dir" ]; then
			mkdir -p "$(dirname "$dest$dir")"
			ln -s "$dir" "$dest$dir"
		fi
	done
	printf '%s%s/pg_config\n' "$dest" "$("$config" --bindir)"
}

# install_private: builds, copies the server and installs into the copy.
# Sets PG_CONFIG, PGBIN and BUILD.
install_private() {
	say "building for $("$PG_CONFIG" --version)"
	BUILD=$(build_copy)
	PG_CONFIG=$(copy_server "$PG_CONFIG" "$WORK/pg")
	PGBIN=$("$PG_CONFIG" --bindir)
	case $PGBIN in
		"$WORK"/*) ;;
		*) die "the copied pg_config still points to $PGBIN: this PostgreSQL is not relocatable" ;;
	esac
	make -C "$BUILD" -s PG_CONFIG="$PG_CONFIG" with_llvm=no install >/dev/null </dev/null
	own "$WORK/pg"
}

# ------------------------------------------------------------ private cluster

# start_cluster [SETTING...]: a cluster of its own in WORK, reached by a unix
# socket in a folder that only its user may enter: no TCP port is taken, and
# none that runs is touched.  Sets PGSOCKET and PGPORT_PRIVATE.
start_cluster() {
	PGSOCKET=$WORK/socket
	PGPORT_PRIVATE=5432
	as_server mkdir -p "$PGSOCKET"
	as_server chmod 700 "$PGSOCKET"
	as_server initdb -D "$WORK/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >"$WORK/initdb.log" 2>&1 ||
		{ cat "$WORK/initdb.log" >&2; die "initdb failed"; }
	{
		printf "listen_addresses = ''\nport = %s\nunix_socket_directories = '%s'\n" "$PGPORT_PRIVATE" "$PGSOCKET"
		printf "lc_messages = 'C.UTF-8'\njit = off\n"
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >"$WORK/private.conf"
	own "$WORK/private.conf"
	as_server sh -c "cat '$WORK/private.conf' >>'$WORK/data/postgresql.conf'"
	as_server pg_ctl -D "$WORK/data" -l "$WORK/home/server.log" -w -t 60 start >/dev/null ||
		{ tail -n 30 "$WORK/home/server.log" >&2; die "the private cluster did not start"; }
}

stop_cluster() {
	[ -z "${WORK:-}" ] || [ ! -f "$WORK/data/postmaster.pid" ] ||
		as_server pg_ctl -D "$WORK/data" -m "${1:-fast}" -w -t 60 stop >/dev/null 2>&1 || true
}

# sql DATABASE [PSQL OPTION...]: psql on the private cluster as its superuser.
sql() {
	local db=$1
	shift
	as_server psql -X -q -v ON_ERROR_STOP=1 -h "$PGSOCKET" -p "$PGPORT_PRIVATE" -U postgres -d "$db" "$@"
}
