/*-------------------------------------------------------------------------
 *
 * start.c
 *	  Starts that come from dates in the data: <Start> in a workflow.
 *
 * A workflow has one timer for all its Starts.  It looks for rows when the next
 * one that it knows of is due, and at least once an hour, for those that were
 * entered since.  idflow.started remembers what was started for which row and
 * date, and what went wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "attach.h"
#include "schedule.h"
#include "start.h"
#include "subxact.h"

/* So many requests at once; then the timer is due again, in the next transaction of the worker. */
#define STARTS_AT_ONCE		100

/* A row that can't be started is tried again, but not for ever. */
#define START_MAX_TRIES		5

static StorePlan is_started = {
	"SELECT FROM idflow.started WHERE workflow OPERATOR(pg_catalog.=) $1"
	" AND target OPERATOR(pg_catalog.=) $2 AND key OPERATOR(pg_catalog.=) $3 AND due OPERATOR(pg_catalog.=) $4"
	" AND (error IS NULL OR attempts OPERATOR(pg_catalog.>=) $6"
	"  OR at OPERATOR(pg_catalog.>) ($5 OPERATOR(pg_catalog.-) '1 hour'::pg_catalog.interval))",
	6, {TEXTOID, REGCLASSOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}
};

static StorePlan insert_started = {
	"INSERT INTO idflow.started AS s (workflow, target, key, due, at, request, error, attempts)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $7 IS NULL THEN 0 ELSE 1 END)"
	" ON CONFLICT (workflow, target, key, due) DO UPDATE SET request = excluded.request,"
	" error = excluded.error, attempts = s.attempts OPERATOR(pg_catalog.+) excluded.attempts,"
	" at = excluded.at",
	7, {TEXTOID, REGCLASSOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID}
};

/* What identifies a start, and when it is looked for: the first five arguments. */
static void
started_key(Workflow *wf, Relation rel, StartRow *row, TimestampTz now, Datum *values)
{
	values[0] = CStringGetTextDatum(wf->name);
	values[1] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[2] = text_array_datum(row->key);
	values[3] = TimestampTzGetDatum(row->due);
	values[4] = TimestampTzGetDatum(now);
}

/* Is a row done with, or one that failed not to be tried again yet? */
static bool
already_started(Workflow *wf, Relation rel, StartRow *row, TimestampTz now)
{
	Datum		values[6];

	started_key(wf, rel, row, now, values);
	values[5] = Int32GetDatum(START_MAX_TRIES);
	return store_finds(&is_started, values, false);
}

static void
record(Workflow *wf, Relation rel, StartRow *row, TimestampTz now, int64 request, const char *error)
{
	Datum		values[7];
	char		nulls[8] = "       ";
	UserSwitch	save;

	store_begin(&save);
	started_key(wf, rel, row, now, values);
	values[5] = Int64GetDatum(request);
	nulls[5] = request ? ' ' : 'n';
	values[6] = text_datum(error, &nulls[6]);
	store_exec(&insert_started, values, nulls, false);
	store_end(&save);
}

/*
 * A row that is due and not started yet, in a subtransaction of its own: one
 * that can't be started doesn't stop the others.  Returns whether a request was
 * opened.
 */
static bool
start_row(Workflow *wf, const DefinitionElement *start, Relation rel, StartRow *row, TimestampTz now)
{
	ErrorData  *volatile error = NULL;
	volatile int64 request = 0;
	bool		applies = true;
	SubXact		sub;

	subxact_begin(&sub);
	PG_TRY();
	{
		request = start_open(wf, start, rel, row, &applies);
		if (applies)
			record(wf, rel, row, now, request, NULL);
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		error = subxact_error(&sub);
	}
	PG_END_TRY();
	if (error == NULL)
		return request != 0;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
		ReThrowError(error);
	record(wf, rel, row, now, 0, error->message);
	return false;
}

/* All rows that are due by one Start; at most so many.  Returns how many. */
static int
run_start(Workflow *wf, const DefinitionElement *start, Relation rel, Oid deployer, TimestampTz now, int max)
{
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(cxt, "idflow start", ALLOCSET_DEFAULT_SIZES);
	StartScan  *scan;
	List	   *rows;
	int			count = 0;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	MemoryContextSwitchTo(cxt);
	scan = start_scan_begin(start, rel, deployer);
	for (;;)
	{
		ListCell   *lc;

		MemoryContextReset(each);
		MemoryContextSwitchTo(each);
		rows = start_scan_next(scan);
		foreach(lc, rows)
		{
			CHECK_FOR_INTERRUPTS();
			if (count < max && !already_started(wf, rel, lfirst(lc), now) &&
				start_row(wf, start, rel, lfirst(lc), now))
				count++;
		}
		MemoryContextSwitchTo(cxt);
		if (rows == NIL || count >= max)
			break;
	}
	SPI_finish();
	MemoryContextDelete(each);
	return count;
}

/*
 * start_run: the timer of a workflow's Starts.
 */
TimestampTz
start_run(Timer *timer)
{
	Workflow   *wf = workflow_current(timer->name, true);
	List	   *starts = wf ? element_children_named(wf->element, "Start") : NIL;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = now + USECS_PER_HOUR;
	int			left = STARTS_AT_ONCE;
	ListCell   *lc;

	if (starts == NIL)
		return 0;
	foreach(lc, starts)
	{
		DefinitionElement *start = lfirst(lc);
		Relation	rel = start_target(wf, start, AccessShareLock);
		Oid			deployer = deployer_role(wf);
		TimestampTz due;

		left -= run_start(wf, start, rel, deployer, now, left);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		due = start_next_due(start, rel, deployer);
		SPI_finish();
		if (due && due < next)
			next = Max(due, now + USECS_PER_SEC);
		table_close(rel, NoLock);
	}
	timer->work = STARTS_AT_ONCE - left;
	return left > 0 ? next : now;
}

/*
 * starts_deployed: a workflow was deployed: its Starts, if it has any, are in
 * force from now on, and those of earlier versions no longer.
 */
void
starts_deployed(const char *workflow)
{
	static StorePlan drop = {
		"DELETE FROM idflow.timer WHERE kind OPERATOR(pg_catalog.=) '" TIMER_START "'"
		" AND name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};
	Workflow   *wf = workflow_current(workflow, false);
	List	   *starts = element_children_named(wf->element, "Start");
	Datum		values[1] = {CStringGetTextDatum(workflow)};
	UserSwitch	save;
	ListCell   *lc;

	foreach(lc, starts)
	{
		Relation	rel = start_target(wf, lfirst(lc), AccessShareLock);

		start_fits(wf, lfirst(lc), rel, deployer_role(wf));
		table_close(rel, NoLock);
	}
	store_begin(&save);
	store_exec(&drop, values, NULL, false);
	store_end(&save);
	if (starts != NIL)
		timer_add(TIMER_START, 0, 0, workflow, GetCurrentTimestamp(), NULL);
}
