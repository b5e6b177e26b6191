/*-------------------------------------------------------------------------
 *
 * expression.c
 *	  Expressions of definitions: SQL:, XPath: and Literal:.
 *
 * An SQL expression sees the drafted row as new, the row before as old, and
 * the request.  It is planned once per table and session and runs as the role
 * that deployed the workflow, with search_path pg_catalog, read-only, without
 * volatile functions, under the caller's statement_timeout; and it calls only
 * functions that nobody but that role or a superuser can change, see trust.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "expression_parse.h"
#include "expression_plan.h"
#include "expression_query.h"
#include "idflow.h"
#include "trace.h"
#include "xpath.h"

/* see idflow.h */
ExpressionVariables *expression_variables = NULL;

typedef struct ExpressionContext
{
	const char *expression;
	const char *what;
} ExpressionContext;

static void
expression_error_context(void *arg)
{
	ExpressionContext *context = arg;

	errcontext("%s: %s", context->what, context->expression);
}

/*
 * deployer_role: the role that deployed a workflow; errors if it is gone.
 */
Oid
deployer_role(Workflow *wf)
{
	Oid			roleid = get_role_oid(wf->deployed_by, true);

	if (!OidIsValid(roleid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", which deployed workflow \"%s\", does not exist",
						wf->deployed_by, wf->name),
				 errhint("Deploy the workflow again as a role that stays; requests in flight keep their version and need the role back.")));
	return roleid;
}

/*
 * expression_check: whether an expression parses and fits a table; errors say
 * why not and show the expression.
 */
void
expression_check(const char *expression, ExpressionKind kind, Oid relid,
				 Oid deployer, const char *what)
{
	ExpressionContext context = {expression, what};
	ErrorContextCallback callback;
	UserSwitch	save;
	int			nest;
	const char *body;

	ExpressionLanguage language = expression_language(expression, &body);

	if (language == EXPRESSION_LITERAL)
		return;
	callback.callback = expression_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (language == EXPRESSION_XPATH)
	{
		/* what the syntax doesn't say: functions, prefixes, types */
		Relation	rel = table_open(relid, NoLock);

		(void) xpath_evaluate(body, kind, request_document_skeleton(rel));
		table_close(rel, NoLock);
	}
	else
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);
		SPI_freeplan(expression_prepare(expression, kind, relid, deployer));
		restore_pinned(&save, nest);
		SPI_finish();
	}
	error_context_stack = callback.previous;
}

static void
set_param(ParamListInfo params, int id, Oid type, Datum value, bool isnull)
{
	ParamExternData *param = &params->params[id - 1];

	param->ptype = type;
	param->value = value;
	param->isnull = isnull;
	param->pflags = PARAM_FLAG_CONST;
}

static void
set_text_param(ParamListInfo params, int id, const char *text)
{
	set_param(params, id, TEXTOID, text ? CStringGetTextDatum(text) : (Datum) 0, text == NULL);
}

static ParamListInfo
make_params(Request *req, Change *change, Relation rel)
{
	ParamListInfo params = makeParamList(NUM_PARAMS);
	TupleDesc	desc = RelationGetDescr(rel);
	Oid			rowtype = rel->rd_rel->reltype;

	set_param(params, PARAM_NEW, rowtype,
			  change->new_row ? heap_copy_tuple_as_datum(change->new_row, desc) : (Datum) 0,
			  change->new_row == NULL);
	set_param(params, PARAM_OLD, rowtype,
			  change->old_row ? heap_copy_tuple_as_datum(change->old_row, desc) : (Datum) 0,
			  change->old_row == NULL);
	set_param(params, PARAM_ID, INT8OID, Int64GetDatum(req->id), false);
	set_text_param(params, PARAM_REQUESTER, req->requester);
	set_text_param(params, PARAM_SUBJECT, req->subject);
	set_text_param(params, PARAM_TITLE, req->title);
	set_text_param(params, PARAM_WORKFLOW, req->workflow->name);
	set_param(params, PARAM_ITERATION, INT4OID,
			  Int32GetDatum(expression_variables ? expression_variables->iteration : 0),
			  expression_variables == NULL);
	set_text_param(params, PARAM_VALUE, expression_variables ? expression_variables->value : NULL);
	return params;
}

