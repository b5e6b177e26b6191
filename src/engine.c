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
#include "utils/memutils.h"

#include "apply.h"
#include "aspect.h"
#include "homonym.h"
#include "idflow.h"
#include "pack.h"
#include "job.h"
#include "nested.h"
#include "persist_into.h"
#include "separation_review.h"
#include "schedule.h"
#include "task.h"
#include "vote.h"

static void run_from(Request *req, int position, bool starts);

/*
 * A condition of the workflow holds if it is true for any of the changes: a
 * review that one change needs is not lost among others.  NULL always holds.
 */
static bool
condition_holds(Request *req, const char *condition, const char *what)
{
	ChangeScan	scan;
	Change	   *change;
	bool		holds = condition == NULL;

	if (holds)
		return true;
	governed_begin(&scan, req);
	while (!holds && (change = changes_next(&scan)) != NULL)
		holds = expression_bool(condition, req->workflow, req, change, what);
	changes_end(&scan);
	return holds;
}

static bool
activity_applies(Request *req, Activity *activity)
{
	return activity->if_expression == NULL ||
		condition_holds(req, activity->if_expression,
						psprintf("IfExpression of activity \"%s\"", activity->name));
}

/*
 * The workflow whose gate holds a change and that the request has not gone
 * through, in the order in which the changes were made; NULL if none.  The one
 * it is in counts, unless it came into it at an activity: then what comes
 * before that has not been gone through.
 */
