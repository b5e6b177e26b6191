/*-------------------------------------------------------------------------
 *
 * homonym_search.c
 *	  Running what homonym_query.c made: over the rows of a table, and over
 *	  the rows that other changes draft for it.
 *
 * A search is planned for the values at hand, because the patterns of LIKE use
 * an index only when they are known to the planner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "attach.h"
#include "column.h"
#include "homonym.h"
#include "trust.h"

typedef struct SearchPlace
{
	HomonymQuery *query;
} SearchPlace;

static void
search_error_context(void *arg)
{
	HomonymQuery *query = ((SearchPlace *) arg)->query;

	errcontext("search for homonyms in \"%s\" by link \"%s\" of workflow \"%s\"",
			   get_rel_name(query->table), query->link, query->workflow->name);
}

/*
 * Run a search as a role, with the query's parameters and those added to
 * them; its rows are in SPI_tuptable until SPI_finish().  Only prepares it if
 * so wanted.
 */
static void
run_search(HomonymQuery *query, const char *sql, Oid roleid, bool only_prepare)
{
	SearchPlace place = {query};
	ErrorContextCallback callback;
	UserSwitch	save;
	int			nest;
	SPIPlanPtr	plan;

	callback.callback = search_error_context;
	callback.arg = &place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	nest = become_pinned(&save, roleid, SECURITY_RESTRICTED_OPERATION);
	set_if_different("row_security", "on");
	homonym_pin_thresholds();
	plan = SPI_prepare_cursor(sql, query->nparams, query->types, CURSOR_OPT_CUSTOM_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	trust_check_plan(plan, roleid, "search for homonyms");
	if (!only_prepare)
	{
		int			rc = SPI_execute_plan(plan, query->values, NULL, true, HOMONYM_LIMIT);

		if (rc != SPI_OK_SELECT)
			elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(rc));
	}
	restore_pinned(&save, nest);

	error_context_stack = callback.previous;
}

/* ------------------------------------------------------------------- rows */

static char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static bool
may_select(Oid relid, AttrNumber attnum, Oid roleid)
{
	return pg_class_aclcheck(relid, roleid, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, attnum, roleid, ACL_SELECT) == ACLCHECK_OK;
}

static bool
may_use_schema(Oid schema, Oid roleid)
{
	return DatumGetBool(DirectFunctionCall3(has_schema_privilege_id_id, ObjectIdGetDatum(roleid),
											ObjectIdGetDatum(schema),
											CStringGetTextDatum("USAGE")));
}

/*
 * homonym_readable: may a role SELECT what a search compares and by what rows
 * are told apart?
 */
bool
homonym_readable(HomonymQuery *query, Oid roleid)
{
	Relation	rel = relation_open(query->table, AccessShareLock);
	Bitmapset  *key = row_key_attnums(rel, NULL);
	bool		result = may_use_schema(RelationGetNamespace(rel), roleid);
	int			attnum = -1;
	ListCell   *lc;

	foreach(lc, query->attnums)
		result = result && may_select(query->table, lfirst_int(lc), roleid);
	foreach(lc, query->schemas)
		result = result && may_use_schema(lfirst_oid(lc), roleid);
	while ((attnum = bms_next_member(key, attnum)) >= 0)
		result = result && may_select(query->table, attnum, roleid);
	relation_close(rel, NoLock);
	return result;
}

/*
 * Does any workflow that is attached to the table hide the column?
 */
static bool
is_hidden(Relation rel, const char *column)
{
	TriggerDesc *triggers = rel->trigdesc;
	Change		any = {0};

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (trigger_is_gate(&triggers->triggers[i]))
			any.gates = lappend(any.gates, unconstify(char *, trigger_workflow(&triggers->triggers[i])));
	return any.gates && column_show(&any, column) != COLUMN_SHOWN;
}

/*
 * The columns to read of a table, as a List of positions in its layout: those
 * of its key, *nkey in number, and, if the rows are to be shown, the others
 * that may be.
 */
