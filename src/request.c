/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Requests: made, read under lock, written back.
 *
 * A request is locked (its row, FOR UPDATE) before anything of it changes,
 * tasks and changes included; that one lock orders all decisions on it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "heapstore.h"
#include "aspect.h"
#include "idflow.h"
#include "persist_into.h"
#include "retention.h"
#include "schedule.h"
#include "simulate.h"
#include "tenant.h"
#include "trace.h"

PG_FUNCTION_INFO_V1(idflow_is_state);

/* Columns of idflow.request. */
enum
{
	REQ_ID = 1,
	REQ_WORKFLOW,
	REQ_VERSION,
	REQ_TITLE,
	REQ_STATE,
	REQ_ACTIVITY,
	REQ_ACTIVITY_STATE,
	REQ_REQUESTER,
	REQ_SUBJECT,
	REQ_PARENT,
	REQ_OPENED_AT,
	REQ_CLOSED_AT,
	REQ_REVISION,
	REQ_WORKFLOW_ID,
	REQ_POSITION,
	REQ_TASK,
	REQ_PERSISTED,
	REQ_STEPS,
	REQ_EVENTS,
	REQ_CHANGES,
	REQ_PASSED,
	REQ_EDITORS,
	REQ_ROLE,
	REQ_PARTWAY,
	REQ_FOUR_EYES,
	REQ_REVIEWED,
	REQ_LEFT_AT,
	REQ_EFFECTIVE_AT,
	REQ_EXPIRES_AT,
	REQ_EFFECTIVE_ASKED,
	REQ_EXPIRES_ASKED,
	REQ_DATED,
	REQ_APPLY_AS_OF,
	REQ_REQUESTER_BINDING,
	REQ_SUBJECT_BINDING,
	REQ_ROLE_BINDING,
	REQ_TENANT,
	REQ_TID						/* ctid, behind them in the queries */
};

static StoreTable request_table = {"request"};

#define MAX_PARENTS		32

#define REQUEST_COLUMNS \
	"r.id, r.workflow, r.version, r.title, r.state, r.activity, r.activity_state, r.requester," \
	" r.subject, r.parent, r.opened_at, r.closed_at, r.revision, r.workflow_id, r.position, r.task," \
	" r.persisted, r.steps, r.events, r.changes, r.passed, r.editors, r.requested_role," \
	" r.partway, r.four_eyes, r.reviewed, r.left_at, r.effective_at," \
	" r.expires_at, r.effective_asked, r.expires_asked, r.dated, r.apply_as_of," \
	" r.requester_binding, r.subject_binding, r.role_binding, r.tenant, r.ctid"

static StorePlan lock_request = {
	"SELECT " REQUEST_COLUMNS " FROM idflow.request r WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	1, {INT8OID}
};

static StorePlan insert_participant = {
	"INSERT INTO idflow.participant (principal, request, acted, binding) VALUES ($1, $2, $3, idflow.binding($1))"
	" ON CONFLICT (principal, request) DO UPDATE SET acted = excluded.acted OR participant.acted"
	" AND " IS_BOUND("participant.principal", "participant.binding") ", binding = excluded.binding",
	3, {TEXTOID, INT8OID, BOOLOID}
};

/*
 * request_context: the settings that the apply is to find as they are now:
 * search_path, because the table's triggers may depend on it, and those named
 * in idflow.context.  Names and values in turn.
 */
List *
request_context(void)
{
	List	   *result = NIL;
	List	   *names;
	ListCell   *lc;
	char	   *copy = pstrdup(setting_context);

	result = lappend(result, pstrdup("search_path"));
	result = lappend(result, pstrdup(GetConfigOption("search_path", false, false)));
	if (!SplitIdentifierString(copy, ',', &names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid list in setting \"idflow.context\"")));
	foreach(lc, names)
	{
		const char *name = lfirst(lc);
		const char *value = GetConfigOption(name, true, false);

		result = lappend(result, pstrdup(name));
		result = lappend(result, pstrdup(value ? value : ""));
	}
	return result;
}

/*
 * Find the parent: the request that is applied or that invokes something.  What
 * sets off itself must end.
 */
