/*-------------------------------------------------------------------------
 *
 * expression_plan.c
 *	  SQL expressions made ready to run: what their names mean, and the plans
 *	  that a session keeps.
 *
 * An expression is prepared once per table, deployer and session, and again
 * when the table changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_node.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "expression_parse.h"
#include "expression_plan.h"
#include "expression_query.h"
#include "idflow.h"
#include "plancache.h"

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
	else if (strcmp(name, "iteration") == 0 && list_length(cref->fields) == 1)
		return make_param(PARAM_ITERATION, INT4OID, cref->location);
	else if (strcmp(name, "value") == 0 && list_length(cref->fields) == 1)
		return make_param(PARAM_VALUE, TEXTOID, cref->location);
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

/* expression_plan_source: the one query of an expression's plan. */
CachedPlanSource *
expression_plan_source(SPIPlanPtr plan)
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
 * expression_prepare: prepare an expression for a table; the caller is the
 * deployer, with search_path pinned and SPI connected.
 */
SPIPlanPtr
expression_prepare(const char *expression, ExpressionKind kind, Oid relid, Oid deployer)
{
	SPIPlanPtr	plan = SPI_prepare_params(expression_statement(sql_of(expression), kind),
										  expression_parser_setup, scope_of(relid),
										  CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare an expression: %s", SPI_result_code_string(SPI_result));
	expression_check_query(linitial(expression_plan_source(plan)->query_list), deployer);
	return plan;
}

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
		plan_bury(plan);		/* an outer call may be running it */
}

/*
 * expression_entry: find an expression, or make it; the caller is connected to SPI.  Simple
 * ones, which call only built-in functions and read no table, are kept ready
 * to run: that costs a fraction of a query.
 */
ExpressionEntry *
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

	nest = become_pinned(&save, deployer, SECURITY_RESTRICTED_OPERATION);
	plan = expression_prepare(expression, kind, relid, deployer);
	restore_pinned(&save, nest);

	/* what can fail comes before the entry, so that none is half made */
	context = AllocSetContextCreate(CurrentMemoryContext, "idflow expression", ALLOCSET_SMALL_SIZES);
	simple = expression_simple(linitial(expression_plan_source(plan)->query_list));
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
