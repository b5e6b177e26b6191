/*-------------------------------------------------------------------------
 *
 * campaign.c
 *	  Access reviews: starting them, and what their timers do.
 *
 * A campaign acts for its starter long after he has started it: its rows are
 * read and deleted as the database role that he had.  So that role is recorded
 * here, from the one that runs, and what it may do is asked each time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "campaign.h"
#include "decide.h"
#include "plancache.h"
#include "tenant.h"

/* When the end of a campaign comes again that somebody is deciding in. */
#define BUSY_DELAY_MS	10000

PG_FUNCTION_INFO_V1(idflow_start_review);

static StorePlan insert_campaign = {
	"INSERT INTO idflow.campaign (target, target_name, workflow, condition, reviewer, title, due, outcome,"
	" unanswered, every, starter, role, tenant, started_at, starter_binding, role_binding)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, pg_catalog.now(),"
	" idflow.binding($11), idflow.binding($12)) RETURNING id",
	13, {REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID,
	TEXTOID, INTERVALOID, TEXTOID, TEXTOID, TEXTOID}
};

static StorePlan select_campaign = {
	"SELECT target::pg_catalog.oid, target_name, workflow, condition, reviewer, starter, role, title, tenant,"
	" CASE WHEN NOT idflow.is_bound(role, role_binding) THEN role::pg_catalog.text"
	"  WHEN NOT idflow.is_bound(starter, starter_binding) THEN starter END"
	" FROM idflow.campaign WHERE id OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static StorePlan note_started = {
	"SELECT idflow.campaign_started($1)", 1, {INT8OID}
};

static StorePlan select_gate = {
	"SELECT FROM idflow.gate WHERE workflow OPERATOR(pg_catalog.=) $1 AND target OPERATOR(pg_catalog.=) $2"
	" AND operation OPERATOR(pg_catalog.=) 'DELETE' AND enabled",
	2, {TEXTOID, REGCLASSOID}
};

/*
 * campaign_load: a campaign, in the current memory context.
 */
Campaign *
campaign_load(int64 id)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(id)};
	Campaign   *campaign = palloc0(sizeof(Campaign));
	UserSwitch	save;
	HeapTuple	row;
	bool		isnull;

	store_begin(&save);
	if (store_exec(&select_campaign, values, NULL, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_CAMPAIGN),
				 errmsg("campaign " INT64_FORMAT " does not exist", id)));
	row = SPI_tuptable->vals[0];
	MemoryContextSwitchTo(cxt);
	campaign->id = id;
	campaign->target = DatumGetObjectId(spi_datum(row, 1, &isnull));
	campaign->target_name = spi_text(row, 2);
	campaign->workflow = spi_text(row, 3);
	campaign->condition = spi_text(row, 4);
	campaign->reviewer = spi_text(row, 5);
	campaign->starter = spi_text(row, 6);
	campaign->role = spi_text(row, 7);
	campaign->title = spi_text(row, 8);
	campaign->tenant = spi_text(row, 9);
	campaign->gone = spi_text(row, 10);
	store_end(&save);
	return campaign;
}

/* Error unless the workflow's gate stands before DELETE on the table. */
static void
require_gate(Campaign *campaign, Relation rel)
{
	Datum		values[2] = {CStringGetTextDatum(campaign->workflow), ObjectIdGetDatum(RelationGetRelid(rel))};

	if (!store_finds(&select_gate, values, true))
		ereport(ERROR,
				(errcode(ERRCODE_WF_CAMPAIGN),
				 errmsg("workflow \"%s\" has no gate on DELETE on table \"%s\"",
						campaign->workflow, RelationGetRelationName(rel)),
				 errdetail("Its requests are what an access review asks for where a row is to go."),
				 errhint("Attach it with idflow.attach(..., operations => '{DELETE}').")));
}

/*
 * campaign_open_target: open the table of a campaign under AccessShareLock, and
 * tell its role; errors if that may not review it any more, or nothing holds
 * what is revoked.
 */
Relation
campaign_open_target(Campaign *campaign, Oid *role)
{
	Relation	rel;

	*role = get_role_oid(campaign->role, true);
	if (!OidIsValid(*role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", which started the access review, does not exist", campaign->role)));
	if (campaign->gone)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", which started the access review, does not exist any more", campaign->gone),
				 errdetail("Another role has its name now."),
				 errhint("Start the access review again.")));
	rel = try_relation_open(campaign->target, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s does not exist", campaign->target_name)));
	if (!has_privs_of_role(*role, rel->rd_rel->relowner) && !role_is_admin(*role))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel))));
	if (row_key_attnums(rel, NULL) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no key", RelationGetRelationName(rel)),
				 errdetail("An access review refers to its rows by it."),
				 errhint("Add a primary key.")));
	require_gate(campaign, rel);
	return rel;
}

/* An argument that has a value out of a few; in the words of the documentation. */
static char *
choice_argument(FunctionCallInfo fcinfo, int n, const char *name, const char *const *choices)
{
	char	   *value = text_argument(fcinfo, n);
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; choices[i]; i++)
	{
		if (value && strcmp(value, choices[i]) == 0)
			return value;
		appendStringInfo(&all, "%s%s", i ? ", " : "", choices[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" has no value \"%s\"", name, value ? value : ""),
			 errhint("It is one of %s.", all.data)));
	return NULL;				/* keep the compiler quiet */
}

