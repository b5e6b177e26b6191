/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  A table as it would be if what is drafted on it were approved.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "idflow.h"
#include "plancache.h"
#include "preview.h"

PG_FUNCTION_INFO_V1(idflow_preview);
PG_FUNCTION_INFO_V1(idflow_preview_drafted);
PG_FUNCTION_INFO_V1(idflow_preview_replaced);

/* Where the rows go: the column of the table for each column of a result. */
typedef struct Output
{
	ReturnSetInfo *rsinfo;
	AttrNumber *attnums;		/* by the result's columns, from 0; 0: null */
	Datum	   *values;
	bool	   *nulls;
} Output;

/* Open a table that drafts may be about; errors if it is none. */
static Relation
open_target(Oid relid)
{
	Relation	rel;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table must be given")));
	rel = relation_open(relid, AccessShareLock);
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel))));
	if (rel->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is a partition", RelationGetRelationName(rel)),
				 errhint("Drafts belong to the partitioned table; name that.")));
	return rel;
}

static int64
request_argument(FunctionCallInfo fcinfo)
{
	/* no request has the number 0, which stands for all */
	if (PG_ARGISNULL(1))
		return 0;
	return PG_GETARG_INT64(1) ? PG_GETARG_INT64(1) : -1;
}

/* Only his own drafts?  Views made before there was the question don't ask it. */
static bool
own_argument(FunctionCallInfo fcinfo)
{
	return PG_NARGS() > 2 && !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
}

static void
put_row(Output *output, Datum *values, bool *nulls)
{
	ReturnSetInfo *rsinfo = output->rsinfo;

	for (int i = 0; i < rsinfo->setDesc->natts; i++)
	{
		AttrNumber	attnum = output->attnums[i];

		output->nulls[i] = attnum == 0 || nulls[attnum - 1];
		output->values[i] = output->nulls[i] ? (Datum) 0 : values[attnum - 1];
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, output->values, output->nulls);
}

static void
put_drafted(Output *output, Relation rel, DraftSet *set)
{
	ListCell   *lc;

	foreach(lc, set->rows)
	{
		DraftRow   *row = lfirst(lc);

		if (!row->deleted)
			put_row(output, row->values, row->nulls);
	}
}

/*
 * The drafted rows that the running query has asked for last.  A preview view
 * asks for them twice, and within one query the answer is the same.
 */
static struct
{
	MemoryContext query;		/* the query's; NULL: nothing is remembered */
	Oid			relid;
	Oid			userid;
	int64		request;
	bool		own;
	DraftSet   *set;
}			remembered;

/* The query whose rows are remembered is over. */
static void
forget_rows(void *arg)
{
	if (remembered.query == arg)
		remembered.query = NULL;
}

static DraftSet *
draft_set_of_query(Relation rel, int64 request, bool own, MemoryContext query)
{
	MemoryContext cxt;
	MemoryContext old;
	MemoryContextCallback *callback;
	DraftSet   *set;

	if (query && remembered.query == query && remembered.relid == RelationGetRelid(rel) &&
		remembered.userid == GetUserId() && remembered.request == request &&
		remembered.own == own)
		return remembered.set;

	cxt = AllocSetContextCreate(query, "idflow preview", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	set = draft_set(rel, request, own);
	callback = palloc(sizeof(MemoryContextCallback));
	callback->func = forget_rows;
	callback->arg = query;
	MemoryContextRegisterResetCallback(cxt, callback);
	MemoryContextSwitchTo(old);
	remembered.query = query;
	remembered.relid = RelationGetRelid(rel);
	remembered.userid = GetUserId();
	remembered.request = request;
	remembered.own = own;
	remembered.set = set;
	return set;
}

/*
 * The columns of the result.  A row type has all of the table's; a list of
 * columns those that the table has, or had when a view was made of it: since
 * then it may have got more, while what a view reads is not dropped.
 */
static Output *
output_create(ReturnSetInfo *rsinfo, Relation rel, bool row_type)
{
	Output	   *output = palloc(sizeof(Output));
	TupleDesc	desc = RelationGetDescr(rel);
	int			natts = rsinfo->setDesc->natts;
	int			k = 0;

	output->rsinfo = rsinfo;
	output->attnums = palloc0(natts * sizeof(AttrNumber));
	output->values = palloc(natts * sizeof(Datum));
	output->nulls = palloc(natts * sizeof(bool));
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute wanted = TupleDescAttr(rsinfo->setDesc, i);

		if (wanted->attisdropped && row_type)
			continue;
		if (row_type)
			k = i;
		else
			while (k < desc->natts && TupleDescAttr(desc, k)->attisdropped)
				k++;
		if (k >= desc->natts || TupleDescAttr(desc, k)->attisdropped ||
			TupleDescAttr(desc, k)->atttypid != wanted->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the columns asked for are not those of table \"%s\"",
							RelationGetRelationName(rel)),
					 errhint("Where a preview view asks, make it anew with idflow.create_preview().")));
		output->attnums[i] = ++k;
	}
	return output;
}