static List *
columns_to_read(Relation rel, Layout *layout, bool shown, int *nkey)
{
	Bitmapset  *key = row_key_attnums(rel, NULL);
	List	   *positions = NIL;

	for (int p = 1; p <= layout->ncolumns; p++)
		if (bms_is_member(layout->attnums[p - 1], key))
			positions = lappend_int(positions, p);
	*nkey = list_length(positions);
	for (int p = 1; shown && p <= layout->ncolumns; p++)
		if (!bms_is_member(layout->attnums[p - 1], key) &&
			may_select(RelationGetRelid(rel), layout->attnums[p - 1], GetUserId()) &&
			!is_hidden(rel, layout->names[p - 1]))
			positions = lappend_int(positions, p);
	return positions;
}

/* homonym_root_table: the topmost table of a partition; else the table itself. */
Oid
homonym_root_table(Oid relid)
{
	return get_rel_relispartition(relid) ? llast_oid(get_partition_ancestors(relid)) : relid;
}

/*
 * Is the row with these key values one that the change is about?  names are
 * the key's columns.
 */
static bool
is_row_of(Change *change, Oid table, List *names, List *values)
{
	ListCell   *ln;
	ListCell   *lv;

	if (names == NIL || change->operation == CMD_INSERT || change->key == NULL ||
		homonym_root_table(change->target) != homonym_root_table(table))
		return false;
	forboth(ln, names, lv, values)
	{
		const char *value = NULL;
		bool		found = false;

		for (int p = 1; p <= change->layout->ncolumns && !found; p++)
			if (strcmp(change->layout->names[p - 1], lfirst(ln)) == 0)
				value = image_value(change->key, p, &found);
		if (value == NULL || lfirst(lv) == NULL || strcmp(value, lfirst(lv)) != 0)
			return false;
	}
	return true;
}

/* The columns at the front of a row as jsonb; 0 if there are none. */
static Datum
row_json(Layout *layout, List *positions, int n, List *values)
{
	return json_of_positions(layout, list_truncate(list_copy(positions), n),
							 list_truncate(list_copy(values), n));
}

/*
 * homonyms_in_table: the rows of the query's table that are like the change's,
 * as Homonym in the current memory context, but for rows that the request
 * itself changes: those count as it drafts them.  As a role: its privileges
 * and policies say which; the rows are filled in only if it is the current
 * one, who is shown them.
 */
List *
homonyms_in_table(Request *req, Change *change, HomonymQuery *query, Oid roleid)
{
	MemoryContext caller = CurrentMemoryContext;
	bool		shown = roleid == GetUserId();
	List	   *result = NIL;
	List	   *names = NIL;
	List	   *positions;
	int			nkey;
	Relation	rel;
	Layout	   *layout;
	StringInfoData sql;
	ListCell   *lc;
	int			nestlevel;
	SPITupleTable *table;
	uint64		n;

	if (query->condition.len == 0)
		return NIL;
	rel = relation_open(query->table, AccessShareLock);
	layout = layout_of(rel);
	positions = columns_to_read(rel, layout, shown, &nkey);
	relation_close(rel, NoLock);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT CASE%s END", query->which.data);
	foreach(lc, positions)
	{
		char	   *name = layout->names[lfirst_int(lc) - 1];

		appendStringInfo(&sql, ", t.%s", quote_identifier(name));
		if (foreach_current_index(lc) < nkey)
			names = lappend(names, name);
	}
	appendStringInfo(&sql, " FROM %s t WHERE %s", table_name(query->table), query->condition.data);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nestlevel = transmission_modes_begin();
	run_search(query, sql.data, roleid, false);
	table = SPI_tuptable;
	n = SPI_processed;
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		Homonym    *homonym;
		List	   *values = NIL;
		ListCell   *lch;
		bool		isnull;

		for (int column = 1; column <= list_length(positions); column++)
			values = lappend(values, SPI_getvalue(table->vals[i], table->tupdesc, column + 1));
		foreach(lch, request_changes(req))
			if (is_row_of(lfirst(lch), query->table, names, values))
				break;
		if (lch != NULL)
			continue;

		homonym = palloc0(sizeof(Homonym));
		homonym->change = change;
		homonym->table = query->table;
		homonym->filter = DatumGetInt32(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));
		homonym->key = list_truncate(list_copy(values), nkey);
		if (shown)
		{
			homonym->key_json = row_json(layout, positions, nkey, values);
			homonym->row_json = row_json(layout, positions, list_length(positions), values);
		}
		result = lappend(result, homonym);
	}
	transmission_modes_end(nestlevel);
	SPI_finish();
	return result;
}

