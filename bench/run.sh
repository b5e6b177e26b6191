#!/bin/bash
# The request-and-approve cycle of idflow beside the least that two commits can
# cost (limit) and beside hand-written PL/pgSQL, on a private cluster.  The
# three take turns within every repeat; medians of the repeats are printed.
# Only ratios carry over from one machine, or day, to the next.
#
# BENCH_SECONDS=3               length of a request or cycle cell
# BENCH_REPEATS=3
# BENCH_CLIENTS="1 8"
# BENCH_PHASES="request approve cycle pass bulk client"
# BENCH_COMPETITORS="limit plpgsql idflow"
# BENCH_ROWS=20000              rows of a pass-through statement
# BENCH_BULK=100000             rows of a bulk statement
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/lib.sh
. "$HERE/../tools/lib.sh"

seconds=${BENCH_SECONDS:-3}
repeats=${BENCH_REPEATS:-3}
read -r -a clients <<<"${BENCH_CLIENTS:-1 8}"
phases=" ${BENCH_PHASES:-request approve cycle pass bulk client} "
read -r -a competitors <<<"${BENCH_COMPETITORS:-limit plpgsql idflow}"
rows=${BENCH_ROWS:-20000}
bulk=${BENCH_BULK:-100000}

need_pg_config
cleanup() {
	local status=$?
	stop_cluster immediate
	[ -z "${WORK:-}" ] || rm -rf "$WORK"
	return "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

make_workdir bench
install_private
start_cluster 'shared_buffers = 512MB' 'max_wal_size = 4GB' 'checkpoint_timeout = 30min' 'max_connections = 50' \
	'max_parallel_workers_per_gather = 0' 'autovacuum_naptime = 10s'
cp -R "$HERE" "$WORK/bench"
chmod -R a+rX "$WORK/bench"
mkdir "$WORK/scripts"
sql postgres -c "CREATE TABLE cell (phase text, clients int, competitor text, repeat int, value float8)"

# pgbench's variables: uid is unique over the whole run, the approver is one of
# the ten thousand managers, the requester his neighbour.
prelude='\set n :n + 1
\set uid :run * 100000000 + :client_id * 5000000 + :n
\set mgr random(1, 10000)
\set req 1 + :mgr % 10000
'
pooled='\set i :k * :nclients + :client_id + 1
\set k :k + 1
SELECT task, mgr FROM bench_pool WHERE i = :i \gset
'

cell=0
# pgbench_cell DATABASE SCRIPT CLIENTS OPTION...: prints transactions a second
pgbench_cell() {
	local db=$1 script=$2 n=$3 out
	shift 3
	out=$(as_server env PGOPTIONS="${PGBENCH_OPTIONS:-}" pgbench -h "$PGSOCKET" -p "$PGPORT_PRIVATE" -U postgres -n -M prepared -c "$n" -j "$((n < 2 ? n : 2))" \
		-D n=0 -D k=0 -D run="$cell" -D nclients="$n" -D task=0 -D rows="$rows" -f "$script" "$@" "$db" 2>"$WORK/pgbench.err") ||
		{ cat "$WORK/pgbench.err" >&2; die "pgbench failed in $db"; }
	! grep -q aborted "$WORK/pgbench.err" || { cat "$WORK/pgbench.err" >&2; die "pgbench failed in $db"; }
	sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$out"
}

record() { # PHASE CLIENTS COMPETITOR REPEAT VALUE
	sql postgres -c "INSERT INTO cell VALUES ('$1', $2, '$3', $4, $5)"
	printf '%-8s %2s clients  repeat %s  %-8s %12.1f\n' "$1" "$2" "$4" "$3" "$5" >&2
}

scripts=$WORK/scripts
for c in "${competitors[@]}"; do
	sql postgres -c "CREATE DATABASE bench_$c"
	sql "bench_$c" -f "$WORK/bench/schema.sql" -f "$WORK/bench/$c/setup.sql" >/dev/null
	{ printf '%s' "$prelude"; cat "$HERE/$c/request.sql"; } >"$scripts/$c-request"
	{ printf '%s' "$pooled"; cat "$HERE/$c/approve.sql"; } >"$scripts/$c-approve"
	{ printf '%s' "$prelude"; cat "$HERE/$c/request.sql" "$HERE/$c/task.sql" "$HERE/$c/approve.sql"; } >"$scripts/$c-cycle"
done
chmod -R a+rX "$scripts"

cells() {
	local repeat n c phase count value
	for ((repeat = 1; repeat <= repeats; repeat++)); do
		for n in "${clients[@]}"; do
			for phase in request approve cycle; do
				case $phases in *" $phase "*) ;; *) continue ;; esac
				for c in "${competitors[@]}"; do
					cell=$((cell + 1))
					if [ "$phase" = approve ]; then
						# A fixed number of approvals, of tasks asked for beforehand.
						count=$((1000 * seconds / n * n))
						pgbench_cell "bench_$c" "$scripts/$c-request" 8 -t "$((count / 8 + 1))" >/dev/null
						sql "bench_$c" -c "DROP TABLE IF EXISTS bench_pool" -c "CREATE TABLE bench_pool AS
							SELECT row_number() OVER (ORDER BY task DESC) AS i, task, mgr FROM ($(cat "$HERE/$c/pool.sql")) p" \
							-c "CREATE UNIQUE INDEX ON bench_pool (i) INCLUDE (task, mgr)" -c "VACUUM ANALYZE bench_pool" 2>/dev/null
						value=$(pgbench_cell "bench_$c" "$scripts/$c-approve" "$n" -t "$((count / n))")
					else
						value=$(pgbench_cell "bench_$c" "$scripts/$c-$phase" "$n" -T "$seconds")
					fi
					record "$phase" "$n" "$c" "$repeat" "$value"
				done
			done
		done
		for c in "${competitors[@]}"; do sql "bench_$c" -c "VACUUM ANALYZE"; done
		sql postgres -c CHECKPOINT
	done
}

