/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Requests and their events: made, read under lock, written back.
 *
 * A request is locked (its row, FOR UPDATE) before anything of it changes,
 * tasks and changes included; that one lock orders all decisions on it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "idflow.h"

#define REQUEST_COLUMNS \
	"id, workflow, version, title, state, activity, activity_state, requester," \
	" subject, parent, opened_at, closed_at, revision, workflow_id, position, task," \
	" persisted, steps, events, changes, passed, editors, requested_role, context"

#define REQUEST_TYPES \
	{INT8OID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, \
	 TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT8OID, INT4OID, INT8OID, \
	 BOOLOID, INT4OID, INT4OID, INT4OID, TEXTARRAYOID, TEXTARRAYOID, NAMEOID, TEXTARRAYOID}

#define REQUEST_NCOLUMNS 24

static StorePlan insert_request = {
	"INSERT INTO idflow.request (" REQUEST_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
	" $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
	REQUEST_NCOLUMNS, REQUEST_TYPES
};

static StorePlan update_request = {
	"UPDATE idflow.request SET (workflow, version, title, state, activity, activity_state, requester,"
	" subject, parent, opened_at, closed_at, revision, workflow_id, position, task,"
	" persisted, steps, events, changes, passed, editors, requested_role, context) = ROW ($2, $3, $4, $5, $6, $7, $8, $9,"
	" $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	REQUEST_NCOLUMNS, REQUEST_TYPES
};

static StorePlan lock_request = {
	"SELECT " REQUEST_COLUMNS " FROM idflow.request r WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	1, {INT8OID}
};

static StorePlan lock_request_of_task = {
	"SELECT r.id, r.workflow, r.version, r.title, r.state, r.activity, r.activity_state, r.requester,"
	" r.subject, r.parent, r.opened_at, r.closed_at, r.revision, r.workflow_id, r.position, r.task,"
	" r.persisted, r.steps, r.events, r.changes, r.passed, r.editors, r.requested_role, r.context"
	" FROM idflow.request r, idflow.task t"
	" WHERE t.id OPERATOR(pg_catalog.=) $1 AND r.id OPERATOR(pg_catalog.=) t.request FOR UPDATE OF r",
	1, {INT8OID}
};

static StorePlan insert_event = {
	"INSERT INTO idflow.event (request, seq, at, actor, on_behalf_of, via, activity, transition,"
	" from_state, to_state, comment, data)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
	12, {INT8OID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID, JSONBOID}
};

/*
 * request_context: the settings that the apply is to find as they are now:
 * search_path, because the table's triggers may depend on it, and those named
 * in idflow.context.  Names and values in turn.
 */
static List *
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
 * request_create: a new request of an actor's, in memory; request_write()
 * stores it.  Its number is taken now.
 */
Request *
request_create(const char *actor)
{
	Request    *req = palloc0(sizeof(Request));

	req->id = nextval_internal(extension_relid("request_id_seq"), false);
	req->state = "draft";
	req->requester = pstrdup(actor);
	req->parent = applying_request;
	req->opened_at = GetCurrentTimestamp();
	req->revision = 1;
	req->role = GetUserNameFromId(GetUserId(), false);
	req->context = request_context();
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

static Request *
request_from_row(HeapTuple row)
{
	Request    *req = palloc0(sizeof(Request));
	int64		workflow_id;
	char	   *full_state;
	bool		isnull;
	Datum		value;

	req->id = spi_int64(row, 1);
	req->title = spi_text(row, 4);
	req->state = intern_state(spi_text(row, 5));
	full_state = spi_text(row, 7);
	req->requester = spi_text(row, 8);
	req->subject = spi_text(row, 9);
	req->parent = spi_int64(row, 10);
	req->opened_at = spi_int64(row, 11);
	req->closed_at = spi_int64(row, 12);
	req->revision = spi_int32(row, 13);
	workflow_id = spi_int64(row, 14);
	req->position = spi_int32(row, 15);
	req->task = spi_int64(row, 16);
	req->persisted = DatumGetBool(spi_datum(row, 17, &isnull));
	req->steps = spi_int32(row, 18);
	req->nevents = spi_int32(row, 19);
	req->nchanges = spi_int32(row, 20);
	value = spi_datum(row, 21, &isnull);
	req->passed = text_array_list(value);
	value = spi_datum(row, 22, &isnull);
	req->editors = text_array_list(value);
	req->role = spi_text(row, 23);
	value = spi_datum(row, 24, &isnull);
	req->context = text_array_list(value);
	if (workflow_id != 0)
		req->workflow = workflow_by_id(workflow_id);
	if (full_state)
	{
		char	   *dash = strchr(full_state, '-');

		req->activity_state = dash ? dash + 1 : full_state;
	}
	return req;
}

static Request *
request_lock(StorePlan *plan, int64 id)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(id)};
	UserSwitch	save;
	Request    *req = NULL;

	PreventCommandDuringRecovery("a decision on a request");
	store_begin(&save);
	if (store_exec(plan, values, NULL, false) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];

		MemoryContextSwitchTo(cxt);
		req = request_from_row(row);
	}
	store_end(&save);
	return req;
}

