#!/bin/bash
# Runs pg_regress tests with the server under valgrind, on a PostgreSQL built
# from source with assertions.  Takes half an hour and more, so it is not part
# of make check.
#
# usage: tools/valgrind.sh PGSRC [TEST...]
#        PGSRC   a PostgreSQL source tree of a release, 15 to 18
#        TEST    names of sql/*.sql; all of them where none is given
#
# The server is built once, into ASSERT_PREFIX (~/.cache/idflow/assert-MAJOR).
# "make check PG_CONFIG=ASSERT_PREFIX/bin/pg_config" runs every test on it,
# with assertions but without valgrind.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

source=${1:?usage: tools/valgrind.sh PGSRC [TEST...]}
shift
command -v valgrind >/dev/null || die "install valgrind first"
[ -f "$source/src/tools/valgrind.supp" ] || die "$source is no PostgreSQL source tree"
source=$(cd "$source" && pwd)
major=$(sed -n "s/^PACKAGE_VERSION='\([0-9]*\).*/\1/p" "$source/configure")
prefix=${ASSERT_PREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/idflow/assert-$major}

cleanup() {
	local status=$?
	stop_cluster immediate
	[ -z "${WORK:-}" ] || rm -rf "$WORK"
	return "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
make_workdir valgrind

if [ ! -x "$prefix/bin/postgres" ]; then
	say "building PostgreSQL $major with assertions into $prefix"
	mkdir -p "$WORK/server"
	# Building beside the sources leaves them as they are.
	(
		cd "$WORK/server"
		"$source/configure" --prefix="$prefix" --enable-cassert --enable-debug --enable-tap-tests --with-libxml \
			--without-readline --without-icu CFLAGS='-O1 -g -fno-omit-frame-pointer' CPPFLAGS=-DUSE_VALGRIND
		make -s -j"$(nproc)" install
		make -s -C src/test/isolation install
		make -s -C contrib install
	) >"$WORK/server.log" 2>&1 || { tail -n 30 "$WORK/server.log"; die "PostgreSQL did not build"; }
fi

PG_CONFIG=$prefix/bin/pg_config
install_private
start=${VALGRIND_START:-240}
SERVER_LOG=$WORK/home/server.log
logs=$WORK/home/valgrind
as_server mkdir -p "$logs"

# start_cluster makes the cluster with the plain server; valgrind then runs it.
start_cluster 'fsync = off' 'max_connections = 20' 'autovacuum = off' "log_line_prefix = '%m [%p] %q%a '"
stop_cluster fast
as_server valgrind --quiet --trace-children=yes --leak-check=no --track-origins=yes --read-var-info=no --error-limit=no \
	--num-callers=30 --suppressions="$source/src/tools/valgrind.supp" --error-markers=VALGRINDERROR-BEGIN,VALGRINDERROR-END \
	--log-file="$logs/%p.log" "$PGBIN/postgres" -D "$WORK/data" >>"$SERVER_LOG" 2>&1 &
for ((i = 0; i < start; i++)); do
	! sql postgres -c 'SELECT 1' >/dev/null 2>&1 || break
	sleep 1
done
sql postgres -c 'SELECT 1' >/dev/null || die "the server under valgrind did not start within $start s"

mkdir "$WORK/src"
cp -R "$ROOT/sql" "$ROOT/expected" "$WORK/src"
chmod -R a+rX "$WORK/src"
own "$WORK/src"
if [ $# -eq 0 ]; then
	for file in "$ROOT"/sql/*.sql; do set -- "$@" "$(basename "$file" .sql)"; done
fi
as_server mkdir -p "$WORK/home/out"
status=0
as_server "$(pgxs_test_dir "$PG_CONFIG")/regress/pg_regress" --bindir="$PGBIN" --host="$PGSOCKET" --port="$PGPORT_PRIVATE" \
	--user=postgres --inputdir="$WORK/src" --outputdir="$WORK/home/out" --dbname=contrib_regression "$@" || status=$?
stop_cluster fast
[ "$status" = 0 ] || tail -n 200 "$WORK/home/out/regression.diffs"

errors=$(cat "$logs"/*.log 2>/dev/null | grep -c VALGRINDERROR-BEGIN || true)
if [ "$errors" != 0 ]; then
	cat "$logs"/*.log | sed -n '/VALGRINDERROR-BEGIN/,/VALGRINDERROR-END/p' | head -n 300
fi
say "valgrind: $errors errors; pg_regress ended with status $status"
[ "$errors" = 0 ] && [ "$status" = 0 ]