# A row that the gate's WHEN excludes, beside a plain trigger with the same
# WHEN.  The statements are rolled back and take turns many times, because the
# difference looked for is smaller than the machine's noise.
pass_through() {
	local turn order c op value
	for c in trigger idflow; do
		sql postgres -c "CREATE DATABASE bench_pass_$c"
		sql "bench_pass_$c" -f "$WORK/bench/schema.sql" -f "$WORK/bench/passthrough/$c.sql" >/dev/null
		# The library is loaded by what uses it; measure rows, not loading.
	done
	for op in insert update; do
		for ((turn = 0; turn <= repeats * 6; turn++)); do
			order='trigger idflow'
			[ $((turn % 2)) = 0 ] || order='idflow trigger'
			for c in $order; do
				value=$(pgbench_cell "bench_pass_$c" "$WORK/bench/passthrough/$op.sql" 1 -t 5)
				# The first turn fills caches.
				[ "$turn" = 0 ] || sql postgres -c "INSERT INTO cell VALUES ('pass $op', 1, '$c', $turn, $value)"
			done
			for c in $order; do sql "bench_pass_$c" -c "VACUUM hr.person"; done
		done
	done
}

# One statement of many rows: written at once, beside drafted and then approved.
# Each of the three is a transaction; the rows are deleted before the next turn.
bulk_rows() {
	local turn order c phase value
	for c in plain idflow; do
		sql postgres -c "CREATE DATABASE bench_bulk_$c"
		sql "bench_bulk_$c" -f "$WORK/bench/schema.sql" >/dev/null
	done
	sql bench_bulk_idflow -f "$WORK/bench/bulk/setup.sql" >/dev/null
	for ((turn = 0; turn <= repeats * 2; turn++)); do
		order='plain idflow'
		[ $((turn % 2)) = 0 ] || order='idflow plain'
		for c in $order; do
			for phase in insert approve; do
				[ "$c-$phase" != plain-approve ] || continue
				value=$(rows=$bulk PGBENCH_OPTIONS="-c session_preload_libraries=idflow -c idflow.notice=off -c idflow.actor=$([ $phase = insert ] && echo joe || echo ann)" \
					pgbench_cell "bench_bulk_$c" "$WORK/bench/bulk/$phase.sql" 1 -t 1)
				[ "$turn" = 0 ] || sql postgres -c "INSERT INTO cell VALUES ('bulk $phase', 1, '$c', $turn, $value)"
			done
			[ "$(sql "bench_bulk_$c" -At -c "SELECT count(*) - 10000 FROM hr.person")" = "$bulk" ] || die "bulk: not all rows are there"
			sql "bench_bulk_$c" -f "$WORK/bench/bulk/clean.sql" -c "VACUUM hr.person" -c CHECKPOINT
		done
	done
}

