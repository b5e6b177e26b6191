/*-------------------------------------------------------------------------
 *
 * separation.c
 *	  SeparateFrom: whoever acted in one activity of a request does not act
 *	  in another.
 *
 * Who acted is read from the history, which nobody can change: an event of a
 * verb of an activity's template, by whoever carried it out and by whoever he
 * stood in for.  So it is of all rounds, also of those whose votes are void.
 *
 * It keeps people from the first state of an activity, in which it is carried
 * out or decided.  While a task is refined it is one person's that was named,
 * and what he does is looked at by the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "definition.h"
#include "separation.h"

PG_FUNCTION_INFO_V1(idflow_separated);

/*
 * Those who acted in some activities of a request.  Template-State-Verb is a
 * verb's transition; Claim, Comment and the like have no dashes.
 */
static StorePlan select_acted = {
	"SELECT DISTINCT e.activity, p.principal"
	" FROM idflow.event e, LATERAL (VALUES (e.actor), (e.on_behalf_of)) p (principal)"
	" WHERE e.request OPERATOR(pg_catalog.=) $1 AND e.activity OPERATOR(pg_catalog.=) ANY ($2)"
	" AND pg_catalog.split_part(e.transition, '-', 3) OPERATOR(pg_catalog.<>) ALL ('{\"\",Invoke}')"
	" AND p.principal IS NOT NULL"
	" ORDER BY 1, 2",
	2, {INT8OID, TEXTARRAYOID}
};

/* Is it the name of a transition that somebody's verb makes? */
static bool
is_verb_transition(const char *transition)
{
	const char *dash = transition ? strchr(transition, '-') : NULL;

	dash = dash ? strchr(dash + 1, '-') : NULL;
	return dash && strcmp(dash + 1, "Invoke") != 0;
}

/* The activities that one keeps apart from, in a state; NIL: from none. */
static List *
separate_activities(Activity *activity, const char *state)
{
	const char *value;
	char	   *names;
	List	   *result = NIL;

	if (activity == NULL || state == NULL ||
		strcmp(state, activity->template->initial_state) != 0)
		return NIL;
	value = element_value(activity->element, "SeparateFrom");
	if (value == NULL)
		return NIL;
	names = definition_list(value);
	for (char *p = names; *p; p += strcspn(p, "|"), p += *p == '|')
		result = lappend(result, pnstrdup(p, strcspn(p, "|")));
	return result;
}

/*
 * Those who acted in some activities of a request, as the history has it; if
 * principal is given only he.  A decision looks with a snapshot of now, a
 * reader with his own.  *where receives the activity of the last one.
 */
static List *
acted_in(int64 request, List *activities, const char *principal, bool read_only, char **where)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2];
	UserSwitch	save;
	List	   *result = NIL;
	int			n;

	values[0] = Int64GetDatum(request);
	store_begin(&save);
	values[1] = text_array_datum(activities);
	n = store_exec(&select_acted, values, NULL, read_only);
	for (int i = 0; i < n; i++)
	{
		char	   *name = spi_text(SPI_tuptable->vals[i], 2);
		MemoryContext spicxt;

		if (principal && strcmp(principal, name) != 0)
			continue;
		spicxt = MemoryContextSwitchTo(cxt);
		if (!strings_contain(result, name))
			result = lappend(result, pstrdup(name));
		if (where)
			*where = spi_text(SPI_tuptable->vals[i], 1);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return result;
}

/* Is an event somebody's act in one of the activities? */
static bool
acted_by(Event *event, List *activities)
{
	return event->activity && strings_contain(activities, event->activity) &&
		is_verb_transition(event->transition);
}

/*
 * The activity that keeps a person from the one at hand, in which he acted;
 * NULL if none does.
 */
static const char *
separating_activity(Request *req, const char *principal)
{
	List	   *activities = separate_activities(request_activity(req), req->activity_state);
	char	   *where = NULL;
	ListCell   *lc;

	if (activities == NIL)
		return NULL;

	/* what happened in this very call is not in the table yet */
	foreach(lc, req->events)
	{
		Event	   *event = (Event *) lfirst(lc);

		if (acted_by(event, activities) &&
			(strcmp(event->actor, principal) == 0 ||
			 (event->on_behalf_of && strcmp(event->on_behalf_of, principal) == 0)))
			return event->activity;
	}
	(void) acted_in(req->id, activities, principal, false, &where);
	return where;
}

/*
 * separated_from: is a person kept from the activity at hand, in the state in
 * which it is, by what he did in another one of the request?
 */
bool
separated_from(Request *req, const char *principal)
{
	return separating_activity(req, principal) != NULL;
}

/*
 * separated_now: all whom the activity at hand keeps out, what has happened in
 * this very call included.
 */
List *
separated_now(Request *req)
{
	Activity   *activity = request_activity(req);
	List	   *activities = separate_activities(activity, activity->template->initial_state);
	List	   *names;
	ListCell   *lc;

	if (activities == NIL)
		return NIL;
	names = acted_in(req->id, activities, NULL, false, NULL);
	foreach(lc, req->events)
	{
		Event	   *event = (Event *) lfirst(lc);

		if (!acted_by(event, activities))
			continue;
		names = lappend(names, unconstify(char *, event->actor));
		if (event->on_behalf_of)
			names = lappend(names, unconstify(char *, event->on_behalf_of));
	}
	return names;
}

/*
 * separated_principals: all whom an activity in a state keeps out, by the
 * history as it is stored; for readers.
 */
List *
separated_principals(int64 request, Activity *activity, const char *activity_state)
{
	List	   *activities = separate_activities(activity, activity_state);

	return activities == NIL ? NIL : acted_in(request, activities, NULL, true, NULL);
}

/*
 * require_separation: a person may act in the activity at hand so far as
 * separation of duties goes; errors if not.
 */
void
require_separation(Request *req, const char *principal)
{
	const char *where = separating_activity(req, principal);

	if (where)
		ereport(ERROR,
				(errcode(ERRCODE_WF_SEPARATION),
				 errmsg("\"%s\" may not act in activity \"%s\" of request " INT64_FORMAT,
						principal, request_activity(req)->name, req->id),
				 errdetail("\"%s\" acted in activity \"%s\" of the request, and the workflow keeps the two apart.",
						   principal, where),
				 errhint("Somebody else must do it: idflow.decider shows who may.")));
}

/*
 * idflow.separated(request, workflow, position, state): the activity in which
 * the present actor acted and which therefore keeps him from another; null if
 * there is none.
 */
Datum
idflow_separated(PG_FUNCTION_ARGS)
{
	int64		request = PG_GETARG_INT64(0);
	Workflow   *wf = workflow_by_id(PG_GETARG_INT64(1));
	char	   *full_state = text_to_cstring(PG_GETARG_TEXT_PP(3));
	const char *state = strchr(full_state, '-');
	List	   *activities = separate_activities(workflow_activity(wf, PG_GETARG_INT32(2)),
												 state ? state + 1 : NULL);
	char	   *where = NULL;

	if (activities != NIL)
		(void) acted_in(request, activities, actor_name(), true, &where);
	if (where == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(where));
}
