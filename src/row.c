/*-------------------------------------------------------------------------
 *
 * row.c
 *	  Images back to rows: the target table, its key, the live row, and the
 *	  drafted row in the table's present shape.
 *
 * Values are read by the types' input functions as the requester, because a
 * domain's checks are somebody's code.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "idflow.h"
#include "plancache.h"

/*
 * requester_role: the role that a request is applied as; errors if it is
 * gone, or another one has its name.
 */
Oid
requester_role(Request *req)
{
	Oid			roleid = get_role_oid(req->role, true);

	if (!OidIsValid(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", req->role),
				 errdetail("Request " INT64_FORMAT " was made by it and would be applied as it.", req->id),
				 errhint("Decline or withdraw the request.")));
	if (!principal_is_bound(req->role, req->role_binding))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" is not the one that made request " INT64_FORMAT, req->role, req->id),
				 errdetail("That one, as which it would be applied, was dropped, and another has its name."),
				 errhint("Decline or withdraw the request.")));
	return roleid;
}

/*
 * row_open: open the target of a change; clear error if it is gone.
 */
Relation
row_open(Change *change, LOCKMODE lockmode)
{
	Relation	rel = try_relation_open(change->target, lockmode);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_LAYOUT),
				 errmsg("table %s of the draft does not exist any more", change->target_name),
				 errhint("Withdraw or decline the request.")));

	/* a column may have been renamed while we waited: take the layout anew */
	if (change->layout->output == NULL)
		change->layout = layout_by_id(change->layout->id);
	return rel;
}

/*
 * row_key_attnums: the columns that identify a row: those of the primary key,
 * else of the first immediate unique index over columns that are not null.
 * NULL if there is none.  indexid, if not NULL, receives the index.
 */
Bitmapset *
row_key_attnums(Relation rel, Oid *indexid)
{
	Bitmapset  *best = NULL;
	Oid			best_index = InvalidOid;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Oid			oid = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(oid));
		Form_pg_index index;
		Bitmapset  *columns = NULL;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisunique && index->indisvalid && index->indimmediate &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
		{
			for (int i = 0; i < index->indnkeyatts; i++)
			{
				AttrNumber	attnum = index->indkey.values[i];

				if (attnum <= 0 || !TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attnotnull)
				{
					columns = NULL;
					break;
				}
				columns = bms_add_member(columns, attnum);
			}
		}
		if (columns && (index->indisprimary || best == NULL))
		{
			best = columns;
			best_index = oid;
		}
		ReleaseSysCache(tuple);
	}
	if (indexid)
		*indexid = best_index;
	return best;
}

/*
 * operator_sql: an operator's qualified name for use in a statement.
 */
char *
operator_sql(Oid oprid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oprid));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oprid);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

/* equality_operator: the name of the operator that says equal for a type. */
char *
equality_operator(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);

	if (!OidIsValid(entry->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an equality operator for type %s", format_type_be(type))));
	return operator_sql(entry->eq_opr);
}

/*
 * table_sql: how a statement names the table: qualified, with ONLY unless it
 * is partitioned.
 */
char *
table_sql(Relation rel, bool with_only)
{
	return psprintf("%s%s",
					with_only && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE ? "ONLY " : "",
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											   RelationGetRelationName(rel)));
}

/*
 * alias_for: a name for the table in a statement that none of its columns has:
 * a column of that name would be taken for the row.
 */
char *
alias_for(Relation rel)
{
	char	   *alias = palloc(NAMEDATALEN);

	strlcpy(alias, "t", NAMEDATALEN);
	while (get_attnum(RelationGetRelid(rel), alias) != InvalidAttrNumber)
		strlcat(alias, "_", NAMEDATALEN);
	return alias;
}

/*
 * The lock that writing a change takes on its row: as PostgreSQL itself, an
 * UPDATE that leaves the keys alone doesn't exclude those who insert rows that
 * refer to the row.
 */
static const char *
row_lock_sql(Relation rel, Change *change)
{
	Bitmapset  *keys;

	if (change->operation != CMD_UPDATE)
		return "FOR UPDATE";
	keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	for (int i = 0; i < change->new_image->n; i++)
	{
		AttrNumber	attnum = row_attnum(change->layout, rel, change->new_image->columns[i], false);

		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, keys))
			return "FOR UPDATE";
	}
	return "FOR NO KEY UPDATE";
}

/*
 * row_find: the live row that a change is about, in the current memory
 * context, with t_self and t_tableOid set; NULL if there is none.  Where the
 * key is no longer unique there may be several: none of them for a reader, and
 * an error for who locks.  Reads, and
 * locks if asked, with the table owner's rights, as referential integrity
 * does: the requester needs no SELECT for it.
 */
