/*-------------------------------------------------------------------------
 *
 * trust.c
 *	  Whose functions a statement may call that runs with a role's rights at
 *	  another role's doing.
 *
 * An expression of a workflow runs as the role that deployed it, whenever
 * somebody writes to the table.  What it calls can change afterwards: the
 * table's owner gives a column a type of his own with a cast of his own, the
 * owner of a view that it reads defines the view anew.  So each time before
 * it runs, and before it is planned, since planning evaluates what is
 * constant, all its functions must be built in or owned by that role or by a
 * superuser.
 *
 * What a trusted function calls is its owner's business.  Reading a table
 * also means that its owner's index expressions may be evaluated while the
 * statement is planned; that is so for every SELECT.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "idflow.h"
#include "trust.h"

typedef struct TrustContext
{
	Oid			roleid;			/* whose rights the statement has */
	const char *what;			/* what it is, for messages */
} TrustContext;

static bool
owner_is_trusted(Oid owner, TrustContext *context)
{
	return owner == context->roleid || superuser_arg(owner);
}

static void
refuse(const char *object, Oid owner, TrustContext *context)
{
	ereport(ERROR,
			(errcode(ERRCODE_WF_EXPRESSION),
			 errmsg("%s must not use %s", context->what, object),
			 errdetail("It belongs to \"%s\" and would run with the rights of \"%s\".",
					   GetUserNameFromId(owner, false),
					   GetUserNameFromId(context->roleid, false)),
			 errhint("Functions and domains must be built in or owned by \"%s\" or a superuser.",
					 GetUserNameFromId(context->roleid, false))));
}

static bool
check_function(Oid funcid, void *arg)
{
	TrustContext *context = arg;
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(funcid) || funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	if (!owner_is_trusted(owner, context))
		refuse(psprintf("function %s", format_procedure(funcid)), owner, context);
	return false;
}

/*
 * What a type brings along besides its operators: a cast to json, which
 * to_json() and its like call for each value, and the checks of a domain,
 * where a value of it is made.  Base types and operator classes are made by
 * superusers only.
 */
static void
check_type(Oid typid, bool made, TrustContext *context)
{
	HeapTuple	tuple;
	Form_pg_type type;

	if (typid < FirstNormalObjectId)
		return;
	check_stack_depth();

	tuple = SearchSysCache2(CASTSOURCETARGET, ObjectIdGetDatum(typid), ObjectIdGetDatum(JSONOID));
	if (HeapTupleIsValid(tuple))
	{
		Oid			funcid = ((Form_pg_cast) GETSTRUCT(tuple))->castfunc;

		ReleaseSysCache(tuple);
		(void) check_function(funcid, context);
	}

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", typid);
	type = (Form_pg_type) GETSTRUCT(tuple);
	if (type->typtype == TYPTYPE_DOMAIN)
	{
		if (made && !owner_is_trusted(type->typowner, context))
			refuse(psprintf("domain %s", format_type_be(typid)), type->typowner, context);
		check_type(type->typbasetype, made, context);
	}
	else if (type->typtype == TYPTYPE_COMPOSITE)
	{
		TupleDesc	desc = lookup_rowtype_tupdesc_copy(typid, -1);

		for (int i = 0; i < desc->natts; i++)
			if (!TupleDescAttr(desc, i)->attisdropped)
				check_type(TupleDescAttr(desc, i)->atttypid, made, context);
	}
	else if (type->typtype == TYPTYPE_RANGE)
		check_type(get_range_subtype(typid), made, context);
	else if (type->typtype == TYPTYPE_MULTIRANGE)
		check_type(get_multirange_range(typid), made, context);
	else if (OidIsValid(get_element_type(typid)))
		check_type(get_element_type(typid), made, context);
	ReleaseSysCache(tuple);
}

static bool
check_walker(Node *node, void *arg)
{
	TrustContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, check_walker, arg, 0);
	(void) check_functions_in_node(node, check_function, arg);
	switch (nodeTag(node))
	{
		case T_FieldSelect:
			check_type(exprType(node), false, context);
			/* of a row only this column counts */
			if (IsA(((FieldSelect *) node)->arg, Param))
				return false;
			break;
		case T_Var:
		case T_Param:
			check_type(exprType(node), false, context);
			break;
		case T_FuncExpr:
		case T_OpExpr:
		case T_Aggref:
		case T_WindowFunc:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_CoerceToDomain:
			check_type(exprType(node), true, context);
			break;
		default:
			break;
	}
	return expression_tree_walker(node, check_walker, arg);
}

/*
 * trust_check_query: error if a query, as analyzed and rewritten, calls
 * functions that neither are built in nor belong to the role or a superuser.
 * what: "expression", for messages.
 */
void
trust_check_query(Query *query, Oid roleid, const char *what)
{
	TrustContext context = {roleid, what};

	(void) check_walker((Node *) query, &context);
}

/*
 * trust_check_plan: error if a plan calls functions that neither are built in nor
 * belong to the role or a superuser.  To be called each time before the plan
 * is executed, with SPI connected: the statement is analyzed again first
 * where anything that it depends on has changed.  The locks that this takes
 * keep views as they are until the transaction ends.
 */
void
trust_check_plan(SPIPlanPtr plan, Oid roleid, const char *what)
{
	ListCell   *lc;

	foreach(lc, SPI_plan_get_plan_sources(plan))
	{
		CachedPlanSource *source = lfirst(lc);
		ListCell   *lcq;

		(void) CachedPlanGetTargetList(source, NULL);
		foreach(lcq, source->query_list)
			trust_check_query(lfirst(lcq), roleid, what);
	}
}
