/*-------------------------------------------------------------------------
 *
 * engine.c
 *	  Advancing a request: from activity to activity until it waits for
 *	  people or is through.
 *
 * The request is locked, or new, and in memory; the caller writes it back
 * with request_write() when the engine returns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "apply.h"
#include "aspect.h"
#include "idflow.h"

static void start_next(Request *req);

/*
 * governed_changes: the changes that the request's present workflow has a
 * say in: those that met its gate.  A workflow continued by hand has a say in
 * all.
 */
List *
governed_changes(Request *req)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, request_changes(req))
	{
		Change	   *change = lfirst(lc);
		ListCell   *lg;

		foreach(lg, change->gates)
			if (strcmp(lfirst(lg), req->workflow->name) == 0)
				break;
		if (lg != NULL)
			result = lappend(result, change);
	}
	return result ? result : list_copy(request_changes(req));
}

/*
 * An activity with an IfExpression is entered if it is true for any of the
 * changes: a review that one change needs is not lost among others.
 */
static bool
activity_applies(Request *req, Activity *activity)
{
	ListCell   *lc;

	if (activity->if_expression == NULL)
		return true;
	foreach(lc, governed_changes(req))
		if (expression_bool(activity->if_expression, req->workflow, req, lfirst(lc),
							psprintf("IfExpression of activity \"%s\"", activity->name)))
			return true;
	return false;
}

/*
 * The workflow whose gate holds a change and that the request has not gone
 * through, in the order in which the changes were made; NULL if none.
 */
static const char *
next_gate(Request *req)
{
	ListCell   *lc;
	ListCell   *lg;

	foreach(lc, request_changes(req))
		foreach(lg, ((Change *) lfirst(lc))->gates)
			if (!strings_contain(req->passed, lfirst(lg)) &&
				strcmp(lfirst(lg), req->workflow->name) != 0)
				return lfirst(lg);
	return NULL;
}

/*
 * The activity at hand comes into a state: the aspects before it run.
 */
static void
enter(Request *req, const char *state)
{
	req->activity_state = state;
	aspects_run(req, state, false);
}

/*
 * engine_move: whoever acts takes the request from state to state, where it
 * stands at an activity: what hangs on the exit runs, then what hangs on the
 * entry.  transition is what the event calls it.  Returns the event, for the
 * caller to complete.
 */
Event *
engine_move(Request *req, const char *transition, const char *to, const char *comment)
{
	bool		stands = req->activity_state != NULL;
	Event	   *event;

	if (stands)
		aspects_run(req, req->activity_state, true);
	event = request_event(req, req->acting, req->acting_via, transition, comment);
	event->from_state = request_full_state(req);
	if (stands)
		req->activity_state = to;
	event->to_state = request_full_state(req);
	if (stands)
		aspects_run(req, to, false);
	return event;
}

/*
 * An activity that waits for nobody was invoked.  It has one state; what hangs
 * on the entry has run, and what hangs on the exit does when it is left.
 */
static Event *
invoked(Request *req, const char *comment)
{
	Activity   *activity = request_activity(req);
	Event	   *event;

	event = request_event(req, req->acting, req->acting_via,
						  template_transition_name(activity->template, STATE_INVOKED, "Invoke"),
						  comment);
	event->from_state = event->to_state = request_full_state(req);
	return event;
}

/*
 * Count a step; past the workflow's limit the request ends.
 */
static bool
step_allowed(Request *req)
{
	if (++req->steps <= req->workflow->max_steps)
		return true;
	request_event(req, req->acting, req->acting_via, "Terminate",
				  psprintf("more than %d steps", req->workflow->max_steps));
	request_close(req, "terminated");
	return false;
}

static void
go_on_with(Request *req, const char *workflow)
{
	req->passed = lappend(req->passed, req->workflow->name);
	engine_start(req, workflow_current(workflow, false));
}

/*
 * Persist: write the changes, or find out what stands against it.  Returns
 * whether the workflow goes on.
 */
