/*-------------------------------------------------------------------------
 *
 * campaign_row.c
 *	  Access reviews: the rows that they are about.
 *
 * Rows are read, and deleted, as the role that started the campaign, under the
 * table's row-level security as it is for that.  The condition, the reviewers
 * and the workflow's Subject stand in one query over the table.  Each of them
 * is one expression, and the query as a whole only reads, has no volatile
 * functions, and calls nobody's code but that role's and superusers'.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "campaign.h"
#include "column.h"
#include "decide.h"
#include "expression_parse.h"
#include "expression_plan.h"
#include "expression_query.h"
#include "plancache.h"
#include "session.h"

PG_FUNCTION_INFO_V1(idflow_campaign_rows);
PG_FUNCTION_INFO_V1(idflow_campaign_delete);

#define ROWS_AT_ONCE	2000

#define PREFIX_PROFILE		"profile:"
#define PREFIX_PRINCIPAL	"principal:"

/* The columns of the query, in order. */
enum
{
	ROW_KEY,
	ROW_DIGEST,
	ROW_IMAGE,
	ROW_REVIEWER,
	ROW_SUBJECT,
	ROW_NCOLUMNS
};

static StorePlan insert_items = {
	"INSERT INTO idflow.campaign_item (campaign, seq, key, \"row\", digest, subject, reviewers, asked, bindings, tenant)"
	" SELECT $1, $2 OPERATOR(pg_catalog.+) t.n, t.key, t.image, t.digest, t.subject, k.keys, k.keys,"
	" idflow.key_bindings(k.keys), $9"
	" FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5),"
	"  pg_catalog.unnest($6), pg_catalog.unnest($7)) WITH ORDINALITY t (key, digest, image, reviewer, subject, n),"
	" LATERAL (SELECT idflow.campaign_reviewers(t.reviewer, $8, t.subject) OFFSET 0) k (keys)",
	9, {INT8OID, INT8OID, JSONBARRAYOID, TEXTARRAYOID, JSONBARRAYOID, JSONBARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID}
};

static StorePlan ask_others = {
	"SELECT idflow.campaign_ask_others($1)", 1, {INT8OID}
};

static StorePlan select_key = {
	"SELECT key FROM idflow.campaign_item"
	" WHERE campaign OPERATOR(pg_catalog.=) $1 AND seq OPERATOR(pg_catalog.=) $2",
	2, {INT8OID, INT8OID}
};

/*
 * campaign_reviewer_key: the candidate key that a reviewer stands for who is
 * the same for all rows; NULL: an expression says who it is.
 */
char *
campaign_reviewer_key(const char *reviewer)
{
	bool		profile;
	const char *name;

	if (reviewer == NULL)
		return pstrdup(KEY_ADMIN);
	profile = pg_strncasecmp(reviewer, PREFIX_PROFILE, strlen(PREFIX_PROFILE)) == 0;
	if (!profile && pg_strncasecmp(reviewer, PREFIX_PRINCIPAL, strlen(PREFIX_PRINCIPAL)) != 0)
		return NULL;
	name = reviewer + strlen(profile ? PREFIX_PROFILE : PREFIX_PRINCIPAL);
	name += strspn(name, " ");
	if (*name == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" names nobody", "reviewer"),
				 errhint("Write profile:NAME, principal:NAME, or an SQL expression over the row.")));
	return psprintf("%s%s", profile ? KEY_PROFILE : KEY_PRINCIPAL, name);
}

/* An expression of the caller's or the workflow's, fit to be put in parentheses. */
static const char *
expression_body(const char *expression, const char *what)
{
	const char *body;

	switch (expression_language(expression, &body))
	{
		case EXPRESSION_SQL:
		case EXPRESSION_UNKNOWN:
			(void) expression_parse(body);
			return body;
		case EXPRESSION_LITERAL:
			return quote_literal_cstr(body);
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("an access review takes no such expression as %s: %s", what, expression),
					 errhint("Write it in SQL.")));
	}
	return NULL;				/* keep the compiler quiet */
}

/* The columns that the workflow doesn't show to reviewers, as text[]. */
static char *
hidden_columns(Workflow *wf, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *hidden = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		DefinitionElement *column = att->attisdropped ? NULL : workflow_column(wf, NameStr(att->attname));
		const char *show = column ? element_value(column, "Show") : NULL;

		if (show && strcmp(show, "Yes") != 0)
			hidden = lappend(hidden, pstrdup(NameStr(att->attname)));
	}
	return OidOutputFunctionCall(F_ARRAY_OUT, text_array_datum(hidden));
}

/* What is read of every row: key, digest and image. */
static void
append_row(StringInfo sql, Workflow *wf, Relation rel)
{
	Bitmapset  *key = row_key_attnums(rel, NULL);
	int			attnum = -1;
	const char *comma = "";

	appendStringInfoString(sql, "SELECT pg_catalog.jsonb_build_object(");
	while ((attnum = bms_next_member(key, attnum)) >= 0)
	{
		const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);

		appendStringInfo(sql, "%s%s, \"new\".%s", comma, quote_literal_cstr(name), quote_identifier(name));
		comma = ", ";
	}
	appendStringInfo(sql, ") AS key, pg_catalog.md5((\"new\".*)::pg_catalog.text) AS digest,"
					 " pg_catalog.to_jsonb(\"new\".*) OPERATOR(pg_catalog.-) %s::pg_catalog.text[] AS \"row\"",
					 quote_literal_cstr(hidden_columns(wf, rel)));
}

