/*-------------------------------------------------------------------------
 *
 * repeated.c
 *	  RepeatedApprover="Auto": who has approved the same draft in another
 *	  activity of the request is not asked once more.
 *
 * His approval is repeated for him, under the rules that hold for him now: he
 * must still be one of those who may decide, and nothing must keep him out.  The
 * history says that nobody did it, and for whom.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "idflow.h"
#include "task.h"
#include "timer.h"
#include "vote.h"

#define VIA_REPEATED	"repeated"

/*
 * Votes on the draft as it is now, given in person, in other activities; not of
 * those who have declined it since.
 */
static StorePlan select_approvals = {
	"SELECT v.principal, t.activity FROM idflow.vote v, idflow.task t"
	" WHERE v.request OPERATOR(pg_catalog.=) $1 AND v.vote OPERATOR(pg_catalog.=) 'Approve'"
	" AND " IS_BOUND("v.principal", "v.binding")
	" AND NOT v.superseded AND v.on_behalf_of IS NULL AND v.revision OPERATOR(pg_catalog.=) $2"
	" AND t.id OPERATOR(pg_catalog.=) v.task"
	" AND ROW(t.workflow_id, t.position) OPERATOR(pg_catalog.<>) ROW($3, $4)"
	" AND NOT EXISTS (SELECT FROM idflow.vote d WHERE d.request OPERATOR(pg_catalog.=) $1"
	"  AND d.principal OPERATOR(pg_catalog.=) v.principal AND d.vote OPERATOR(pg_catalog.=) 'Decline'"
	"  AND d.seq OPERATOR(pg_catalog.>) v.seq) ORDER BY v.voted_at, v.seq",
	4, {INT8OID, INT4OID, INT8OID, INT4OID}
};

/* Those who have approved; *activities are where, one for each. */
static List *
approvers(Request *req, List **activities)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[4];
	UserSwitch	save;
	List	   *names = NIL;
	int			n;

	values[0] = Int64GetDatum(req->id);
	values[1] = Int32GetDatum(req->revision);
	values[2] = Int64GetDatum(req->workflow->id);
	values[3] = Int32GetDatum(req->position);
	*activities = NIL;
	store_begin(&save);
	n = store_exec(&select_approvals, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		char	   *name = spi_text(SPI_tuptable->vals[i], 1);
		char	   *activity = spi_text(SPI_tuptable->vals[i], 2);
		MemoryContext spicxt;

		if (strings_contain(names, name))
			continue;
		spicxt = MemoryContextSwitchTo(cxt);
		names = lappend(names, pstrdup(name));
		*activities = lappend(*activities, pstrdup(activity));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return names;
}

/*
 * repeated_approve: the task that has just opened is approved by those who have
 * approved before, so far as they may.  Returns whether that ends it.
 */
bool
repeated_approve(Request *req)
{
	const char *policy = element_value(req->workflow->element, "RepeatedApprover");
	Activity   *activity = request_activity(req);
	List	   *names;
	List	   *activities;
	List	   *barred;
	ListCell   *lc;
	ListCell   *la;
	const char *transition;
	const char *to;

	/* a comment is nobody else's to write */
	if (policy == NULL || strcmp(policy, "Auto") != 0 || !activity->template->is_review ||
		element_boolean(activity->element, "CommentRequired", false))
		return false;
	names = approvers(req, &activities);
	if (names == NIL)
		return false;
	barred = vote_kept_out(req);
	to = template_transition(activity->template, req->activity_state, "Approve");
	transition = template_transition_name(activity->template, req->activity_state, "Approve");
	forboth(lc, names, la, activities)
	{
		const char *name = lfirst(lc);
		const char *comment = psprintf("has approved activity \"%s\"", (char *) lfirst(la));
		const char *via = strings_contain(barred, name) ? NULL : task_authority(req, name);
		Vote		vote = {name, NULL, VIA_REPEATED, "Approve", comment};
		const char *acting = req->acting;
		const char *acting_via = req->acting_via;
		const char *acting_for = req->acting_for;
		Event	   *event;

		/* what the database role of whoever acts may do is not his right */
		if (via == NULL || strcmp(via, "idflow_admin") == 0)
			continue;
		if (activity->has_quota && vote_is_open(req) && vote_cast(req, &vote) == NULL)
		{
			event = request_event(req, ACTOR_SYSTEM, VIA_REPEATED, transition, comment);
			event->on_behalf_of = name;
			event->from_state = event->to_state = request_full_state(req);
			continue;
		}
		req->acting = ACTOR_SYSTEM;
		req->acting_via = VIA_REPEATED;
		req->acting_for = name;
		engine_move(req, transition, to, comment);
		req->acting = acting;
		req->acting_via = acting_via;
		req->acting_for = acting_for;
		task_close(req, to, &vote);
		return true;
	}
	return false;
}
