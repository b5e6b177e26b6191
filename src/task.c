/*-------------------------------------------------------------------------
 *
 * task.c
 *	  Tasks: opened when an activity waits, closed when it is decided; who
 *	  may act on them.
 *
 * idflow.candidate is the index behind the inbox.  Whether somebody may act
 * is decided anew when he acts, from the workflow's rules, so that rights
 * lost or won in the meantime count.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "idflow.h"
#include "task.h"

static StorePlan insert_task = {
	"INSERT INTO idflow.task (id, request, workflow_id, position, activity, activity_state, opened_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)",
	7, {INT8OID, INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
};

/* the common case: one candidate */
static StorePlan insert_task_and_candidate = {
	"WITH c AS (INSERT INTO idflow.candidate (task, request, key, source) VALUES ($1, $2, $8, $9))"
	" INSERT INTO idflow.task (id, request, workflow_id, position, activity, activity_state, opened_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)",
	9, {INT8OID, INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
};

static StorePlan insert_candidates = {
	"INSERT INTO idflow.candidate (task, request, key, source)"
	" SELECT $1, $2, k, $4 FROM pg_catalog.unnest($3) k ON CONFLICT DO NOTHING",
	4, {INT8OID, INT8OID, TEXTARRAYOID, TEXTOID}
};

static StorePlan delete_candidates = {
	"DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1"
	" AND ($2 IS NULL OR source OPERATOR(pg_catalog.=) $2)",
	2, {INT8OID, TEXTOID}
};

static StorePlan delete_all_candidates = {
	"DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan select_candidates = {
	"SELECT key, source FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan close_task = {
	"WITH c AS (DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1)"
	" UPDATE idflow.task SET state = 'closed', outcome = $2, closed_at = $3"
	" WHERE id OPERATOR(pg_catalog.=) $1 RETURNING claimed_by",
	3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
};

static StorePlan close_task_with_vote = {
	"WITH c AS (DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1),"
	" v AS (INSERT INTO idflow.vote (task, seq, request, principal, via, vote, comment, voted_at, revision)"
	" VALUES ($1, $4, $5, $6, $7, $8, $9, $3, $10))"
	" UPDATE idflow.task SET state = 'closed', outcome = $2, closed_at = $3"
	" WHERE id OPERATOR(pg_catalog.=) $1 RETURNING claimed_by",
	10, {INT8OID, TEXTOID, TIMESTAMPTZOID, INT4OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID}
};

static StorePlan move_task = {
	"UPDATE idflow.task SET activity_state = $2, claimed_by = NULL, claimed_at = NULL"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	2, {INT8OID, TEXTOID}
};

static StorePlan void_votes = {
	"UPDATE idflow.vote SET superseded = true"
	" WHERE task OPERATOR(pg_catalog.=) $1 AND NOT superseded",
	1, {INT8OID}
};

/*
 * The principals that an Actor's Expression yields: those that it yields for
 * every change that the workflow has a say in, so that nobody decides about a
 * row that is another's by being asked about his own.
 */
static List *
expression_principals(Request *req, Activity *activity, ActorRule *rule)
{
	List	   *result = NIL;
	bool		first = true;
	ListCell   *lc;

	foreach(lc, governed_changes(req))
	{
		List	   *names = expression_names(rule->expression, req->workflow, req, lfirst(lc),
											 psprintf("Actor of activity \"%s\"", activity->name));
		List	   *both = NIL;
		ListCell   *ln;

		if (first)
			result = names;
		else
		{
			foreach(ln, result)
				if (strings_contain(names, lfirst(ln)))
					both = lappend(both, lfirst(ln));
			result = both;
		}
		first = false;
	}
	return result;
}

/* The candidate keys that an activity's rules give now. */
static List *
rule_keys(Request *req, Activity *activity)
{
	List	   *keys = NIL;
	ListCell   *lc;
	ListCell   *ln;

	foreach(lc, activity->actors)
	{
		ActorRule  *rule = lfirst(lc);

		if (rule->profile)
			keys = lappend(keys, psprintf(KEY_PROFILE "%s", rule->profile));
		else if (rule->principal)
			keys = lappend(keys, psprintf(KEY_PRINCIPAL "%s", rule->principal));
		else
			foreach(ln, expression_principals(req, activity, rule))
				keys = lappend(keys, psprintf(KEY_PRINCIPAL "%s", (char *) lfirst(ln)));
	}
	return keys;
}

static void
store_candidates(Request *req, List *keys, const char *source)
{
	Datum		values[4];
	UserSwitch	save;

	if (keys == NIL)
		return;
	values[0] = Int64GetDatum(req->task);
	values[1] = Int64GetDatum(req->id);
	values[3] = CStringGetTextDatum(source);
	store_begin(&save);
	values[2] = text_array_datum(keys);
	store_exec(&insert_candidates, values, NULL, false);
	store_end(&save);
}

static void
drop_candidates(int64 task, const char *source)
{
	Datum		values[2];
	char		nulls[3] = "  ";
	UserSwitch	save;

	values[0] = Int64GetDatum(task);
	store_begin(&save);
	if (source)
	{
		values[1] = text_datum(source, &nulls[1]);
		store_exec(&delete_candidates, values, nulls, false);
	}
	else
		store_exec(&delete_all_candidates, values, NULL, false);
	store_end(&save);
}

/* The list of those asked goes into the last event, where it stays. */
static void
record_candidates(Request *req, Activity *activity, List *keys)
{
	Event	   *event;
	StringInfoData buf;
	ListCell   *lc;

	if (req->events == NIL)
		request_event(req, req->acting, req->acting_via, "Ask", NULL);
	event = llast(req->events);
	if (event->data)
		event = request_event(req, req->acting, req->acting_via, "Ask", NULL);

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	appendStringInfo(&buf, "\"task\": " INT64_FORMAT, req->task);
	json_pair(&buf, "asks", activity->name);
	appendStringInfoString(&buf, ", \"candidates\": [");
	foreach(lc, keys)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&buf, ", ");
		escape_json(&buf, lfirst(lc));
	}
	appendStringInfoString(&buf, "], \"digests\": ");
	appendStringInfoString(&buf, image_digests(req));
	appendStringInfoChar(&buf, '}');
	event->data = json_from_text(buf.data);
}

