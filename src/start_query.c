/*-------------------------------------------------------------------------
 *
 * start_query.c
 *	  Which rows of a table are due, by a <Start> of a workflow.
 *
 * A row is due at its date plus Offset, and is looked for as long as Within
 * after that: whoever enters a date late is served, and what is long past when
 * the workflow is deployed is left alone.  The scan runs as the role that
 * deployed the workflow, read-only, and sees what that may SELECT.
 *
 * Where the date is a column it is compared as it stands with bounds of its own
 * type, so that an index on it serves.  The bounds are wide enough for months
 * of different lengths; what counts is the exact condition beside them.  That is
 * looked at within the bounds only: it can't be told of a date that is no
 * timestamp any more, and one such row would keep all others from their start.
 *
 * A date without a time zone begins in UTC.  In the time zone of whoever calls
 * idflow.run_due() the same row would be due at another time, and so once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "attach.h"
#include "compat.h"
#include "expression_parse.h"
#include "plancache.h"
#include "schedule.h"
#include "start.h"

#define DEFAULT_WITHIN	"P31D"
#define ROWS_AT_ONCE	200

struct StartScan
{
	Oid			deployer;
	Portal		portal;
	int			nkeys;
	MemoryContext context;
};

/*
 * start_interval: ISO 8601 with a leading minus, or what PostgreSQL takes.
 */
Interval *
start_interval(const char *text)
{
	bool		minus = text[0] == '-' && (text[1] == 'P' || text[1] == 'p');
	Datum		interval = DirectFunctionCall3(interval_in, CStringGetDatum(text + minus),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	if (minus)
		interval = DirectFunctionCall1(interval_um, interval);
	return DatumGetIntervalP(interval);
}

static Datum
interval_attribute(const DefinitionElement *start, const char *attribute, const char *if_missing)
{
	const char *value = element_value(start, attribute);

	return IntervalPGetDatum(start_interval(value ? value : if_missing));
}

/* The column that a Date is: named directly, or as SQL:new.column; NULL: an expression. */
static char *
date_column(const DefinitionElement *start, Relation rel)
{
	const char *date = element_value(start, "Date");
	const char *body;

	if (expression_language(date, &body) == EXPRESSION_SQL)
	{
		body += strspn(body, " ");
		if (strncmp(body, "new.", 4) != 0)
			return NULL;
		date = pnstrdup(body + 4, strcspn(body + 4, " "));
		return get_attnum(RelationGetRelid(rel), date) > 0 ? pstrdup(date) : NULL;
	}
	date = binding_column(date, RelationGetDescr(rel));
	return unconstify(char *, date);
}

/*
 * start_target: the table of a Start; errors if there is none of that name.
 */
Relation
start_target(Workflow *wf, const DefinitionElement *start, LOCKMODE lockmode)
{
	const char *target = element_value(start, "Target");
	List	   *names = qualified_names(target);
	RangeVar   *range = makeRangeVarFromNameList(names);
	Oid			relid = RangeVarGetRelid(range, lockmode, true);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" does not exist", target),
				 errdetail("It is the Target of %s.", element_place(wf, start)),
				 errhint("Name the table with its schema, such as hr.person.")));
	return table_open(relid, NoLock);
}

/* What the scan is over: FROM, and the date as timestamptz with the offset ($1). */
static void
date_sql(const DefinitionElement *start, Relation rel, char **from, char **due, char **column)
{
	const char *body;

	*from = psprintf("%s AS \"new\"", table_sql(rel, true));
	*column = date_column(start, rel);
	if (*column)
	{
		*column = psprintf("\"new\".%s", quote_identifier(*column));
		*due = psprintf("(%s::pg_catalog.timestamptz OPERATOR(pg_catalog.+) $1)", *column);
		return;
	}
	(void) expression_language(element_value(start, "Date"), &body);
	*due = psprintf("((\n%s\n)::pg_catalog.timestamptz OPERATOR(pg_catalog.+) $1)", body);
}

/* The type of the date's column if its order is that of its dates, else NULL. */
static const char *
bounded_type(const DefinitionElement *start, Relation rel)
{
	char	   *column = date_column(start, rel);

	if (column == NULL)
		return NULL;
	switch (get_atttype(RelationGetRelid(rel), get_attnum(RelationGetRelid(rel), column)))
	{
		case DATEOID:
			return "pg_catalog.date";
		case TIMESTAMPOID:
			return "pg_catalog.timestamp";
		case TIMESTAMPTZOID:
			return "pg_catalog.timestamptz";
		default:
			return NULL;
	}
}

