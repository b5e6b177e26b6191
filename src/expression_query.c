/*-------------------------------------------------------------------------
 *
 * expression_query.c
 *	  What an SQL expression may do, judged by what it became after analysis,
 *	  and whether it is simple enough to run without a query.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "expression_query.h"
#include "idflow.h"
#include "trust.h"

/*
 * expression_check_query: what an expression became after analysis must only
 * read, be stable, and call nobody's code but the deployer's.
 */
void
expression_check_query(Query *query, Oid deployer)
{
	if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_EXPRESSION),
				 errmsg("expression must only read")));
	if (contain_volatile_functions((Node *) query))
		ereport(ERROR,
				(errcode(ERRCODE_WF_EXPRESSION),
				 errmsg("expression must not use volatile functions"),
				 errhint("Declare a function STABLE or IMMUTABLE if its result depends on nothing but its arguments and the database.")));
	trust_check_query(query, deployer, "expression");
}

/*
 * Types whose text depends on search_path, which a simple expression doesn't
 * pin.
 */
static bool
type_depends_on_path(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGNAMESPACEOID:
		case REGROLEOID:
		case REGCOLLATIONOID:
			return true;
		default:
			return type >= FirstNormalObjectId;
	}
}

static bool
is_not_builtin(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId;
}

/* Anything in an expression that wants more than evaluating it in place? */
static bool
not_simple_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_Const:
		case T_RelabelType:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_FuncExpr:
		case T_CoerceViaIO:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
			break;
		case T_FieldSelect:
			/* a column of a row parameter; the row itself is no built-in type */
			return !IsA(((FieldSelect *) node)->arg, Param) ||
				type_depends_on_path(((FieldSelect *) node)->resulttype);
		case T_Param:
			break;
		default:
			return true;
	}
	if (!IsA(node, List) && type_depends_on_path(exprType(node)))
		return true;
	if (check_functions_in_node(node, is_not_builtin, NULL))
		return true;
	return expression_tree_walker(node, not_simple_walker, context);
}

/*
 * expression_simple: the one expression of a query that does nothing else;
 * NULL if it does.
 */
Expr *
expression_simple(Query *query)
{
	Expr	   *expr;

	if (query->rtable != NIL || query->cteList != NIL || query->jointree->fromlist != NIL ||
		query->jointree->quals != NULL || query->hasSubLinks || query->hasTargetSRFs ||
		query->hasAggs || query->hasWindowFuncs || query->setOperations != NULL ||
		query->sortClause != NIL || query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual != NULL || query->distinctClause != NIL ||
		query->limitCount != NULL || query->limitOffset != NULL ||
		list_length(query->targetList) != 1)
		return NULL;
	expr = linitial_node(TargetEntry, query->targetList)->expr;
	return not_simple_walker((Node *) expr, NULL) ? NULL : expr;
}