HeapTuple
row_find(Relation rel, Change *change, bool lock)
{
	MemoryContext cxt = CurrentMemoryContext;
	TupleDesc	desc = RelationGetDescr(rel);
	Image	   *key = change->key;
	StringInfoData name;
	SPIPlanPtr	plan;
	Datum	   *values;
	char	   *nulls;
	UserSwitch	save;
	HeapTuple	result = NULL;
	int			nest;

	if (key == NULL)
		return NULL;

	/* what it takes to look is SPI's, and goes with it */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	values = palloc(key->n * sizeof(Datum));
	nulls = palloc0(key->n + 1);
	nest = transmission_modes_begin_for(change->layout);
	initStringInfo(&name);
	appendStringInfoString(&name, lock ? row_lock_sql(rel, change) : "find");
	for (int i = 0; i < key->n; i++)
	{
		AttrNumber	attnum = row_attnum(change->layout, rel, key->columns[i], false);
		bool		isnull;

		values[i] = layout_value(change->layout, rel, key->columns[i], key->values[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
		appendStringInfo(&name, " %d", attnum);
	}
	transmission_modes_end(nest);

	become(&save, rel->rd_rel->relowner, SECURITY_NOFORCE_RLS | SECURITY_RESTRICTED_OPERATION);
	plan = plan_lookup(RelationGetRelid(rel), name.data);
	if (plan == NULL)
	{
		StringInfoData sql;
		Oid		   *types = palloc(key->n * sizeof(Oid));
		char	   *alias = alias_for(rel);

		initStringInfo(&sql);
		appendStringInfo(&sql, "SELECT %s, %s.ctid, %s.tableoid FROM %s %s WHERE ",
						 alias, alias, alias, table_sql(rel, true), alias);
		for (int i = 0; i < key->n; i++)
		{
			AttrNumber	attnum = row_attnum(change->layout, rel, key->columns[i], false);
			Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);

			types[i] = att->atttypid;
			appendStringInfo(&sql, "%s%s.%s %s $%d", i > 0 ? " AND " : "",
							 alias, quote_identifier(NameStr(att->attname)),
							 equality_operator(att->atttypid), i + 1);
		}
		if (lock)
			appendStringInfo(&sql, " %s", row_lock_sql(rel, change));
		plan = SPI_prepare(sql.data, key->n, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\"", sql.data);
		plan_keep(RelationGetRelid(rel), name.data, plan);
	}
	if (SPI_execute_plan(plan, values, nulls, false, 2) != SPI_OK_SELECT)
		elog(ERROR, "could not look up a row");
	if (SPI_processed > 1 && lock)
		ereport(ERROR,
				(errcode(ERRCODE_WF_LAYOUT),
				 errmsg("more than one row of table \"%s\" has the key of the draft",
						RelationGetRelationName(rel)),
				 errdetail("The columns by which the draft names its row are no longer unique."),
				 errhint("Withdraw the request and make it again.")));
	if (SPI_processed == 1)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		bool		isnull;
		HeapTupleHeader header = DatumGetHeapTupleHeader(spi_datum(row, 1, &isnull));
		HeapTupleData tuple;
		MemoryContext spicxt;

		tuple.t_len = HeapTupleHeaderGetDatumLength(header);
		tuple.t_data = header;
		ItemPointerSetInvalid(&tuple.t_self);
		tuple.t_tableOid = InvalidOid;
		spicxt = MemoryContextSwitchTo(cxt);
		result = heap_copytuple(&tuple);
		MemoryContextSwitchTo(spicxt);
		result->t_self = *(ItemPointer) DatumGetPointer(spi_datum(row, 2, &isnull));
		result->t_tableOid = DatumGetObjectId(spi_datum(row, 3, &isnull));
	}
	restore_user(&save);
	SPI_finish();
	return result;
}

/*
 * row_text: the output text of a column of a row, NULL for null; the caller
 * holds transmission modes.
 */
char *
row_text(Relation rel, HeapTuple row, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(row, attnum, RelationGetDescr(rel), &isnull);
	Oid			output;
	bool		varlena;

	if (isnull)
		return NULL;
	getTypeOutputInfo(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/* Put the values of an image over a row's. */
static void
overlay(Image *image, Change *change, Relation rel, Datum *values, bool *nulls)
{
	for (int i = 0; image && i < image->n; i++)
	{
		int			position = image_position(image, i);
		AttrNumber	attnum = row_attnum(change->layout, rel, position, false);

		values[attnum - 1] = layout_value(change->layout, rel, position,
										  image->values[i], &nulls[attnum - 1]);
	}
}

/*
 * row_load: make change->old_row and new_row, the rows before and after as
 * drafted, in the table's present shape.  An UPDATE's untouched columns are
 * the live ones.  In the current memory context.
 */
void
row_load(Request *req, Change *change, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *values;
	bool	   *nulls;
	HeapTuple	live = NULL;
	UserSwitch	save;
	Oid			roleid;
	int			nest;

	if (change->old_row || change->new_row)
		return;
	values = palloc0(desc->natts * sizeof(Datum));
	nulls = palloc(desc->natts * sizeof(bool));
	memset(nulls, true, desc->natts * sizeof(bool));

	/* so that a request can be declined when its role is gone */
	roleid = get_role_oid(req->role, true);
	become(&save, OidIsValid(roleid) ? roleid : rel->rd_rel->relowner,
		   SECURITY_RESTRICTED_OPERATION);
	if (change->operation == CMD_UPDATE)
	{
		live = row_find(rel, change, false);
		if (live)
			heap_deform_tuple(live, desc, values, nulls);
	}
	nest = transmission_modes_begin_for(change->layout);
	if (change->operation != CMD_INSERT)
	{
		overlay(change->key, change, rel, values, nulls);
		overlay(change->old_image, change, rel, values, nulls);
		change->old_row = heap_form_tuple(desc, values, nulls);
	}
	if (change->operation != CMD_DELETE)
	{
		overlay(change->new_image, change, rel, values, nulls);
		change->new_row = heap_form_tuple(desc, values, nulls);
	}
	transmission_modes_end(nest);
	restore_user(&save);
}