static void
preview_rows(FunctionCallInfo fcinfo, Relation rel, bool row_type,
			 void (*put) (Output *output, Relation rel, DraftSet *set))
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (rsinfo && IsA(rsinfo, ReturnSetInfo) && rsinfo->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a function that returns rows is called where none are accepted"),
				 errhint("Write it in FROM, with a list of its columns.")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	put(output_create(rsinfo, rel, row_type), rel,
		draft_set_of_query(rel, request_argument(fcinfo), own_argument(fcinfo),
						   rsinfo->econtext->ecxt_per_query_memory));
	relation_close(rel, NoLock);
}

/*
 * idflow.preview_drafted(target, request): the rows that drafts make or
 * change, as they would be.
 */
Datum
idflow_preview_drafted(PG_FUNCTION_ARGS)
{
	preview_rows(fcinfo, open_target(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0)), false, put_drafted);
	return (Datum) 0;
}

static void
put_replaced(Output *output, Relation rel, DraftSet *set)
{
	Datum	   *values = palloc(set->desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(set->desc->natts * sizeof(bool));
	ListCell   *lc;

	foreach(lc, set->rows)
	{
		DraftRow   *row = lfirst(lc);

		if (!row->live)
			continue;
		heap_deform_tuple(row->before, set->desc, values, nulls);
		put_row(output, values, nulls);
	}
}

/*
 * idflow.preview_replaced(target, request): the live rows that drafts change
 * or delete, as they are.
 */
Datum
idflow_preview_replaced(PG_FUNCTION_ARGS)
{
	preview_rows(fcinfo, open_target(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0)), false, put_replaced);
	return (Datum) 0;
}

/* The live rows that no draft changes or deletes, then the others. */
static void
put_all(Output *output, Relation rel, DraftSet *set)
{
	StringInfoData sql;
	Datum	   *values = palloc0(set->desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(set->desc->natts * sizeof(bool));
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "idflow preview row",
											  ALLOCSET_SMALL_SIZES);
	bool		look = hash_get_num_entries(set->by_key) > 0;
	int			attnum = -1;
	SPIPlanPtr	plan;
	Portal		portal;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	while ((attnum = bms_next_member(set->selectable, attnum)) >= 0)
		appendStringInfo(&sql, "t.%s, ",
						 quote_identifier(NameStr(TupleDescAttr(set->desc, attnum - 1)->attname)));
	appendStringInfo(&sql, "NULL FROM %s t", table_sql(rel, false));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare(sql.data, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", sql.data);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		int			nest;

		SPI_cursor_fetch(portal, true, 1000);
		if (SPI_processed == 0)
			break;
		nest = look ? transmission_modes_begin() : 0;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			SPITupleTable *table = SPI_tuptable;
			int			n = 0;
			bool		replaced = false;

			memset(nulls, true, set->desc->natts * sizeof(bool));
			attnum = -1;
			while ((attnum = bms_next_member(set->selectable, attnum)) >= 0)
				values[attnum - 1] = SPI_getbinval(table->vals[i], table->tupdesc, ++n,
												   &nulls[attnum - 1]);
			if (look)
			{
				MemoryContext old = MemoryContextSwitchTo(cxt);

				replaced = draft_of_key(set, key_of_row(set, values, nulls)) != NULL;
				MemoryContextSwitchTo(old);
				MemoryContextReset(cxt);
			}
			if (!replaced)
				put_row(output, values, nulls);
		}
		transmission_modes_end(nest);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	put_drafted(output, rel, set);
}

/*
 * idflow.preview(like, request): the table as it would be.
 */
Datum
idflow_preview(PG_FUNCTION_ARGS)
{
	Oid			rowtype = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			relid = OidIsValid(rowtype) ? get_typ_typrelid(getBaseType(rowtype)) : InvalidOid;

	if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the argument must be of a table's row type"),
				 errhint("Write idflow.preview(NULL::schema.table).")));
	preview_rows(fcinfo, open_target(relid), true, put_all);
	return (Datum) 0;
}

/*
 * preview_only_draft: the open request because of whose draft the one who asks
 * is shown a row with this key that does not stand in the table; 0 if there is
 * none.
 */
int64
preview_only_draft(Relation rel, Datum *values, bool *nulls)
{
	DraftSet   *set = draft_set(rel, 0, false);
	int64		request = 0;
	char	   *key;
	ListCell   *lc;
	int			nest;

	if (set->key == NULL)
		return 0;
	nest = transmission_modes_begin();
	key = key_of_row(set, values, nulls);
	foreach(lc, set->rows)
	{
		DraftRow   *row = lfirst(lc);

		if (!row->deleted && strcmp(key_of_row(set, row->values, row->nulls), key) == 0)
			request = row->request;
	}
	transmission_modes_end(nest);
	return request;
}
