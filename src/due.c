/*-------------------------------------------------------------------------
 *
 * due.c
 *	  Applying what was approved for a date, when the date has come.
 *
 * There is nobody to tell an error to: a request that can't be written is
 * failed, with the error in its history, until somebody retries, resolves or
 * withdraws it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/elog.h"

#include "apply.h"
#include "idflow.h"
#include "notice.h"
#include "schedule.h"
#include "subxact.h"

/* Tries of an apply that fails for a reason that passes, deadlocks for one. */
#define MAX_TRIES	3

/*
 * Is it the request's error?  What has to do with the server or with whoever
 * else is at work is tried again some times; a call that is cancelled is not
 * an attempt.
 */
static bool
is_final(ErrorData *error, int attempts)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_ADMIN_SHUTDOWN:
		case ERRCODE_CRASH_SHUTDOWN:
			return false;
		case ERRCODE_LOCK_NOT_AVAILABLE:
			return attempts + 1 >= MAX_TRIES;
		default:
			break;
	}
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return attempts + 1 >= MAX_TRIES;
		default:
			return true;
	}
}

/*
 * due_try: would a gate of a workflow that the request has not gone through
 * hold one of its changes?  Only an apply finds that out, since a gate's
 * condition is about the row; it is rolled back, and so is what the table's
 * triggers do.  Returns that workflow's name, in the request's memory; NULL if
 * none.  What else stands against the apply today may be gone when it is due.
 */
char *
due_try(Request *req, Change **held_change)
{
	char	   *held_by = NULL;
	ErrorData  *volatile error = NULL;
	bool		told = notice_suspend(true);
	StringInfoData report;
	SubXact		sub;

	initStringInfo(&report);
	subxact_begin(&sub);
	PG_TRY();
	{
		(void) apply_request(req, &held_by, held_change, &report);
		subxact_abort(&sub);
	}
	PG_CATCH();
	{
		error = subxact_error(&sub);
	}
	PG_END_TRY();
	notice_suspend(told);
	if (error && !is_final(error, 0))
		ReThrowError(error);
	return error ? NULL : held_by;
}

static void
add_text(JsonbParseState **state, const char *key, const char *value)
{
	if (value == NULL)
		return;
	json_key(state, key);
	json_string(state, WJB_VALUE, value);
}

/* The error, in the request's history; rolled back is what led to it. */
static const char *
fail(int64 request, const char *via, ErrorData *error)
{
	Request    *req = request_load(request);
	Event	   *event = request_event(req, ACTOR_SYSTEM, via, "Fail", error->message);
	JsonbParseState *state = NULL;

	json_open(&state, WJB_BEGIN_OBJECT);
	add_text(&state, "sqlstate", unpack_sql_state(error->sqlerrcode));
	add_text(&state, "message", error->message);
	add_text(&state, "detail", error->detail);
	add_text(&state, "hint", error->hint);
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
	req->state = "failed";
	request_write(req);
	return req->state;
}

/*
 * due_apply: carry a request on from the Persist at which it stands.  Returns
 * its state afterwards.  The caller has locked and stored it; attempts were
 * made before.
 */
const char *
due_apply(int64 request, const char *via, int attempts)
{
	ErrorData  *volatile error = NULL;
	const char *volatile state = NULL;
	SubXact		sub;

	subxact_begin(&sub);
	PG_TRY();
	{
		Request    *req = request_load(request);

		req->acting = ACTOR_SYSTEM;
		req->acting_via = via;
		engine_apply_again(req);
		request_write(req);
		state = req->state;
		subxact_commit(&sub);
	}
	PG_CATCH();
	{
		error = subxact_error(&sub);
	}
	PG_END_TRY();
	if (error == NULL)
		return state;
	if (!is_final(error, attempts))
		ReThrowError(error);
	return fail(request, via, error);
}

/*
 * effective_run: the timer of a request that waits for its date.
 */
TimestampTz
effective_run(Timer *timer)
{
	Request    *req = request_load(timer->request);

	if (req == NULL || strcmp(req->state, "scheduled") != 0)
		return 0;
	if (req->effective_at > GetCurrentTimestamp())
		return req->effective_at;
	(void) due_apply(timer->request, "schedule", timer->attempts);
	return 0;
}
