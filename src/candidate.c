/*-------------------------------------------------------------------------
 *
 * candidate.c
 *	  Whom a task asks by the workflow's rules, and who may act on it.
 *
 * idflow.candidate, which task.c writes, is the index behind the inbox.
 * Whether somebody may act is decided anew when he acts, from the workflow's
 * rules, so that rights lost or won in the meantime count.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "access.h"
#include "heapstore.h"
#include "idflow.h"
#include "pack.h"
#include "task.h"
#include "tenant.h"
#include "vote.h"

static StorePlan select_candidates = {
	"SELECT c.key, c.source FROM idflow.candidate c WHERE c.task OPERATOR(pg_catalog.=) $1 AND " KEY_IS_BOUND("c"),
	1, {INT8OID}
};

/* whom an admin added to a task; the history keeps that while it is refined */
static StorePlan select_added = {
	"SELECT data OPERATOR(pg_catalog.->>) 'principal' FROM ONLY idflow.event"
	" WHERE idflow.is_bound(data OPERATOR(pg_catalog.->>) 'principal', (data OPERATOR(pg_catalog.->>) 'binding')::pg_catalog.int8)"
	" AND request OPERATOR(pg_catalog.=) $1 AND transition OPERATOR(pg_catalog.=) 'AddCandidate'"
	" AND (data OPERATOR(pg_catalog.->>) 'task')::pg_catalog.int8 OPERATOR(pg_catalog.=) $2 ORDER BY seq",
	2, {INT8OID, INT8OID}
};

/* whom its Timeouts have put to the open task, in the history as well */
static StorePlan select_escalated = {
	"SELECT CASE WHEN idflow.is_bound(pg_catalog.substr(k.key, 3), (e.data OPERATOR(pg_catalog.->) 'bindings'"
	" OPERATOR(pg_catalog.->>) (k.ord OPERATOR(pg_catalog.-) 1)::pg_catalog.int4)::pg_catalog.int8) THEN k.key END,"
	" e.data OPERATOR(pg_catalog.?) 'instead', e.seq FROM ONLY idflow.event e,"
	" pg_catalog.jsonb_array_elements_text(e.data OPERATOR(pg_catalog.->) 'to') WITH ORDINALITY k (key, ord)"
	" WHERE e.request OPERATOR(pg_catalog.=) $1 AND e.transition OPERATOR(pg_catalog.=) 'Timeout'"
	" AND e.data OPERATOR(pg_catalog.->>) 'do' OPERATOR(pg_catalog.=) 'Escalate'"
	" AND (e.data OPERATOR(pg_catalog.->>) 'task')::pg_catalog.int8 OPERATOR(pg_catalog.=) $2 ORDER BY e.seq",
	2, {INT8OID, INT8OID}
};

static StorePlan select_taken_over = {
	"SELECT FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1"
	" AND source OPERATOR(pg_catalog.=) '" SOURCE_TAKEN_OVER "' LIMIT 1",
	1, {INT8OID}
};

/*
 * The principals that an expression yields: those that it yields for every
 * change that the workflow has a say in, so that nobody decides about a row
 * that is another's by being asked about his own.
 */
static List *
expression_principals(Request *req, const char *expression, const char *what)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *result = NIL;
	bool		first = true;
	ChangeScan	scan;
	Change	   *change;

	governed_begin(&scan, req);
	while ((change = changes_next(&scan)) != NULL && (first || result != NIL))
	{
		List	   *names = expression_names(expression, req->workflow, req, change, what);
		ListCell   *lc;

		MemoryContextSwitchTo(cxt);
		if (first)
			foreach(lc, names)
				result = lappend(result, pstrdup(lfirst(lc)));
		else
			foreach(lc, result)
				if (!strings_contain(names, lfirst(lc)))
					result = foreach_delete_current(result, lc);
		first = false;
	}
	changes_end(&scan);
	return result;
}

/* The principals of an Actor that is an expression. */
static List *
actor_principals(Request *req, Activity *activity, ActorRule *rule)
{
	return expression_principals(req, rule->expression,
								 psprintf("Actor of activity \"%s\"", activity->name));
}

static List *
add_key(List *keys, const char *prefix, const char *name)
{
	char	   *key = psprintf("%s%s", prefix, name);

	return strings_contain(keys, key) ? keys : lappend(keys, key);
}

