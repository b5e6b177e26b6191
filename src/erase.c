/*-------------------------------------------------------------------------
 *
 * erase.c
 *	  idflow.erase(): forgetting a person.
 *
 * His name is replaced by a pseudonym wherever idflow keeps it, what was said
 * and drafted about him is blanked, and so is what he said of others.  History
 * may be long, so requests are gone through in the order of their numbers, so
 * many at a time: the first of them by the call itself, the rest by a timer.
 * idflow.erasure says how far it has come.
 *
 * Only requests that are closed can forget: the open ones need their people.
 * An erasure is refused while there are such.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "decide.h"
#include "retention.h"

PG_FUNCTION_INFO_V1(idflow_erase);
PG_FUNCTION_INFO_V1(idflow_with_pseudonym);

#define REQUESTS_AT_ONCE	2000
#define BATCHES_BY_CALL		5
#define PSEUDONYM_BYTES		8
#define SHOWN_REQUESTS		5

typedef struct Erasure
{
	int64		id;
	char	   *name;
	char	   *pseudonym;
	char	   *asked_by;
	int64		last;			/* number of the last request to look at */
	int64		done_to;		/* of the last that was looked at */
} Erasure;

/* ------------------------------------------------------------ names in jsonb */

static bool
string_is(JsonbValue *value, const char *prefix, text *name)
{
	int			len = strlen(prefix);

	return value->val.string.len == len + VARSIZE_ANY_EXHDR(name) &&
		memcmp(value->val.string.val, prefix, len) == 0 &&
		memcmp(value->val.string.val + len, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0;
}

static void
replace_name(JsonbValue *value, text *name, text *pseudonym)
{
	const char *prefix = string_is(value, "", name) ? "" : string_is(value, KEY_PRINCIPAL, name) ? KEY_PRINCIPAL : NULL;

	if (prefix == NULL)
		return;
	value->val.string.val = psprintf("%s%s", prefix, text_to_cstring(pseudonym));
	value->val.string.len = strlen(value->val.string.val);
}

/*
 * idflow.with_pseudonym(data, name, pseudonym): the data with a person's name
 * replaced, also as a key of idflow.candidate, where a value is that and
 * nothing else; digests and the keys of objects stay.
 */
Datum
idflow_with_pseudonym(PG_FUNCTION_ARGS)
{
	Jsonb	   *data = PG_GETARG_JSONB_P(0);
	text	   *name = PG_GETARG_TEXT_PP(1);
	text	   *pseudonym = PG_GETARG_TEXT_PP(2);
	JsonbIterator *it;
	JsonbParseState *state = NULL;
	JsonbValue	value;
	JsonbValue *result = NULL;
	JsonbIteratorToken token;
	bool		digests = false;

	if (JB_ROOT_IS_SCALAR(data))
		PG_RETURN_JSONB_P(data);
	it = JsonbIteratorInit(&data->root);
	while ((token = JsonbIteratorNext(&it, &value, digests)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			digests = value.val.string.len == 7 && memcmp(value.val.string.val, "digests", 7) == 0;
		else
			digests = false;
		if ((token == WJB_VALUE || token == WJB_ELEM) && value.type == jbvString)
			replace_name(&value, name, pseudonym);
		result = pushJsonbValue(&state, token,
								token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM ? &value : NULL);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(result));
}

/* --------------------------------------------------------------- statements */

/* $1 the name, $2 the pseudonym; $3 and $4 the name's candidate key and the pseudonym's. */
static StorePlan forget_people[] = {
	{"DELETE FROM idflow.deputy WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[principal, deputy])"
	" AND (pg_catalog.upper_inf(valid) OR pg_catalog.upper(valid) OPERATOR(pg_catalog.>) pg_catalog.now())",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.deputy SET principal = CASE WHEN principal OPERATOR(pg_catalog.=) $1 THEN $2 ELSE principal END,"
	" principal_binding = CASE WHEN principal OPERATOR(pg_catalog.=) $1 THEN NULL ELSE principal_binding END,"
	" deputy_binding = CASE WHEN deputy OPERATOR(pg_catalog.=) $1 THEN NULL ELSE deputy_binding END,"
	" deputy = CASE WHEN deputy OPERATOR(pg_catalog.=) $1 THEN $2 ELSE deputy END,"
	" made_by = CASE WHEN made_by OPERATOR(pg_catalog.=) $1 THEN $2 ELSE made_by END"
	" WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[principal, deputy, made_by])",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"DELETE FROM idflow.profile_member WHERE principal OPERATOR(pg_catalog.=) $1",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.campaign SET starter = CASE WHEN starter OPERATOR(pg_catalog.=) $1 THEN $2 ELSE starter END,"
	" role = CASE WHEN role OPERATOR(pg_catalog.=) $1::pg_catalog.name THEN $2::pg_catalog.name ELSE role END,"
	" starter_binding = CASE WHEN starter OPERATOR(pg_catalog.=) $1 THEN NULL ELSE starter_binding END,"
	" role_binding = CASE WHEN role OPERATOR(pg_catalog.=) $1::pg_catalog.name THEN NULL ELSE role_binding END,"
	" ended_by = CASE WHEN ended_by OPERATOR(pg_catalog.=) $1 THEN $2 ELSE ended_by END"
	" WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[starter, role::pg_catalog.text, ended_by])",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.campaign_item SET reviewers = pg_catalog.array_replace(reviewers, $3, $4),"
	" bindings = CASE WHEN bindings IS NOT NULL THEN"
	"  ARRAY(SELECT CASE WHEN a.key OPERATOR(pg_catalog.<>) $3 THEN a.binding END"
	"   FROM ROWS FROM (pg_catalog.unnest(asked), pg_catalog.unnest(bindings)) WITH ORDINALITY a (key, binding, n)"
	"   ORDER BY a.n) END,"
	" asked = pg_catalog.array_replace(asked, $3, $4),"
	" key = CASE WHEN subject OPERATOR(pg_catalog.=) $1 THEN '{}' ELSE idflow.with_pseudonym(key, $1, $2) END,"
	" \"row\" = CASE WHEN subject OPERATOR(pg_catalog.=) $1 THEN NULL ELSE idflow.with_pseudonym(\"row\", $1, $2) END,"
	" subject = CASE WHEN subject OPERATOR(pg_catalog.=) $1 THEN $2 ELSE subject END"
	" WHERE subject OPERATOR(pg_catalog.=) $1 OR asked OPERATOR(pg_catalog.@>) ARRAY[$3]",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.campaign_vote SET comment = CASE WHEN $1 OPERATOR(pg_catalog.=) ANY (ARRAY[principal, on_behalf_of]) THEN NULL ELSE comment END,"
	" principal = CASE WHEN principal OPERATOR(pg_catalog.=) $1 THEN $2 ELSE principal END,"
	" binding = CASE WHEN principal OPERATOR(pg_catalog.=) $1 THEN NULL ELSE binding END,"
	" on_behalf_of = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $1 THEN $2 ELSE on_behalf_of END,"
	" behalf_binding = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $1 THEN NULL ELSE behalf_binding END,"
	" reviewer = CASE WHEN reviewer OPERATOR(pg_catalog.=) $3 THEN $4 ELSE reviewer END"
	" WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[principal, on_behalf_of]) OR reviewer OPERATOR(pg_catalog.=) $3",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.campaign_event SET"
	" comment = CASE WHEN $1 OPERATOR(pg_catalog.=) ANY (ARRAY[actor, on_behalf_of]) THEN NULL ELSE comment END,"
	" data = idflow.with_pseudonym(data, $1, $2),"
	" via = pg_catalog.array_to_string(pg_catalog.array_replace(pg_catalog.string_to_array(via, ', '),"
	"  'principal ' OPERATOR(pg_catalog.||) $1, 'principal ' OPERATOR(pg_catalog.||) $2), ', '),"
	" binding = CASE WHEN actor OPERATOR(pg_catalog.=) $1 THEN NULL ELSE binding END,"
	" actor = CASE WHEN actor OPERATOR(pg_catalog.=) $1 THEN $2 ELSE actor END,"
	" behalf_binding = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $1 THEN NULL ELSE behalf_binding END,"
	" on_behalf_of = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $1 THEN $2 ELSE on_behalf_of END"
	" WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[actor, on_behalf_of])"
	"  OR idflow.with_pseudonym(data, $1, $2) OPERATOR(pg_catalog.<>) data",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.gate_off SET actor = CASE WHEN actor OPERATOR(pg_catalog.=) $1 THEN $2 ELSE actor END,"
	" role = CASE WHEN role OPERATOR(pg_catalog.=) $1::pg_catalog.name THEN $2::pg_catalog.name ELSE role END"
	" WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[actor, role::pg_catalog.text])",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.erasure SET asked_by = $2"
	" WHERE asked_by OPERATOR(pg_catalog.=) $1",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
};

/*
 * What of a request has his name: $1 the request, $2 the name, $3 the
 * pseudonym.  What he said is blanked, too.
 */
static StorePlan forget_in_events = {
	"UPDATE idflow.event SET"
	" comment = CASE WHEN $2 OPERATOR(pg_catalog.=) ANY (ARRAY[actor, on_behalf_of]) THEN NULL ELSE comment END,"
	" data = CASE WHEN transition OPERATOR(pg_catalog.=) 'Comment' AND $2 OPERATOR(pg_catalog.=) ANY (ARRAY[actor, on_behalf_of])"
	"  THEN NULL ELSE idflow.with_pseudonym(data, $2, $3) END,"
	" actor = CASE WHEN actor OPERATOR(pg_catalog.=) $2 THEN $3 ELSE actor END,"
	" on_behalf_of = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $2 THEN $3 ELSE on_behalf_of END"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND ($2 OPERATOR(pg_catalog.=) ANY (ARRAY[actor, on_behalf_of])"
	"  OR idflow.with_pseudonym(data, $2, $3) OPERATOR(pg_catalog.<>) data)",
	3, {INT8OID, TEXTOID, TEXTOID}
};

static StorePlan forget_in_request[] = {
	{"UPDATE idflow.vote SET"
	" comment = CASE WHEN $2 OPERATOR(pg_catalog.=) ANY (ARRAY[principal, on_behalf_of]) THEN NULL ELSE comment END,"
	" principal = CASE WHEN principal OPERATOR(pg_catalog.=) $2 THEN $3 ELSE principal END,"
	" binding = CASE WHEN principal OPERATOR(pg_catalog.=) $2 THEN NULL ELSE binding END,"
	" behalf_binding = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $2 THEN NULL ELSE behalf_binding END,"
	" on_behalf_of = CASE WHEN on_behalf_of OPERATOR(pg_catalog.=) $2 THEN $3 ELSE on_behalf_of END"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND $2 OPERATOR(pg_catalog.=) ANY (ARRAY[principal, on_behalf_of])",
	3, {INT8OID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.participant SET principal = $3, binding = NULL"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND principal OPERATOR(pg_catalog.=) $2",
	3, {INT8OID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.task SET claimed_by = CASE WHEN claimed_by OPERATOR(pg_catalog.=) $2 THEN $3 ELSE claimed_by END,"
	" claimed_binding = CASE WHEN claimed_by OPERATOR(pg_catalog.=) $2 THEN NULL ELSE claimed_binding END,"
	" quota = idflow.with_pseudonym(quota, $2, $3)"
	" WHERE request OPERATOR(pg_catalog.=) $1"
	" AND (claimed_by OPERATOR(pg_catalog.=) $2 OR idflow.with_pseudonym(quota, $2, $3) OPERATOR(pg_catalog.<>) quota)",
	3, {INT8OID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.notification SET principal = $3, binding = NULL, address = NULL, subject = NULL, body = NULL"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND principal OPERATOR(pg_catalog.=) $2",
	3, {INT8OID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.job SET payload = idflow.with_pseudonym(payload, $2, $3), result = idflow.with_pseudonym(result, $2, $3)"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND finished_at IS NOT NULL",
	3, {INT8OID, TEXTOID, TEXTOID}},
	{"UPDATE idflow.trace_step SET result = pg_catalog.array_replace(result, $2, $3)"
	" WHERE request OPERATOR(pg_catalog.=) $1 AND result OPERATOR(pg_catalog.@>) ARRAY[$2]",
	3, {INT8OID, TEXTOID, TEXTOID}},
};

/* The requests from after $3 to $4 that have his name anywhere. */
static StorePlan find_requests = {
	"SELECT r.id FROM idflow.request r WHERE r.id OPERATOR(pg_catalog.>) $3 AND r.id OPERATOR(pg_catalog.<=) $4"
	" AND ($1 OPERATOR(pg_catalog.=) ANY (ARRAY[r.requester, r.subject, r.requested_role] OPERATOR(pg_catalog.||) r.editors)"
	"  OR EXISTS (SELECT FROM idflow.event e WHERE e.request OPERATOR(pg_catalog.=) r.id"
	"   AND ($1 OPERATOR(pg_catalog.=) ANY (ARRAY[e.actor, e.on_behalf_of])"
	"    OR idflow.with_pseudonym(e.data, $1, $2) OPERATOR(pg_catalog.<>) e.data))"
	"  OR EXISTS (SELECT FROM idflow.vote v WHERE v.request OPERATOR(pg_catalog.=) r.id"
	"   AND $1 OPERATOR(pg_catalog.=) ANY (ARRAY[v.principal, v.on_behalf_of]))"
	"  OR EXISTS (SELECT FROM idflow.participant p WHERE p.request OPERATOR(pg_catalog.=) r.id"
	"   AND p.principal OPERATOR(pg_catalog.=) $1)"
	"  OR EXISTS (SELECT FROM idflow.notification n WHERE n.request OPERATOR(pg_catalog.=) r.id"
	"   AND n.principal OPERATOR(pg_catalog.=) $1)"
	"  OR EXISTS (SELECT FROM idflow.trace_step s WHERE s.request OPERATOR(pg_catalog.=) r.id"
	"   AND s.result OPERATOR(pg_catalog.@>) ARRAY[$1])"
	"  OR EXISTS (SELECT FROM idflow.job j WHERE j.request OPERATOR(pg_catalog.=) r.id"
	"   AND idflow.with_pseudonym(j.payload, $1, $2) OPERATOR(pg_catalog.<>) j.payload))"
	" ORDER BY r.id",
	4, {TEXTOID, TEXTOID, INT8OID, INT8OID}
};

static StorePlan next_batch = {
	"SELECT pg_catalog.max(b.id) FROM (SELECT id FROM idflow.request WHERE id OPERATOR(pg_catalog.>) $1"
	" AND id OPERATOR(pg_catalog.<=) $2 ORDER BY id LIMIT $3) b",
	3, {INT8OID, INT8OID, INT4OID}
};

/* What is not yet over in which he has a part; open requests have candidates. */
static StorePlan find_open = {
	"SELECT r.id FROM idflow.request r JOIN (SELECT DISTINCT c.request FROM idflow.candidate c) c"
	" ON c.request OPERATOR(pg_catalog.=) r.id"
	" WHERE $1 OPERATOR(pg_catalog.=) ANY (ARRAY[r.requester, r.subject] OPERATOR(pg_catalog.||) r.editors)"
	" OR EXISTS (SELECT FROM idflow.candidate a WHERE a.request OPERATOR(pg_catalog.=) r.id AND a.key OPERATOR(pg_catalog.=) $2)"
	" OR EXISTS (SELECT FROM idflow.event e WHERE e.request OPERATOR(pg_catalog.=) r.id"
	"  AND $1 OPERATOR(pg_catalog.=) ANY (ARRAY[e.actor, e.on_behalf_of]))"
	" UNION SELECT r.id FROM idflow.timer t JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) t.request"
	" WHERE t.kind OPERATOR(pg_catalog.=) 'expiry' AND $1 OPERATOR(pg_catalog.=) ANY (ARRAY[r.requester, r.subject])"
	" UNION SELECT r.id FROM idflow.job j JOIN idflow.request r ON r.id OPERATOR(pg_catalog.=) j.request"
	" WHERE j.finished_at IS NULL AND $1 OPERATOR(pg_catalog.=) ANY (ARRAY[r.requester, r.subject])"
	" ORDER BY 1",
	2, {TEXTOID, TEXTOID}
};

static StorePlan find_campaigns = {
	"SELECT FROM idflow.campaign c WHERE c.state OPERATOR(pg_catalog.=) 'open'"
	" AND (c.starter OPERATOR(pg_catalog.=) $1 OR EXISTS (SELECT FROM idflow.campaign_item i"
	"  WHERE i.campaign OPERATOR(pg_catalog.=) c.id AND i.state OPERATOR(pg_catalog.=) ANY ('{open,escalated}')"
	"  AND (i.subject OPERATOR(pg_catalog.=) $1 OR i.asked OPERATOR(pg_catalog.@>) ARRAY[$2]))) LIMIT 1",
	2, {TEXTOID, TEXTOID}
};

static StorePlan insert_erasure = {
	"INSERT INTO idflow.erasure (principal, pseudonym, reason, asked_by, last_request)"
	" SELECT $1, $2, $3, $4, coalesce(pg_catalog.max(id), 0) FROM idflow.request"
	" ON CONFLICT (principal) DO NOTHING RETURNING id, last_request",
	4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static StorePlan load_erasure = {
	"SELECT id, principal, pseudonym, asked_by, last_request, done_to FROM idflow.erasure"
	" WHERE id OPERATOR(pg_catalog.=) $1 AND principal IS NOT NULL FOR UPDATE",
	1, {INT8OID}
};

static StorePlan advance_erasure = {
	"UPDATE idflow.erasure SET done_to = $2, requests = requests OPERATOR(pg_catalog.+) $3,"
	" principal = CASE WHEN $4 THEN NULL ELSE principal END,"
	" finished_at = CASE WHEN $4 THEN pg_catalog.clock_timestamp() END"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	4, {INT8OID, INT8OID, INT4OID, BOOLOID}
};

/* ------------------------------------------------------------ one request */

static char *
renamed(Erasure *erasure, char *name, int64 *binding)
{
	if (name == NULL || strcmp(name, erasure->name) != 0)
		return name;
	if (binding)
		*binding = 0;
	return erasure->pseudonym;
}

/* Forget him in a request, which is closed. */
static void
erase_in_request(Erasure *erasure, int64 id)
{
	Request    *req = request_load(id);
	bool		about_him;
	Datum		values[3];
	UserSwitch	save;
	Event	   *event;
	ListCell   *lc;

	if (req == NULL)
		return;
	if (!request_is_closed(req))
		ereport(ERROR,
				(errcode(ERRCODE_WF_OPEN_REQUESTS),
				 errmsg("request " INT64_FORMAT ", in which the person has a part, is %s", id, req->state)));
	about_him = req->subject ? strcmp(req->subject, erasure->name) == 0 :
		strcmp(req->requester, erasure->name) == 0;
	if (about_him)
		request_blank(req);

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(erasure->name);
	values[2] = CStringGetTextDatum(erasure->pseudonym);
	store_begin(&save);
	blank_exec(&forget_in_events, values);
	for (int i = 0; i < lengthof(forget_in_request); i++)
		store_exec(&forget_in_request[i], values, NULL, false);
	store_end(&save);

	req->requester = renamed(erasure, req->requester, &req->requester_binding);
	req->subject = renamed(erasure, req->subject, &req->subject_binding);
	req->role = renamed(erasure, req->role, &req->role_binding);
	foreach(lc, req->editors)
		lfirst(lc) = renamed(erasure, lfirst(lc), NULL);
	event = request_event(req, erasure->asked_by, "idflow_admin", "Erase", NULL);
	event->data = json_from_text(psprintf("{\"erasure\": " INT64_FORMAT "}", erasure->id));
	request_write(req);
}

/* The requests of the next batch that name him, up to the one of number to. */
static int64 *
requests_of(Erasure *erasure, int64 to, int *n)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[4];
	UserSwitch	save;
	int64	   *ids;

	values[0] = CStringGetTextDatum(erasure->name);
	values[1] = CStringGetTextDatum(erasure->pseudonym);
	values[2] = Int64GetDatum(erasure->done_to);
	values[3] = Int64GetDatum(to);
	store_begin(&save);
	*n = store_exec(&find_requests, values, NULL, false);
	ids = MemoryContextAlloc(cxt, Max(*n, 1) * sizeof(int64));
	for (int i = 0; i < *n; i++)
		ids[i] = spi_int64(SPI_tuptable->vals[i], 1);
	store_end(&save);
	return ids;
}

/* Go through the next requests; returns whether there are more. */
static bool
erase_batch(Erasure *erasure)
{
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(cxt, "idflow erasure", ALLOCSET_DEFAULT_SIZES);
	Datum		values[4];
	UserSwitch	save;
	int64		to;
	int64	   *ids;
	int			n;

	values[0] = Int64GetDatum(erasure->done_to);
	values[1] = Int64GetDatum(erasure->last);
	values[2] = Int32GetDatum(REQUESTS_AT_ONCE);
	store_begin(&save);
	store_exec(&next_batch, values, NULL, false);
	to = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);
	if (to == 0)
		to = erasure->last;

	ids = requests_of(erasure, to, &n);
	MemoryContextSwitchTo(each);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		erase_in_request(erasure, ids[i]);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(cxt);
	MemoryContextDelete(each);

	values[0] = Int64GetDatum(erasure->id);
	values[1] = Int64GetDatum(to);
	values[2] = Int32GetDatum(n);
	values[3] = BoolGetDatum(to >= erasure->last);
	store_begin(&save);
	store_exec(&advance_erasure, values, NULL, false);
	store_end(&save);
	erasure->done_to = to;
	return to < erasure->last;
}

/*
 * erasure_run: the timer of an erasure that the call has not finished.
 */
TimestampTz
erasure_run(Timer *timer)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(strtoll(timer->name, NULL, 10))};
	Erasure		erasure;
	UserSwitch	save;
	bool		found;

	store_begin(&save);
	found = store_exec(&load_erasure, values, NULL, false) > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);

		erasure.id = spi_int64(row, 1);
		erasure.name = spi_text(row, 2);
		erasure.pseudonym = spi_text(row, 3);
		erasure.asked_by = spi_text(row, 4);
		erasure.last = spi_int64(row, 5);
		erasure.done_to = spi_int64(row, 6);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return found && erase_batch(&erasure) ? GetCurrentTimestamp() : 0;
}

/* ---------------------------------------------------------------- the call */

/*
 * What transactions that are open write isn't seen yet, and nobody would look
 * at it again.  So those that write at this moment come to their end first;
 * who begins later acts anew.  A snapshot that is older than that is refused.
 */
static void
wait_for_writers(void)
{
	static const char *const tables[] = {"request", "campaign", "campaign_item", "deputy", "profile_member"};
	List	   *tags = NIL;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a person is erased in READ COMMITTED transactions only"),
				 errdetail("Others would not see what is committed meanwhile.")));
	for (int i = 0; i < lengthof(tables); i++)
	{
		LOCKTAG    *tag = (LOCKTAG *) palloc(sizeof(LOCKTAG));

		SET_LOCKTAG_RELATION(*tag, MyDatabaseId, extension_relid(tables[i]));
		tags = lappend(tags, tag);
	}
	WaitForLockersMultiple(tags, ShareLock, false);
}

/* Refuse while somebody needs him. */
static void
refuse_open(const char *name)
{
	Datum		values[2] = {CStringGetTextDatum(name), CStringGetTextDatum(psprintf(KEY_PRINCIPAL "%s", name))};
	UserSwitch	save;
	StringInfoData ids;
	int			n;
	bool		reviews;

	initStringInfo(&ids);
	store_begin(&save);
	n = store_exec(&find_open, values, NULL, false);
	for (int i = 0; i < Min(n, SHOWN_REQUESTS); i++)
		appendStringInfo(&ids, "%s" INT64_FORMAT, i > 0 ? ", " : "", spi_int64(SPI_tuptable->vals[i], 1));
	reviews = store_exec(&find_campaigns, values, NULL, false) > 0;
	store_end(&save);
	if (n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_OPEN_REQUESTS),
				 errmsg("the person has a part in requests that are not over"),
				 errdetail_plural("%d request is open, is to be reversed, or has jobs to be done: %s%s.",
								  "%d requests are open, are to be reversed, or have jobs to be done: %s%s.",
								  n, n, ids.data, n > SHOWN_REQUESTS ? ", ..." : ""),
				 errhint("Have them decided, end them with idflow.withdraw() or idflow.override(..., 'Abort'), or give his tasks to another with idflow.move_tasks().")));
	if (reviews)
		ereport(ERROR,
				(errcode(ERRCODE_WF_OPEN_REQUESTS),
				 errmsg("the person has a part in an access review that is open"),
				 errhint("End it with idflow.end_review(), or wait until it is over.")));
}