/*
 * homonym_query_check: whether a search can be run as the deployer; errors if
 * not.
 */
void
homonym_query_check(HomonymQuery *query, Oid deployer)
{
	if (!homonym_readable(query, deployer))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not SELECT what homonym link \"%s\" compares in table \"%s\"",
						GetUserNameFromId(deployer, false), query->link, get_rel_name(query->table)),
				 errdetail("The role that deployed workflow \"%s\" searches.", query->workflow->name),
				 errhint("Grant it SELECT on the compared columns and on those of the key, and USAGE on the schema.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run_search(query, psprintf("SELECT CASE%s END FROM %s t WHERE %s", query->which.data,
							   table_name(query->table), query->condition.data), deployer, true);
	SPI_finish();
}

/* ----------------------------------------------------------------- drafts */

/* A compared column among drafts. */
typedef struct DraftColumn
{
	char	   *name;
	char	   *type;			/* as layouts have it */
	Oid			base_type;
	Oid			collation;
	List	   *values;			/* of the drafts, as char * */
} DraftColumn;

static List *
draft_columns(HomonymQuery *query)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, query->attnums)
	{
		DraftColumn *column = palloc0(sizeof(DraftColumn));
		Oid			type;
		int32		typmod;

		column->name = get_attname(query->table, lfirst_int(lc), false);
		get_atttypetypmodcoll(query->table, lfirst_int(lc), &type, &typmod, &column->collation);
		column->type = format_type_extended(type, typmod,
											FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		column->base_type = getBaseType(type);
		columns = lappend(columns, column);
	}
	return columns;
}

/* The position of a column in a draft's layout; 0 if it is not there as it is now. */
static int
draft_position(Change *draft, DraftColumn *column)
{
	for (int p = 1; p <= draft->layout->ncolumns; p++)
		if (strcmp(draft->layout->names[p - 1], column->name) == 0)
			return strcmp(draft->layout->types[p - 1], column->type) == 0 ? p : 0;
	return 0;
}

/*
 * Add the values of the compared columns that a draft would write.  False if
 * it says nothing about them: an UPDATE that touches none of them leaves the
 * row as like or unlike as it was, and a deleted row is like none.
 */
static bool
add_draft(Change *draft, List *columns)
{
	List	   *values = NIL;
	char	  **live = NULL;
	bool		touches = draft->operation == CMD_INSERT;
	ListCell   *lc;
	ListCell   *lv;

	if (draft->operation == CMD_DELETE)
		return false;
	foreach(lc, columns)
	{
		int			p = draft_position(draft, lfirst(lc));
		bool		found = false;

		if (p == 0)
			return false;
		(void) image_value(draft->new_image, p, &found);
		touches |= found;
	}
	if (!touches)
		return false;
	foreach(lc, columns)
	{
		int			p = draft_position(draft, lfirst(lc));
		bool		found;
		const char *value = image_value(draft->new_image, p, &found);

		if (!found && draft->operation == CMD_UPDATE)
		{
			bool		exists;

			if (live == NULL)
				live = live_values(draft, &exists);
			value = live[p - 1];
		}
		values = lappend(values, unconstify(char *, value));
	}
	forboth(lc, columns, lv, values)
	{
		DraftColumn *column = lfirst(lc);

		column->values = lappend(column->values, lfirst(lv));
	}
	return true;
}

/* Are two changes about one row? */
static bool
same_row(Change *a, Change *b)
{
	List	   *names = NIL;
	List	   *values = NIL;

	if (a->operation == CMD_INSERT || a->key == NULL)
		return false;
	for (int i = 0; i < a->key->n; i++)
	{
		int			p = image_position(a->key, i);

		names = lappend(names, a->layout->names[p - 1]);
		values = lappend(values, a->key->values[i]);
	}
	return is_row_of(b, a->target, names, values);
}