/* A bound of the column's own type, at some time less the offset. */
static char *
bound_sql(const char *column, const char *operator, const char *at, const char *slack,
		  const char *type)
{
	return psprintf(" AND %s OPERATOR(pg_catalog.%s) (%s OPERATOR(pg_catalog.-) $1"
					" OPERATOR(pg_catalog.+) '%s'::pg_catalog.interval)::%s",
					column, operator, at, slack, type);
}

/* The columns of a table's key, in the order in which a request keeps them. */
static Bitmapset *
key_columns(Relation rel)
{
	Bitmapset  *key = row_key_attnums(rel, NULL);

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no key", RelationGetRelationName(rel)),
				 errdetail("A request that a date starts finds its row by it."),
				 errhint("Add a primary key.")));
	return key;
}

#define NOW "pg_catalog.statement_timestamp()"

/* Become the deployer, with all settings pinned that a row's due time depends on. */
static int
become_deployer(UserSwitch *save, Oid deployer)
{
	int			nest = become_pinned(save, deployer, SECURITY_RESTRICTED_OPERATION);

	set_if_different("TimeZone", "UTC");
	return nest;
}

static SPIPlanPtr
prepare(const char *sql, int nargs)
{
	Oid			types[2] = {INTERVALOID, INTERVALOID};
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	return plan;
}

/* The scan, for the deployer to prepare. */
static SPIPlanPtr
prepare_scan(const DefinitionElement *start, Relation rel)
{
	StringInfoData sql;
	char	   *from;
	char	   *due;
	char	   *column;
	const char *type = bounded_type(start, rel);
	Bitmapset  *key = key_columns(rel);
	int			attnum = -1;
	char	   *bounds = "";

	date_sql(start, rel, &from, &due, &column);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", due);
	while ((attnum = bms_next_member(key, attnum)) >= 0)
		appendStringInfo(&sql, ", \"new\".%s",
						 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname)));
	if (type)
		bounds = psprintf("%s%s", bound_sql(column, "<=", NOW, "4 days", type),
						  bound_sql(column, ">=", "(" NOW " OPERATOR(pg_catalog.-) $2)", "-4 days", type));
	appendStringInfo(&sql, " FROM %s WHERE CASE WHEN true%s THEN %s OPERATOR(pg_catalog.<=) " NOW
					 " AND %s OPERATOR(pg_catalog.>) (" NOW " OPERATOR(pg_catalog.-) $2) END%s",
					 from, bounds, due, due, bounds);
	appendStringInfoString(&sql, " ORDER BY 1");
	return prepare(sql.data, 2);
}

static Datum
scan_argument(const DefinitionElement *start, int n)
{
	return n == 0 ? interval_attribute(start, "Offset", "0") :
		interval_attribute(start, "Within", DEFAULT_WITHIN);
}

/*
 * start_scan_begin: look for the rows that are due.  The caller is connected
 * to SPI.
 */
StartScan *
start_scan_begin(const DefinitionElement *start, Relation rel, Oid deployer)
{
	StartScan  *scan = palloc(sizeof(StartScan));
	Datum		values[2] = {scan_argument(start, 0), scan_argument(start, 1)};
	UserSwitch	save;
	int			nest;

	scan->deployer = deployer;
	scan->nkeys = bms_num_members(key_columns(rel));
	nest = become_deployer(&save, deployer);
	scan->portal = SPI_cursor_open(NULL, prepare_scan(start, rel), values, NULL, true);
	restore_pinned(&save, nest);
	return scan;
}

/*
 * start_scan_next: some more rows, of StartRow, in the current memory context;
 * NIL at the end.
 */
List *
start_scan_next(StartScan *scan)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *result = NIL;
	UserSwitch	save;
	int			nest = become_deployer(&save, scan->deployer);
	int			modes;

	SPI_cursor_fetch(scan->portal, true, ROWS_AT_ONCE);
	modes = transmission_modes_begin();
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		StartRow   *found = palloc0(sizeof(StartRow));

		found->due = DatumGetTimestampTz(spi_datum(row, 1, &isnull));
		for (int k = 0; k < scan->nkeys; k++)
			found->key = lappend(found->key, SPI_getvalue(row, SPI_tuptable->tupdesc, k + 2));
		result = lappend(result, found);
		MemoryContextSwitchTo(spicxt);
	}
	transmission_modes_end(modes);
	SPI_freetuptable(SPI_tuptable);
	restore_pinned(&save, nest);
	MemoryContextSwitchTo(cxt);
	return result;
}

/*
 * start_next_due: when the next row will be due that is there now; 0 if that
 * can't be told by an index, or is days away.  The caller is connected to SPI.
 */
