/*-------------------------------------------------------------------------
 *
 * timeout.c
 *	  Deadlines: what happens where a task stays open.
 *
 * The clock starts when the task opens and runs as long as it is open; an
 * edited draft, a claim and a vote don't set it back.  While somebody refines
 * the draft the reviewers can't decide: what falls due then happens when the
 * task comes back to them.
 *
 * What is done is done by nobody, and the history says so: the actor is
 * ACTOR_SYSTEM, the right is "timeout".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "notification.h"
#include "task.h"
#include "tenant.h"
#include "timeout.h"

static StorePlan resume_timers = {
	"UPDATE idflow.timer SET due_at = pg_catalog.clock_timestamp()"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND task OPERATOR(pg_catalog.=) $2"
	" AND kind OPERATOR(pg_catalog.=) '" TIMER_TIMEOUT "'"
	" AND due_at OPERATOR(pg_catalog.=) 'infinity'::pg_catalog.timestamptz",
	2, {INT8OID, INT8OID}
};

/*
 * activity_has_deadline: do its tasks end, or become due, by the clock?
 */
bool
activity_has_deadline(Activity *activity)
{
	return element_value(activity->element, "Due") != NULL ||
		element_children_named(activity->element, "Timeout") != NIL;
}

/* The calendar by which a Timeout counts, or the activity's Due; NULL: every hour counts. */
static const char *
calendar_of(Activity *activity, const DefinitionElement *timeout)
{
	const char *calendar = timeout ? element_value(timeout, "Calendar") : NULL;

	return calendar ? calendar : element_value(activity->element, "Calendar");
}

static bool
decides(const DefinitionElement *timeout)
{
	const char *action = element_value(timeout, "Do");

	return strcmp(action, "Notify") != 0 && strcmp(action, "Escalate") != 0;
}

/*
 * timeout_due: until when a task of the activity is to be decided: its Due,
 * else when the first Timeout decides it; 0: that is not said.
 */
TimestampTz
timeout_due(Activity *activity, TimestampTz opened_at)
{
	const char *due = element_value(activity->element, "Due");
	TimestampTz first = 0;
	ListCell   *lc;

	if (due)
		return time_after(opened_at, due, calendar_of(activity, NULL));
	foreach(lc, element_children_named(activity->element, "Timeout"))
	{
		DefinitionElement *timeout = (DefinitionElement *) lfirst(lc);

		if (decides(timeout))
		{
			TimestampTz at = time_after(opened_at, element_value(timeout, "After"),
										calendar_of(activity, timeout));

			if (first == 0 || at < first)
				first = at;
		}
	}
	return first;
}

/*
 * timeouts_set: a task has opened; a timer for each Timeout, by its number.
 */
void
timeouts_set(Request *req, Activity *activity, TimestampTz opened_at)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, element_children_named(activity->element, "Timeout"))
	{
		DefinitionElement *timeout = (DefinitionElement *) lfirst(lc);

		timer_add(TIMER_TIMEOUT, req->id, req->task, psprintf("%d", ++n),
				  time_after(opened_at, element_value(timeout, "After"), calendar_of(activity, timeout)),
				  NULL);
	}
}

/*
 * timeouts_end: the open task closes, and its timers go with it.
 */
void
timeouts_end(Request *req)
{
	timers_drop(req->id, req->task, TIMER_TIMEOUT);
}

/*
 * timeouts_resume: the task is back with those who decide; what fell due
 * meanwhile is due now.
 */
void
timeouts_resume(Request *req)
{
	Datum		values[2] = {Int64GetDatum(req->id), Int64GetDatum(req->task)};
	UserSwitch	save;

	store_begin(&save);
	store_exec(&resume_timers, values, NULL, false);
	store_end(&save);
}

/* Whom a Timeout names, as candidate keys; NIL: nobody. */
static List *
keys_of(Request *req, Activity *activity, const DefinitionElement *timeout)
{
	const char *profile = element_value(timeout, "Profile");
	const char *principal = element_value(timeout, "Principal");
	const char *expression = element_value(timeout, "Expression");

	if (profile)
		return list_make1(psprintf(KEY_PROFILE "%s", profile));
	if (principal)
		return tenant_admits(req->tenant, principal) ?
			list_make1(psprintf(KEY_PRINCIPAL "%s", principal)) : NIL;
	return expression ? candidate_expression_keys(req, activity, expression, "Expression of a Timeout") : NIL;
}

