/*-------------------------------------------------------------------------
 *
 * expression.c
 *	  Expressions of definitions: SQL: and Literal:.
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
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "expression_parse.h"
#include "expression_query.h"
#include "idflow.h"

/* Parameters of every expression: the rows, then the request's fields. */
enum
{
	PARAM_NEW = 1,
	PARAM_OLD,
	PARAM_ID,
	PARAM_REQUESTER,
	PARAM_SUBJECT,
	PARAM_TITLE,
	PARAM_WORKFLOW,
	NUM_PARAMS = PARAM_WORKFLOW
};

static const char *const request_fields[] = {"id", "requester", "subject", "title", "workflow"};

/* What the parser hook needs; lives as long as the plans that refer to it. */
typedef struct ExpressionScope
{
	Oid			relid;			/* hash key */
	Oid			rowtype;
} ExpressionScope;

static HTAB *scopes = NULL;

static ExpressionScope *
scope_of(Oid relid)
{
	ExpressionScope *scope;

	if (scopes == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(ExpressionScope);
		scopes = hash_create("idflow expression scopes", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	scope = hash_search(scopes, &relid, HASH_ENTER, NULL);
	scope->rowtype = get_rel_type_id(relid);
	return scope;
}

static Node *
make_param(int id, Oid type, int location)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = id;
	param->paramtype = type;
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(type);
	param->location = location;
	return (Node *) param;
}

/*
 * A column reference that SQL itself could not resolve: new.x, old.x,
 * request.x, or the whole row.
 */
static Node *
resolve_column(ParseState *pstate, ColumnRef *cref, Node *var)
{
	ExpressionScope *scope = pstate->p_ref_hook_state;
	const char *name;
	int			paramid;

	if (var != NULL || list_length(cref->fields) > 2 || !IsA(linitial(cref->fields), String))
		return NULL;
	name = strVal(linitial(cref->fields));
	if (strcmp(name, "new") == 0)
		paramid = PARAM_NEW;
	else if (strcmp(name, "old") == 0)
		paramid = PARAM_OLD;
	else if (strcmp(name, "request") == 0)
		paramid = PARAM_ID;
	else
		return NULL;

	if (list_length(cref->fields) == 1)
		return paramid == PARAM_ID ? NULL : make_param(paramid, scope->rowtype, cref->location);
	if (!IsA(lsecond(cref->fields), String))
		return NULL;
	name = strVal(lsecond(cref->fields));

	if (paramid == PARAM_ID)
	{
		for (int i = 0; i < lengthof(request_fields); i++)
			if (strcmp(name, request_fields[i]) == 0)
				return make_param(PARAM_ID + i, i == 0 ? INT8OID : TEXTOID, cref->location);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("request has no field \"%s\"", name),
				 errhint("Its fields are id, requester, subject, title and workflow."),
				 parser_errposition(pstate, cref->location)));
	}
	else
	{
		AttrNumber	attnum = get_attnum(scope->relid, name);
		FieldSelect *field;

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							name, get_rel_name(scope->relid)),
					 parser_errposition(pstate, cref->location)));
		field = makeNode(FieldSelect);
		field->arg = (Expr *) make_param(paramid, scope->rowtype, cref->location);
		field->fieldnum = attnum;
		get_atttypetypmodcoll(scope->relid, attnum, &field->resulttype,
							  &field->resulttypmod, &field->resultcollid);
		return (Node *) field;
	}
	return NULL;
}

static void
expression_parser_setup(ParseState *pstate, void *arg)
{
	pstate->p_post_columnref_hook = resolve_column;
	pstate->p_ref_hook_state = arg;
}

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

/* The SQL text after its prefix; errors on prefixes that are not for here. */
static const char *
sql_of(const char *expression)
{
	const char *body;

	if (expression_language(expression, &body) == EXPRESSION_SQL)
		return body;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("expression does not begin with \"SQL:\" or \"Literal:\""),
			 errhint("Write it as SQL:<expression> or Literal:<text>.")));
	return NULL;
}