static bool
persist(Request *req)
{
	const char *next = next_gate(req);
	StringInfoData report;
	char	   *held_by = NULL;
	Change	   *held_change = NULL;
	Event	   *event;
	JsonbParseState *state = NULL;

	if (next)
	{
		invoked(req, psprintf("goes on with workflow %s", next));
		go_on_with(req, next);
		return false;
	}
	if (req->persisted)
		return true;

	initStringInfo(&report);
	switch (apply_request(req, &held_by, &held_change, &report))
	{
		case APPLY_DONE:
			event = invoked(req, NULL);
			if (report.len > 0)
				event->data = json_from_text(psprintf("{\"digests\": %s, \"triggers\": {%s}}",
													  image_digests(req), report.data));
			else
			{
				json_open(&state, WJB_BEGIN_OBJECT);
				json_key(&state, "digests");
				json_digests(&state, req);
				event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
			}
			req->persisted = true;
			return true;

		case APPLY_HELD:
			held_change->gates = lappend(held_change->gates, held_by);
			change_update(req, held_change);
			invoked(req, psprintf("goes on with workflow %s", held_by));
			go_on_with(req, held_by);
			return false;

		case APPLY_CONFLICT:
			event = request_event(req, req->acting, req->acting_via, "Conflict", NULL);
			event->data = json_from_text(psprintf("{\"columns\": {%s}}", report.data));
			req->state = "conflict";
			return false;
	}
	return false;
}

/*
 * engine_start: begin a workflow.
 */
void
engine_start(Request *req, Workflow *wf)
{
	req->workflow = wf;
	req->position = 0;
	req->activity_state = NULL;
	req->state = "open";
	start_next(req);
}

/* The workflow is through: stay at the last activity, which says how it ended. */
static void
end_workflow(Request *req)
{
	req->position = req->workflow->nactivities;
	req->passed = lappend(req->passed, req->workflow->name);
	if (req->persisted)
		request_close(req, "committed");
	else
	{
		request_event(req, req->acting, req->acting_via, "Terminate",
					  "the workflow ended without a Persist activity");
		request_close(req, "terminated");
	}
}

/*
 * Start the activities after the one at hand, until the request waits or
 * ends.
 */
static void
start_next(Request *req)
{
	for (;;)
	{
		Activity   *activity;

		req->position++;
		activity = request_activity(req);
		if (activity == NULL)
		{
			end_workflow(req);
			return;
		}
		req->activity_state = activity->template->initial_state;
		if (!step_allowed(req))
			return;
		if (!activity_applies(req, activity))
		{
			request_event(req, req->acting, req->acting_via, "Skip",
						  "its IfExpression is not true");
			continue;
		}

		enter(req, activity->template->initial_state);
		if (activity->template->is_interactive)
		{
			/* the request itself executes the first Action */
			if (req->position != 1 ||
				template_transition(activity->template, req->activity_state, "Execute") == NULL)
			{
				task_open(req);
				return;
			}
			engine_move(req, template_transition_name(activity->template,
													  req->activity_state, "Execute"),
						STATE_EXECUTED, NULL);
		}
		else if (strcmp(activity->template->name, "Persist") == 0)
		{
			if (!persist(req))
				return;
		}
		else
			invoked(req, NULL);
		aspects_run(req, req->activity_state, true);
	}
}

/*
 * engine_leave: the activity at hand has come to a final state: go on, or end
 * the request.
 */
void
engine_leave(Request *req)
{
	if (template_state_kind(req->activity_state) == TEMPLATE_STATE_PROCEED)
	{
		aspects_run(req, req->activity_state, true);
		start_next(req);
	}
	else
		request_close(req, strcmp(req->activity_state, STATE_DECLINED) == 0 ?
					  "declined" : "aborted");
}

/*
 * engine_review_again: the drafts changed after they were reviewed: back to
 * the last review that came before, or on to the apply if there was none.
 */
void
engine_review_again(Request *req)
{
	for (int position = req->position - 1; position >= 1; position--)
	{
		Activity   *activity = workflow_activity(req->workflow, position);

		if (template_transition(activity->template, activity->template->initial_state, "Approve"))
		{
			req->position = position - 1;
			req->state = "open";
			start_next(req);
			return;
		}
	}
	engine_apply_again(req);
}

/*
 * engine_apply_again: try the Persist activity at hand once more.
 */
void
engine_apply_again(Request *req)
{
	req->position--;
	req->state = "open";
	start_next(req);
}