/*
 * task_open: the activity at hand waits for people.
 */
void
task_open(Request *req)
{
	Activity   *activity = request_activity(req);
	List	   *keys = rule_keys(req, activity);
	const char *source = "Actor";
	Datum		values[9];
	UserSwitch	save;

	/* an Action that names nobody is the requester's */
	if (activity->actors == NIL &&
		template_transition(activity->template, req->activity_state, "Execute"))
	{
		keys = list_make1(psprintf(KEY_PRINCIPAL "%s", req->requester));
		source = "Requester";
	}

	req->task = nextval_internal(extension_relid("task_id_seq"), false);
	values[0] = Int64GetDatum(req->task);
	values[1] = Int64GetDatum(req->id);
	values[2] = Int64GetDatum(req->workflow->id);
	values[3] = Int32GetDatum(req->position);
	values[4] = CStringGetTextDatum(activity->name);
	values[5] = CStringGetTextDatum(request_full_state(req));
	values[6] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (list_length(keys) == 1)
	{
		values[7] = CStringGetTextDatum(linitial(keys));
		values[8] = CStringGetTextDatum(source);
	}
	store_begin(&save);
	store_exec(list_length(keys) == 1 ? &insert_task_and_candidate : &insert_task,
			   values, NULL, false);
	store_end(&save);
	if (list_length(keys) > 1)
		store_candidates(req, keys, source);
	record_candidates(req, activity, keys);
}

/*
 * task_ask_again: the drafts changed under an open task: its votes are void,
 * and whom it asks is found anew.  Those added by hand stay.
 */
void
task_ask_again(Request *req)
{
	Datum		values[1];
	UserSwitch	save;

	values[0] = Int64GetDatum(req->task);
	store_begin(&save);
	store_exec(&void_votes, values, NULL, false);
	store_end(&save);
	task_candidates_again(req);
}