/* Of the people whom rules name, those of other tenants are left out. */
static List *
add_principal(List *keys, Request *req, const char *name)
{
	return tenant_admits(req->tenant, name) ? add_key(keys, KEY_PRINCIPAL, name) : keys;
}

/*
 * candidate_people: the principals whom candidate keys stand for in a request,
 * profiles as those who hold them; some maybe more than once.
 */
List *
candidate_people(Request *req, List *keys)
{
	List	   *people = NIL;
	ListCell   *lc;

	foreach(lc, keys)
	{
		const char *key = lfirst(lc);

		if (strncmp(key, KEY_PROFILE, strlen(KEY_PROFILE)) == 0)
			people = list_concat(people, directory_holders(key + strlen(KEY_PROFILE), req->tenant));
		else if (strncmp(key, KEY_PRINCIPAL, strlen(KEY_PRINCIPAL)) == 0 &&
				 tenant_admits(req->tenant, key + strlen(KEY_PRINCIPAL)))
			people = lappend(people, unconstify(char *, key + strlen(KEY_PRINCIPAL)));
	}
	return people;
}

/*
 * candidate_keys: the candidate keys that an activity's Actors, or only one of
 * them, and its access rules give now, each once; NIL where they give none.
 */
List *
candidate_keys(Request *req, Activity *activity, ActorRule *only)
{
	List	   *keys = NIL;
	ListCell   *lc;
	ListCell   *ln;

	foreach(lc, activity->actors)
	{
		ActorRule  *rule = lfirst(lc);

		if (only && rule != only)
			continue;
		if (rule->profile)
			keys = add_key(keys, KEY_PROFILE, rule->profile);
		else if (rule->principal)
			keys = add_principal(keys, req, rule->principal);
		else
			foreach(ln, actor_principals(req, activity, rule))
				keys = add_principal(keys, req, lfirst(ln));
	}
	if (access_restricts(req))
		keys = activity->actors != NIL && keys == NIL ? NIL : access_keys(req, keys);
	return keys;
}

/*
 * candidate_expression_keys: the same of an expression, which is what.
 */
List *
candidate_expression_keys(Request *req, Activity *activity, const char *expression, const char *what)
{
	List	   *keys = NIL;
	ListCell   *lc;

	foreach(lc, expression_principals(req, expression,
									  psprintf("%s of activity \"%s\"", what, activity->name)))
		keys = add_principal(keys, req, lfirst(lc));
	return keys;
}

/*
 * candidate_rule_keys: whom the task at hand asks by the workflow's rules; the
 * admins where those give nobody.  An Action that names nobody is the
 * requester's.  source receives how they are stored.
 */
List *
candidate_rule_keys(Request *req, Activity *activity, const char **source)
{
	List	   *keys;

	*source = "Actor";
	if (activity->actors == NIL && !access_restricts(req) &&
		template_transition(activity->template, activity->template->initial_state, "Execute"))
	{
		*source = "Requester";
		return list_make1(psprintf(KEY_PRINCIPAL "%s", req->requester));
	}
	if (no_actor_escalates(req, activity))
	{
		*source = SOURCE_ESCALATED;
		return list_make1(psprintf(KEY_PROFILE "%s", element_value(activity->element, "EscalateTo")));
	}
	keys = candidate_keys(req, activity, NULL);
	return keys ? keys : list_make1(KEY_ADMIN);
}

/*
 * candidate_added_keys: the keys of those that were added to the open task by
 * hand.
 */
List *
candidate_added_keys(Request *req)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2];
	UserSwitch	save;
	List	   *keys = NIL;
	int			n;

	values[0] = Int64GetDatum(req->id);
	values[1] = Int64GetDatum(req->task);
	store_begin(&save);
	n = store_exec(&select_added, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		char	   *principal = spi_text(SPI_tuptable->vals[i], 1);
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		keys = add_key(keys, KEY_PRINCIPAL, principal);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return keys;
}

/*
 * candidate_escalated_keys: the keys of those whom Timeouts have put to the
 * open task; *instead: in the place of those of its rules.
 */
List *
candidate_escalated_keys(Request *req, bool *instead)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(req->id), Int64GetDatum(req->task)};
	UserSwitch	save;
	List	   *keys = NIL;
	int32		taken_over = 0;
	int			n;

	store_begin(&save);
	n = store_exec(&select_escalated, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		char	   *key = spi_text(row, 1);
		bool		isnull;
		MemoryContext spicxt;

		/* each that takes over ends what was before */
		if (DatumGetBool(spi_datum(row, 2, &isnull)) && spi_int32(row, 3) != taken_over)
		{
			taken_over = spi_int32(row, 3);
			keys = NIL;
		}
		if (key == NULL)
			continue;
		spicxt = MemoryContextSwitchTo(cxt);
		keys = add_key(keys, "", key);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	*instead = taken_over != 0;
	return keys;
}