/*
 * Add the names that a value of the given type holds, one or an array, to a
 * list in the given context.
 */
static List *
add_names(List *names, Datum value, bool isnull, Oid type, MemoryContext cxt)
{
	Oid			element;
	Oid			output;
	bool		varlena;
	Datum	   *values = &value;
	bool	   *nulls = &isnull;
	int			n = 1;

	type = getBaseType(type);
	element = get_element_type(type);
	getTypeOutputInfo(OidIsValid(element) ? element : type, &output, &varlena);
	if (OidIsValid(element) && !isnull)
	{
		int16		len;
		bool		byval;
		char		align;

		get_typlenbyvalalign(element, &len, &byval, &align);
		deconstruct_array(DatumGetArrayTypeP(value), element, len, byval, align,
						  &values, &nulls, &n);
	}
	for (int k = 0; k < n; k++)
	{
		char	   *name;
		MemoryContext oldcxt;

		if (nulls[k])
			continue;
		name = OidOutputFunctionCall(output, values[k]);
		if (name[0] == '\0')
			continue;
		oldcxt = MemoryContextSwitchTo(cxt);
		if (!strings_contain(names, name))
			names = lappend(names, pstrdup(name));
		MemoryContextSwitchTo(oldcxt);
	}
	return names;
}

/* Run a simple expression; the caller is the deployer. */
static List *
run_simple(ExpressionEntry *entry, ParamListInfo params, MemoryContext cxt)
{
	ExprContext *econtext = GetPerTupleExprContext(entry->estate);
	Datum		value;
	bool		isnull;

	ResetExprContext(econtext);
	econtext->ecxt_param_list_info = params;
	value = ExecEvalExprSwitchContext(entry->state, econtext, &isnull);
	econtext->ecxt_param_list_info = NULL;
	return add_names(NIL, value, isnull, entry->type, cxt);
}

/* Run any other one as the query that it is; the caller is the deployer. */
static List *
run_query(ExpressionEntry *entry, ParamListInfo params, Oid deployer, MemoryContext cxt)
{
	CachedPlanSource *source = expression_plan_source(entry->plan);
	List	   *result = NIL;
	int			rc;

	/* a snapshot of now: the one at hand may be older than the lock we hold */
	PushActiveSnapshot(GetTransactionSnapshot());

	/*
	 * If a view or function it uses has changed, it is analyzed anew, and must
	 * be looked at anew before it is planned, which evaluates what is constant.
	 * The locks that this takes keep views as they are.
	 */
	(void) CachedPlanGetTargetList(source, NULL);
	expression_check_query(linitial(source->query_list), deployer);
	rc = SPI_execute_plan_with_paramlist(entry->plan, params, true, 0);
	PopActiveSnapshot();
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not evaluate an expression: %s", SPI_result_code_string(rc));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = spi_datum(SPI_tuptable->vals[i], 1, &isnull);

		result = add_names(result, value, isnull,
						   TupleDescAttr(SPI_tuptable->tupdesc, 0)->atttypid, cxt);
	}
	return result;
}

/* Run an XPath expression; the types' output functions run as the deployer. */
static List *
run_xpath(const char *body, ExpressionKind kind, Workflow *wf, Request *req, Change *change,
		  Relation rel, Oid deployer)
{
	UserSwitch	save;
	int			nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);
	char	   *document = request_document(req, wf, change, rel);

	restore_pinned(&save, nest);
	return xpath_evaluate(body, kind, document);
}