/* What happened, in the history. */
static Event *
record(Request *req, const DefinitionElement *timeout, List *keys, bool instead)
{
	Event	   *event;
	JsonbParseState *state = NULL;
	bool		bound = false;
	ListCell   *lc;

	event = request_event(req, ACTOR_SYSTEM, TIMER_TIMEOUT, "Timeout",
						  psprintf("%s after %s", element_value(timeout, "Do"), element_value(timeout, "After")));
	event->from_state = event->to_state = request_full_state(req);
	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "task");
	json_int64(&state, WJB_VALUE, req->task);
	json_key(&state, "do");
	json_string(&state, WJB_VALUE, element_value(timeout, "Do"));
	if (keys)
	{
		json_key(&state, "to");
		json_strings(&state, keys);
		foreach(lc, keys)
			bound |= key_binding(req, lfirst(lc)) != 0;
	}
	if (bound)
	{
		json_key(&state, "bindings");
		json_open(&state, WJB_BEGIN_ARRAY);
		foreach(lc, keys)
			json_binding(&state, WJB_ELEM, key_binding(req, lfirst(lc)));
		(void) json_close(&state, WJB_END_ARRAY);
	}
	if (instead)
	{
		json_key(&state, "instead");
		json_string(&state, WJB_VALUE, "true");
	}
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
	return event;
}

/* Tell people of a task that stays open. */
static void
tell(Request *req, Activity *activity, const DefinitionElement *timeout, List *keys, bool asked)
{
	notify_told(req, keys, asked, "Timeout",
				psprintf("Request " INT64_FORMAT " waits: %s", req->id,
						 req->title ? req->title : activity->display_name),
				psprintf("%s has been waiting since task " INT64_FORMAT " was opened.",
						 activity->display_name, req->task),
				timeout);
}

/* The task ends as if it were decided so. */
static void
decide(Request *req, Activity *activity, const DefinitionElement *timeout)
{
	const char *verb = element_value(timeout, "Do");
	const char *to = template_transition(activity->template, req->activity_state, verb);

	if (to == NULL)
		elog(ERROR, "a timeout can't %s in state %s", verb, request_full_state(req));
	record(req, timeout, NIL, false);
	engine_move(req, template_transition_name(activity->template, req->activity_state, verb), to,
				psprintf("nobody had decided after %s", element_value(timeout, "After")));
	task_close(req, to, NULL);
	engine_leave(req);
}

/* When a Timeout that repeats is due again; the times that were missed are left out. */
static TimestampTz
due_again(Activity *activity, const DefinitionElement *timeout, TimestampTz due_at)
{
	const char *repeat = element_value(timeout, "Repeat");
	const char *calendar = calendar_of(activity, timeout);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next;

	if (repeat == NULL)
		return 0;
	next = time_after(due_at, repeat, calendar);
	return next > now ? next : time_after(now, repeat, calendar);
}

/*
 * timeout_run: the timer of a Timeout.
 */
TimestampTz
timeout_run(Timer *timer)
{
	Request    *req = request_load(timer->request);
	Activity   *activity;
	DefinitionElement *timeout;
	List	   *timeouts;
	List	   *keys;
	const char *action;
	bool		asked = true;
	int			n = pg_strtoint32(timer->name);

	if (req == NULL || req->task != timer->task)
		return 0;
	activity = request_activity(req);
	timeouts = element_children_named(activity->element, "Timeout");
	if (n > list_length(timeouts))
		return 0;
	timeout = (DefinitionElement *) list_nth(timeouts, n - 1);

	/* while it is refined; timeouts_resume() makes it due again */
	if (strcmp(req->activity_state, activity->template->initial_state) != 0)
		return DT_NOEND;

	req->acting = ACTOR_SYSTEM;
	req->acting_via = TIMER_TIMEOUT;
	action = element_value(timeout, "Do");
	if (decides(timeout))
	{
		decide(req, activity, timeout);
		request_write(req);
		return 0;
	}
	keys = keys_of(req, activity, timeout);
	if (strcmp(action, "Escalate") == 0)
	{
		bool		instead = element_boolean(timeout, "Replace", false);

		record(req, timeout, keys, instead);
		if (keys)
			task_escalate(req, keys, instead);
	}
	else
	{
		asked = keys == NIL;
		if (asked)
			keys = task_asked_keys(req);
		record(req, timeout, keys, false);
	}
	tell(req, activity, timeout, keys, asked);
	request_write(req);
	return due_again(activity, timeout, timer->due_at);
}
