#!/bin/bash
# Formats src/ as PostgreSQL formats itself, with the pgindent of a PostgreSQL
# source tree of version 16 or later: no package has it, and nothing else comes
# close enough.
#
# usage: PGSRC=~/src/postgresql make format
#        PGSRC=~/src/postgresql tools/format.sh --check    (tells, changes nothing)
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -n "${PGSRC:-}" ] || die "set PGSRC to a PostgreSQL source tree, 16 or later"
[ -f "$PGSRC/src/tools/pg_bsd_indent/indent.c" ] || die "$PGSRC: no src/tools/pg_bsd_indent there"
PG_CONFIG=$(find_pg_config) || die "no PostgreSQL with development files is found"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O1 -w -I"$("$PG_CONFIG" --includedir-server)" -I"$PGSRC/src/tools/pg_bsd_indent" \
	"$PGSRC"/src/tools/pg_bsd_indent/*.c -o "$dir/pg_bsd_indent" \
	-L"$("$PG_CONFIG" --pkglibdir)" -L"$("$PG_CONFIG" --libdir)" -lpgcommon -lpgport -lm

# PostgreSQL's own type names, and ours.
cd "$ROOT"
{
	cat "$PGSRC/src/tools/pgindent/typedefs.list"
	sed -n 's/^} \([A-Za-z_0-9]*\);$/\1/p; s/^typedef .* \**\([A-Za-z_0-9]*\);$/\1/p' src/*.c src/*.h
} | sort -u >"$dir/typedefs"
PGINDENT="$dir/pg_bsd_indent" perl "$PGSRC/src/tools/pgindent/pgindent" --typedefs="$dir/typedefs" "$@" src/*.c src/*.h
