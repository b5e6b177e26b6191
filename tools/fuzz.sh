#!/bin/bash
# Fuzzes the reader of workflow definitions with libFuzzer and AddressSanitizer,
# inside a PostgreSQL backend in single-user mode.  Needs clang with its
# runtime libraries (Debian: clang).  A finding ends it with an error and leaves
# the input behind; "tools/fuzz.sh FILE" runs that input alone.
#
# usage: tools/fuzz.sh [SECONDS | FILE...]	(60 seconds)
#
# It begins with the definitions of workflows/ and test/fuzz/corpus.  What it
# finds worth keeping stays in CORPUS (~/.cache/idflow/fuzz) for the next run.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=60
files=()
case ${1:-} in
	'') ;;
	*[!0-9]*) files=("$@") ;;
	*) seconds=$1 ;;
esac
corpus=${CORPUS:-${XDG_CACHE_HOME:-$HOME/.cache}/idflow/fuzz}
CLANG=${CLANG:-clang}
command -v "$CLANG" >/dev/null || die "install clang first, or say which: CLANG=clang-16"
runtime=$("$CLANG" -print-runtime-dir 2>/dev/null || true)
[ -d "$runtime" ] || runtime=$("$CLANG" -print-resource-dir)/lib/linux
arch=$(uname -m)
for file in "libclang_rt.fuzzer_no_main-$arch.a" "libclang_rt.asan-$arch.so"; do
	[ -f "$runtime/$file" ] || die "$runtime/$file is missing: install clang's runtime libraries"
done
need_pg_config

cleanup() {
	local status=$?
	[ -z "${WORK:-}" ] || rm -rf "$WORK"
	return "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
make_workdir fuzz
PGBIN=$("$PG_CONFIG" --bindir)

say "building for $("$PG_CONFIG" --version) with $("$CLANG" --version | head -n 1)"
mkdir -p "$WORK/src/generated" "$WORK/obj"
sh "$ROOT/tools/embed.sh" "$ROOT/workflows" >"$WORK/src/generated/embedded.h"
flags="-O1 -g -fPIC -fno-omit-frame-pointer -fwrapv -Wno-everything -I$WORK/src -I$ROOT/src -I$ROOT/test/fuzz
	-I$("$PG_CONFIG" --includedir-server) $(pkg-config --cflags libxml-2.0 2>/dev/null || xml2-config --cflags)"
# What reads definitions is watched; the rest of the library is there because it
# is called, and only compiled.
watched='definition*.c element.c template.c expression_parse.c xpath.c'
for file in "$ROOT"/src/*.c "$ROOT/test/fuzz/fuzz_definition.c"; do
	name=$(basename "$file" .c)
	extra=
	# shellcheck disable=SC2254
	for pattern in $watched; do
		case $name.c in
			$pattern) extra="-fsanitize=address,fuzzer-no-link -include $ROOT/test/fuzz/redzone.h" ;;
		esac
	done
	printf '%s\0' "$CLANG $flags $extra -c $file -o $WORK/obj/$name.o"
done | tr '\n\t' '  ' | nice -n 19 xargs -0 -P "$(nproc)" -I{} sh -c '{}'
"$CLANG" -shared -shared-libasan -fsanitize=address -o "$WORK/idflow_fuzz.so" "$WORK"/obj/*.o \
	-Wl,--whole-archive "$runtime/libclang_rt.fuzzer_no_main-$arch.a" -Wl,--no-whole-archive -lxml2 -lstdc++ -lm

mkdir -p "$WORK/corpus" "$WORK/seeds" "$WORK/findings" "$corpus"
cp "$ROOT"/workflows/*.xml "$ROOT"/test/fuzz/corpus/* "$WORK/seeds"
find "$corpus" -type f -exec cp -t "$WORK/corpus" {} +
arguments=("-max_total_time=$seconds" -max_len=20000 -timeout=20 -rss_limit_mb=2500 -handle_segv=0
	-handle_term=0 -handle_int=0 -print_final_stats=1 "-dict=$WORK/dictionary" "-artifact_prefix=$WORK/findings/"
	"$WORK/corpus" "$WORK/seeds")
if [ ${#files[@]} -gt 0 ]; then
	cp "${files[@]}" "$WORK/findings"
	arguments=("$WORK/findings"/*)
fi
# the words of the language
sed -n 's/.*<\(element\|attribute\) name="\([^"]*\)".*/"\2"/p' "$ROOT/workflows/idflow.rng" | sort -u >"$WORK/dictionary"
printf '"<%s "\n' Workflow Activity Filter PointCut ConfigurationFile HomonymEntityLink >>"$WORK/dictionary"
printf '"SQL:"\n"XPath:"\n"Literal:"\n"C#:"\n"_L1="\n"<!--"\n"<![CDATA["\n"&#x"\n"xmlns="\n"/>"\n' >>"$WORK/dictionary"
own "$WORK"

as_server initdb -D "$WORK/data" -U postgres -E UTF8 --locale=C.UTF-8 >"$WORK/initdb.log" 2>&1 ||
	{ cat "$WORK/initdb.log" >&2; die "initdb failed"; }
list=$(printf '"%s",' "${arguments[@]}")
cat >"$WORK/run.sql" <<SQL
CREATE FUNCTION fuzz(text[]) RETURNS void AS '$WORK/idflow_fuzz.so', 'idflow_fuzz_definition' LANGUAGE c;
SELECT fuzz('{${list%,}}');
SQL
status=0
# shellcheck disable=SC2016
as_server nice -n 19 env LD_LIBRARY_PATH="$runtime" \
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:exitcode=77:allow_user_segv_handler=1:verify_asan_link_order=0 \
	timeout $((seconds + 120)) \
	sh -c 'exec postgres --single -D "$1/data" -c fsync=off -c max_stack_depth=6MB postgres <"$1/run.sql"' - "$WORK" \
	>"$WORK/home/fuzz.log" 2>&1 || status=$?
cp "$WORK"/corpus/* "$corpus" 2>/dev/null || true
grep -v '^\(#[0-9]*\s*\(NEW\|REDUCE\|pulse\)\|ManualDict\)' "$WORK/home/fuzz.log" | tail -n 60
if [ ${#files[@]} = 0 ] && compgen -G "$WORK/findings/*" >/dev/null; then
	mkdir -p "$corpus.findings"
	cp "$WORK"/findings/* "$corpus.findings"
	die "there is a finding: $(ls "$corpus.findings")  in $corpus.findings"
fi
grep -q '^Done \|^Executed ' "$WORK/home/fuzz.log" || die "the run did not come to its end (status $status)"
