#!/bin/bash
# Runs every test against a private copy of the server and a private cluster
# in a temporary folder, and ends with one line "N passed, M failed".
#
# TESTS="gate actor"   only the tests of these names (regress, spec or TAP)
# KEEP=1               leave the temporary folder
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_pg_config

passed=0
failed=0
skipped=0
bad=()
SECONDS=0
results=

cleanup() {
	local status=$?
	stop_cluster immediate
	if [ -n "${WORK:-}" ]; then
		if [ -n "${KEEP:-}" ]; then
			say "kept: $WORK"
		else
			rm -rf "$WORK"
		fi
	fi
	return "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

make_workdir check
install_private

# What a reader of a failure wants to see afterwards is kept in the work tree,
# where that can be written.
results=$ROOT/tmp_check/results
if rm -rf "$results" 2>/dev/null && mkdir -p "$results" 2>/dev/null; then
	[ "$(id -u)" != 0 ] || chown --reference="$ROOT/Makefile" "$ROOT/tmp_check" "$results" 2>/dev/null || true
else
	results=$WORK/home
	KEEP=${KEEP:-1}
fi

# The server's user need not be able to read the work tree.
mkdir "$WORK/src"
(
	cd "$ROOT"
	for part in bin sql expected test workflows demo doc README.md CONTRIBUTING.md; do
		[ ! -e "$part" ] || printf '%s\0' "$part"
	done | tar --null -T - -cf -
) | tar -C "$WORK/src" -xpf - --no-same-owner
chmod -R a+rX "$WORK/src"
own "$WORK/src"

pass() { passed=$((passed + ${1:-1})); }
fail() {
	failed=$((failed + 1))
	bad+=("$1")
}
wanted() {
	local name
	[ -n "${TESTS:-}" ] || return 0
	for name in $TESTS; do
		case $1 in "$name" | [0-9][0-9][0-9]_"$name") return 0 ;; esac
	done
	return 1
}

# count KIND FILE: pg_regress says "test name ... ok" up to 15 and speaks TAP
# from 16 on.
count() {
	local line name
	while IFS= read -r line; do
		if [[ $line =~ ^(test)?[[:space:]]+([A-Za-z0-9_-]+)[[:space:]]+\.\.\.[[:space:]]+(ok|FAILED|failed) ]]; then
			name=${BASH_REMATCH[2]}
			if [ "${BASH_REMATCH[3]}" = ok ]; then pass; else fail "$1 $name"; fi
		elif [[ $line =~ ^(not )?ok[[:space:]]+[0-9]+[[:space:]]+[-+][[:space:]]+([A-Za-z0-9_-]+) ]]; then
			name=${BASH_REMATCH[2]}
			if [ -z "${BASH_REMATCH[1]}" ]; then pass; else fail "$1 $name"; fi
		fi
	done <"$2"
}

# run_regress KIND PROGRAM INPUT SCHEDULE OPTION...
run_regress() {
	local kind=$1 program=$2 input=$3 schedule=$4 before=$((passed + failed)) failed_before=$failed status=0
	local out=$WORK/home/$kind
	shift 4
	as_server mkdir -p "$out"
	as_server "$program" --bindir="$PGBIN" --host="$PGSOCKET" --port="$PGPORT_PRIVATE" --user=postgres \
		--inputdir="$input" --outputdir="$out" --schedule="$schedule" "$@" >"$WORK/$kind.out" 2>&1 || status=$?
	cat "$WORK/$kind.out"
	count "$kind" "$WORK/$kind.out"
	[ "$status" = 0 ] || [ "$failed" -gt "$failed_before" ] || fail "$kind: pg_regress ended with status $status"
	[ $((passed + failed)) -gt "$before" ] || fail "$kind: no result could be read"
	if [ "$failed" -gt "$failed_before" ]; then
		if [ -s "$out/regression.diffs" ]; then
			say "---- $kind: the last 200 lines of regression.diffs"
			tail -n 200 "$out/regression.diffs"
			cp "$out/regression.diffs" "$results/$kind.diffs" 2>/dev/null || true
		fi
		cp -R "$out/results" "$results/$kind" 2>/dev/null || true
		say "---- $kind: the last 40 lines of the server's log"
		tail -n 40 "$WORK/home/server.log"
		cp "$WORK/home/server.log" "$results/$kind-server.log" 2>/dev/null || true
	fi
}

