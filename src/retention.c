/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Forgetting what a request said: Retention, and the parts of purge and
 *	  erasure that are the same.
 *
 * History is append-only, with one exception: what people wrote and what
 * values an event shows may be blanked, and a person's name replaced.  That
 * an event happened, when, and from which state to which, and the digests of
 * the images stay.  A trigger on idflow.event holds to it, whoever tries; only
 * the statements that are run by blank_exec() get past it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "history.h"
#include "retention.h"
#include "timeout.h"

PG_FUNCTION_INFO_V1(idflow_keep_event);

/* So long an unfinished job puts the end of a request off. */
#define WAIT_FOR_JOBS	USECS_PER_DAY

static bool blanking = false;

/* What of an event's data is neither a value of a row nor somebody's words. */
#define KEPT_DATA \
	"'{digests,task,asks,candidates,change,changes,revision,needed,electors,aspect,column,link," \
	"effective_at,expires_at,due,request,nothing_to_reverse,workflow,erasure,retention}'::pg_catalog.text[]"

static StorePlan blank_images = {
	"UPDATE idflow.change_data SET key = NULL, key_columns = NULL, old_image = NULL, old_columns = NULL,"
	" new_image = NULL, new_columns = NULL, key_hash = NULL, salt = NULL, context = NULL"
	" WHERE request OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan blank_events = {
	"UPDATE idflow.event SET comment = NULL, data = CASE WHEN transition IS NULL OR transition OPERATOR(pg_catalog.<>) 'Comment' THEN"
	"  (SELECT pg_catalog.jsonb_object_agg(d.key, d.value) FROM pg_catalog.jsonb_each(data) d"
	"   WHERE d.key OPERATOR(pg_catalog.=) ANY (" KEPT_DATA ")) END"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND (comment IS NOT NULL OR data IS NOT NULL)",
	1, {INT8OID}
};