/*
 * candidate_taken_over: has a Timeout put others in the place of those whom
 * the rules of the open task name?
 */
bool
candidate_taken_over(Request *req)
{
	Datum		values[1] = {Int64GetDatum(req->task)};

	return store_finds(&select_taken_over, values, false);
}

/*
 * task_authority: by what right a person may act on the open task now, as
 * text for the record; NULL if by none.
 */
const char *
task_authority(Request *req, const char *principal)
{
	MemoryContext cxt = CurrentMemoryContext;
	Activity   *activity = request_activity(req);
	bool		pending_rules = strcmp(req->activity_state,
									   activity->template->initial_state) == 0;
	Datum		values[1];
	UserSwitch	save;
	ListCell   *lc;
	int			n;
	const char *result = NULL;
	char	   *mine = psprintf(KEY_PRINCIPAL "%s", principal);
	bool		anybody = false;
	List	   *profiles = NIL;
	bool		restricted = access_restricts(req);
	bool		admitted = tenant_admits(req->tenant, principal);
	const char *rule = restricted && admitted ? access_permits(req, principal) : NULL;

	if (activity->has_deadline && candidate_taken_over(req))
		pending_rules = false;

	/* where an activity has only access rules, they say who may act */
	if (pending_rules && rule && activity->actors == NIL)
		return rule;

	/* the activity's own rules hold in its first state, not while it is refined */
	if (pending_rules && admitted && (!restricted || rule))
	{
		foreach(lc, activity->actors)
		{
			ActorRule  *rule = lfirst(lc);

			if (rule->profile)
			{
				if (directory_holds(principal, rule->profile, req->tenant))
					return psprintf("profile %s", rule->profile);
			}
			else if (rule->principal)
			{
				if (strcmp(rule->principal, principal) == 0 && !task_asked_former(req, principal))
					return "principal";
			}
			else if (strings_contain(actor_principals(req, activity, rule), principal) &&
					 !task_asked_former(req, principal))
				return "expression";
		}
	}

	values[0] = Int64GetDatum(req->task);
	store_begin(&save);
	n = store_exec(&select_candidates, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		char	   *key = spi_text(row, 1);
		char	   *source = spi_text(row, 2);

		if (strcmp(key, KEY_ADMIN) == 0)
			continue;
		anybody = true;
		if (!admitted)
			continue;
		if (strcmp(source, "Actor") != 0 && strcmp(key, mine) == 0 &&
			(!restricted || rule || strcmp(source, "Refine") != 0))
		{
			MemoryContext spicxt = MemoryContextSwitchTo(cxt);

			result = pstrdup(source);
			MemoryContextSwitchTo(spicxt);
		}
		if ((strcmp(source, SOURCE_ESCALATED) == 0 || strcmp(source, SOURCE_TIMEOUT) == 0 ||
			 strcmp(source, SOURCE_TAKEN_OVER) == 0) &&
			strncmp(key, KEY_PROFILE, strlen(KEY_PROFILE)) == 0)
		{
			MemoryContext spicxt = MemoryContextSwitchTo(cxt);

			profiles = lappend(profiles, pstrdup(key + strlen(KEY_PROFILE)));
			MemoryContextSwitchTo(spicxt);
		}
	}
	store_end(&save);
	foreach(lc, profiles)
		if (result == NULL && directory_holds(principal, lfirst(lc), req->tenant))
			result = psprintf("escalated, profile %s", (char *) lfirst(lc));

	/* where the workflow names nobody, or nobody is left, the admins decide */
	if (result == NULL && !anybody && role_is_admin(GetUserId()))
		result = "idflow_admin";
	return result;
}

/*
 * task_asked_keys: the candidate keys of the open task.
 */
List *
task_asked_keys(Request *req)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(req->task)};
	UserSwitch	save;
	List	   *keys = NIL;
	int			n;

	store_begin(&save);
	n = store_exec(&select_candidates, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		char	   *key = spi_text(SPI_tuptable->vals[i], 1);
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		keys = lappend(keys, pstrdup(key));
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return keys;
}