/* Its items are there: set its timers and put its start on record. */
static void
campaign_started(int64 id)
{
	Datum		values[1] = {Int64GetDatum(id)};
	UserSwitch	save;

	store_begin(&save);
	store_exec(&note_started, values, NULL, false);
	store_end(&save);
}

static int64
store_campaign(Datum *values, const char *nulls)
{
	UserSwitch	save;
	int64		id;

	store_begin(&save);
	store_exec(&insert_campaign, values, nulls, false);
	id = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);
	return id;
}

/* The time between one campaign and the next; false if it repeats none. */
static void
check_every(Interval *every)
{
	Interval	hour = {USECS_PER_HOUR, 0, 0};

	if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(every), IntervalPGetDatum(&hour))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be at least an hour", "every")));
}

/*
 * idflow_start_review: a campaign over the rows of a table.
 */
Datum
idflow_start_review(PG_FUNCTION_ARGS)
{
	static const char *const outcomes[] = {"AcceptIfOne", "AcceptIfAll", "DenyIfOne", "AcceptUnlessDenied", NULL};
	static const char *const answers[] = {"Keep", "Revoke", "Escalate", NULL};
	Campaign	campaign = {0};
	Datum		values[13];
	char		nulls[14] = "             ";
	Relation	rel;
	Oid			role;

	PreventCommandDuringRecovery("idflow.start_review()");
	campaign.workflow = text_argument(fcinfo, 1);
	if (PG_ARGISNULL(0) || campaign.workflow == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", PG_ARGISNULL(0) ? "target" : "workflow")));
	campaign.target = PG_GETARG_OID(0);
	campaign.target_name = psprintf("with OID %u", campaign.target);
	campaign.condition = text_argument(fcinfo, 2);
	campaign.reviewer = text_argument(fcinfo, 3);
	campaign.title = text_argument(fcinfo, 4);
	campaign.role = GetUserNameFromId(GetUserId(), false);
	campaign.starter = unconstify(char *, actor_name());
	campaign.tenant = tenant_of_requester(campaign.starter);
	if (applying_request())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot start an access review while a request is applied")));
	values[7] = CStringGetTextDatum(choice_argument(fcinfo, 6, "outcome", outcomes));
	values[8] = CStringGetTextDatum(choice_argument(fcinfo, 7, "unanswered", answers));
	if (!PG_ARGISNULL(8))
		check_every(PG_GETARG_INTERVAL_P(8));
	if (!PG_ARGISNULL(5) && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(5)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be finite", "due")));
	(void) campaign_reviewer_key(campaign.reviewer);
	(void) workflow_current(campaign.workflow, false);
	rel = campaign_open_target(&campaign, &role);
	if (campaign.title == NULL)
		campaign.title = psprintf("Review of %s", RelationGetRelationName(rel));

	values[0] = ObjectIdGetDatum(campaign.target);
	values[1] = CStringGetTextDatum(table_sql(rel, false));
	values[2] = CStringGetTextDatum(campaign.workflow);
	values[3] = text_datum(campaign.condition, &nulls[3]);
	values[4] = text_datum(campaign.reviewer, &nulls[4]);
	values[5] = CStringGetTextDatum(campaign.title);
	values[6] = PG_ARGISNULL(5) ? (Datum) 0 : PG_GETARG_DATUM(5);
	nulls[6] = PG_ARGISNULL(5) ? 'n' : ' ';
	values[9] = PG_ARGISNULL(8) ? (Datum) 0 : PG_GETARG_DATUM(8);
	nulls[9] = PG_ARGISNULL(8) ? 'n' : ' ';
	values[10] = CStringGetTextDatum(campaign.starter);
	values[11] = CStringGetTextDatum(campaign.role);
	values[12] = text_datum(campaign.tenant, &nulls[12]);
	relation_close(rel, NoLock);
	campaign.id = store_campaign(values, nulls);
	campaign_fill(&campaign);
	campaign_started(campaign.id);
	PG_RETURN_INT64(campaign.id);
}

/* Call a function of the extension's with the timer's campaign; what it returns, or 0. */
static int64
call_with_campaign(StorePlan *plan, Timer *timer)
{
	Datum		values[1] = {JsonbPGetDatum(timer->data)};
	UserSwitch	save;
	int64		result;

	store_begin(&save);
	store_exec(plan, values, NULL, false);
	result = spi_int64(SPI_tuptable->vals[0], 1);
	store_end(&save);
	return result;
}

/*
 * campaign_run: the timers of a campaign: its end, and the next one's start.
 */
TimestampTz
campaign_run(Timer *timer)
{
	static StorePlan end_campaign = {
		"SELECT idflow.campaign_end(($1 OPERATOR(pg_catalog.->>) 'campaign')::pg_catalog.int8,"
		" '" ACTOR_SYSTEM "', 'due')::pg_catalog.int4::pg_catalog.int8",
		1, {JSONBOID}
	};
	static StorePlan next_campaign = {
		"SELECT idflow.campaign_next(($1 OPERATOR(pg_catalog.->>) 'campaign')::pg_catalog.int8)",
		1, {JSONBOID}
	};
	int64		next;

	if (strcmp(timer->name, "end") == 0)
	{
		if (call_with_campaign(&end_campaign, timer))
			return 0;
		return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BUSY_DELAY_MS);
	}
	next = call_with_campaign(&next_campaign, timer);
	if (next)
	{
		campaign_fill(campaign_load(next));
		campaign_started(next);
	}
	return 0;
}
