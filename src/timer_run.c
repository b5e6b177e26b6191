/*-------------------------------------------------------------------------
 *
 * timer_run.c
 *	  Doing what is due.
 *
 * Whoever works on a request locks it before he drops its timers.  So here, too,
 * the request is locked before the timer's row, and without waiting: what
 * somebody else is at is left to the next run.  The locks are held by an outer
 * subtransaction and the work is done in an inner one, so that an error is
 * noted under the lock under which it came about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "campaign.h"
#include "idflow.h"
#include "recount.h"
#include "retention.h"
#include "schedule.h"
#include "subxact.h"
#include "timeout.h"

PG_FUNCTION_INFO_V1(idflow_run_timers);

/* So many tries has a timer, each later than the one before; then it is set aside. */
#define MAX_ATTEMPTS	5

static const struct
{
	const char *kind;
	timer_run_function run;
}			kinds[] = {
	{TIMER_EFFECTIVE, effective_run},
	{TIMER_EXPIRY, expiry_run},
	{TIMER_START, start_run},
	{TIMER_CAMPAIGN, campaign_run},
	{TIMER_RETENTION, retention_run},
	{TIMER_ERASURE, erasure_run},
	{TIMER_TIMEOUT, timeout_run},
	{TIMER_RECOUNT, recount_run},
};

static StorePlan select_due = {
	"SELECT id, request, due_at FROM idflow.timer"
	" WHERE due_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() AND set_aside_at IS NULL"
	" AND ROW(due_at, id) OPERATOR(pg_catalog.>) ROW($2, $3)"
	" ORDER BY due_at, id LIMIT $1",
	3, {INT4OID, TIMESTAMPTZOID, INT8OID}
};

/* looked at again under the lock: somebody may have done it meanwhile */
static StorePlan lock_timer = {
	"SELECT id, kind, request, task, name, due_at, data, attempts FROM idflow.timer"
	" WHERE id OPERATOR(pg_catalog.=) $1 AND set_aside_at IS NULL"
	" AND (due_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() OR NOT $2) FOR UPDATE SKIP LOCKED",
	2, {INT8OID, BOOLOID}
};

static StorePlan end_timer = {
	"DELETE FROM idflow.timer WHERE id OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan move_timer = {
	"UPDATE idflow.timer SET due_at = $2, attempts = 0, error = NULL WHERE id OPERATOR(pg_catalog.=) $1",
	2, {INT8OID, TIMESTAMPTZOID}
};

static StorePlan fail_timer = {
	"UPDATE idflow.timer SET attempts = attempts OPERATOR(pg_catalog.+) 1, error = $2,"
	" due_at = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)"
	"  ('10 seconds'::pg_catalog.interval OPERATOR(pg_catalog.*) (1 OPERATOR(pg_catalog.<<) attempts)),"
	" set_aside_at = CASE WHEN attempts OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.>=) $3"
	"  THEN pg_catalog.clock_timestamp() END"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	3, {INT8OID, TEXTOID, INT4OID}
};

/* Run a statement on a timer; returns whether there was a row. */
static bool
on_row(StorePlan *plan, int64 id, Datum second, Datum third)
{
	Datum		values[3] = {Int64GetDatum(id), second, third};

	return store_finds(plan, values, false);
}

/* Lock a timer that is due, or any, and that nobody else is at; NULL if it isn't to be had. */
static Timer *
take(int64 id, int64 request, bool if_due)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(id), BoolGetDatum(if_due)};
	UserSwitch	save;
	Timer	   *timer = NULL;

	if (request && !request_try_lock(request))
		return NULL;
	store_begin(&save);
	if (store_exec(&lock_timer, values, NULL, false) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		bool		isnull;
		Datum		data;

		timer = palloc0(sizeof(Timer));
		timer->id = id;
		timer->kind = spi_text(row, 2);
		timer->request = spi_int64(row, 3);
		timer->task = spi_int64(row, 4);
		timer->name = spi_text(row, 5);
		timer->due_at = DatumGetTimestampTz(spi_datum(row, 6, &isnull));
		data = spi_datum(row, 7, &isnull);
		timer->data = isnull ? NULL : DatumGetJsonbPCopy(data);
		timer->attempts = spi_int32(row, 8);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return timer;
}