static const char *
next_gate(Request *req)
{
	ListCell   *lc;
	ListCell   *lg;

	foreach(lc, request_stored(req))
		foreach(lg, ((Change *) lfirst(lc))->gates)
			if (!strings_contain(req->passed, lfirst(lg)) &&
				(req->partway || strcmp(lfirst(lg), req->workflow->name) != 0))
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

/* The present workflow is left: it has been gone through, if from its beginning. */
static void
leave_workflow(Request *req)
{
	if (!req->partway && !strings_contain(req->passed, req->workflow->name))
		req->passed = lappend(req->passed, req->workflow->name);
}

static void
go_on_with(Request *req, const char *workflow)
{
	req->left_at = places_add(req->left_at, req->workflow->id, req->position);
	leave_workflow(req);
	engine_start(req, workflow_current(workflow, false));
}

/* A gate that the request didn't know of holds a change: it goes on there. */
static void
go_on_held(Request *req, char *held_by, Change *held_change)
{
	if (!strings_contain(held_change->gates, held_by))
	{
		held_change->gates = lappend(held_change->gates, held_by);
		change_update_gates(req, held_change);
	}
	invoked(req, psprintf("goes on with workflow %s", held_by));
	go_on_with(req, held_by);
}

/*
 * The rows are written now: what hangs on the exit from the Persists that the
 * request came through before, and that left the writing to this one, runs.
 */
static void
leave_persists(Request *req)
{
	Workflow   *here = req->workflow;
	int			position = req->position;
	ListCell   *lc;

	foreach(lc, req->left_at)
	{
		Place	   *place = (Place *) lfirst(lc);

		req->workflow = workflow_by_id(place->workflow);
		req->position = place->position;
		aspects_run(req, STATE_INVOKED, true);
	}
	req->workflow = here;
	req->position = position;
}

/* Rows that have another key by now are known by that from here on. */
static void
follow_rows(Request *req)
{
	ListCell   *lc;

	foreach(lc, request_stored(req))
		if (((Change *) lfirst(lc))->fate == ROW_MOVED)
			change_update(req, lfirst(lc));
}

/*
 * Persist: write the changes, or find out what stands against it.  Returns
 * whether the workflow goes on.
 */
static bool
persist(Request *req)
{
	const char *next;
	StringInfoData report;
	char	   *held_by = NULL;
	Change	   *held_change = NULL;
	ApplyOutcome outcome;
	const char *fates;
	Event	   *event;
	JsonbParseState *state = NULL;

	if (req->persisted)
	{
		invoked(req, "its rows are written already");
		return true;
	}
	next = next_gate(req);
	if (next)
	{
		invoked(req, psprintf("goes on with workflow %s", next));
		go_on_with(req, next);
		return false;
	}

	initStringInfo(&report);
	outcome = apply_request(req, &held_by, &held_change, &report);
	fates = row_fates(req);
	if (fates[0] != '\0')
		follow_rows(req);
	switch (outcome)
	{
		case APPLY_DONE:
			nested_written(req);
			event = invoked(req, NULL);
			if (report.len > 0 || fates[0] != '\0')
				event->data = json_from_text(psprintf("{\"digests\": %s%s%s%s%s%s%s}", image_digests(req),
													  report.len > 0 ? ", \"triggers\": {" : "", report.data,
													  report.len > 0 ? "}" : "",
													  fates[0] ? ", \"rows\": {" : "", fates,
													  fates[0] ? "}" : ""));
			else
			{
				json_open(&state, WJB_BEGIN_OBJECT);
				json_key(&state, "digests");
				json_digests(&state, req);
				event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
			}
			req->persisted = true;
			resources_end(req);
			expiry_set(req);
			jobs_provision(req, request_activity(req));
			leave_persists(req);
			return true;

		case APPLY_HELD:
			go_on_held(req, held_by, held_change);
			return false;

		case APPLY_CONFLICT:
			event = request_event(req, req->acting, req->acting_via, "Conflict", NULL);
			event->data = json_from_text(psprintf("{\"columns\": {%s}%s%s%s}", report.data,
												  fates[0] ? ", \"rows\": {" : "", fates,
												  fates[0] ? "}" : ""));
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
	req->four_eyes = wf->four_eyes;
	req->partway = false;
	req->activity_state = NULL;
	req->state = "open";
	schedule_enter(req);
	run_from(req, 1, true);
}

/* The workflow is through: stay at the last activity, which says how it ended. */
static void
end_workflow(Request *req)
{
	req->position = req->workflow->nactivities;
	leave_workflow(req);
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
 * Where the activity at hand, which has come to a final state, is sent by a
 * Transition: the first that is for the state and whose IfExpression is true
 * for any of the changes.  0: nowhere.
 */
static int
transition_target(Request *req)
{
	Activity   *activity = request_activity(req);
	ListCell   *lc;

	foreach(lc, activity->element->children)
	{
		DefinitionElement *transition = (DefinitionElement *) lfirst(lc);

		if (strcmp(transition->name, "Transition") == 0 &&
			strcmp(element_value(transition, "On"), req->activity_state) == 0 &&
			condition_holds(req, element_value(transition, "IfExpression"),
							psprintf("IfExpression of the transition of activity \"%s\" to \"%s\"",
									 activity->name, element_value(transition, "To"))))
			return workflow_activity_named(req->workflow, element_value(transition, "To"))->position;
	}
	return 0;
}

/*
 * ContinueWith: the request goes on in another workflow, "Workflow" or
 * "Workflow:Activity".  Returns the position there; *starts tells whether that
 * workflow begins at its beginning.
 */
static int
continue_with(Request *req, bool *starts)
{
	Activity   *here = request_activity(req);
	char	   *name = pstrdup(element_value(here->element, "ArgumentCalledWorkflow"));
	char	   *colon = strchr(name, ':');
	Workflow   *wf;
	Activity   *activity = NULL;

	if (colon)
		*colon = '\0';
	wf = workflow_current(name, false);
	if (colon && (activity = workflow_activity_named(wf, colon + 1)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_UNDEFINED_WORKFLOW),
				 errmsg("workflow \"%s\" has no activity \"%s\"", name, colon + 1),
				 errdetail("Activity \"%s\" of workflow \"%s\" goes on there.", here->name,
						   req->workflow->name)));
	invoked(req, psprintf("goes on with workflow %s",
						  element_value(here->element, "ArgumentCalledWorkflow")));
	aspects_run(req, STATE_INVOKED, true);
	leave_workflow(req);
	req->workflow = wf;
	req->partway = activity != NULL;
	/* going on elsewhere does not take it back */
	req->four_eyes |= wf->four_eyes;
	*starts = activity == NULL;
	return activity ? activity->position : 1;
}

/*
 * Reviews that separation of duties asks for come before the activity at
 * which the request goes on.
 */
static void
review_further(Request *req, int reviews, int next)
{
	req->further_reviews = 0;
	req->position = FURTHER_POSITION(reviews, next);
	req->activity_state = request_activity(req)->template->initial_state;
	if (step_allowed(req))
		task_open(req);
}

/*
 * Go through the activities from a position on, until the request waits or
 * ends.  Where it starts there, it executes the first Action itself.
 */
static void
run_from(Request *req, int position, bool starts)
{
	for (;;)
	{
		bool		at_start = starts;
		Activity   *activity;
		char	   *held_by = NULL;
		Change	   *held_change = NULL;

		starts = false;
		if (req->further_reviews && req->overriding)
		{
			request_event(req, req->acting, req->acting_via, "Skip", "its further reviews are overridden");
			req->further_reviews = 0;
		}
		if (req->further_reviews)
		{
			review_further(req, req->further_reviews, position);
			return;
		}
		req->position = position;
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
			position++;
			continue;
		}

		if (req->overriding && activity->template->is_interactive && !at_start)
		{
			request_event(req, req->acting, req->acting_via, "Skip", "the request is overridden");
			position++;
			continue;
		}

		if (strcmp(activity->template->name, "Persist") == 0)
		{
			nested_draft(req);
			if (next_gate(req) == NULL && schedule_wait(req, &held_by, &held_change))
			{
				if (held_by)
					go_on_held(req, held_by, held_change);
				return;
			}
		}

		if (activity->template->is_interactive && !at_start && no_actor_skips(req, activity))
		{
			position++;
			continue;
		}

		enter(req, activity->template->initial_state);
		homonyms_check(req, activity);
		if (activity->template->is_interactive)
		{
			if (!at_start ||
				template_transition(activity->template, req->activity_state, "Execute") == NULL)
			{
				nested_draft(req);
				task_open(req);
				if (!repeated_approve(req))
					return;
				req->reviewed = places_add(req->reviewed, req->workflow->id, req->position);
			}
			else
				engine_move(req, template_transition_name(activity->template,
														  req->activity_state, "Execute"),
							STATE_EXECUTED, NULL);
		}
		else if (strcmp(activity->template->name, "Persist") == 0)
		{
			if (!persist(req))
				return;
		}
		else if (strcmp(activity->template->name, "ContinueWith") == 0)
		{
			position = continue_with(req, &starts);
			continue;
		}
		else
		{
			Jsonb	   *data = persist_into(req, activity);

			invoked(req, NULL)->data = data;
		}
		position = transition_target(req);
		aspects_run(req, req->activity_state, true);
		if (position == 0)
			position = req->position + 1;
	}
}

/*
 * engine_leave: the activity at hand has come to a final state: go on, or end
 * the request.  Whether the state is left, and whereto, is decided before what
 * hangs on its exit runs: one in which the request ends is not left.
 */
void
engine_leave(Request *req)
{
	int			position = transition_target(req);

	if (request_activity(req)->template->is_review)
		req->reviewed = places_add(req->reviewed, req->workflow->id, req->position);
	if (position == 0 && template_state_kind(req->activity_state) == TEMPLATE_STATE_CLOSE)
	{
		request_close(req, strcmp(req->activity_state, STATE_DECLINED) == 0 ?
					  "declined" : "aborted");
		return;
	}
	aspects_run(req, req->activity_state, true);
	if (FURTHER_REVIEWS(req->position))
	{
		int			left = FURTHER_REVIEWS(req->position);

		left &= left - 1;
		position = FURTHER_NEXT(req->position);
		if (left && !req->overriding)
		{
			review_further(req, left, position);
			return;
		}
	}
	run_from(req, position ? position : req->position + 1, false);
}

/*
 * Go back to a workflow that the request has left: it goes through what came
 * after once more.
 */
static void
return_to(Request *req, Workflow *wf)
{
	int			n = 0;
	ListCell   *lc;

	while (n < list_length(req->passed) && strcmp(list_nth(req->passed, n), wf->name) != 0)
		n++;
	/* if it isn't among those gone through, it was come into at an activity */
	req->partway = n == list_length(req->passed);
	req->passed = list_truncate(req->passed, n);
	foreach(lc, req->left_at)
	{
		Place	   *place = (Place *) lfirst(lc);

		if (!strings_contain(req->passed, workflow_by_id(place->workflow)->name))
			req->left_at = foreach_delete_current(req->left_at, lc);
	}
	req->workflow = wf;
	req->four_eyes |= wf->four_eyes;
}

/*
 * engine_review_again: the drafts changed after they were reviewed: back to
 * the review that the request last went through, in whichever workflow that
 * was.  One that went through none goes to the last that stands before, if
 * there is one; whether that asks anybody its IfExpression says.
 */
void
engine_review_again(Request *req)
{
	int			position = 0;

	if (req->reviewed)
	{
		Place	   *place = (Place *) llast(req->reviewed);

		if (place->workflow != req->workflow->id)
			return_to(req, workflow_by_id(place->workflow));
		position = place->position;
	}
	for (int i = req->position - 1; i >= 1 && position == 0; i--)
		if (workflow_activity(req->workflow, i)->template->is_review)
			position = i;
	req->state = "open";
	run_from(req, position ? position : req->position, false);
}

/*
 * engine_apply_again: try the Persist activity at hand once more.
 */
void
engine_apply_again(Request *req)
{
	req->state = "open";
	run_from(req, req->position, false);
}