static StorePlan blank_others[] = {
	{"UPDATE idflow.vote SET comment = NULL WHERE request OPERATOR(pg_catalog.=) $1 AND comment IS NOT NULL",
	1, {INT8OID}},
	{"UPDATE idflow.notification SET address = NULL, subject = NULL, body = NULL"
	" WHERE request OPERATOR(pg_catalog.=) $1", 1, {INT8OID}},
	{"UPDATE idflow.job SET payload = '{}', result = NULL, error = NULL"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND finished_at IS NOT NULL", 1, {INT8OID}},
	{"DELETE FROM idflow.trace_step WHERE request OPERATOR(pg_catalog.=) $1", 1, {INT8OID}},
	{"UPDATE idflow.campaign_item SET key = '{}', \"row\" = NULL"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND decided_at IS NOT NULL", 1, {INT8OID}},
};

/*
 * blank_exec: run a statement that blanks, between store_begin() and
 * store_end().
 */
void
blank_exec(StorePlan *plan, Datum *values)
{
	blanking = true;
	PG_TRY();
	{
		store_exec(plan, values, NULL, false);
	}
	PG_FINALLY();
	{
		blanking = false;
	}
	PG_END_TRY();
}

/*
 * request_blank: images, title and comments of a request that is closed, and
 * what was told of it.  The request is locked and written by the caller.
 */
void
request_blank(Request *req)
{
	Datum		values[1] = {Int64GetDatum(req->id)};
	UserSwitch	save;

	store_begin(&save);
	store_exec(&blank_images, values, NULL, false);
	blank_exec(&blank_events, values);
	for (int i = 0; i < lengthof(blank_others); i++)
		store_exec(&blank_others[i], values, NULL, false);
	store_end(&save);
	req->title = NULL;
}

/* has_unfinished_jobs: is there still something to be done outside? */
bool
has_unfinished_jobs(int64 request)
{
	static StorePlan plan = {
		"SELECT FROM idflow.job WHERE request OPERATOR(pg_catalog.=) $1 AND finished_at IS NULL LIMIT 1",
		1, {INT8OID}
	};
	Datum		values[1] = {Int64GetDatum(request)};

	return store_finds(&plan, values, false);
}

/* When a request that is closed is to be blanked; 0: never. */
static TimestampTz
retention_end(Request *req)
{
	const char *retention = req->workflow ? element_value(req->workflow->element, "Retention") : NULL;
	TimestampTz from = req->closed_at;

	if (retention == NULL || from == 0)
		return 0;
	/* its reverse needs the images */
	if (req->persisted && req->expires_at > from)
		from = req->expires_at;
	return time_after(from, retention, NULL);
}

/*
 * retention_set: a request has come to its end; remember when it is to be
 * forgotten, as the workflow says in which it ended.
 */
void
retention_set(Request *req)
{
	TimestampTz end = retention_end(req);

	if (end == 0)
		return;
	/* a purge ends it a second time */
	timers_drop(req->id, 0, TIMER_RETENTION);
	timer_add(TIMER_RETENTION, req->id, 0, NULL, end, NULL);
}

/*
 * retention_run: the timer of the end of a request's retention.
 */
TimestampTz
retention_run(Timer *timer)
{
	Request    *req = request_load(timer->request);
	TimestampTz end = req ? retention_end(req) : 0;
	Event	   *event;
	StringInfoData data;

	if (end == 0)
		return 0;
	if (end > GetCurrentTimestamp())
		return end;
	if (has_unfinished_jobs(req->id))
		return GetCurrentTimestamp() + WAIT_FOR_JOBS;
	request_blank(req);
	event = request_event(req, ACTOR_SYSTEM, "retention", "Retention", NULL);
	initStringInfo(&data);
	appendStringInfoChar(&data, '{');
	json_pair(&data, "retention", element_value(req->workflow->element, "Retention"));
	appendStringInfoChar(&data, '}');
	event->data = json_from_text(data.data);
	request_write(req);
	return 0;
}

/* --------------------------------------------------------------- the guard */

static Datum
event_column(HeapTuple row, TupleDesc desc, const char *name, bool *isnull)
{
	int			attnum = SPI_fnumber(desc, name);

	if (attnum <= 0)
		elog(ERROR, "idflow.event has no column \"%s\"", name);
	return SPI_getbinval(row, desc, attnum, isnull);
}

static bool
same_text(HeapTuple old, HeapTuple new, TupleDesc desc, const char *name)
{
	int			attnum = SPI_fnumber(desc, name);
	char	   *a = SPI_getvalue(old, desc, attnum);
	char	   *b = SPI_getvalue(new, desc, attnum);

	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

/* The digests in an event's data as text; NULL: none. */
static char *
event_digests(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Datum		data = event_column(row, desc, "data", &isnull);
	Jsonb	   *jsonb;
	JsonbValue	value;

	if (isnull)
		return NULL;
	jsonb = DatumGetJsonbP(data);
	if (!JB_ROOT_IS_OBJECT(jsonb) || getKeyJsonValueFromContainer(&jsonb->root, "digests", 7, &value) == NULL ||
		value.type != jbvBinary)
		return NULL;
	jsonb = JsonbValueToJsonb(&value);
	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

/*
 * idflow_keep_event: history is append-only.
 */
Datum
idflow_keep_event(PG_FUNCTION_ARGS)
{
	static const char *const kept[] = {"request", "seq", "at", "activity", "transition", "from_state", "to_state"};
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	old;
	HeapTuple	new;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is the trigger of table idflow.event", "idflow.keep_event")));
	if (history_moves() && TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) && TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return PointerGetDatum(trigdata->tg_trigtuple);
	if (!blanking || !TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history is append-only"),
				 errdetail("Rows of idflow.event are not updated and not deleted."),
				 errhint("idflow.erase() replaces a person's name, Retention and idflow.purge() blank what was said.")));
	desc = RelationGetDescr(trigdata->tg_relation);
	old = trigdata->tg_trigtuple;
	new = trigdata->tg_newtuple;
	for (int i = 0; i < lengthof(kept); i++)
		if (!same_text(old, new, desc, kept[i]))
			elog(ERROR, "blanking must not change column \"%s\" of an event", kept[i]);
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		return PointerGetDatum(NULL);
	{
		char	   *before = event_digests(old, desc);
		char	   *after = event_digests(new, desc);

		/* somebody's comment may have data of the same name, which goes as a whole */
		if (before && after && strcmp(before, after) != 0)
			elog(ERROR, "blanking must not change the digests of an event");
	}
	return PointerGetDatum(new);
}