/*
 * request_load: lock a request and read it; NULL if there is none.
 */
Request *
request_load(int64 id)
{
	return request_lock(&lock_request, id);
}

/*
 * request_load_by_task: lock the request of a task and read it; NULL if
 * there is no such task.
 */
Request *
request_load_by_task(int64 task)
{
	return request_lock(&lock_request_of_task, task);
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
	return psprintf("%s-%s", activity->template->name, req->activity_state);
}

/*
 * request_event: add an event to those that request_write() stores.  The
 * strings are not copied.  Returns it, so that the caller can fill in more.
 */
Event *
request_event(Request *req, const char *actor, const char *via,
			  const char *transition, const char *comment)
{
	Event	   *event = palloc0(sizeof(Event));
	Activity   *activity = request_activity(req);

	event->actor = actor;
	event->via = via;
	event->activity = activity ? activity->name : NULL;
	event->transition = transition;
	event->comment = comment && comment[0] ? comment : NULL;
	req->events = lappend(req->events, event);
	return event;
}

/*
 * request_close: end a request in a final state.
 */
void
request_close(Request *req, const char *state)
{
	req->state = intern_state(state);
	req->closed_at = GetCurrentTimestamp();
	if (req->nchanges > 0)
		pending_keys_drop(req, 0);
}

bool
request_is_closed(Request *req)
{
	return req->closed_at != 0;
}

static void
write_events(Request *req)
{
	ListCell   *lc;

	foreach(lc, req->events)
	{
		Event	   *event = lfirst(lc);
		Datum		values[12];
		char		nulls[13];

		memset(nulls, ' ', sizeof(nulls));
		values[0] = Int64GetDatum(req->id);
		values[1] = Int32GetDatum(++req->nevents);
		values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[3] = text_datum(event->actor, &nulls[3]);
		values[4] = text_datum(event->on_behalf_of, &nulls[4]);
		values[5] = text_datum(event->via, &nulls[5]);
		values[6] = text_datum(event->activity, &nulls[6]);
		values[7] = text_datum(event->transition, &nulls[7]);
		values[8] = text_datum(event->from_state, &nulls[8]);
		values[9] = text_datum(event->to_state, &nulls[9]);
		values[10] = text_datum(event->comment, &nulls[10]);
		nulls[11] = event->data ? ' ' : 'n';
		values[11] = event->data ? JsonbPGetDatum(event->data) : (Datum) 0;
		store_exec(&insert_event, values, nulls, false);
	}
	req->events = NIL;
}

/*
 * request_write: store a request and its new events.
 */
void
request_write(Request *req)
{
	UserSwitch	save;
	Datum		values[REQUEST_NCOLUMNS];
	char		nulls[REQUEST_NCOLUMNS + 1];
	Activity   *activity = request_activity(req);
	NameData	role;

	store_begin(&save);
	write_events(req);

	memset(nulls, ' ', sizeof(nulls));
	namestrcpy(&role, req->role);
	values[0] = Int64GetDatum(req->id);
	values[1] = text_datum(req->workflow ? req->workflow->name : NULL, &nulls[1]);
	values[2] = Int32GetDatum(req->workflow ? req->workflow->version : 0);
	values[3] = text_datum(req->title, &nulls[3]);
	values[4] = CStringGetTextDatum(req->state);
	values[5] = text_datum(activity ? activity->name : NULL, &nulls[5]);
	values[6] = text_datum(request_full_state(req), &nulls[6]);
	values[7] = CStringGetTextDatum(req->requester);
	values[8] = text_datum(req->subject, &nulls[8]);
	values[9] = Int64GetDatum(req->parent);
	values[10] = TimestampTzGetDatum(req->opened_at);
	values[11] = TimestampTzGetDatum(req->closed_at);
	values[12] = Int32GetDatum(req->revision);
	values[13] = Int64GetDatum(req->workflow ? req->workflow->id : 0);
	values[14] = Int32GetDatum(req->position);
	values[15] = Int64GetDatum(req->task);
	values[16] = BoolGetDatum(req->persisted);
	values[17] = Int32GetDatum(req->steps);
	values[18] = Int32GetDatum(req->nevents);
	values[19] = Int32GetDatum(req->nchanges);
	values[20] = text_array_datum(req->passed);
	values[21] = text_array_datum(req->editors);
	values[22] = NameGetDatum(&role);
	values[23] = text_array_datum(req->context);
	nulls[2] = nulls[13] = req->workflow ? ' ' : 'n';
	nulls[9] = req->parent ? ' ' : 'n';
	nulls[11] = req->closed_at ? ' ' : 'n';
	nulls[14] = req->position ? ' ' : 'n';
	nulls[15] = req->task ? ' ' : 'n';

	store_exec(req->is_new ? &insert_request : &update_request, values, nulls, false);
	req->is_new = false;
	store_end(&save);
}