/* Is a row of the table (near) that of a record of the same type (far)? */
static void
append_key_equal(StringInfo sql, Relation rel, const char *near, const char *far, const char *after)
{
	Bitmapset  *key = row_key_attnums(rel, NULL);
	int			attnum = -1;
	const char *and = "";

	while ((attnum = bms_next_member(key, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		const char *name = quote_identifier(NameStr(att->attname));

		appendStringInfo(sql, "%s%s.%s %s %s.%s%s", and, near, name,
						 equality_operator(att->atttypid), far, name, after);
		and = " AND ";
	}
}

static SPIPlanPtr
prepare(const char *sql, int nargs)
{
	Oid			types[1] = {JSONBOID};
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	return plan;
}

/* Become the campaign's role, with all settings pinned that text depends on. */
static int
become_starter(UserSwitch *save, Oid role, int flags)
{
	int			nest = become_pinned(save, role, flags);

	set_if_different("TimeZone", "UTC");
	(void) transmission_modes_begin();
	return nest;
}

/* The query for a campaign's rows, prepared as its role. */
static SPIPlanPtr
prepare_fill(Campaign *campaign, Workflow *wf, Relation rel, Oid role)
{
	char	   *constant = campaign_reviewer_key(campaign->reviewer);
	StringInfoData sql;
	SPIPlanPtr	plan;

	initStringInfo(&sql);
	append_row(&sql, wf, rel);
	if (constant)
		appendStringInfoString(&sql, ", NULL::pg_catalog.jsonb");
	else
		appendStringInfo(&sql, ", pg_catalog.to_jsonb((\n%s\n))", expression_body(campaign->reviewer, "reviewer"));
	if (wf->subject)
		appendStringInfo(&sql, ", (SELECT (\n%s\n)::pg_catalog.text FROM (SELECT \"new\".*) AS \"old\")",
						 expression_body(wf->subject, "the workflow's Subject"));
	else
		appendStringInfoString(&sql, ", NULL::pg_catalog.text");
	appendStringInfo(&sql, " FROM %s AS \"new\"", table_sql(rel, true));
	if (campaign->condition)
		appendStringInfo(&sql, " WHERE (\n%s\n)", expression_body(campaign->condition, "condition"));
	appendStringInfoString(&sql, " ORDER BY 1");

	plan = prepare(sql.data, 0);
	expression_check_query(linitial(expression_plan_source(plan)->query_list), role);
	return plan;
}

static Datum
array_of(Datum *values, bool *nulls, int n, Oid type)
{
	int			dims[1] = {n};
	int			lbs[1] = {1};

	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lbs, type, -1, false, TYPALIGN_INT));
}

/* Keep the rows that were just read as items with the numbers after seq. */
static void
insert_rows(Campaign *campaign, int64 seq, uint64 n)
{
	Datum		values[9];
	char		nulls[10] = "         ";
	Datum	   *column = palloc(n * sizeof(Datum));
	bool	   *isnull = palloc(n * sizeof(bool));
	UserSwitch	save;

	values[0] = Int64GetDatum(campaign->id);
	values[1] = Int64GetDatum(seq);
	for (int c = 0; c < ROW_NCOLUMNS; c++)
	{
		for (uint64 i = 0; i < n; i++)
			column[i] = spi_datum(SPI_tuptable->vals[i], c + 1, &isnull[i]);
		values[2 + c] = array_of(column, isnull, n,
								 c == ROW_DIGEST || c == ROW_SUBJECT ? TEXTOID : JSONBOID);
	}
	values[7] = text_datum(campaign_reviewer_key(campaign->reviewer), &nulls[7]);
	values[8] = text_datum(campaign->tenant, &nulls[8]);
	store_begin(&save);
	store_exec(&insert_items, values, nulls, false);
	store_end(&save);
}

/*
 * campaign_fill: the items of a campaign that has just been made.
 */