/* The statement that evaluates an expression. */
static char *
expression_statement(const char *sql, ExpressionKind kind)
{
	Node	   *node = expression_parse(sql);

	/* the new lines keep a trailing comment from eating what follows */
	switch (kind)
	{
		case EXPRESSION_BOOL:
			return psprintf("SELECT (\n%s\n) IS TRUE", sql);
		case EXPRESSION_TEXT:
			return psprintf("SELECT (\n%s\n)::pg_catalog.text", sql);
		case EXPRESSION_NAMES:
			/* a subquery may give a set */
			if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == EXPR_SUBLINK)
				return psprintf("SELECT s.v FROM (\n%s\n) s (v)", sql);
			return psprintf("SELECT (\n%s\n)", sql);
	}
	return NULL;
}

static CachedPlanSource *
plan_source(SPIPlanPtr plan)
{
	List	   *sources = SPI_plan_get_plan_sources(plan);
	CachedPlanSource *source;

	if (list_length(sources) != 1)
		elog(ERROR, "expression is not one statement");
	source = linitial(sources);
	if (list_length(source->query_list) != 1)
		elog(ERROR, "expression is not one query");
	return source;
}

/*
 * Prepare an expression for a table; the caller is the deployer, with
 * search_path pinned and SPI connected.
 */
static SPIPlanPtr
prepare(const char *sql, ExpressionKind kind, Oid relid, Oid deployer)
{
	SPIPlanPtr	plan = SPI_prepare_params(expression_statement(sql, kind), expression_parser_setup,
										  scope_of(relid), CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare an expression: %s", SPI_result_code_string(SPI_result));
	expression_check_query(linitial(plan_source(plan)->query_list), deployer);
	return plan;
}

/* Act as the deployer under a pinned search_path; returns the nest level. */
static int
enter(UserSwitch *save, Oid deployer)
{
	int			nest;

	become(save, deployer, SECURITY_RESTRICTED_OPERATION);
	nest = NewGUCNestLevel();
	set_if_different("search_path", "pg_catalog, pg_temp");
	return nest;
}

static Oid
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

	if (expression_language(expression, &body) == EXPRESSION_LITERAL)
		return;
	callback.callback = expression_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nest = enter(&save, deployer);
	SPI_freeplan(prepare(sql_of(expression), kind, relid, deployer));
	AtEOXact_GUC(false, nest);
	restore_user(&save);
	SPI_finish();
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

/* An expression as the session keeps it. */
typedef struct ExpressionKey
{
	Oid			relid;
	Oid			deployer;
	int32		kind;
	uint32		hash1;			/* of the text, which the entry holds in full */
	uint32		hash2;
} ExpressionKey;

typedef struct ExpressionEntry
{
	ExpressionKey key;
	bool		valid;
	char	   *expression;
	SPIPlanPtr	plan;

	/* if simple */
	MemoryContext context;
	EState	   *estate;
	ExprState  *state;
	Oid			type;
} ExpressionEntry;

/* Above this many expressions all are forgotten. */
#define MAX_EXPRESSIONS 256

static HTAB *expressions = NULL;

static void
expression_relcache_callback(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	ExpressionEntry *entry;

	hash_seq_init(&status, expressions);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relid) || entry->key.relid == relid)
			entry->valid = false;
}

static void
forget_expression(ExpressionEntry *entry)
{
	SPIPlanPtr	plan = entry->plan;
	MemoryContext context = entry->context;

	hash_search(expressions, &entry->key, HASH_REMOVE, NULL);
	if (context)
		MemoryContextDelete(context);
	if (plan)
		SPI_freeplan(plan);
}

/*
 * Find an expression, or make it; the caller is connected to SPI.  Simple
 * ones, which call only built-in functions and read no table, are kept ready
 * to run: that costs a fraction of a query.
 */
