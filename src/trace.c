/*-------------------------------------------------------------------------
 *
 * trace.c
 *	  What each expression of a workflow gave, step by step.
 *
 * Steps are collected with the request and written with it, in its
 * transaction: a request that is only read leaves none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "column.h"
#include "trace.h"

typedef struct TraceStep
{
	TimestampTz at;
	const char *activity;
	const char *activity_state;
	const char *what;
	const char *expression;
	int			change;			/* seq; 0: of no change */
	List	   *result;			/* of char * */
	bool		hidden;			/* the result isn't kept */
} TraceStep;

static StorePlan insert_step = {
	"INSERT INTO idflow.trace_step"
	" (request, at, activity, activity_state, change, what, expression, result, hidden)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	9, {INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTARRAYOID, BOOLOID}
};

/*
 * trace_step: keep what an expression gave, if the workflow or the session
 * wants it; result is a List of char *, of a condition "t" or "f".  It is kept in
 * req's memory: that of a change may be gone before it is written.
 */
void
trace_step(Request *req, Workflow *wf, Change *change, const char *what,
		   const char *expression, ExpressionKind kind, List *result)
{
	TraceStep  *step;
	MemoryContext oldcxt;
	ListCell   *lc;

	if (!setting_trace && !wf->trace)
		return;
	oldcxt = MemoryContextSwitchTo(GetMemoryChunkContext(req));
	step = (TraceStep *) palloc0(sizeof(TraceStep));
	step->at = GetCurrentTimestamp();
	if (req->workflow)
	{
		Activity   *activity = request_activity(req);

		step->activity = activity ? activity->name : NULL;
		step->activity_state = request_full_state(req);
	}
	step->what = pstrdup(what);
	step->expression = expression;
	step->change = change->seq;

	/* a value may be of a column that is hidden, or be made of one */
	step->hidden = kind == EXPRESSION_TEXT && workflow_hides_columns(wf);
	foreach(lc, step->hidden ? NIL : result)
		step->result = lappend(step->result, lfirst(lc) ? pstrdup(lfirst(lc)) : NULL);
	req->trace = lappend(req->trace, step);
	MemoryContextSwitchTo(oldcxt);
}

/*
 * trace_write: store the steps that were kept.
 */
void
trace_write(Request *req)
{
	UserSwitch	save;
	ListCell   *lc;

	if (req->trace == NIL)
		return;
	store_begin(&save);
	foreach(lc, req->trace)
	{
		TraceStep  *step = (TraceStep *) lfirst(lc);
		Datum		values[9];
		char		nulls[10] = "         ";

		values[0] = Int64GetDatum(req->id);
		values[1] = TimestampTzGetDatum(step->at);
		values[2] = text_datum(step->activity, &nulls[2]);
		values[3] = text_datum(step->activity_state, &nulls[3]);
		values[4] = Int32GetDatum(step->change);
		values[5] = CStringGetTextDatum(step->what);
		values[6] = CStringGetTextDatum(step->expression);
		values[7] = text_array_datum(step->result);
		values[8] = BoolGetDatum(step->hidden);
		store_exec(&insert_step, values, nulls, false);
	}
	store_end(&save);
	req->trace = NIL;
}
