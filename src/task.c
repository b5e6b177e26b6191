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

#include "access.h"
#include "heapstore.h"
#include "idflow.h"
#include "notification.h"
#include "task.h"

/* Columns of idflow.task. */
enum
{
	TK_ID = 1,
	TK_REQUEST,
	TK_WORKFLOW_ID,
	TK_POSITION,
	TK_ACTIVITY,
	TK_ACTIVITY_STATE,
	TK_STATE,
	TK_OUTCOME,
	TK_OPENED_AT,
	TK_CLOSED_AT,
	TK_DUE_AT,
	TK_CLAIMED_BY,
	TK_CLAIMED_AT
};

/* Columns of idflow.candidate. */
enum
{
	CA_TASK = 1,
	CA_REQUEST,
	CA_KEY,
	CA_SOURCE
};

/* Columns of idflow.vote. */
enum
{
	VO_TASK = 1,
	VO_SEQ,
	VO_REQUEST,
	VO_PRINCIPAL,
	VO_ON_BEHALF_OF,
	VO_VIA,
	VO_VOTE,
	VO_COMMENT,
	VO_VOTED_AT,
	VO_REVISION,
	VO_SUPERSEDED
};

static StoreTable task_table = {"task"};
static StoreTable candidate_table = {"candidate"};
static StoreTable vote_table = {"vote"};

static StorePlan insert_candidates = {
	"INSERT INTO idflow.candidate (task, request, key, source)"
	" SELECT $1, $2, k, $4 FROM pg_catalog.unnest($3) k ON CONFLICT DO NOTHING",
	4, {INT8OID, INT8OID, TEXTARRAYOID, TEXTOID}
};

static StorePlan delete_candidates = {
	"DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1"
	" AND source OPERATOR(pg_catalog.=) $2",
	2, {INT8OID, TEXTOID}
};

static StorePlan delete_candidate = {
	"DELETE FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1"
	" AND key OPERATOR(pg_catalog.=) $2",
	2, {INT8OID, TEXTOID}
};