# What the library in the session costs a statement that no gate touches, and
# what counting and returning costs one that is drafted.  Single statements, as
# a client sends them, in turns as above.
client_side() {
	local turn order how op options count value
	sql postgres -c "CREATE DATABASE bench_client"
	sql bench_client -f "$WORK/bench/schema.sql" -f "$WORK/bench/client/setup.sql" >/dev/null
	for op in select insert update gated gated_returning; do
		count=3000
		case $op in gated*) count=600 ;; esac
		for ((turn = 0; turn <= repeats * 6; turn++)); do
			order='without with'
			[ $((turn % 2)) = 0 ] || order='with without'
			for how in $order; do
				case $op-$how in
					gated*-without) options='-c session_preload_libraries=idflow -c idflow.count_drafts=off' ;;
					*-with) options='-c session_preload_libraries=idflow' ;;
					*) options='' ;;
				esac
				cell=$((cell + 1))
				value=$(PGBENCH_OPTIONS="$options -c idflow.notice=off" \
					pgbench_cell bench_client "$WORK/bench/client/$op.sql" 1 -t "$count")
				[ "$turn" = 0 ] || sql postgres -c "INSERT INTO cell VALUES ('client $op', 1, '$how', $turn, $value)"
			done
		done
	done
}

case "$phases" in *' request '* | *' approve '* | *' cycle '*) cells ;; esac
case "$phases" in *' pass '*) pass_through ;; esac
case "$phases" in *' bulk '*) bulk_rows ;; esac
case "$phases" in *' client '*) client_side ;; esac

# ------------------------------------------------------------ tell

table() { sql postgres -At -F ' | ' -c "$1" | sed 's/^/| /; s/$/ |/'; }

say
say "$(as_server postgres --version), $(nproc) cores, medians of $repeats repeats of $seconds s, ± half the range"
case "$phases" in *' request '* | *' approve '* | *' cycle '*)
	say
	say "| phase | clients | limit /s | PL/pgSQL /s | idflow /s | idflow : PL/pgSQL | limit : PL/pgSQL | idflow : limit |"
	say "|---|--:|--:|--:|--:|--:|--:|--:|"
	# A ratio is the median of the repeats' ratios: neighbours in time compare best.
	table "
	WITH m AS (
		SELECT phase, clients, competitor, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS v, (max(value) - min(value)) / 2 AS half
		FROM cell WHERE phase NOT LIKE 'pass%' GROUP BY 1, 2, 3
	), r AS (
		SELECT phase, clients, repeat, max(value) FILTER (WHERE competitor = 'idflow') AS i,
			max(value) FILTER (WHERE competitor = 'plpgsql') AS p, max(value) FILTER (WHERE competitor = 'limit') AS l
		FROM cell WHERE phase NOT LIKE 'pass%' GROUP BY 1, 2, 3
	), q AS (
		SELECT phase, clients, percentile_cont(0.5) WITHIN GROUP (ORDER BY i / p) AS ip,
			percentile_cont(0.5) WITHIN GROUP (ORDER BY l / p) AS lp, percentile_cont(0.5) WITHIN GROUP (ORDER BY i / l) AS il
		FROM r GROUP BY 1, 2
	)
	SELECT phase, clients,
		coalesce(max(round(v::numeric) || ' ± ' || round(half::numeric)) FILTER (WHERE competitor = 'limit'), '-'),
		coalesce(max(round(v::numeric) || ' ± ' || round(half::numeric)) FILTER (WHERE competitor = 'plpgsql'), '-'),
		coalesce(max(round(v::numeric) || ' ± ' || round(half::numeric)) FILTER (WHERE competitor = 'idflow'), '-'),
		coalesce(round(ip::numeric, 2)::text, '-'), coalesce(round(lp::numeric, 2)::text, '-'), coalesce(round(il::numeric, 2)::text, '-')
	FROM m JOIN q USING (phase, clients)
	GROUP BY phase, clients, ip, lp, il
	ORDER BY array_position('{request,approve,cycle}', phase), clients"
	;;
