/*-------------------------------------------------------------------------
 *
 * separation_violation.c
 *	  idflow.separation_violation: who holds rights that exclude one another.
 *
 * One query for each SeparationAspect and table, over all rows of the table:
 * the aspect's Expression stands in it as written, with the table's row as
 * new.  It runs as the deployer, as every expression does, and so shows more
 * than its reader may SELECT: it is for auditors and admins only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"

#include "aspect_separation.h"
#include "expression_parse.h"
#include "plancache.h"

PG_FUNCTION_INFO_V1(idflow_separation_violations);

#define VIOLATION_COLUMNS	8

/* which workflows stand before which tables */
static StorePlan gates_plan = {
	"SELECT DISTINCT g.workflow, g.target, g.target::pg_catalog.text FROM idflow.gate g"
	" WHERE g.operation OPERATOR(pg_catalog.<>) 'DELETE' ORDER BY g.workflow, g.target::pg_catalog.text",
	0
};

/*
 * The set of values of an expression over rows named new, as something to
 * stand in FROM.  The new lines end a comment.
 */
static char *
lateral_values(const char *expression)
{
	const char *body;
	Node	   *node;

	(void) expression_language(expression, &body);
	node = expression_parse(body);
	if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == EXPR_SUBLINK)
		return psprintf("(\n%s\n)", body);
	return psprintf("(SELECT (\n%s\n))", body);
}

/*
 * violation_expression: the expression over a table that gives all pairs of
 * rights that exclude one another and that one person holds, as the text of a
 * JSON array; null if there are none.
 */
char *
violation_expression(const DefinitionElement *element, Relation rel, Oid deployer)
{
	const char *condition = element_value(element, "IfExpression");
	const char *right = element_value(element, "Right");
	const char *person = quote_identifier(binding_column(element_value(element, "Binding"),
														 RelationGetDescr(rel)));
	const char *body = NULL;
	char	   *table = table_sql(rel, false);
	char	   *where;
	StringInfoData sql;
	Oid			conflicts;

	where = psprintf("new.%s IS NOT NULL", person);
	if (condition && expression_language(condition, &body) == EXPRESSION_SQL)
		where = psprintf("%s AND (\n%s\n) IS TRUE", where, body);

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SQL:(WITH idflow_held AS MATERIALIZED ("
					 "SELECT DISTINCT new.%s::text AS person, r.v AS held FROM %s AS new, LATERAL %s AS e (v),"
					 " LATERAL jsonb_array_elements_text(CASE WHEN jsonb_typeof(to_jsonb(e.v)) = 'array'"
					 " THEN to_jsonb(e.v) ELSE jsonb_build_array(e.v) END) AS r (v)"
					 " WHERE r.v <> '' AND %s",
					 person, table, lateral_values(element_value(element, "Expression")), where);
	if (right)
	{
		right = quote_identifier(binding_column(right, RelationGetDescr(rel)));
		appendStringInfo(&sql, " UNION SELECT new.%s::text, new.%s::text FROM %s AS new WHERE new.%s IS NOT NULL AND %s",
						 person, right, table, right, where);
	}
	appendStringInfo(&sql,
					 "), idflow_pair AS MATERIALIZED (%s)"
					 " SELECT jsonb_agg(jsonb_build_array(h.person, p.a, p.b, p.s)"
					 " ORDER BY h.person COLLATE \"C\", p.a COLLATE \"C\", p.b COLLATE \"C\")::text"
					 " FROM idflow_held AS h, idflow_pair AS p (a, b, s), idflow_held AS o"
					 " WHERE p.a = h.held AND o.person = h.person AND o.held = p.b)",
					 separation_conflicts(element, deployer, &conflicts));
	return sql.data;
}

typedef struct GateTarget
{
	char	   *workflow;
	Oid			target;
} GateTarget;

static List *
gate_targets(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	UserSwitch	save;
	List	   *result = NIL;
	int			n;

	store_begin(&save);
	n = store_exec(&gates_plan, NULL, NULL, true);
	for (int i = 0; i < n; i++)
	{
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		GateTarget *gate = palloc(sizeof(GateTarget));
		bool		isnull;

		gate->workflow = spi_text(SPI_tuptable->vals[i], 1);
		gate->target = DatumGetObjectId(spi_datum(SPI_tuptable->vals[i], 2, &isnull));
		result = lappend(result, gate);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return result;
}

static void
violation_error_context(void *arg)
{
	errcontext("%s", (char *) arg);
}

/* The violations of one aspect in one table. */
static void
put_violations(ReturnSetInfo *rsinfo, Workflow *wf, DefinitionElement *element, Relation rel)
{
	const char *aspect = element_value(element, "Identifier");
	const char *message = element_text(element, "Message", actor_name());
	ErrorContextCallback callback;
	char	   *found;
	JsonbContainer *rows;

	callback.callback = violation_error_context;
	callback.arg = psprintf("SeparationAspect \"%s\" of workflow \"%s\"", aspect, wf->name);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	found = expression_over_table(violation_expression(element, rel, deployer_role(wf)), wf, rel,
								  "idflow.separation_violation");
	error_context_stack = callback.previous;

	rows = found ? &json_from_text(found)->root : NULL;
	for (uint32 r = 0; rows && r < JsonContainerSize(rows); r++)
	{
		JsonbValue *row = getIthJsonbValueFromContainer(rows, r);
		char	  **fields = separation_fields(row->val.binary.data, 4);
		Datum		values[VIOLATION_COLUMNS] = {0};
		bool		nulls[VIOLATION_COLUMNS] = {0};

		values[0] = CStringGetTextDatum(wf->name);
		values[1] = CStringGetTextDatum(aspect);
		values[2] = ObjectIdGetDatum(RelationGetRelid(rel));
		for (int i = 0; i < 4; i++)
		{
			nulls[3 + i] = fields[i] == NULL;
			if (fields[i])
				values[3 + i] = CStringGetTextDatum(fields[i]);
		}
		nulls[7] = message == NULL;
		if (message)
			values[7] = CStringGetTextDatum(message);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * idflow.separation_violations(): the rows of idflow.separation_violation;
 * none for whoever is neither auditor nor admin.
 */
Datum
idflow_separation_violations(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;
	ListCell   *le;

	InitMaterializedSRF(fcinfo, 0);
	if (!role_is_auditor(GetUserId()))
		return (Datum) 0;
	foreach(lc, gate_targets())
	{
		GateTarget *gate = (GateTarget *) lfirst(lc);
		Workflow   *wf = workflow_current(gate->workflow, true);

		foreach(le, wf ? wf->element->children : NIL)
		{
			DefinitionElement *element = (DefinitionElement *) lfirst(le);
			Relation	rel;

			if (strcmp(element->name, "SeparationAspect") != 0)
				continue;
			rel = try_table_open(gate->target, AccessShareLock);
			if (rel == NULL)
				continue;
			put_violations(rsinfo, wf, element, rel);
			table_close(rel, NoLock);
		}
	}
	return (Datum) 0;
}
