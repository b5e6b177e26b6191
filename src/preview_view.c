/*-------------------------------------------------------------------------
 *
 * preview_view.c
 *	  Preview views: which table and columns stand behind one, what a
 *	  statement on it names, and which defaults it gets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "fmgr.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "preview.h"

PG_FUNCTION_INFO_V1(idflow_preview_default);

/*
 * What a view's column is of: Var's entry in a query without set operations.
 * NULL if the column is anything else.
 */
static RangeTblEntry *
entry_of_column(Query *query, int column, AttrNumber *attnum)
{
	TargetEntry *entry = get_tle_by_resno(query->targetList, column);
	Var		   *var = entry ? (Var *) entry->expr : NULL;

	if (var == NULL || !IsA(var, Var) || var->varlevelsup != 0)
		return NULL;
	*attnum = var->varattno;
	return rt_fetch(var->varno, query->rtable);
}

/*
 * The table's column behind a view's, by what the view's query says: names
 * may have changed.  InvalidAttrNumber if it is not a preview's query.
 */
static AttrNumber
table_column(Query *query, int column, Oid *relid)
{
	AttrNumber	attnum;
	RangeTblEntry *rte = entry_of_column(query, column, &attnum);
	SetOperationStmt *setop;

	if (rte == NULL || rte->rtekind != RTE_SUBQUERY)
		return InvalidAttrNumber;
	query = rte->subquery;
	setop = (SetOperationStmt *) query->setOperations;
	if (setop == NULL || !IsA(setop, SetOperationStmt) || !IsA(setop->larg, RangeTblRef))
		return InvalidAttrNumber;
	rte = rt_fetch(((RangeTblRef *) setop->larg)->rtindex, query->rtable);
	if (rte->rtekind != RTE_SUBQUERY)
		return InvalidAttrNumber;
	rte = entry_of_column(rte->subquery, attnum, &attnum);
	if (rte == NULL || rte->rtekind != RTE_RELATION || attnum <= 0)
		return InvalidAttrNumber;
	*relid = rte->relid;
	return attnum;
}

/* write_open: open the table behind the view and say which columns are which. */
void
write_open(Write *write)
{
	TupleDesc	desc = RelationGetDescr(write->view);
	Query	   *query = get_view_query(write->view);
	Oid			relid = InvalidOid;

	write->attnums = palloc0(desc->natts * sizeof(AttrNumber));
	for (int i = 0; i < desc->natts; i++)
	{
		write->attnums[i] = table_column(query, i + 1, &relid);
		if (write->attnums[i] == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("view \"%s\" is not a preview of a table",
							RelationGetRelationName(write->view)),
					 errhint("Preview views are made by idflow.create_preview().")));
	}
	write->rel = table_open(relid, AccessShareLock);
	write->desc = RelationGetDescr(write->rel);
}

/*
 * write_look: the columns that the statement names, and whether it may want the row back.
 */
void
write_look(Write *write, CmdType operation)
{
	PlannedStmt *stmt = executing_statement();
	ListCell   *lc;

	write->returning = true;
	if (stmt == NULL)
		return;
	if (stmt->commandType == CMD_UTILITY)
	{
		write->returning = false;	/* COPY */
		return;
	}
	foreach(lc, stmt->resultRelations)
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), stmt->rtable);
		Bitmapset  *columns;
		int			member = -1;

		if (rte->rtekind != RTE_RELATION || rte->relid != RelationGetRelid(write->view))
			continue;
		write->known = true;
		columns = operation == CMD_INSERT ? planned_inserted_cols(stmt, rte) :
			planned_updated_cols(stmt, rte);
		while ((member = bms_next_member(columns, member)) >= 0)
		{
			AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

			if (attnum > 0)
				write->named = bms_add_member(write->named, write->attnums[attnum - 1]);
		}
	}
	if (write->known)
		write->returning = stmt->hasReturning || stmt->hasModifyingCTE;
}

/* write_from_row: a row of the view, by the table's columns. */
void
write_from_row(Write *write, HeapTuple tuple, Datum **values, bool **nulls)
{
	TupleDesc	desc = RelationGetDescr(write->view);

	*values = palloc0(write->desc->natts * sizeof(Datum));
	*nulls = palloc(write->desc->natts * sizeof(bool));
	memset(*nulls, true, write->desc->natts * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
	{
		int			k = write->attnums[i] - 1;

		(*values)[k] = heap_getattr(tuple, i + 1, desc, &(*nulls)[k]);
	}
}

/* write_to_row: a row of the view from the table's columns. */
HeapTuple
write_to_row(Write *write, Datum *values, bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(write->view);
	Datum	   *view_values = palloc(desc->natts * sizeof(Datum));
	bool	   *view_nulls = palloc(desc->natts * sizeof(bool));

	for (int i = 0; i < desc->natts; i++)
	{
		view_values[i] = values[write->attnums[i] - 1];
		view_nulls[i] = nulls[write->attnums[i] - 1];
	}
	return heap_form_tuple(desc, view_values, view_nulls);
}

/*
 * idflow.preview_default(target, column): the default that a preview view's
 * column is to have, as SQL; null for none.
 *
 * It only stands for the word DEFAULT in a statement: columns that a statement
 * doesn't name are the table's own business.  Where the column can't be null
 * and each look at its default costs a number, null stands for DEFAULT.
 */
Datum
idflow_preview_default(PG_FUNCTION_ARGS)
{
	Relation	rel = relation_open(PG_GETARG_OID(0), AccessShareLock);
	AttrNumber	attnum = PG_GETARG_INT16(1);
	Form_pg_attribute att;
	Node	   *expr = NULL;
	char	   *sql = NULL;

	if (attnum > 0 && attnum <= RelationGetDescr(rel)->natts)
	{
		att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		if (!att->attisdropped && att->atthasdef && att->attgenerated == '\0')
			expr = build_column_default(rel, attnum);
		if (expr && !(att->attnotnull && contain_volatile_functions(expr)))
			sql = deparse_expression(expr, NIL, false, false);
	}
	relation_close(rel, AccessShareLock);
	if (sql == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(sql));
}