esac
case "$phases" in *' pass '*)
	say
	say "| pass-through of rows that WHEN excludes | trigger, ms | gate, ms | gate : trigger |"
	say "|---|--:|--:|--:|"
	table "
	SELECT replace(phase, 'pass ', '') || CASE phase WHEN 'pass insert' THEN ' of $rows rows' ELSE ' of 10000 rows' END,
		round((1000 / percentile_cont(0.5) WITHIN GROUP (ORDER BY t))::numeric, 2),
		round((1000 / percentile_cont(0.5) WITHIN GROUP (ORDER BY i))::numeric, 2),
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY t / i))::numeric, 3)
	FROM (SELECT phase, repeat, max(value) FILTER (WHERE competitor = 'trigger') AS t, max(value) FILTER (WHERE competitor = 'idflow') AS i
	      FROM cell WHERE phase LIKE 'pass%' GROUP BY 1, 2) p
	GROUP BY phase ORDER BY phase"
	;;
esac

case "$phases" in *' bulk '*)
	say
	say "| rows of one statement | INSERT without idflow, ms | request, ms | approval, ms | both : INSERT |"
	say "|---|--:|--:|--:|--:|"
	table "
	SELECT $bulk, round((1000 / percentile_cont(0.5) WITHIN GROUP (ORDER BY p))::numeric),
		round((1000 / percentile_cont(0.5) WITHIN GROUP (ORDER BY r))::numeric),
		round((1000 / percentile_cont(0.5) WITHIN GROUP (ORDER BY a))::numeric),
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY p * (1 / r + 1 / a)))::numeric, 2)
	FROM (SELECT repeat, max(value) FILTER (WHERE competitor = 'plain') AS p,
			max(value) FILTER (WHERE competitor = 'idflow' AND phase = 'bulk insert') AS r,
			max(value) FILTER (WHERE competitor = 'idflow' AND phase = 'bulk approve') AS a
	      FROM cell WHERE phase LIKE 'bulk%' GROUP BY 1) p"
	;;
esac

case "$phases" in *' client '*)
	say
	say "| single statements | without, us | with, us | with : without |"
	say "|---|--:|--:|--:|"
	table "
	SELECT CASE phase WHEN 'client select' THEN 'SELECT by key, library not loaded : preloaded'
			WHEN 'client insert' THEN 'INSERT RETURNING, no gate, not loaded : preloaded'
			WHEN 'client update' THEN 'UPDATE by key, no gate, not loaded : preloaded'
			WHEN 'client gated' THEN 'gated INSERT, count_drafts off : on'
			ELSE 'gated INSERT RETURNING, count_drafts off : on' END,
		round((1e6 / percentile_cont(0.5) WITHIN GROUP (ORDER BY o))::numeric, 1),
		round((1e6 / percentile_cont(0.5) WITHIN GROUP (ORDER BY w))::numeric, 1),
		round((percentile_cont(0.5) WITHIN GROUP (ORDER BY o / w))::numeric, 3)
	FROM (SELECT phase, repeat, max(value) FILTER (WHERE competitor = 'without') AS o, max(value) FILTER (WHERE competitor = 'with') AS w
	      FROM cell WHERE phase LIKE 'client%' GROUP BY 1, 2) p
	GROUP BY phase ORDER BY array_position('{client select,client insert,client update,client gated,client gated_returning}', phase)"
	;;
esac

case "$phases" in *' request '* | *' approve '* | *' cycle '*) ;; *) exit 0 ;; esac

# Rates of work that was not done would be worth nothing.
say
wrong=0
for c in "${competitors[@]}"; do
	persons=$(sql "bench_$c" -At -c "SELECT count(*) - 10000 FROM hr.person")
	committed=$(sql "bench_$c" -At -f "$WORK/bench/$c/committed.sql")
	say "$c: $committed requests committed, $persons persons added"
	[ "$persons" = "$committed" ] || wrong=1
done
[ "$wrong" = 0 ] || die "persons and committed requests differ"