static void
set_parent(Request *req)
{
	int			length;
	int64		parent = invoking_request(&length);

	if (applying_request())
		parent = applying_request();
	req->parent = parent;
	for (; parent != 0; length++)
	{
		StoreRow	row;
		ItemPointerData tid;

		if (length > MAX_PARENTS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("request would be the child of more than %d requests", MAX_PARENTS),
					 errdetail("Each of them was set off by the one before."),
					 errhint("Look for a workflow that invokes itself, or for a trigger that writes to its own table.")));
		if (!store_fetch(&request_table, parent, &row, &tid))
			return;
		parent = row.nulls[REQ_PARENT - 1] ? 0 : DatumGetInt64(row.values[REQ_PARENT - 1]);
	}
}

/*
 * request_create: a new request of an actor's, in memory; request_write()
 * stores it.  Its number is taken now.
 */
Request *
request_create(const char *actor)
{
	Request    *req = palloc0(sizeof(Request));

	req->id = nextval_internal(extension_relid("request_id_seq"), false);
	simulation_request_made(req->id);
	req->state = "draft";
	req->requester = pstrdup(actor);
	req->effective_at = req->effective_asked = NO_DATE;
	req->expires_at = req->expires_asked = NO_DATE;
	/* what an apply sets off is the requester's, as it was when he asked */
	if (applying && strcmp(applying->requester, actor) == 0)
	{
		req->requester_binding = applying->requester_binding;
		req->tenant = applying->tenant;
	}
	else
	{
		req->requester_binding = principal_binding(actor);
		req->tenant = tenant_of_requester(actor);
	}
	set_parent(req);
	req->opened_at = GetCurrentTimestamp();
	req->revision = 1;
	req->role = GetUserNameFromId(GetUserId(), false);
	req->four_eyes = true;
	req->is_new = true;
	req->changes_loaded = true;
	return req;
}

static const char *
intern_state(const char *state)
{
	static const char *const states[] = {"draft", "open", "scheduled", "committed",
		"declined", "aborted", "purged", "conflict", "failed", "terminated"};

	for (int i = 0; i < lengthof(states); i++)
		if (strcmp(states[i], state) == 0)
			return states[i];
	elog(ERROR, "unknown request state \"%s\"", state);
	return NULL;
}

static char *
row_text_value(StoreRow *row, AttrNumber column)
{
	return row->nulls[column - 1] ? NULL : TextDatumGetCString(row->values[column - 1]);
}

/* null reads as 0 */
#define ROW_INT64(row, column) DatumGetInt64((row)->values[(column) - 1])
#define ROW_INT32(row, column) DatumGetInt32((row)->values[(column) - 1])

static TimestampTz
row_date(StoreRow *row, AttrNumber column)
{
	return row->nulls[column - 1] ? NO_DATE : DatumGetTimestampTz(row->values[column - 1]);
}