# ------------------------------------------------------------ what there is

cd "$WORK/src"
shopt -s nullglob

# Every file is a test, in alphabetical order; one without an expected output
# is a failure, not a test less.
regress=$WORK/regress.schedule
: >"$regress"
for file in sql/*.sql; do
	name=$(basename "$file" .sql)
	[ -f "expected/$name.out" ] || [ -f "expected/${name}_1.out" ] || fail "expected/$name.out does not exist"
	! wanted "$name" || printf 'test: %s\n' "$name" >>"$regress"
done

specs=$WORK/isolation.schedule
: >"$specs"
for file in test/specs/*.spec; do
	name=$(basename "$file" .spec)
	[ -f "test/expected/$name.out" ] || [ -f "test/expected/${name}_1.out" ] || fail "test/expected/$name.out does not exist"
	! wanted "$name" || printf 'test: %s\n' "$name" >>"$specs"
done

taps=()
for file in test/t/*.pl; do
	! wanted "$(basename "$file" .pl)" || taps+=("$file")
done

# What drives the table from outside is kept between runs like the build, where
# that is possible, and copied where the server's user can't read it.
clients=
if wanted 010_clients && [ -f test/t/010_clients.pl ]; then
	clients=$ROOT/tmp_check/clients
	if ! mkdir -p "$clients" 2>/dev/null || [ ! -w "$clients" ]; then
		clients=$WORK/clients
		mkdir "$clients"
	fi
	"$ROOT/tools/clients.sh" "$clients"
	[ "$(id -u)" != 0 ] || chown -R --reference="$ROOT/Makefile" "$clients" 2>/dev/null || true
	if ! as_server test -r "$clients/missing"; then
		cp -R "$clients" "$WORK/clients"
		clients=$WORK/clients
	fi
fi

# pg_cron goes into the copy of the server, not onto the machine.
if wanted 016_cron && [ ! -e "$("$PG_CONFIG" --sharedir)/extension/pg_cron.control" ] && command -v apt-get >/dev/null; then
	package=postgresql-$(pg_major "$PG_CONFIG")-cron
	mkdir "$WORK/cron"
	(
		cd "$WORK/cron"
		apt-get -q -o APT::Sandbox::User=root download "$package" ||
			{ [ "$(id -u)" = 0 ] && apt-get -q -o DPkg::Lock::Timeout=120 update &&
				apt-get -q -o APT::Sandbox::User=root download "$package"; }
		dpkg-deb -x ./*.deb "$WORK/pg"
	) >"$WORK/cron.log" 2>&1 </dev/null || say "pg_cron is left out: apt-get can't get $package"
	own "$WORK/pg"
fi

# ------------------------------------------------------------ run

testdir=$(pgxs_test_dir "$PG_CONFIG")

if [ -s "$regress" ] || [ -s "$specs" ]; then
	start_cluster 'fsync = off' 'full_page_writes = off' 'max_prepared_transactions = 10' \
		'autovacuum_naptime = 1h' "log_line_prefix = '%m [%p] %q%a '" 'log_lock_waits = on'
	if [ -s "$regress" ]; then
		say "== pg_regress"
		run_regress regress "$testdir/regress/pg_regress" "$WORK/src" "$regress" --dbname=contrib_regression
	fi
	if [ -s "$specs" ]; then
		say "== isolation"
		if [ -x "$testdir/isolation/pg_isolation_regress" ]; then
			run_regress isolation "$testdir/isolation/pg_isolation_regress" "$WORK/src/test" "$specs" \
				--dbname=isolation_regression --load-extension=idflow
		else
			fail "this PostgreSQL ships no pg_isolation_regress"
		fi
	fi
	if grep -n 'PANIC\|TRAP\|terminated by signal' "$WORK/home/server.log" >"$WORK/crashes"; then
		cat "$WORK/crashes"
		fail "the server crashed; see its log"
	fi
	stop_cluster
fi

if [ ${#taps[@]} -gt 0 ]; then
	say "== TAP"
	if [ -f "$testdir/perl/PostgreSQL/Test/Cluster.pm" ]; then
		as_server mkdir -p "$WORK/home/tap/log" "$WORK/home/tmp"
		for file in "${taps[@]}"; do
			name=$(basename "$file" .pl)
			started=$SECONDS
			status=0
			as_server env PERL5LIB="$testdir/perl:$WORK/src/test/t" PG_REGRESS="$testdir/regress/pg_regress" \
				TMPDIR="$WORK/home/tmp" TESTDIR="$WORK/home/tap" TESTDATADIR="$WORK/home/tap/tmp_check" TESTLOGDIR="$WORK/home/tap/log" \
				IDFLOW_SOURCE="$WORK/src" IDFLOW_CLIENTS="$clients" PGPORT=5432 PG_TEST_TIMEOUT_DEFAULT="${PG_TEST_TIMEOUT_DEFAULT:-120}" \
				perl "$WORK/src/$file" >"$WORK/tap.out" 2>"$WORK/tap.err" || status=$?
			# What was skipped did not pass; it is shown.
			good=$(grep -c '^ok [^#]*$' "$WORK/tap.out" || true)
			grep '^ok .*# skip' "$WORK/tap.out" || true
			skipped=$((skipped + $(grep -c '^ok .*# skip' "$WORK/tap.out" || true)))
			failed_before=$failed
			while IFS= read -r line; do
				fail "$name: $line"
			done < <(grep '^not ok ' "$WORK/tap.out" | grep -v '# TODO' || true)
			pass "$good"
			# A test that dies has no "not ok" line to show for it.
			if [ "$status" != 0 ] && [ "$failed" = "$failed_before" ]; then
				fail "$name: ended with status $status after $good tests"
			elif [ "$good" = 0 ] && [ "$failed" = "$failed_before" ] && ! grep -q '^1..0 # SKIP' "$WORK/tap.out"; then
				fail "$name: ran no test"
			fi
			say "$name: $good ok, $((failed - failed_before)) failed, $((SECONDS - started)) s$(sed -n 's/^1..0 # SKIP/, skipped:/p' "$WORK/tap.out")"
			# A crashed backend that a test did not notice is a failure all the same,
			# but for what a test kills itself.
			killed='^$'
			if grep -q "kill 'KILL'" "$WORK/src/$file"; then
				killed='terminated by signal 9'
			fi
			if grep -hs 'TRAP\|terminated by signal' \
				"$WORK"/home/tap/tmp_check/log/"$name"*.log "$WORK"/home/tap/log/"$name"*.log | grep -v "$killed"; then
				fail "$name: a server process crashed"
			fi
			if [ "$failed" -gt "$failed_before" ]; then
				grep -v '^ok ' "$WORK/tap.out" | tail -n 60 || true
				tail -n 60 "$WORK/tap.err"
				mkdir -p "$results/tap-$name" 2>/dev/null || true
				cp "$WORK/tap.out" "$WORK/tap.err" "$results/tap-$name" 2>/dev/null || true
				for log in "$WORK"/home/tap/tmp_check/log/* "$WORK"/home/tap/log/*; do
					case $(basename "$log") in "$name"*)
						cp "$log" "$results/tap-$name" 2>/dev/null || true
						case $log in *.log)
							say "---- the last 20 lines of $(basename "$log")"
							tail -n 20 "$log"
							;;
						esac
						;;
					esac
				done
			fi
			rm -rf "$WORK"/home/tap/tmp_check/t_"$name"*
		done
	else
		fail "this PostgreSQL ships no PostgreSQL::Test::Cluster beside PGXS: the TAP tests cannot run"
	fi
fi

# ------------------------------------------------------------ tell

[ "$(id -u)" != 0 ] || chown -R --reference="$ROOT/Makefile" "$results" 2>/dev/null || true
say
for line in "${bad[@]}"; do say "failed: $line"; done
say "$("$PG_CONFIG" --version), $SECONDS s"
say "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