static char *
collation_sql_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/* The statement that compares drafts; their values are parameters. */
static char *
draft_statement(HomonymQuery *query, List *columns)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT CASE%s END, t.\"idflow draft\" FROM (SELECT u.ord AS \"idflow draft\"",
					 query->which.data);
	foreach(lc, columns)
	{
		DraftColumn *column = lfirst(lc);

		appendStringInfo(&sql, ", CAST(u.c%d AS %s)", foreach_current_index(lc) + 1,
						 format_type_extended(column->base_type, -1,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
		if (OidIsValid(column->collation) && column->collation != DEFAULT_COLLATION_OID)
			appendStringInfo(&sql, " COLLATE %s", collation_sql_name(column->collation));
		appendStringInfo(&sql, " AS %s", quote_identifier(column->name));
	}
	appendStringInfoString(&sql, " FROM ROWS FROM (");
	foreach(lc, columns)
		appendStringInfo(&sql, "%spg_catalog.unnest($%d)", foreach_current_index(lc) ? ", " : "",
						 query->nparams + foreach_current_index(lc) + 1);
	appendStringInfoString(&sql, ") WITH ORDINALITY AS u(");
	for (int i = 1; i <= list_length(columns); i++)
		appendStringInfo(&sql, "c%d, ", i);
	appendStringInfo(&sql, "ord)) t WHERE %s", query->condition.data);
	return sql.data;
}

/*
 * homonyms_in_drafts: the rows that other changes draft for the query's table
 * and that are like the change's, as Homonym in the current memory context:
 * other changes of the request, and those of other open requests, whoever may
 * see them.
 */
List *
homonyms_in_drafts(Request *req, Change *change, HomonymQuery *query)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *columns;
	List	   *candidates = NIL;
	List	   *drafts = NIL;
	List	   *result = NIL;
	HomonymQuery extended = *query;
	ListCell   *lc;
	int			nestlevel;
	SPITupleTable *table;
	uint64		n;

	if (query->condition.len == 0)
		return NIL;
	foreach(lc, request_changes(req))
	{
		Change	   *other = lfirst(lc);

		if (other != change && homonym_root_table(other->target) == homonym_root_table(query->table))
		{
			SeenChange *seen = palloc(sizeof(SeenChange));

			seen->request = req->id;
			seen->viewer = VIEWER_OWN;
			seen->change = other;
			candidates = lappend(candidates, seen);
		}
	}
	foreach(lc, get_rel_relkind(query->table) != RELKIND_PARTITIONED_TABLE ?
			list_make1_oid(query->table) : find_all_inheritors(query->table, NoLock, NULL))
	{
		ListCell   *lo;

		foreach(lo, reading_open_changes(lfirst_oid(lc), 0, true, false))
			if (((SeenChange *) lfirst(lo))->request != req->id)
				candidates = lappend(candidates, lfirst(lo));
	}
	if (candidates == NIL)
		return NIL;

	columns = draft_columns(query);
	foreach(lc, candidates)
	{
		SeenChange *seen = lfirst(lc);

		if (!same_row(change, seen->change) && add_draft(seen->change, columns))
			drafts = lappend(drafts, seen);
	}
	if (drafts == NIL)
		return NIL;

	extended.nparams += list_length(columns);
	extended.types = palloc(extended.nparams * sizeof(Oid));
	extended.values = palloc(extended.nparams * sizeof(Datum));
	memcpy(extended.types, query->types, query->nparams * sizeof(Oid));
	memcpy(extended.values, query->values, query->nparams * sizeof(Datum));
	foreach(lc, columns)
	{
		int			i = query->nparams + foreach_current_index(lc);

		extended.types[i] = TEXTARRAYOID;
		extended.values[i] = text_array_datum(((DraftColumn *) lfirst(lc))->values);
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nestlevel = transmission_modes_begin();
	run_search(&extended, draft_statement(query, columns), deployer_role(query->workflow), false);
	table = SPI_tuptable;
	n = SPI_processed;
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		Homonym    *homonym = palloc0(sizeof(Homonym));
		bool		isnull;

		homonym->change = change;
		homonym->table = query->table;
		homonym->filter = DatumGetInt32(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));
		homonym->draft = list_nth(drafts, DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc,
																	  2, &isnull)) - 1);
		result = lappend(result, homonym);
	}
	transmission_modes_end(nestlevel);
	SPI_finish();
	return result;
}