static Request *
request_from_row(StoreRow *row, ItemPointer tid)
{
	Request    *req = palloc0(sizeof(Request));
	char	   *full_state = row_text_value(row, REQ_ACTIVITY_STATE);

	/* what is null must read as 0, whatever the deforming left there */
	for (int i = 0; i < REQ_TID - 1; i++)
		if (row->nulls[i])
			row->values[i] = (Datum) 0;

	req->id = ROW_INT64(row, REQ_ID);
	req->title = row_text_value(row, REQ_TITLE);
	req->state = intern_state(row_text_value(row, REQ_STATE));
	req->requester = row_text_value(row, REQ_REQUESTER);
	req->subject = row_text_value(row, REQ_SUBJECT);
	req->parent = ROW_INT64(row, REQ_PARENT);
	req->opened_at = ROW_INT64(row, REQ_OPENED_AT);
	req->closed_at = ROW_INT64(row, REQ_CLOSED_AT);
	req->revision = ROW_INT32(row, REQ_REVISION);
	req->position = ROW_INT32(row, REQ_POSITION);
	req->task = ROW_INT64(row, REQ_TASK);
	req->persisted = DatumGetBool(row->values[REQ_PERSISTED - 1]);
	req->steps = ROW_INT32(row, REQ_STEPS);
	req->nevents = ROW_INT32(row, REQ_EVENTS);
	req->nchanges = ROW_INT32(row, REQ_CHANGES);
	req->passed = text_array_list(row->values[REQ_PASSED - 1]);
	req->editors = text_array_list(row->values[REQ_EDITORS - 1]);
	req->role = row_text_value(row, REQ_ROLE);
	req->partway = DatumGetBool(row->values[REQ_PARTWAY - 1]);
	if (!row->nulls[REQ_REVIEWED - 1])
		req->reviewed = places_list(row->values[REQ_REVIEWED - 1]);
	if (!row->nulls[REQ_LEFT_AT - 1])
		req->left_at = places_list(row->values[REQ_LEFT_AT - 1]);
	req->effective_at = row_date(row, REQ_EFFECTIVE_AT);
	req->expires_at = row_date(row, REQ_EXPIRES_AT);
	req->effective_asked = row_date(row, REQ_EFFECTIVE_ASKED);
	req->expires_asked = row_date(row, REQ_EXPIRES_ASKED);
	req->dated = DatumGetBool(row->values[REQ_DATED - 1]);
	req->apply_as_of = ROW_INT64(row, REQ_APPLY_AS_OF);
	req->requester_binding = ROW_INT64(row, REQ_REQUESTER_BINDING);
	req->subject_binding = ROW_INT64(row, REQ_SUBJECT_BINDING);
	req->role_binding = ROW_INT64(row, REQ_ROLE_BINDING);
	req->tenant = row_text_value(row, REQ_TENANT);
	req->tid = *tid;
	req->marked = req->task == 0 && req->closed_at == 0;
	if (full_state)
	{
		char	   *dash = strchr(full_state, '-');

		req->activity_state = dash ? dash + 1 : full_state;
	}
	if (!row->nulls[REQ_WORKFLOW_ID - 1])
		req->workflow = workflow_by_id(ROW_INT64(row, REQ_WORKFLOW_ID));
	req->four_eyes = !row->nulls[REQ_FOUR_EYES - 1] ?
		DatumGetBool(row->values[REQ_FOUR_EYES - 1]) :
		req->workflow == NULL || req->workflow->four_eyes;
	return req;
}

/*
 * request_load: lock a request and read it; NULL if there is none.
 */
Request *
request_load(int64 id)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(id)};
	UserSwitch	save;
	StoreRow	row;
	ItemPointerData tid;
	bool		found;

	PreventCommandDuringRecovery("a decision on a request");
	if (!IsolationUsesXactSnapshot())
		found = store_lock(&request_table, id, &row, &tid);
	else
	{
		store_begin(&save);
		found = store_exec(&lock_request, values, NULL, false) > 0;
		if (found)
		{
			Datum		columns[REQ_TID];
			bool		nulls[REQ_TID];
			HeapTuple	tuple;

			MemoryContextSwitchTo(cxt);
			tuple = heap_copytuple(SPI_tuptable->vals[0]);
			heap_deform_tuple(tuple, SPI_tuptable->tupdesc, columns, nulls);
			memcpy(row.values, columns, (REQ_TID - 1) * sizeof(Datum));
			memcpy(row.nulls, nulls, (REQ_TID - 1) * sizeof(bool));
			tid = *(ItemPointer) DatumGetPointer(columns[REQ_TID - 1]);
		}
		store_end(&save);
	}
	return found ? request_from_row(&row, &tid) : NULL;
}

/*
 * request_try_lock: lock a request unless somebody else has it locked; returns
 * whether it is locked now.
 */
bool
request_try_lock(int64 id)
{
	static StorePlan plan = {
		"SELECT FROM idflow.request WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE SKIP LOCKED",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(id)};

	return store_finds(&plan, values, false);
}

/*
 * request_name: title and subject: what the session says, else the workflow's
 * expressions over the change.
 */
