/*-------------------------------------------------------------------------
 *
 * preview_view.c
 *	  Preview views: which table and columns stand behind one, and which
 *	  defaults it gets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "fmgr.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

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
 * preview_column: the table's column behind a view's, by what the view's query says: names
 * may have changed.  InvalidAttrNumber if it is not a preview's query.
 */
AttrNumber
preview_column(Query *query, int column, Oid *relid)
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
