/*-------------------------------------------------------------------------
 *
 * expiry.c
 *	  The end of what was granted for a time.
 *
 * Who approved a request approved its end, too.  So the reverse goes straight
 * to the Persist of the workflow that the request has gone through; a gate of
 * a workflow that it has not gone through holds it as it holds any change, and
 * a conflict waits for people.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "idflow.h"
#include "schedule.h"

/*
 * expiry_set: the rows of a request are written; remember when that ends.
 */
void
expiry_set(Request *req)
{
	if (req->expires_at != NO_DATE)
		timer_add(TIMER_EXPIRY, req->id, 0, NULL, req->expires_at, NULL);
}

/* The last Persist of a workflow, at which a request that was written stood. */
static int
persist_position(Workflow *wf)
{
	for (int i = wf->nactivities; i >= 1; i--)
		if (strcmp(workflow_activity(wf, i)->template->name, "Persist") == 0)
			return i;
	elog(ERROR, "workflow \"%s\" has no Persist", wf->name);
	return 0;
}

/* What became of it, in the history of the request that has expired. */
static void
record_expiry(Request *req, int64 reverse, List *moot, List *gone, const char *comment)
{
	Event	   *event = request_event(req, ACTOR_SYSTEM, "expiry", "Expire", comment);
	JsonbParseState *state = NULL;
	ListCell   *lc;

	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "expires_at");
	json_string(&state, WJB_VALUE, date_text(req->expires_at));
	if (reverse)
	{
		json_key(&state, "request");
		json_int64(&state, WJB_VALUE, reverse);
	}
	if (moot)
	{
		json_key(&state, "nothing_to_reverse");
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		foreach(lc, moot)
			json_int64(&state, WJB_ELEM, lfirst_int(lc));
		pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	}
	if (gone)
	{
		json_key(&state, "left_out");
		json_strings(&state, gone);
	}
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/* The workflows that the request had gone through before the one that wrote it. */
static List *
passed_before(Request *req)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, req->passed)
		if (strcmp(lfirst(lc), req->workflow->name) != 0)
			result = lappend(result, lfirst(lc));
	return result;
}

static bool
images_purged(Request *req)
{
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);

		if (change->old_image == NULL && change->new_image == NULL)
			return true;
	}
	return false;
}

/*
 * expiry_run: the timer of a request's end.
 */
TimestampTz
expiry_run(Timer *timer)
{
	Request    *req = request_load(timer->request);
	Request    *reverse;
	List	   *moot;
	List	   *gone;

	if (req == NULL || !req->persisted || req->expires_at == NO_DATE)
		return 0;
	if (req->expires_at > GetCurrentTimestamp())
		return req->expires_at;
	if (images_purged(req))
	{
		record_expiry(req, 0, NIL, NIL, "its images are purged, so that what it has written stays");
		request_write(req);
		return 0;
	}

	reverse = reverse_make(req, req->requester, req->role, &moot, &gone);
	if (reverse == NULL)
	{
		record_expiry(req, 0, moot, gone, "nothing is left to reverse");
		request_write(req);
		return 0;
	}
	reverse->requester_binding = req->requester_binding;
	reverse->tenant = req->tenant;
	reverse->role_binding = req->role_binding;
	reverse->title = psprintf("Expiry of request " INT64_FORMAT "%s%s", req->id,
							  req->title ? ": " : "", req->title ? req->title : "");
	reverse->acting = ACTOR_SYSTEM;
	reverse->acting_via = "expiry";
	reverse->effective_at = req->expires_at;
	reverse->state = "scheduled";
	reverse->position = persist_position(req->workflow);
	reverse->passed = passed_before(req);
	request_event(reverse, ACTOR_SYSTEM, "expiry", "Begin",
				  psprintf("request " INT64_FORMAT " has expired", req->id));
	request_write(reverse);
	record_expiry(req, reverse->id, moot, gone, NULL);
	request_write(req);
	(void) due_apply(reverse->id, "expiry", timer->attempts);
	return 0;
}
