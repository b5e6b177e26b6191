#!/bin/bash
# Plays the four workflows on an organisation of 10,000 people, in a private
# cluster that is gone afterwards.  As root it installs what is missing and
# installs idflow into the server found; an ordinary user gets a private copy
# of that server instead.
#
# KEEP=1   leave the cluster running and say how to get into it
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_pg_config

cleanup() {
	local status=$?
	if [ -n "${kept:-}" ]; then return "$status"; fi
	stop_cluster fast
	[ -z "${WORK:-}" ] || rm -rf "$WORK"
	return "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

make_workdir demo
if [ -w "$("$PG_CONFIG" --pkglibdir)" ] && [ -w "$("$PG_CONFIG" --sharedir)/extension" ]; then
	say "building for $("$PG_CONFIG" --version)"
	BUILD=$(build_copy)
	PGBIN=$("$PG_CONFIG" --bindir)
	make -C "$BUILD" -s PG_CONFIG="$PG_CONFIG" with_llvm=no install >/dev/null </dev/null
	say "installed into $("$PG_CONFIG" --pkglibdir)"
else
	install_private
	say "installed into a private copy of the server"
fi
start_cluster 'fsync = off' "log_line_prefix = '%m [%p] %q%u@%d '"
cp "$ROOT"/demo/*.sql "$WORK"
chmod a+r "$WORK"/*.sql
sql postgres -c "CREATE DATABASE demo"
sql demo -f "$WORK/organisation.sql" >/dev/null
say "a private cluster runs in $WORK, on a socket of its own"

# psql reads the story from its standard input, so that notices carry no file
# names; its two outputs are one text.
status=0
as_server sh -c "exec psql -X -v ON_ERROR_STOP=1 -h '$PGSOCKET' -p $PGPORT_PRIVATE -U postgres -d demo <'$WORK/play.sql' 2>&1" || status=$?
if [ "$status" != 0 ]; then
	say
	tail -n 20 "$WORK/home/server.log"
	die "the story broke off"
fi

if [ -n "${KEEP:-}" ]; then
	kept=1
	as_user=
	if [ "$(id -u)" = 0 ]; then
		as_user="runuser -u $SERVER_USER -- "
		[ -z "${SUDO_USER:-}" ] || as_user="sudo -u $SERVER_USER "
	fi
	say
	say "The cluster goes on running. Get into it, as the administrator or as the application, with"
	say "    $as_user$PGBIN/psql -h $PGSOCKET -p $PGPORT_PRIVATE -U postgres demo"
	say "    $as_user$PGBIN/psql -h $PGSOCKET -p $PGPORT_PRIVATE -U hr_app demo"
	say "and end it with"
	say "    $as_user$PGBIN/pg_ctl -D $WORK/data stop && ${SUDO_USER:+sudo }rm -rf $WORK"
else
	say
	say "The private cluster is stopped and its folder removed. KEEP=1 leaves it running."
fi