static void
run(Timer *timer)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		TimestampTz next;

		if (strcmp(kinds[i].kind, timer->kind) != 0)
			continue;
		next = kinds[i].run(timer);
		if (next)
			(void) on_row(&move_timer, timer->id, TimestampTzGetDatum(next), (Datum) 0);
		else
			(void) on_row(&end_timer, timer->id, (Datum) 0, (Datum) 0);
		return;
	}
	elog(ERROR, "unknown kind of timer: \"%s\"", timer->kind);
}

/*
 * Did the caller's statement take too long?  It is not cancelled once more, so
 * that this can be noted: where it was not, the same timer would be tried anew
 * each time, before all others, and nothing else would ever be done.
 */
static bool
is_statement_timeout(ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->message_id &&
		strcmp(error->message_id, "canceling statement due to statement timeout") == 0;
}

/*
 * Run a timer that is locked, and note it if it fails.  Returns false if
 * nothing else is to be run.
 */
static bool
attempt(Timer *timer)
{
	ErrorData  *volatile error = NULL;
	SubXact		sub;

	subxact_begin(&sub);
	PG_TRY();
	{
		run(timer);
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		error = subxact_error(&sub);
	}
	PG_END_TRY();
	if (error == NULL)
		return true;
	if ((error->sqlerrcode == ERRCODE_QUERY_CANCELED && !is_statement_timeout(error)) ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN || error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN)
		ReThrowError(error);
	(void) on_row(&fail_timer, timer->id, CStringGetTextDatum(error->message),
				  Int32GetDatum(MAX_ATTEMPTS));
	return !is_statement_timeout(error);
}

/* A timer that is due, as it was found. */
typedef struct Due
{
	int64		id;
	int64		request;
	TimestampTz due_at;
} Due;

/* The next timers that are due, after the last one that was looked at. */
static Due *
find_due(int max, const Due *last, int *n)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[3] = {Int32GetDatum(max), TimestampTzGetDatum(last->due_at), Int64GetDatum(last->id)};
	UserSwitch	save;
	Due		   *due;

	store_begin(&save);
	*n = store_exec(&select_due, values, NULL, false);
	due = MemoryContextAlloc(cxt, Max(*n, 1) * sizeof(Due));
	for (int i = 0; i < *n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;

		due[i].id = spi_int64(row, 1);
		due[i].request = spi_int64(row, 2);
		due[i].due_at = DatumGetTimestampTz(spi_datum(row, 3, &isnull));
	}
	store_end(&save);
	return due;
}

/*
 * timer_run_one: run a timer, one that is not due as well unless if_due, but
 * not if somebody else is at it.  Returns how much was done, TIMER_LEFT_ALONE,
 * or TIMER_STOPS: the caller's time is up.
 */
int
timer_run_one(int64 id, int64 request, bool if_due)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile int result = TIMER_LEFT_ALONE;
	SubXact		sub;

	subxact_begin(&sub);
	PG_TRY();
	{
		Timer	   *timer = take(id, request, if_due);

		if (timer)
			result = attempt(timer) ? Max(timer->work, 1) : TIMER_STOPS;
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		subxact_rethrow(&sub);
	}
	PG_END_TRY();
	return result;
}

/*
 * idflow_run_timers: run at most so many of the timers that are due; returns
 * how many were.  One that does much counts for as many.  Those that somebody
 * else is at, or whose request is locked, are left alone, and don't keep those
 * behind them from running.
 */
Datum
idflow_run_timers(PG_FUNCTION_ARGS)
{
	int			max = PG_GETARG_INT32(0);
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(cxt, "idflow timer", ALLOCSET_DEFAULT_SIZES);
	Due			last = {0, 0, DT_NOBEGIN};
	int			count = 0;
	int			work = 0;
	bool		stops = false;

	while (work < max && !stops)
	{
		int			n;
		Due		   *due = find_due(max - work, &last, &n);

		if (n == 0)
			break;
		last = due[n - 1];
		for (int i = 0; i < n && work < max && !stops; i++)
		{
			int			done;

			CHECK_FOR_INTERRUPTS();
			MemoryContextSwitchTo(each);
			done = timer_run_one(due[i].id, due[i].request, true);
			stops = done == TIMER_STOPS;
			if (done != TIMER_LEFT_ALONE)
				count++;
			work += Max(done, 0);
			MemoryContextSwitchTo(cxt);
			MemoryContextReset(each);
		}
		pfree(due);
	}
	PG_RETURN_INT32(count);
}