/*
 * task_candidates_again: find anew whom the open task asks.
 */
void
task_candidates_again(Request *req)
{
	Activity   *activity = request_activity(req);
	List	   *keys;

	if (strcmp(req->activity_state, activity->template->initial_state) != 0)
		return;
	drop_candidates(req->task, "Actor");
	keys = rule_keys(req, activity);
	store_candidates(req, keys, "Actor");
	record_candidates(req, activity, keys);
}

/*
 * task_close: end the open task, with a vote if there is one.  Returns who had
 * claimed it, or NULL.
 */
char *
task_close(Request *req, const char *outcome, Vote *vote)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[10];
	char		nulls[11];
	UserSwitch	save;
	char	   *claimed_by = NULL;

	if (req->task == 0)
		return NULL;
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(req->task);
	values[1] = CStringGetTextDatum(outcome);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (vote)
	{
		/* events only grow, so their number serves as the vote's */
		values[3] = Int32GetDatum(req->nevents + 1);
		values[4] = Int64GetDatum(req->id);
		values[5] = CStringGetTextDatum(vote->principal);
		values[6] = CStringGetTextDatum(vote->via);
		values[7] = CStringGetTextDatum(vote->vote);
		values[8] = text_datum(vote->comment, &nulls[8]);
		values[9] = Int32GetDatum(req->revision);
	}
	store_begin(&save);
	if (store_exec(vote ? &close_task_with_vote : &close_task, values, nulls, false) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		claimed_by = spi_text(row, 1);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	req->task = 0;
	return claimed_by;
}

/*
 * task_move: the open task stays, in another state of its activity, and is
 * put to one person; to NULL puts it back to those of the activity's rules.
 */
void
task_move(Request *req, const char *to_actor)
{
	Activity   *activity = request_activity(req);
	Datum		values[2];
	UserSwitch	save;
	List	   *keys;

	values[0] = Int64GetDatum(req->task);
	values[1] = CStringGetTextDatum(request_full_state(req));
	store_begin(&save);
	store_exec(&move_task, values, NULL, false);
	store_end(&save);
	drop_candidates(req->task, NULL);
	if (to_actor)
		keys = list_make1(psprintf(KEY_PRINCIPAL "%s", to_actor));
	else
		keys = rule_keys(req, activity);
	store_candidates(req, keys, to_actor ? "Refine" : "Actor");
	record_candidates(req, activity, keys);
}

/*
 * task_add_candidate: somebody more may act on the open task.
 */
void
task_add_candidate(Request *req, const char *principal)
{
	store_candidates(req, list_make1(psprintf(KEY_PRINCIPAL "%s", principal)), "Added");
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

	/* the activity's own rules hold in its first state, not while it is refined */
	if (pending_rules)
	{
		foreach(lc, activity->actors)
		{
			ActorRule  *rule = lfirst(lc);

			if (rule->profile)
			{
				if (directory_holds(principal, rule->profile))
					return psprintf("profile %s", rule->profile);
			}
			else if (rule->principal)
			{
				if (strcmp(rule->principal, principal) == 0)
					return "principal";
			}
			else if (strings_contain(expression_principals(req, activity, rule), principal))
				return "expression";
		}
	}

	values[0] = Int64GetDatum(req->task);
	store_begin(&save);
	n = store_exec(&select_candidates, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		char	   *source = spi_text(row, 2);

		anybody = true;
		if (strcmp(source, "Actor") != 0 && strcmp(spi_text(row, 1), mine) == 0)
		{
			MemoryContext spicxt = MemoryContextSwitchTo(cxt);

			result = pstrdup(source);
			MemoryContextSwitchTo(spicxt);
		}
	}
	store_end(&save);

	/* where the workflow names nobody, or nobody is left, the admins decide */
	if (result == NULL && !anybody && role_is_admin(GetUserId()))
		result = "idflow_admin";
	return result;
}
