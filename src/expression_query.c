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

/*
 * Functions that an expression may call: built-in ones, those of a superuser,
 * and the deployer's own.  Anything else would be somebody's code run with the
 * deployer's rights: a table's owner could give a column a type of his own, or
 * replace a view that the expression reads.
 */
static bool
function_is_untrusted(Oid funcid, void *context)
{
	Oid			deployer = *(Oid *) context;
	HeapTuple	tuple;
	Oid			owner;

	if (funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	if (owner == deployer || superuser_arg(owner))
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_WF_EXPRESSION),
			 errmsg("expression must not use function %s", format_procedure(funcid)),
			 errdetail("It belongs to \"%s\" and would run with the rights of \"%s\", who deployed the workflow.",
					   GetUserNameFromId(owner, false), GetUserNameFromId(deployer, false)),
			 errhint("Expressions use built-in functions, the deployer's own and those of superusers.")));
	return true;
}

static bool
check_trust_walker(Node *node, Oid *deployer)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, function_is_untrusted, deployer);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, check_trust_walker, deployer, 0);
	return expression_tree_walker(node, check_trust_walker, deployer);
}

/*
 * expression_check_query: what an expression became after analysis must only read, be stable, and
 * call nobody's code but the deployer's.
 */
void
expression_check_query(Query *query, Oid deployer)
{
	Oid			type;
	Oid			output;
	bool		varlena;

	if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WF_EXPRESSION),
				 errmsg("expression must only read")));
	if (contain_volatile_functions((Node *) query))
		ereport(ERROR,
				(errcode(ERRCODE_WF_EXPRESSION),
				 errmsg("expression must not use volatile functions"),
				 errhint("Declare a function STABLE or IMMUTABLE if its result depends on nothing but its arguments and the database.")));
	(void) check_trust_walker((Node *) query, &deployer);

	/* its result is printed by the type's output function */
	type = getBaseType(exprType((Node *) linitial_node(TargetEntry, query->targetList)->expr));
	if (OidIsValid(get_element_type(type)))
		type = get_element_type(type);
	getTypeOutputInfo(type, &output, &varlena);
	(void) function_is_untrusted(output, &deployer);
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