static char *
make_pseudonym(void)
{
	uint8		random[PSEUDONYM_BYTES];
	StringInfoData pseudonym;

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not make a pseudonym: no source of strong random numbers is available")));
	initStringInfo(&pseudonym);
	appendStringInfoString(&pseudonym, "erased-");
	for (int i = 0; i < PSEUDONYM_BYTES; i++)
		appendStringInfo(&pseudonym, "%02x", random[i]);
	return pseudonym.data;
}

/* The name would stand in the reason otherwise. */
static char *
reason_without(const char *reason, const char *name, const char *pseudonym)
{
	Datum		result = DirectFunctionCall3Coll(replace_text, DEFAULT_COLLATION_OID,
												 CStringGetTextDatum(reason), CStringGetTextDatum(name),
												 CStringGetTextDatum(pseudonym));

	return TextDatumGetCString(result);
}

/*
 * idflow.erase(principal text, reason text) RETURNS text
 */
Datum
idflow_erase(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0);
	char	   *reason = text_argument(fcinfo, 1);
	const char *actor = actor_name();
	Erasure		erasure;
	Datum		values[4];
	UserSwitch	save;
	bool		more = true;

	PreventCommandDuringRecovery("idflow.erase()");
	if (!role_is_admin(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be a member of role \"idflow_admin\" to erase a person")));
	if (name == NULL || name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "principal")));
	if (reason == NULL || strspn(reason, " \t\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an erasure needs a reason")));
	if (strcmp(name, ACTOR_SYSTEM) == 0 || strcmp(name, actor) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" can't be erased", name),
				 strcmp(name, actor) == 0 ? errdetail("Another admin must do it: the record would name you again.") :
				 errdetail("It is no person: automatic steps are recorded under it.")));
	if (applying_request())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot erase a person while a request is applied")));
	wait_for_writers();
	refuse_open(name);

	memset(&erasure, 0, sizeof(erasure));
	erasure.name = name;
	erasure.pseudonym = make_pseudonym();
	erasure.asked_by = pstrdup(actor);
	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(erasure.pseudonym);
	values[2] = CStringGetTextDatum(reason_without(reason, name, erasure.pseudonym));
	values[3] = CStringGetTextDatum(actor);
	store_begin(&save);
	if (store_exec(&insert_erasure, values, NULL, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the person is being erased already"),
				 errhint("SELECT * FROM idflow.erasure shows how far that has come; idflow.run_due() goes on.")));
	erasure.id = spi_int64(SPI_tuptable->vals[0], 1);
	erasure.last = spi_int64(SPI_tuptable->vals[0], 2);

	values[2] = CStringGetTextDatum(psprintf(KEY_PRINCIPAL "%s", name));
	values[3] = CStringGetTextDatum(psprintf(KEY_PRINCIPAL "%s", erasure.pseudonym));
	for (int i = 0; i < lengthof(forget_people); i++)
		store_exec(&forget_people[i], values, NULL, false);
	store_end(&save);

	for (int i = 0; more && i < BATCHES_BY_CALL; i++)
		more = erase_batch(&erasure);
	if (more)
		timer_add(TIMER_ERASURE, 0, 0, psprintf(INT64_FORMAT, erasure.id), GetCurrentTimestamp(), NULL);
	PG_RETURN_TEXT_P(cstring_to_text(erasure.pseudonym));
}