void
campaign_fill(Campaign *campaign)
{
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext each = AllocSetContextCreate(cxt, "idflow campaign", ALLOCSET_DEFAULT_SIZES);
	Datum		values[1] = {Int64GetDatum(campaign->id)};
	Oid			role;
	Relation	rel = campaign_open_target(campaign, &role);
	Workflow   *wf = workflow_current(campaign->workflow, false);
	UserSwitch	save;
	Portal		portal;
	uint64		n;
	int64		seq = 0;
	int			nest;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_starter(&save, role, SECURITY_RESTRICTED_OPERATION);
	portal = SPI_cursor_open(NULL, prepare_fill(campaign, wf, rel, role), NULL, NULL, true);
	restore_pinned(&save, nest);
	do
	{
		CHECK_FOR_INTERRUPTS();
		nest = become_starter(&save, role, SECURITY_RESTRICTED_OPERATION);
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		restore_pinned(&save, nest);
		n = SPI_processed;
		MemoryContextSwitchTo(each);
		if (n > 0)
			insert_rows(campaign, seq, n);
		MemoryContextSwitchTo(cxt);
		MemoryContextReset(each);
		SPI_freetuptable(SPI_tuptable);
		seq += n;
	} while (n > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextDelete(each);
	table_close(rel, NoLock);

	store_begin(&save);
	store_exec(&ask_others, values, NULL, false);
	store_end(&save);
}

/*
 * idflow.campaign_rows(campaign, keys): the rows as they are now.
 */
Datum
idflow_campaign_rows(PG_FUNCTION_ARGS)
{
	MemoryContext cxt = CurrentMemoryContext;
	Campaign   *campaign = campaign_load(PG_GETARG_INT64(0));
	Datum		values[1] = {PG_GETARG_DATUM(1)};
	Oid			role;
	Relation	rel = campaign_open_target(campaign, &role);
	StringInfoData sql;
	UserSwitch	save;
	int			nest;
	Datum		result;
	bool		isnull;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t.*)) FROM (");
	append_row(&sql, workflow_current(campaign->workflow, false), rel);
	appendStringInfo(&sql, " FROM %s AS \"new\", pg_catalog.jsonb_populate_recordset(NULL::%s, $1) AS \"old\" WHERE ",
					 table_sql(rel, true), table_sql(rel, false));
	append_key_equal(&sql, rel, "\"new\"", "\"old\"", "");
	appendStringInfoString(&sql, ") t");

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_starter(&save, role, SECURITY_RESTRICTED_OPERATION);
	SPI_execute_plan(prepare(sql.data, 1), values, NULL, false, 1);
	restore_pinned(&save, nest);
	result = spi_datum(SPI_tuptable->vals[0], 1, &isnull);
	MemoryContextSwitchTo(cxt);
	if (!isnull)
		result = PointerGetDatum(PG_DETOAST_DATUM_COPY(result));
	SPI_finish();
	table_close(rel, NoLock);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* The key of an item. */
static Datum
item_key(int64 campaign, int64 seq)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[2] = {Int64GetDatum(campaign), Int64GetDatum(seq)};
	UserSwitch	save;
	Datum		key;
	bool		isnull;

	store_begin(&save);
	if (store_exec(&select_key, values, NULL, false) == 0)
		elog(ERROR, "campaign " INT64_FORMAT " has no item " INT64_FORMAT, campaign, seq);
	key = spi_datum(SPI_tuptable->vals[0], 1, &isnull);
	MemoryContextSwitchTo(cxt);
	key = PointerGetDatum(PG_DETOAST_DATUM_COPY(key));
	store_end(&save);
	return key;
}

/* Nothing of the present session's may get between the DELETE and its gate. */
static void
require_plain_session(void)
{
	if (applying_request() || collecting_request() || bypass_reason())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot revoke here"),
				 errdetail("This transaction collects a request, applies one, or bypasses the gates."),
				 errhint("Decide in a transaction of its own.")));
}

static void
set_for_request(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * idflow.campaign_delete(campaign, seq): ask that the row be deleted, as the
 * campaign's starter would; returns the request.
 */
Datum
idflow_campaign_delete(PG_FUNCTION_ARGS)
{
	Campaign   *campaign = campaign_load(PG_GETARG_INT64(0));
	Datum		values[1] = {item_key(campaign->id, PG_GETARG_INT64(1))};
	Oid			role;
	Relation	rel = campaign_open_target(campaign, &role);
	StringInfoData sql;
	UserSwitch	save;
	int			nest;
	int64		request;

	require_plain_session();
	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s AS \"new\" WHERE ", table_sql(rel, true));
	append_key_equal(&sql, rel, "\"new\"", psprintf("(SELECT \"old\""),
					 psprintf(" FROM pg_catalog.jsonb_populate_record(NULL::%s, $1) AS \"old\")",
							  table_sql(rel, false)));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_pinned(&save, role, 0);
	set_for_request("idflow.actor", campaign->starter);
	set_for_request("idflow.notice", "off");
	set_for_request("idflow.title", psprintf("Access review " INT64_FORMAT ": %s", campaign->id, campaign->title));
	set_for_request("idflow.comment", psprintf("revoked in access review " INT64_FORMAT, campaign->id));
	set_for_request("idflow.effective_at", "");
	set_for_request("idflow.expires_at", "");
	remember_request(campaign->starter, 0);
	SPI_execute_plan(prepare(sql.data, 1), values, NULL, false, 0);
	request = remembered_request(campaign->starter);
	restore_pinned(&save, nest);
	SPI_finish();
	table_close(rel, NoLock);
	if (request == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WF_CAMPAIGN),
				 errmsg("no workflow decides whether this row may be deleted"),
				 errdetail("The gate of workflow \"%s\" on table %s lets it pass without a request.",
						   campaign->workflow, campaign->target_name),
				 errhint("Delete the row, or say in the campaign's condition that such rows are not asked about.")));
	PG_RETURN_INT64(request);
}
