/*-------------------------------------------------------------------------
 *
 * recount.c
 *	  Counting the votes of a task again where nobody votes.
 *
 * Who has lost the right to vote counts no more, and so the votes that are
 * there may come to an end by that alone.  It shows in idflow.profile_member,
 * which has a trigger, but not in the memberships of roles, nor in a directory
 * of the organisation's own.  So a task that has votes and needs more has a
 * timer by which they are counted from time to time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "idflow.h"
#include "recount.h"
#include "session.h"
#include "task.h"
#include "vote.h"

PG_FUNCTION_INFO_V1(idflow_recount);

#define RECOUNT_MS			(5 * 60 * 1000)

/* A statement on idflow.profile_member ends so many tasks at most itself. */
#define RECOUNT_AT_ONCE		100

static TimestampTz
recount_due(void)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RECOUNT_MS);
}

/*
 * recount_set: the open task has votes and needs more.
 */
void
recount_set(Request *req)
{
	static StorePlan select_timer = {
		"SELECT FROM idflow.timer WHERE request OPERATOR(pg_catalog.=) $1 AND task OPERATOR(pg_catalog.=) $2"
		" AND kind OPERATOR(pg_catalog.=) '" TIMER_RECOUNT "'",
		2, {INT8OID, INT8OID}
	};
	Datum		values[2] = {Int64GetDatum(req->id), Int64GetDatum(req->task)};

	if (!store_finds(&select_timer, values, false))
		timer_add(TIMER_RECOUNT, req->id, req->task, NULL, recount_due(), NULL);
}

/*
 * recount_end: the open task closes.
 */
void
recount_end(Request *req)
{
	timers_drop(req->id, req->task, TIMER_RECOUNT);
}

/*
 * recount_run: the timer of a task's votes.
 */
TimestampTz
recount_run(Timer *timer)
{
	Request    *req = request_load(timer->request);
	Activity   *activity;
	const char *verb;
	const char *to;

	if (req == NULL || req->task != timer->task)
		return 0;
	activity = request_activity(req);
	/* a task that is refined is with somebody else; a Timeout may have taken it from those who vote */
	if (strcmp(req->activity_state, activity->template->initial_state) != 0 || !vote_is_open(req))
		return recount_due();
	verb = vote_count(req);
	if (verb == NULL)
		return recount_due();

	req->acting = ACTOR_SYSTEM;
	req->acting_via = TIMER_RECOUNT;
	to = template_transition(activity->template, req->activity_state, verb);
	engine_move(req, template_transition_name(activity->template, req->activity_state, verb), to,
				"those who had not voted have lost the right to");
	task_close(req, to, NULL);
	engine_leave(req);
	request_write(req);
	return 0;
}

/*
 * idflow.recount(profiles): somebody holds these no longer.  A request that is
 * locked is left to its timer, as are the requests that this transaction's
 * snapshot does not show as they are, and all while a request is applied.
 */
Datum
idflow_recount(PG_FUNCTION_ARGS)
{
	static StorePlan select_timers = {
		"SELECT t.id, t.request FROM idflow.timer t WHERE t.kind OPERATOR(pg_catalog.=) '" TIMER_RECOUNT "'"
		" AND t.set_aside_at IS NULL AND EXISTS (SELECT FROM idflow.candidate c"
		" WHERE c.task OPERATOR(pg_catalog.=) t.task AND c.key OPERATOR(pg_catalog.=) ANY ($1))"
		" ORDER BY t.request LIMIT $2",
		2, {TEXTARRAYOID, INT4OID}
	};
	List	   *keys = NIL;
	List	   *timers = NIL;
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2];
	UserSwitch	save;
	int			n;
	ListCell   *lc;

	if (applying_request() != 0 || IsolationUsesXactSnapshot())
		PG_RETURN_VOID();
	foreach(lc, text_array_list(PG_GETARG_DATUM(0)))
		keys = lappend(keys, psprintf(KEY_PROFILE "%s", (char *) lfirst(lc)));
	values[0] = text_array_datum(keys);
	values[1] = Int32GetDatum(RECOUNT_AT_ONCE);
	store_begin(&save);
	n = store_exec(&select_timers, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int64		id = spi_int64(row, 1);
		int64		request = spi_int64(row, 2);
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		int64	   *ids = palloc(2 * sizeof(int64));

		ids[0] = id;
		ids[1] = request;
		timers = lappend(timers, ids);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	foreach(lc, timers)
		if (timer_run_one(((int64 *) lfirst(lc))[0], ((int64 *) lfirst(lc))[1], false) == TIMER_STOPS)
			break;
	PG_RETURN_VOID();
}
