/*-------------------------------------------------------------------------
 *
 * task.c
 *	  Tasks: opened when an activity waits, moved, and closed when it is
 *	  decided.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "heapstore.h"
#include "idflow.h"
#include "notification.h"
#include "recount.h"
#include "task.h"
#include "tenant.h"
#include "timeout.h"
#include "vote.h"

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
	TK_CLAIMED_AT,
	TK_QUOTA,
	TK_CLAIMED_BINDING
};

/* Columns of idflow.candidate. */
enum
{
	CA_TASK = 1,
	CA_REQUEST,
	CA_KEY,
	CA_SOURCE,
	CA_BINDING,
	CA_TENANT,
	CA_PLACE					/* generated; heapstore.h computes nothing */
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
	VO_SUPERSEDED,
	VO_BINDING,
	VO_BEHALF_BINDING
};

static StoreTable task_table = {"task"};
static StoreTable candidate_table = {"candidate"};
static StoreTable vote_table = {"vote"};

static StorePlan insert_candidates = {
	"INSERT INTO idflow.candidate AS c (task, request, key, source, binding, tenant)"
	" SELECT $1, $2, k, $4, b, $6 FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($5)) u (k, b)"
	" ON CONFLICT (task, key) DO UPDATE SET source = excluded.source, binding = excluded.binding"
	" WHERE NOT " KEY_IS_BOUND("c"),
	6, {INT8OID, INT8OID, TEXTARRAYOID, TEXTOID, INT8ARRAYOID, TEXTOID}
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

static StorePlan move_task = {
	"UPDATE idflow.task SET activity_state = $2, claimed_by = NULL, claimed_at = NULL, claimed_binding = NULL"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	2, {INT8OID, TEXTOID}
};

static StorePlan update_quota = {
	"UPDATE idflow.task SET quota = $2 WHERE id OPERATOR(pg_catalog.=) $1",
	2, {INT8OID, JSONBOID}
};

static StorePlan unclaim_task = {
	"UPDATE idflow.task SET claimed_by = NULL, claimed_at = NULL, claimed_binding = NULL WHERE id OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan void_votes = {
	"UPDATE idflow.vote SET superseded = true"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND task OPERATOR(pg_catalog.=) $2 AND NOT superseded",
	2, {INT8OID, INT8OID}
};

/*
 * key_binding: whose a candidate key is; 0 for a profile's.
 */
int64
key_binding(Request *req, const char *key)
{
	return strncmp(key, KEY_PRINCIPAL, strlen(KEY_PRINCIPAL)) == 0 ?
		request_binding(req, key + strlen(KEY_PRINCIPAL)) : 0;
}

/* The same of several, as int8[]. */
static Datum
key_bindings(Request *req, List *keys)
{
	int			n = list_length(keys);
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		int64		binding = key_binding(req, list_nth(keys, i));

		values[i] = Int64GetDatum(binding);
		nulls[i] = binding == 0;
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, INT8OID, 8,
											  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static void
store_candidates(Request *req, List *keys, const char *source)
{
	Datum		values[6];
	char		nulls[7] = "      ";
	UserSwitch	save;

	if (keys == NIL)
		return;
	values[0] = Int64GetDatum(req->task);
	values[1] = Int64GetDatum(req->id);
	values[3] = CStringGetTextDatum(source);
	store_begin(&save);
	values[2] = text_array_datum(keys);
	values[4] = key_bindings(req, keys);
	values[5] = text_datum(req->tenant, &nulls[5]);
	store_exec(&insert_candidates, values, nulls, false);
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

/* What the open task keeps of its quota is made anew. */
static void
store_quota(Request *req, Jsonb *quota)
{
	Datum		values[2] = {Int64GetDatum(req->task), quota ? JsonbPGetDatum(quota) : (Datum) 0};
	UserSwitch	save;

	store_begin(&save);
	store_exec(&update_quota, values, quota ? NULL : " n", false);
	store_end(&save);
}

/* The list of those asked goes into the last event, where it stays. */
static void
record_candidates(Request *req, Activity *activity, List *keys)
{
	Event	   *event;
	JsonbParseState *state = NULL;

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
	json_strings(&state, keys);
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

/* Store a candidate of a task of the request, or under the request's own number. */
static void
store_candidate(Request *req, int64 task, const char *key, const char *source)
{
	StoreRow	row;

	row_clear(&row);
	row_set(&row, CA_TASK, Int64GetDatum(task));
	row_set(&row, CA_REQUEST, Int64GetDatum(req->id));
	row_set_text(&row, CA_KEY, key);
	row_set_text(&row, CA_SOURCE, source);
	row_set_binding(&row, CA_BINDING, key_binding(req, key));
	row_set_text(&row, CA_TENANT, req->tenant);
	row_set_text(&row, CA_PLACE, place_of(key, req->tenant));
	store_insert(&candidate_table, &row);
}

/*
 * task_mark_waiting: keep a request that waits for no task among those that
 * are not closed, by a row of its requester's that no inbox shows.
 */
void
task_mark_waiting(Request *req)
{
	store_candidate(req, -req->id, psprintf(KEY_PRINCIPAL "%s", req->requester), "Requester");
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
	List	   *keys = candidate_rule_keys(req, activity, &source);
	Jsonb	   *quota = vote_open(req, activity);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due_at = activity->has_deadline ? timeout_due(activity, now) : 0;
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
	row_set(&row, TK_OPENED_AT, TimestampTzGetDatum(now));
	if (due_at)
		row_set(&row, TK_DUE_AT, TimestampTzGetDatum(due_at));
	if (quota)
		row_set(&row, TK_QUOTA, JsonbPGetDatum(quota));
	store_insert(&task_table, &row);

	foreach(lc, keys)
		store_candidate(req, req->task, lfirst(lc), source);
	if (activity->has_deadline)
		timeouts_set(req, activity, now);
	record_candidates(req, activity, keys);
}

/* The votes on the open task count no more; they stay in the history. */
static void
supersede_votes(Request *req)
{
	Datum		values[2] = {Int64GetDatum(req->id), Int64GetDatum(req->task)};
	UserSwitch	save;

	store_begin(&save);
	store_exec(&void_votes, values, NULL, false);
	store_end(&save);
}

/*
 * task_ask_again: the drafts changed under an open task: its votes are void,
 * and whom it asks is found anew.  Those added by hand stay.
 */
void
task_ask_again(Request *req)
{
	supersede_votes(req);
	task_candidates_again(req);
}

/*
 * task_candidates_again: find anew whom the open task asks.  Those whom a
 * Timeout has put in their place stay.
 */
void
task_candidates_again(Request *req)
{
	Activity   *activity = request_activity(req);
	const char *source;
	List	   *keys;

	if (strcmp(req->activity_state, activity->template->initial_state) != 0)
		return;
	if (activity->has_deadline && candidate_taken_over(req))
	{
		record_candidates(req, activity, task_asked_keys(req));
		return;
	}
	keys = candidate_rule_keys(req, activity, &source);
	drop_candidates(req->task, "Actor");
	drop_candidates(req->task, "Requester");
	drop_candidates(req->task, SOURCE_ESCALATED);
	store_candidates(req, keys, source);
	record_candidates(req, activity, keys);
	if (activity->has_quota)
		store_quota(req, vote_open(req, activity));
}

/*
 * task_store_vote: keep a vote on the open task.
 */
void
task_store_vote(Request *req, Vote *vote)
{
	StoreRow	row;

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
	row_set(&row, VO_VOTED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	row_set(&row, VO_REVISION, Int32GetDatum(req->revision));
	row_set(&row, VO_SUPERSEDED, BoolGetDatum(false));
	row_set_binding(&row, VO_BINDING, principal_binding(vote->principal));
	if (vote->on_behalf_of)
		row_set_binding(&row, VO_BEHALF_BINDING, principal_binding(vote->on_behalf_of));
	store_insert(&vote_table, &row);
}

/*
 * task_claimant: who has claimed the open task, or NULL.  A claim ends with the
 * role that made it.
 */
char *
task_claimant(Request *req)
{
	StoreRow	row;
	ItemPointerData tid = req->task_tid;
	char	   *claimant;

	if (!store_fetch_again(&task_table, req->task, &row, &tid))
		elog(ERROR, "task " INT64_FORMAT " is gone", req->task);
	if (row.nulls[TK_CLAIMED_BY - 1])
		return NULL;
	claimant = TextDatumGetCString(row.values[TK_CLAIMED_BY - 1]);
	if (!row.nulls[TK_CLAIMED_BINDING - 1] &&
		!principal_is_bound(claimant, DatumGetInt64(row.values[TK_CLAIMED_BINDING - 1])))
		return NULL;
	return claimant;
}

/*
 * task_asked_former: what was asked of somebody, or decided by him where no
 * task is open: was that whoever had the name before?
 */
bool
task_asked_former(Request *req, const char *principal)
{
	AttrNumber	name_column = req->task ? CA_KEY : VO_PRINCIPAL;
	AttrNumber	binding_column = req->task ? CA_BINDING : VO_BINDING;
	char	   *name = req->task ? psprintf(KEY_PRINCIPAL "%s", principal) : pstrdup(principal);
	List	   *rows = req->task ? store_scan(&candidate_table, req->task) :
		store_scan(&vote_table, req->id);
	ListCell   *lc;

	foreach(lc, rows)
	{
		StoreRow   *row = (StoreRow *) lfirst(lc);

		if (!row->nulls[binding_column - 1] &&
			strcmp(TextDatumGetCString(row->values[name_column - 1]), name) == 0 &&
			!principal_is_bound(principal, DatumGetInt64(row->values[binding_column - 1])))
			return true;
	}
	return false;
}

/*
 * task_close: end the open task, with a vote if there is one.
 */
void
task_close(Request *req, const char *outcome, Vote *vote)
{
	StoreRow	row;
	ItemPointerData tid;
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());

	if (req->task == 0)
		return;
	if (vote)
		task_store_vote(req, vote);
	if (request_activity(req)->has_deadline)
		timeouts_end(req);
	if (request_activity(req)->has_quota)
		recount_end(req);
	tid = req->task_tid;
	if (!store_fetch_again(&task_table, req->task, &row, &tid))
		elog(ERROR, "task " INT64_FORMAT " is gone", req->task);
	row_set_text(&row, TK_STATE, "closed");
	row_set_text(&row, TK_OUTCOME, outcome);
	row_set(&row, TK_CLOSED_AT, now);
	store_update(&task_table, &tid, &row);
	drop_candidates(req->task, NULL);
	req->task = 0;
	ItemPointerSetInvalid(&req->task_tid);
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
	List	   *escalated = NIL;
	bool		instead = false;

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
		keys = candidate_rule_keys(req, activity, &source);
		added = candidate_added_keys(req);
		if (activity->has_deadline)
			escalated = candidate_escalated_keys(req, &instead);
		/* with them there is somebody, and the admins stay back */
		if (instead || ((added != NIL || escalated != NIL) && strings_contain(keys, KEY_ADMIN)))
			keys = NIL;
	}
	store_candidates(req, keys, source);
	store_candidates(req, added, "Added");
	store_candidates(req, escalated, instead ? SOURCE_TAKEN_OVER : SOURCE_TIMEOUT);
	record_candidates(req, activity, list_concat(list_concat(keys, added), escalated));
	if (to_actor == NULL && activity->has_deadline)
		timeouts_resume(req);
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
 * task_escalate: others may act on the open task, beside those whom it asks or
 * instead of them.  Then one vote of theirs is enough.
 */
void
task_escalate(Request *req, List *keys, bool instead)
{
	Activity   *activity = request_activity(req);
	Datum		values[2] = {Int64GetDatum(req->task), CStringGetTextDatum(KEY_ADMIN)};
	UserSwitch	save;

	/* whoever has claimed it has not decided it; now others may */
	store_begin(&save);
	store_exec(&unclaim_task, values, NULL, false);
	if (!instead)
		/* now there is somebody, and the admins step back */
		store_exec(&delete_candidate, values, NULL, false);
	store_end(&save);
	if (instead)
	{
		drop_candidates(req->task, NULL);
		if (activity->has_quota)
		{
			store_quota(req, NULL);
			supersede_votes(req);
		}
	}
	store_candidates(req, keys, instead ? SOURCE_TAKEN_OVER : SOURCE_TIMEOUT);
	record_candidates(req, activity, task_asked_keys(req));
}