void
request_name(Request *req, Change *change)
{
	Workflow   *wf = req->workflow;

	if (req->title == NULL && setting_title && setting_title[0])
		req->title = pstrdup(setting_title);
	if (req->title == NULL && wf->title)
		req->title = expression_text(wf->title, wf, req, change, "Title");
	if (req->title == NULL)
		req->title = psprintf("%s on %s", operation_name(change->operation), change->target_name);
	if (req->subject == NULL && wf->subject)
	{
		req->subject = expression_text(wf->subject, wf, req, change, "Subject");
		if (req->subject)
			req->subject_binding = request_binding(req, req->subject);
	}
}

/*
 * request_read: read a request without locking it; NULL if there is none.  It
 * must not be written.
 */
Request *
request_read(int64 id)
{
	StoreRow	row;
	ItemPointerData tid;

	return store_fetch(&request_table, id, &row, &tid) ? request_from_row(&row, &tid) : NULL;
}

/*
 * request_load_by_task: lock the request of a task and read it; NULL if
 * there is no such task.
 */
Request *
request_load_by_task(int64 task)
{
	ItemPointerData tid;
	int64		id = task_request(task, &tid);
	Request    *req = id == 0 ? NULL : request_load(id);

	if (req)
		req->task_tid = tid;
	return req;
}

/*
 * request_activity: the activity a request stands at, NULL if at none.
 */
Activity *
request_activity(Request *req)
{
	return req->workflow ? workflow_activity(req->workflow, req->position) : NULL;
}

/*
 * request_full_state: Template-State of where it stands, NULL if nowhere.
 */
char *
request_full_state(Request *req)
{
	Activity   *activity = request_activity(req);

	if (activity == NULL || req->activity_state == NULL)
		return NULL;
	return template_state_name(activity->template, req->activity_state);
}

/*
 * request_close: end a request in a final state.  One whose rows are written
 * is committed, whatever was decided afterwards: that is in its activity_state.
 */
void
request_close(Request *req, const char *state)
{
	if (!req->persisted)
		resources_end(req);
	req->state = intern_state(req->persisted ? "committed" : state);
	req->closed_at = GetCurrentTimestamp();
	req->keys_free = req->nchanges > 0;
	if (req->effective_at != NO_DATE)
		timers_drop(req->id, 0, TIMER_EFFECTIVE);
	retention_set(req);
}

/*
 * request_participant: somebody acted on a request without a vote; acted
 * tells a task's verb from a comment.
 */
void
request_participant(Request *req, const char *principal, bool acted)
{
	Datum		values[3];
	UserSwitch	save;

	if (request_is_of(req, principal))
		return;
	values[0] = CStringGetTextDatum(principal);
	values[1] = Int64GetDatum(req->id);
	values[2] = BoolGetDatum(acted);
	store_begin(&save);
	store_exec(&insert_participant, values, NULL, false);
	store_end(&save);
}

/*
 * idflow_is_state: the words that a column may hold, for CHECK constraints.
 */
Datum
idflow_is_state(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *kind;
		const char *words;
	}			kinds[] = {
		{"request", " draft open scheduled committed declined aborted purged conflict failed terminated "},
		{"operation", " INSERT UPDATE DELETE "},
		{"task", " open closed "},
		{"job", " queued blocked running done failed "},
		{"source", " Actor Added Escalated Refine Requester TakenOver Timeout "},
	};
	text	   *kind = PG_GETARG_TEXT_PP(0);
	text	   *word = PG_GETARG_TEXT_PP(1);
	size_t		len = VARSIZE_ANY_EXHDR(word);

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strlen(kinds[i].kind) != VARSIZE_ANY_EXHDR(kind) ||
			memcmp(kinds[i].kind, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind)) != 0)
			continue;
		for (const char *p = kinds[i].words + 1; *p; p = strchr(p, ' ') + 1)
			if (strncmp(p, VARDATA_ANY(word), len) == 0 && p[len] == ' ')
				PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

bool
request_is_closed(Request *req)
{
	return req->closed_at != 0;
}

/*
 * A request that is not closed and has no open task is still to be found
 * among those that wait.
 */
static void
mark_waiting(Request *req)
{
	bool		wanted = req->task == 0 && req->closed_at == 0;

	if (wanted && !req->marked)
		task_mark_waiting(req);
	else if (!wanted && req->marked)
		task_unmark_waiting(req);
	req->marked = wanted;
}