/* Run an SQL expression. */
static List *
run_sql(const char *expression, ExpressionKind kind, Request *req, Change *change,
		Relation rel, Oid deployer)
{
	MemoryContext cxt = CurrentMemoryContext;
	ParamListInfo params = make_params(req, change, rel);
	ExpressionEntry *entry;
	UserSwitch	save;
	List	   *result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	entry = expression_entry(expression, kind, RelationGetRelid(rel), deployer);
	if (entry->state)
	{
		become(&save, deployer, SECURITY_RESTRICTED_OPERATION);
		result = run_simple(entry, params, cxt);
		restore_user(&save);
	}
	else
	{
		int			nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);

		result = run_query(entry, params, deployer, cxt);
		restore_pinned(&save, nest);
	}
	SPI_finish();
	return result;
}

/*
 * Evaluate an expression over a change; the result as a List of char * in the
 * current memory context.  A condition gives "t" or "f".
 */
static List *
evaluate(const char *expression, ExpressionKind kind, Workflow *wf, Request *req,
		 Change *change, const char *what)
{
	ExpressionContext context = {expression, what};
	ErrorContextCallback callback;
	Relation	rel;
	List	   *result;
	Oid			deployer;
	const char *body;
	ExpressionLanguage language = expression_language(expression, &body);

	if (language == EXPRESSION_LITERAL)
		return list_make1(pstrdup(body));

	callback.callback = expression_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	deployer = deployer_role(wf);
	rel = row_open(change, AccessShareLock);
	row_load(req, change, rel);
	if (language == EXPRESSION_XPATH)
		result = run_xpath(body, kind, wf, req, change, rel, deployer);
	else
		result = run_sql(expression, kind, req, change, rel, deployer);
	trace_step(req, wf, change, what, expression, kind, result);
	table_close(rel, NoLock);
	error_context_stack = callback.previous;
	return result;
}

/*
 * expression_bool: whether a condition is true; null is not.
 */
bool
expression_bool(const char *expression, Workflow *wf, Request *req, Change *change,
				const char *what)
{
	List	   *result = evaluate(expression, EXPRESSION_BOOL, wf, req, change, what);

	return result != NIL &&
		(strcmp(linitial(result), "t") == 0 || strcmp(linitial(result), "true") == 0);
}

/*
 * expression_text: one value as text; NULL for null and for the empty string.
 */
char *
expression_text(const char *expression, Workflow *wf, Request *req, Change *change,
				const char *what)
{
	List	   *result = evaluate(expression, EXPRESSION_TEXT, wf, req, change, what);

	return result == NIL ? NULL : linitial(result);
}

/*
 * expression_names: the principals that an expression yields, without nulls,
 * blanks and repetitions.
 */
List *
expression_names(const char *expression, Workflow *wf, Request *req, Change *change,
				 const char *what)
{
	return evaluate(expression, EXPRESSION_NAMES, wf, req, change, what);
}

/*
 * expression_over_table: what an expression over a table gives without a
 * request and a row: new and old are null.  NULL for null and for the empty
 * string.
 */
char *
expression_over_table(const char *expression, Workflow *wf, Relation rel, const char *what)
{
	ExpressionContext context = {expression, what};
	ErrorContextCallback callback;
	MemoryContext cxt = CurrentMemoryContext;
	Oid			deployer = deployer_role(wf);
	Oid			rowtype = rel->rd_rel->reltype;
	ParamListInfo params = makeParamList(NUM_PARAMS);
	ExpressionEntry *entry;
	UserSwitch	save;
	int			nest;
	List	   *result;

	callback.callback = expression_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	for (int id = 1; id <= NUM_PARAMS; id++)
		set_param(params, id, id <= PARAM_OLD ? rowtype : id == PARAM_ID ? INT8OID :
				  id == PARAM_ITERATION ? INT4OID : TEXTOID, (Datum) 0, true);
	set_text_param(params, PARAM_WORKFLOW, wf->name);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	entry = expression_entry(expression, EXPRESSION_NAMES, RelationGetRelid(rel), deployer);
	nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);
	result = run_query(entry, params, deployer, cxt);
	restore_pinned(&save, nest);
	SPI_finish();
	error_context_stack = callback.previous;
	return result == NIL ? NULL : linitial(result);
}