static StorePlan select_candidates = {
	"SELECT key, source FROM idflow.candidate WHERE task OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

/* whom an admin added to a task; the history keeps that while it is refined */
static StorePlan select_added = {
	"SELECT data OPERATOR(pg_catalog.->>) 'principal' FROM idflow.event"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND transition OPERATOR(pg_catalog.=) 'AddCandidate'"
	" AND (data OPERATOR(pg_catalog.->>) 'task')::pg_catalog.int8 OPERATOR(pg_catalog.=) $2 ORDER BY seq",
	2, {INT8OID, INT8OID}
};

static StorePlan move_task = {
	"UPDATE idflow.task SET activity_state = $2, claimed_by = NULL, claimed_at = NULL"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	2, {INT8OID, TEXTOID}
};

static StorePlan void_votes = {
	"UPDATE idflow.vote SET superseded = true"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND task OPERATOR(pg_catalog.=) $2 AND NOT superseded",
	2, {INT8OID, INT8OID}
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

static List *
add_key(List *keys, const char *prefix, const char *name)
{
	char	   *key = psprintf("%s%s", prefix, name);

	return strings_contain(keys, key) ? keys : lappend(keys, key);
}

/*
 * The candidate keys that an activity's rules give now, each once; the admins'
 * where they give none.  An Action that names nobody is the requester's.
 * source receives how they are stored.
 */
static List *
rule_keys(Request *req, Activity *activity, const char **source)
{
	List	   *keys = NIL;
	ListCell   *lc;
	ListCell   *ln;

	*source = "Actor";
	if (activity->actors == NIL && !access_restricts(req) &&
		template_transition(activity->template, activity->template->initial_state, "Execute"))
	{
		*source = "Requester";
		return list_make1(psprintf(KEY_PRINCIPAL "%s", req->requester));
	}
	foreach(lc, activity->actors)
	{
		ActorRule  *rule = lfirst(lc);

		if (rule->profile)
			keys = add_key(keys, KEY_PROFILE, rule->profile);
		else if (rule->principal)
			keys = add_key(keys, KEY_PRINCIPAL, rule->principal);
		else
			foreach(ln, expression_principals(req, activity, rule))
				keys = add_key(keys, KEY_PRINCIPAL, lfirst(ln));
	}
	if (access_restricts(req))
		keys = activity->actors != NIL && keys == NIL ? NIL : access_keys(req, keys);
	if (keys == NIL)
		keys = list_make1(KEY_ADMIN);
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
	UserSwitch	save;

	if (source == NULL)
	{
		store_delete(&candidate_table, task);
		return;
	}
	values[0] = Int64GetDatum(task);
	values[1] = CStringGetTextDatum(source);
	store_begin(&save);
	store_exec(&delete_candidates, values, NULL, false);
	store_end(&save);
}

/* The list of those asked goes into the last event, where it stays. */
static void
record_candidates(Request *req, Activity *activity, List *keys)
{
	Event	   *event;
	JsonbParseState *state = NULL;
	ListCell   *lc;

	if (req->events == NIL)
		request_event(req, req->acting, req->acting_via, "Ask", NULL);
	event = llast(req->events);
	if (event->data)
		event = request_event(req, req->acting, req->acting_via, "Ask", NULL);

	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "task");
	json_int64(&state, WJB_VALUE, req->task);
	json_key(&state, "asks");
	json_string(&state, WJB_VALUE, activity->name);
	json_key(&state, "candidates");
	json_open(&state, WJB_BEGIN_ARRAY);
	foreach(lc, keys)
		json_string(&state, WJB_ELEM, lfirst(lc));
	(void) json_close(&state, WJB_END_ARRAY);
	json_key(&state, "digests");
	json_digests(&state, req);
	event->data = JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
	notify_asked(req, keys);
}

/*
 * task_request: the number of a task's request, 0 if there is no such task;
 * *tid is where the task's row is.
 */
int64
task_request(int64 task, ItemPointer tid)
{
	StoreRow	row;

	PreventCommandDuringRecovery("a decision on a task");
	return store_fetch(&task_table, task, &row, tid) ?
		DatumGetInt64(row.values[TK_REQUEST - 1]) : 0;
}

/*
 * task_mark_waiting: keep a request that waits for no task among those that
 * are not closed, by a row of its requester's that no inbox shows.
 */
void
task_mark_waiting(Request *req)
{
	StoreRow	row;

	row_clear(&row);
	row_set(&row, CA_TASK, Int64GetDatum(-req->id));
	row_set(&row, CA_REQUEST, Int64GetDatum(req->id));
	row_set_text(&row, CA_KEY, psprintf(KEY_PRINCIPAL "%s", req->requester));
	row_set_text(&row, CA_SOURCE, "Requester");
	store_insert(&candidate_table, &row);
}

void
task_unmark_waiting(Request *req)
{
	store_delete(&candidate_table, -req->id);
}

/*
 * task_open: the activity at hand waits for people.
 */
void
task_open(Request *req)
{
	Activity   *activity = request_activity(req);
	const char *source;
	List	   *keys = rule_keys(req, activity, &source);
	StoreRow	row;
	ListCell   *lc;

	req->task = nextval_internal(extension_relid("task_id_seq"), false);
	row_clear(&row);
	row_set(&row, TK_ID, Int64GetDatum(req->task));
	row_set(&row, TK_REQUEST, Int64GetDatum(req->id));
	row_set(&row, TK_WORKFLOW_ID, Int64GetDatum(req->workflow->id));
	row_set(&row, TK_POSITION, Int32GetDatum(req->position));
	row_set_text(&row, TK_ACTIVITY, activity->name);
	row_set_text(&row, TK_ACTIVITY_STATE, request_full_state(req));
	row_set_text(&row, TK_STATE, "open");
	row_set(&row, TK_OPENED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	store_insert(&task_table, &row);

	row_clear(&row);
	foreach(lc, keys)
	{
		row_set(&row, CA_TASK, Int64GetDatum(req->task));
		row_set(&row, CA_REQUEST, Int64GetDatum(req->id));
		row_set_text(&row, CA_KEY, lfirst(lc));
		row_set_text(&row, CA_SOURCE, source);
		store_insert(&candidate_table, &row);
	}
	record_candidates(req, activity, keys);
}

/*
 * task_ask_again: the drafts changed under an open task: its votes are void,
 * and whom it asks is found anew.  Those added by hand stay.
 */
void
task_ask_again(Request *req)
{
	Datum		values[2];
	UserSwitch	save;

	values[0] = Int64GetDatum(req->id);
	values[1] = Int64GetDatum(req->task);
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
	const char *source;
	List	   *keys;

	if (strcmp(req->activity_state, activity->template->initial_state) != 0)
		return;
	keys = rule_keys(req, activity, &source);
	drop_candidates(req->task, "Actor");
	drop_candidates(req->task, "Requester");
	store_candidates(req, keys, source);
	record_candidates(req, activity, keys);
}

/*
 * task_close: end the open task, with a vote if there is one.  Returns who had
 * claimed it, or NULL.
 */
char *
task_close(Request *req, const char *outcome, Vote *vote)
{
	StoreRow	row;
	ItemPointerData tid;
	char	   *claimed_by = NULL;
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());

	if (req->task == 0)
		return NULL;
	if (vote)
	{
		row_clear(&row);
		row_set(&row, VO_TASK, Int64GetDatum(req->task));
		/* events only grow, so their number serves as the vote's */
		row_set(&row, VO_SEQ, Int32GetDatum(req->nevents + 1));
		row_set(&row, VO_REQUEST, Int64GetDatum(req->id));
		row_set_text(&row, VO_PRINCIPAL, vote->principal);
		row_set_text(&row, VO_ON_BEHALF_OF, vote->on_behalf_of);
		row_set_text(&row, VO_VIA, vote->via);
		row_set_text(&row, VO_VOTE, vote->vote);
		row_set_text(&row, VO_COMMENT, vote->comment);
		row_set(&row, VO_VOTED_AT, now);
		row_set(&row, VO_REVISION, Int32GetDatum(req->revision));
		row_set(&row, VO_SUPERSEDED, BoolGetDatum(false));
		store_insert(&vote_table, &row);
	}
	tid = req->task_tid;
	if (!store_fetch_again(&task_table, req->task, &row, &tid))
		elog(ERROR, "task " INT64_FORMAT " is gone", req->task);
	if (!row.nulls[TK_CLAIMED_BY - 1])
		claimed_by = TextDatumGetCString(row.values[TK_CLAIMED_BY - 1]);
	row_set_text(&row, TK_STATE, "closed");
	row_set_text(&row, TK_OUTCOME, outcome);
	row_set(&row, TK_CLOSED_AT, now);
	store_update(&task_table, &tid, &row);
	drop_candidates(req->task, NULL);
	req->task = 0;
	ItemPointerSetInvalid(&req->task_tid);
	return claimed_by;
}

/* The keys of those that were added to the open task by hand. */
static List *
added_keys(Request *req)
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
 * task_move: the open task stays, in another state of its activity, and is
 * put to one person; to NULL puts it back to those of the activity's rules
 * and to those that were added.
 */
void
task_move(Request *req, const char *to_actor)
{
	Activity   *activity = request_activity(req);
	Datum		values[2];
	UserSwitch	save;
	const char *source = "Refine";
	List	   *keys;
	List	   *added = NIL;

	values[0] = Int64GetDatum(req->task);
	values[1] = CStringGetTextDatum(request_full_state(req));
	store_begin(&save);
	store_exec(&move_task, values, NULL, false);
	store_end(&save);
	drop_candidates(req->task, NULL);
	if (to_actor)
		keys = list_make1(psprintf(KEY_PRINCIPAL "%s", to_actor));
	else
	{
		keys = rule_keys(req, activity, &source);
		added = added_keys(req);
		/* with them there is somebody, and the admins stay back */
		if (added != NIL && strings_contain(keys, KEY_ADMIN))
			keys = NIL;
	}
	store_candidates(req, keys, source);
	store_candidates(req, added, "Added");
	record_candidates(req, activity, list_concat(keys, added));
}

/*
 * task_add_candidate: somebody more may act on the open task.
 */
void
task_add_candidate(Request *req, const char *principal)
{
	Datum		values[2];
	UserSwitch	save;

	store_candidates(req, list_make1(psprintf(KEY_PRINCIPAL "%s", principal)), "Added");

	/* now there is somebody, and the admins step back */
	values[0] = Int64GetDatum(req->task);
	values[1] = CStringGetTextDatum(KEY_ADMIN);
	store_begin(&save);
	store_exec(&delete_candidate, values, NULL, false);
	store_end(&save);
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
	bool		restricted = access_restricts(req);
	const char *rule = restricted ? access_permits(req, principal) : NULL;

	/* where an activity has only access rules, they say who may act */
	if (pending_rules && rule && activity->actors == NIL)
		return rule;

	/* the activity's own rules hold in its first state, not while it is refined */
	if (pending_rules && (!restricted || rule))
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
		char	   *key = spi_text(row, 1);
		char	   *source = spi_text(row, 2);

		if (strcmp(key, KEY_ADMIN) == 0)
			continue;
		anybody = true;
		if (strcmp(source, "Actor") != 0 && strcmp(key, mine) == 0 &&
			(!restricted || rule || strcmp(source, "Refine") != 0))
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