static void
set_date(StoreRow *row, AttrNumber column, TimestampTz date)
{
	if (date != NO_DATE)
		row_set(row, column, TimestampTzGetDatum(date));
}

/*
 * request_write: store a request and its new events.
 */
void
request_write(Request *req)
{
	StoreRow	row;
	Activity   *activity = request_activity(req);

	events_write(req);
	trace_write(req);
	if (req->keys_free)
		pending_keys_drop(req, 0);
	req->keys_free = false;
	mark_waiting(req);

	row_clear(&row);
	row_set(&row, REQ_ID, Int64GetDatum(req->id));
	if (req->workflow)
	{
		row_set_text(&row, REQ_WORKFLOW, req->workflow->name);
		row_set(&row, REQ_VERSION, Int32GetDatum(req->workflow->version));
		row_set(&row, REQ_WORKFLOW_ID, Int64GetDatum(req->workflow->id));
	}
	row_set_text(&row, REQ_TITLE, req->title);
	row_set_text(&row, REQ_STATE, req->state);
	row_set_text(&row, REQ_ACTIVITY, activity ? activity->name : NULL);
	row_set_text(&row, REQ_ACTIVITY_STATE, request_full_state(req));
	row_set_text(&row, REQ_REQUESTER, req->requester);
	row_set_text(&row, REQ_SUBJECT, req->subject);
	if (req->parent)
		row_set(&row, REQ_PARENT, Int64GetDatum(req->parent));
	row_set(&row, REQ_OPENED_AT, TimestampTzGetDatum(req->opened_at));
	if (req->closed_at)
		row_set(&row, REQ_CLOSED_AT, TimestampTzGetDatum(req->closed_at));
	row_set(&row, REQ_REVISION, Int32GetDatum(req->revision));
	if (req->position)
		row_set(&row, REQ_POSITION, Int32GetDatum(req->position));
	if (req->task)
		row_set(&row, REQ_TASK, Int64GetDatum(req->task));
	row_set(&row, REQ_PERSISTED, BoolGetDatum(req->persisted));
	row_set(&row, REQ_STEPS, Int32GetDatum(req->steps));
	row_set(&row, REQ_EVENTS, Int32GetDatum(req->nevents));
	row_set(&row, REQ_CHANGES, Int32GetDatum(req->nchanges));
	row_set(&row, REQ_PASSED, text_array_datum(req->passed));
	row_set(&row, REQ_EDITORS, text_array_datum(req->editors));
	row_set_text(&row, REQ_ROLE, req->role);
	row_set(&row, REQ_PARTWAY, BoolGetDatum(req->partway));
	row_set(&row, REQ_FOUR_EYES, BoolGetDatum(req->four_eyes));
	if (req->reviewed)
		row_set(&row, REQ_REVIEWED, places_datum(req->reviewed));
	if (req->left_at)
		row_set(&row, REQ_LEFT_AT, places_datum(req->left_at));
	set_date(&row, REQ_EFFECTIVE_AT, req->effective_at);
	set_date(&row, REQ_EXPIRES_AT, req->expires_at);
	set_date(&row, REQ_EFFECTIVE_ASKED, req->effective_asked);
	set_date(&row, REQ_EXPIRES_ASKED, req->expires_asked);
	row_set(&row, REQ_DATED, BoolGetDatum(req->dated));
	if (req->apply_as_of)
		row_set(&row, REQ_APPLY_AS_OF, Int64GetDatum(req->apply_as_of));
	else if (req->is_new && req->role_binding == 0)
		req->role_binding = principal_binding(req->role);
	row_set_binding(&row, REQ_REQUESTER_BINDING, req->requester_binding);
	row_set_binding(&row, REQ_SUBJECT_BINDING, req->subject_binding);
	row_set_binding(&row, REQ_ROLE_BINDING, req->role_binding);
	row_set_text(&row, REQ_TENANT, req->tenant);

	if (req->is_new)
		store_insert_at(&request_table, &row, &req->tid);
	else
		store_update(&request_table, &req->tid, &row);
	req->is_new = false;
}