TimestampTz
start_next_due(const DefinitionElement *start, Relation rel, Oid deployer)
{
	const char *type = bounded_type(start, rel);
	Datum		values[1] = {scan_argument(start, 0)};
	char	   *from;
	char	   *due;
	char	   *column;
	char	   *bounds;
	char	   *sql;
	UserSwitch	save;
	TimestampTz result = 0;
	int			nest;

	if (type == NULL)
		return 0;
	date_sql(start, rel, &from, &due, &column);
	bounds = psprintf("%s%s", bound_sql(column, ">=", NOW, "-4 days", type),
					  bound_sql(column, "<=", NOW, "4 days", type));
	sql = psprintf("SELECT pg_catalog.min(%s)::pg_catalog.timestamptz OPERATOR(pg_catalog.+) $1 FROM %s"
				   " WHERE CASE WHEN true%s THEN %s OPERATOR(pg_catalog.>) " NOW " END%s",
				   column, from, bounds, due, bounds);
	nest = become_deployer(&save, deployer);
	if (SPI_execute_plan(prepare(sql, 1), values, NULL, true, 1) == SPI_OK_SELECT && SPI_processed == 1)
	{
		bool		isnull;
		Datum		value = spi_datum(SPI_tuptable->vals[0], 1, &isnull);

		if (!isnull)
			result = DatumGetTimestampTz(value);
	}
	restore_pinned(&save, nest);
	return result;
}

/* ----------------------------------------------------- does it fit a table? */

static void
require_privilege(Workflow *wf, const DefinitionElement *start, Relation rel, Oid deployer,
				  AclMode mode, const char *column)
{
	Oid			relid = RelationGetRelid(rel);
	bool		holds = pg_class_aclcheck(relid, deployer, mode) == ACLCHECK_OK;

	if (!holds && column)
		holds = pg_attribute_aclcheck(relid, get_attnum(relid, column), deployer, mode) == ACLCHECK_OK;
	if (!holds)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", RelationGetRelationName(rel)),
				 errdetail("What %s starts is found and written as role \"%s\", which deployed the workflow.",
						   element_place(wf, start), wf->deployed_by)));
}

/* Does an index begin with the column? */
static bool
column_leads_index(Relation rel, const char *column)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), column);
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		bool		leads;

		if (!HeapTupleIsValid(tuple))
			continue;
		leads = ((Form_pg_index) GETSTRUCT(tuple))->indkey.values[0] == attnum;
		ReleaseSysCache(tuple);
		if (leads)
			return true;
	}
	return false;
}

/*
 * start_fits: whether a Start fits its table: columns, expressions and the
 * deployer's privileges; errors if not.
 */
void
start_fits(Workflow *wf, const DefinitionElement *start, Relation rel, Oid deployer)
{
	const char *date = element_value(start, "Date");
	const char *operation = element_value(start, "Operation");
	char	   *column = date_column(start, rel);
	const char *body;
	UserSwitch	save;
	ListCell   *lc;
	int			nest;

	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				 errdetail("It is the Target of %s.", element_place(wf, start))));
	if (expression_language(date, &body) == EXPRESSION_SQL)
		expression_check(date, EXPRESSION_TEXT, RelationGetRelid(rel), deployer,
						 psprintf("Date of %s", element_place(wf, start)));
	else
		element_binding_fits(wf, start, "Date", rel);
	element_expressions_fit(wf, start, rel, deployer);
	require_privilege(wf, start, rel, deployer, ACL_SELECT, column);
	if (operation && strcmp(operation, "DELETE") == 0)
		require_privilege(wf, start, rel, deployer, ACL_DELETE, NULL);
	foreach(lc, start->children)
	{
		DefinitionElement *set = lfirst(lc);

		element_binding_fits(wf, set, "Column", rel);
		element_expressions_fit(wf, set, rel, deployer);
		require_privilege(wf, start, rel, deployer, ACL_UPDATE,
						  binding_column(element_value(set, "Column"), RelationGetDescr(rel)));
	}

	/* the query itself: types above all */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = become_deployer(&save, deployer);
	SPI_freeplan(prepare_scan(start, rel));
	restore_pinned(&save, nest);
	SPI_finish();

	if (bounded_type(start, rel) == NULL || !column_leads_index(rel, column))
		ereport(WARNING,
				(errmsg("%s reads the whole table \"%s\" every hour", element_place(wf, start),
						RelationGetRelationName(rel)),
				 bounded_type(start, rel) ? errhint("Make an index on column \"%s\".", column) :
				 errhint("Let Date name a column of type date or timestamp that has an index.")));
}
