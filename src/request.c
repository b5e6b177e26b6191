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
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "idflow.h"

PG_FUNCTION_INFO_V1(idflow_is_state);

#define REQUEST_COLUMNS \
	"id, workflow, version, title, state, activity, activity_state, requester," \
	" subject, parent, opened_at, closed_at, revision, workflow_id, position, task," \
	" persisted, steps, events, changes, passed, editors, requested_role, context"

#define REQUEST_TYPES \
	{INT8OID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, \
	 TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT8OID, INT4OID, INT8OID, \
	 BOOLOID, INT4OID, INT4OID, INT4OID, TEXTARRAYOID, TEXTARRAYOID, NAMEOID, TEXTARRAYOID}

#define REQUEST_NCOLUMNS 24

/* Columns of an event beside its request, and how many go with a request. */
#define EVENT_COLUMNS \
	"seq, at, actor, on_behalf_of, via, activity, transition, from_state, to_state, comment, data"
#define EVENT_TYPES \
	{INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID}
#define EVENT_NCOLUMNS 11
#define MAX_EVENTS 2

/*
 * A request is written together with up to MAX_EVENTS events, and its pending
 * keys let go, in one statement: starting a statement costs as much as a row.
 */
typedef enum WriteKind
{
	WRITE_INSERT,
	WRITE_UPDATE,
	WRITE_CLOSE
} WriteKind;

static StorePlan write_plans[WRITE_CLOSE + 1][MAX_EVENTS + 1];

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
	"INSERT INTO idflow.event (request, " EVENT_COLUMNS ")"
	" VALUES ($12, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	EVENT_NCOLUMNS + 1, {INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, JSONBOID, INT8OID}
};

static StorePlan insert_participant = {
	"INSERT INTO idflow.participant (principal, request, acted) VALUES ($1, $2, $3)"
	" ON CONFLICT (principal, request) DO UPDATE SET acted = participant.acted OR excluded.acted",
	3, {TEXTOID, INT8OID, BOOLOID}
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
	req->keys_free = req->nchanges > 0;
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

	if (strcmp(principal, req->requester) == 0)
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
		{"source", " Actor Added Refine Requester "},
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

/* The statement that writes a request with n events. */
static StorePlan *
write_plan(WriteKind kind, int n)
{
	static const Oid request_types[] = REQUEST_TYPES;
	static const Oid event_types[] = EVENT_TYPES;
	StorePlan  *plan = &write_plans[kind][n];
	StringInfoData sql;
	const char *sep = "WITH ";

	if (plan->sql)
		return plan;

	initStringInfo(&sql);
	plan->nargs = REQUEST_NCOLUMNS;
	memcpy(plan->argtypes, request_types, sizeof(request_types));
	if (n > 0)
	{
		appendStringInfoString(&sql, "WITH e AS (INSERT INTO idflow.event (request, " EVENT_COLUMNS ") VALUES ");
		for (int i = 0; i < n; i++)
		{
			appendStringInfoString(&sql, i == 0 ? "($1" : ", ($1");
			for (int k = 0; k < EVENT_NCOLUMNS; k++)
			{
				plan->argtypes[plan->nargs++] = event_types[k];
				appendStringInfo(&sql, ", $%d", plan->nargs);
			}
			appendStringInfoChar(&sql, ')');
		}
		appendStringInfoString(&sql, ") ");
		sep = ", ";
	}
	if (kind == WRITE_CLOSE)
		appendStringInfo(&sql, "%sk AS (DELETE FROM idflow.pending_key WHERE request OPERATOR(pg_catalog.=) $1) ", sep);
	if (kind == WRITE_INSERT)
	{
		appendStringInfoString(&sql, "INSERT INTO idflow.request (" REQUEST_COLUMNS ") VALUES (");
		for (int i = 1; i <= REQUEST_NCOLUMNS; i++)
			appendStringInfo(&sql, "%s$%d", i > 1 ? ", " : "", i);
		appendStringInfoChar(&sql, ')');
	}
	else
	{
		appendStringInfoString(&sql, "UPDATE idflow.request SET (" REQUEST_COLUMNS ") = ROW (");
		for (int i = 1; i <= REQUEST_NCOLUMNS; i++)
			appendStringInfo(&sql, "%s$%d", i > 1 ? ", " : "", i);
		appendStringInfoString(&sql, ") WHERE id OPERATOR(pg_catalog.=) $1");
	}
	plan->sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	return plan;
}

/* The arguments of an event, from a place in the arrays on. */
static void
event_values(Request *req, Event *event, Datum *values, char *nulls)
{
	values[0] = Int32GetDatum(++req->nevents);
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[2] = text_datum(event->actor, &nulls[2]);
	values[3] = text_datum(event->on_behalf_of, &nulls[3]);
	values[4] = text_datum(event->via, &nulls[4]);
	values[5] = text_datum(event->activity, &nulls[5]);
	values[6] = text_datum(event->transition, &nulls[6]);
	values[7] = text_datum(event->from_state, &nulls[7]);
	values[8] = text_datum(event->to_state, &nulls[8]);
	values[9] = text_datum(event->comment, &nulls[9]);
	nulls[10] = event->data ? ' ' : 'n';
	values[10] = event->data ? JsonbPGetDatum(event->data) : (Datum) 0;
}

/*
 * request_write: store a request and its new events.
 */
void
request_write(Request *req)
{
	UserSwitch	save;
	Datum		values[REQUEST_NCOLUMNS + MAX_EVENTS * EVENT_NCOLUMNS];
	char		nulls[REQUEST_NCOLUMNS + MAX_EVENTS * EVENT_NCOLUMNS + 1];
	Activity   *activity = request_activity(req);
	NameData	role;
	int			n = 0;
	WriteKind	kind = WRITE_UPDATE;

	if (req->is_new)
		kind = WRITE_INSERT;
	else if (req->keys_free)
		kind = WRITE_CLOSE;
	if (req->is_new && req->keys_free)
		pending_keys_drop(req, 0);
	req->keys_free = false;

	store_begin(&save);
	memset(nulls, ' ', sizeof(nulls));

	/* the last two go with the request, earlier ones by themselves */
	while (list_length(req->events) > MAX_EVENTS)
	{
		event_values(req, linitial(req->events), values, nulls);
		values[EVENT_NCOLUMNS] = Int64GetDatum(req->id);
		nulls[EVENT_NCOLUMNS] = ' ';
		store_exec(&insert_event, values, nulls, false);
		req->events = list_delete_first(req->events);
	}
	while (req->events != NIL)
	{
		event_values(req, linitial(req->events),
					 values + REQUEST_NCOLUMNS + n * EVENT_NCOLUMNS,
					 nulls + REQUEST_NCOLUMNS + n * EVENT_NCOLUMNS);
		req->events = list_delete_first(req->events);
		n++;
	}

	memset(nulls, ' ', REQUEST_NCOLUMNS);
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

	store_exec(write_plan(kind, n), values, nulls, false);
	req->is_new = false;
	store_end(&save);
}