static ExpressionEntry *
expression_entry(const char *expression, ExpressionKind kind, Oid relid, Oid deployer)
{
	ExpressionKey key;
	ExpressionEntry *entry;
	uint64		hash = hash_bytes_extended((const unsigned char *) expression, strlen(expression), 0);
	SPIPlanPtr	plan;
	Expr	   *simple;
	MemoryContext context;
	UserSwitch	save;
	int			nest;

	if (expressions == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(ExpressionKey);
		ctl.entrysize = sizeof(ExpressionEntry);
		expressions = hash_create("idflow expressions", 32, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(expression_relcache_callback, (Datum) 0);
	}
	memset(&key, 0, sizeof(key));
	key.relid = relid;
	key.deployer = deployer;
	key.kind = kind;
	key.hash1 = (uint32) hash;
	key.hash2 = (uint32) (hash >> 32);
	entry = hash_search(expressions, &key, HASH_FIND, NULL);
	if (entry && entry->valid && strcmp(entry->expression, expression) == 0)
		return entry;
	if (entry)
		forget_expression(entry);
	if (hash_get_num_entries(expressions) >= MAX_EXPRESSIONS)
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, expressions);
		while ((entry = hash_seq_search(&status)) != NULL)
			forget_expression(entry);
	}

	nest = enter(&save, deployer);
	plan = prepare(sql_of(expression), kind, relid, deployer);
	AtEOXact_GUC(false, nest);
	restore_user(&save);

	/* what can fail comes before the entry, so that none is half made */
	context = AllocSetContextCreate(CurrentMemoryContext, "idflow expression", ALLOCSET_SMALL_SIZES);
	simple = expression_simple(linitial(plan_source(plan)->query_list));
	if (simple)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(context);
		EState	   *estate = CreateExecutorState();
		ExprState  *state = ExecPrepareExpr(copyObject(simple), estate);
		char	   *copy = pstrdup(expression);

		MemoryContextSwitchTo(oldcxt);
		entry = hash_search(expressions, &key, HASH_ENTER, NULL);
		entry->valid = false;
		entry->plan = NULL;
		entry->context = context;
		entry->expression = copy;
		entry->estate = estate;
		entry->state = state;
		entry->type = exprType((Node *) simple);
		SPI_freeplan(plan);
	}
	else
	{
		char	   *copy = MemoryContextStrdup(context, expression);

		entry = hash_search(expressions, &key, HASH_ENTER, NULL);
		entry->valid = false;
		entry->plan = plan;
		entry->context = context;
		entry->expression = copy;
		entry->state = NULL;
		SPI_keepplan(plan);
	}
	MemoryContextSetParent(context, TopMemoryContext);
	entry->valid = true;
	return entry;
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
	CachedPlanSource *source = plan_source(entry->plan);
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

/*
 * Evaluate an expression over a change; the result as a List of char * in the
 * current memory context.  A condition gives "t" or "f".
 */
static List *
evaluate(const char *expression, ExpressionKind kind, Workflow *wf, Request *req,
		 Change *change, const char *what)
{
	MemoryContext cxt = CurrentMemoryContext;
	ExpressionContext context = {expression, what};
	ErrorContextCallback callback;
	UserSwitch	save;
	Relation	rel;
	ParamListInfo params;
	ExpressionEntry *entry;
	List	   *result;
	Oid			deployer;
	const char *body;

	if (expression_language(expression, &body) == EXPRESSION_LITERAL)
		return list_make1(pstrdup(body));

	callback.callback = expression_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	deployer = deployer_role(wf);
	rel = row_open(change, AccessShareLock);
	row_load(req, change, rel);
	params = make_params(req, change, rel);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	entry = expression_entry(expression, kind, RelationGetRelid(rel), deployer);
	if (entry->state)
	{
		become(&save, deployer, SECURITY_RESTRICTED_OPERATION);
		result = run_simple(entry, params, cxt);
	}
	else
	{
		int			nest = enter(&save, deployer);

		result = run_query(entry, params, deployer, cxt);
		AtEOXact_GUC(false, nest);
	}
	restore_user(&save);
	SPI_finish();
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
