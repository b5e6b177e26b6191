/*-------------------------------------------------------------------------
 *
 * aspect_unique.c
 *	  BuildUniqueValueAspect: a value that nobody has, nor asks for.
 *
 * The value is built again, with iteration 0, 1, 2 ..., until none of the
 * checks says that it is taken: by rows, by open drafts, or by whoever builds
 * the same value at the same moment.  What settles the latter is a row of
 * idflow.pending_key, which the draft holds until its request is closed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "aspect.h"
#include "attach.h"
#include "compat.h"
#include "definition.h"
#include "plancache.h"
#include "simulate.h"

/* Do open drafts of other requests give a column of a table a value? */
static StorePlan drafted_plan = {
	"SELECT FROM (SELECT DISTINCT c.request FROM idflow.candidate c) o"
	" JOIN ONLY idflow.change_data d ON d.request OPERATOR(pg_catalog.=) o.request"
	" JOIN idflow.layout l ON l.id OPERATOR(pg_catalog.=) d.layout"
	" WHERE d.target OPERATOR(pg_catalog.=) $1 AND d.superseded IS NULL"
	" AND idflow.image_has(d.new_image, d.new_columns, l.columns, $4, $5,"
	"  CASE WHEN d.request OPERATOR(pg_catalog.=) $2 THEN $3 OPERATOR(pg_catalog.-) d.seq END) LIMIT 1",
	5, {REGCLASSOID, INT8OID, INT4OID, TEXTOID, TEXTOID}
};

/* @VALUE outside of strings and quoted names, as the parameter that it is. */
static char *
bind_value(const char *sql)
{
	StringInfoData buf;
	char		quote = '\0';

	initStringInfo(&buf);
	for (const char *p = sql; *p; p++)
	{
		if (quote == '\0' && strncmp(p, "@VALUE", strlen("@VALUE")) == 0)
		{
			appendStringInfoString(&buf, " value ");
			p += strlen("@VALUE") - 1;
			continue;
		}
		if (*p == '\'' || *p == '"')
			quote = quote == '\0' ? *p : quote == *p ? '\0' : quote;
		appendStringInfoChar(&buf, *p);
	}
	return buf.data;
}

static bool
is_query(const char *sql)
{
	return pg_strncasecmp(sql + strspn(sql, " \t\n\r"), "select", strlen("select")) == 0;
}

/* The expression that builds a value. */
static const char *
build_expression(const DefinitionElement *element)
{
	const char *sql = element_value(element, "SqlBuildExpression");

	if (sql == NULL)
		return element_value(element, "Expression");
	return is_query(sql) ? psprintf("SQL:(%s)", sql) : psprintf("SQL:%s", sql);
}

/* The condition by which a value is taken, of SqlCheckExpression; or NULL. */
static const char *
check_condition(const DefinitionElement *element)
{
	const char *sql = element_value(element, "SqlCheckExpression");

	if (sql == NULL)
		return NULL;
	sql = bind_value(sql);
	return is_query(sql) ? psprintf("SQL:EXISTS (%s)", sql) : psprintf("SQL:%s", sql);
}

/* The table of a UnicityCheckRule; errors if there is none. */
static Relation
rule_table(const DefinitionElement *rule, LOCKMODE lockmode)
{
	const char *name = element_value(rule, "TargetEntityType");
	List	   *names = qualified_names(name);

	return table_openrv(makeRangeVarFromNameList(names), lockmode);
}

/*
 * The column of a rule's table that is compared: of TargetBinding, else the
 * one that the aspect sets; errors if the table lacks it.
 */
static char *
rule_column(const DefinitionElement *rule, Relation rel)
{
	const char *binding = element_value(rule, "TargetBinding");
	char	   *column;

	if (binding == NULL)
		binding = element_value(rule->parent, "Binding");
	column = binding_column(binding, RelationGetDescr(rel));
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column for TargetBinding=\"%s\"",
						RelationGetRelationName(rel), binding)));
	return column;
}

static const char *
without_prefix(const char *expression)
{
	return strncmp(expression, "SQL:", 4) == 0 ? expression + 4 :
		quote_literal_cstr(strncmp(expression, "Literal:", 8) == 0 ? expression + 8 : expression);
}

/*
 * The condition by which a value is taken in a rule's table, as an expression
 * over the draft's table.  The row that the draft changes doesn't count.
 */
static char *
rule_condition(const DefinitionElement *rule, Relation rel, Relation target)
{
	const char *target_expression = element_value(rule, "TargetExpression");
	const char *source_expression = element_value(rule, "SourceExpression");
	const char *source_binding = element_value(rule, "SourceBinding");
	const char *source = "value";
	Bitmapset  *key = row_key_attnums(target, NULL);
	StringInfoData sql;
	int			attnum = -1;

	if (source_expression)
		source = psprintf("(%s)", without_prefix(source_expression));
	else if (source_binding)
	{
		char	   *column = binding_column(source_binding, RelationGetDescr(rel));

		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table \"%s\" has no column for SourceBinding=\"%s\"",
							RelationGetRelationName(rel), source_binding)));
		source = psprintf("new.%s", quote_identifier(column));
	}

	initStringInfo(&sql);
	appendStringInfo(&sql, "SQL:EXISTS (SELECT FROM %s AS idflow_t", table_sql(target, false));
	if (target_expression)
		/* its new is the row of that table */
		appendStringInfo(&sql, ", LATERAL (SELECT (%s)::pg_catalog.text AS x FROM (SELECT idflow_t.*) AS new) AS idflow_x"
						 " WHERE idflow_x.x OPERATOR(pg_catalog.=) (%s)::pg_catalog.text",
						 without_prefix(target_expression), source);
	else
	{
		char	   *column = rule_column(rule, target);
		AttrNumber	at = get_attnum(RelationGetRelid(target), column);
		Oid			type = get_atttype(RelationGetRelid(target), at);

		appendStringInfo(&sql, " WHERE idflow_t.%s %s (%s)::%s", quote_identifier(column),
						 equality_operator(type), source, format_type_be_qualified(type));
	}
	if (RelationGetRelid(target) == RelationGetRelid(rel))
		while ((attnum = bms_next_member(key, attnum)) >= 0)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(target), attnum - 1);

			appendStringInfo(&sql, "%sidflow_t.%s %s old.%s", bms_next_member(key, -1) == attnum ?
							 " AND (old IS NULL OR NOT (" : " AND ",
							 quote_identifier(NameStr(att->attname)), equality_operator(att->atttypid),
							 quote_identifier(NameStr(att->attname)));
			if (bms_next_member(key, attnum) < 0)
				appendStringInfoString(&sql, "))");
		}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

static bool
is_drafted(Request *req, Change *change, Oid relid, const char *column, const char *value)
{
	Datum		values[5];

	values[0] = ObjectIdGetDatum(relid);
	values[1] = Int64GetDatum(req->id);
	values[2] = Int32GetDatum(change->seq);
	values[3] = CStringGetTextDatum(column);
	values[4] = CStringGetTextDatum(value);
	return store_finds(&drafted_plan, values, false);
}

/* Does a column keep former values, and is the value among them? */
static char *
history_condition(const DefinitionElement *element, Relation rel)
{
	const char *binding = element_value(element, "HistorizeBinding");
	const char *separator = element_value(element, "HistorizeSeparator");
	char	   *column = binding ? binding_column(binding, RelationGetDescr(rel)) : NULL;

	if (column == NULL)
		return NULL;
	return psprintf("SQL:EXISTS (SELECT FROM %s AS idflow_t WHERE value OPERATOR(pg_catalog.=)"
					" ANY (pg_catalog.string_to_array(idflow_t.%s::pg_catalog.text, %s)))",
					table_sql(rel, false), quote_identifier(column),
					quote_literal_cstr(separator ? separator : ";"));
}

static bool
holds(Request *req, Change *change, const char *condition, const char *what)
{
	return condition && expression_bool(condition, req->workflow, req, change, what);
}

/* Is a value, which stands in the expressions' parameter, taken? */
static bool
is_taken(Request *req, Aspect *aspect, Change *change, Relation rel, const char *column,
		 const char *value)
{
	ListCell   *lc;

	if (holds(req, change, check_condition(aspect->element), "SqlCheckExpression") ||
		holds(req, change, history_condition(aspect->element, rel), "HistorizeBinding") ||
		is_drafted(req, change, change->target, column, value))
		return true;
	foreach(lc, element_children_named(aspect->element, "UnicityCheckRule"))
	{
		DefinitionElement *rule = (DefinitionElement *) lfirst(lc);
		Relation	target = rule_table(rule, AccessShareLock);
		bool		taken;

		taken = holds(req, change, rule_condition(rule, rel, target), "UnicityCheckRule");
		if (!taken && element_value(rule, "TargetExpression") == NULL)
			taken = is_drafted(req, change, RelationGetRelid(target), rule_column(rule, target), value);
		table_close(target, NoLock);
		if (taken)
			return true;
	}
	return false;
}

/* Append the value that a row is losing to the column that keeps such. */
static void
historize(Request *req, Aspect *aspect, Change *change, Relation rel, AttrNumber attnum)
{
	const char *separator = element_value(aspect->element, "HistorizeSeparator");
	char	   *former;
	char	   *history;
	int			position;

	if (element_value(aspect->element, "HistorizeBinding") == NULL || change->old_row == NULL)
		return;
	former = row_text(rel, change->old_row, attnum);
	if (former == NULL || former[0] == '\0')
		return;
	position = aspect_position(aspect, "HistorizeBinding", change, rel);
	history = row_text(rel, change->old_row, row_attnum(change->layout, rel, position, false));
	aspect_set_value(req, aspect, change, rel, position,
					 history && history[0] ? psprintf("%s%s%s", history, separator ? separator : ";", former) : former);
}

/*
 * build_unique_value_run: set the column of Binding to a value that is free.
 */
void
build_unique_value_run(Request *req, Aspect *aspect, Change *change)
{
	const char *build = build_expression(aspect->element);
	const char *simulated = element_value(aspect->element, "SimulationExpression");
	int			iterations = element_integer(aspect->element, "IterationsCount", 0);
	Relation	rel;
	int			position;
	AttrNumber	attnum;
	const char *column;

	if (change->operation == CMD_DELETE ||
		(change->operation != CMD_INSERT && element_boolean(aspect->element, "OnlyIfNew", false)))
		return;
	rel = row_open(change, RowShareLock);
	row_load(req, change, rel);
	position = aspect_position(aspect, "Binding", change, rel);
	attnum = row_attnum(change->layout, rel, position, false);
	column = change->layout->names[position - 1];

	/* a value that nobody needs is neither looked for nor kept from others */
	if (simulating() && simulated)
	{
		char	   *value = expression_text(simulated, req->workflow, req, change, "SimulationExpression");

		change->stand_ins = bms_add_member(change->stand_ins, attnum);
		if (value)
			aspect_set_value(req, aspect, change, rel, position, value);
		table_close(rel, NoLock);
		return;
	}

	for (int i = 0; i <= iterations; i++)
	{
		const char *present = row_text(rel, change->new_row, attnum);
		ExpressionVariables variables = {i, NULL};
		ExpressionVariables *outer = expression_variables;
		char	   *value = NULL;
		volatile bool free = false;

		CHECK_FOR_INTERRUPTS();
		expression_variables = &variables;
		PG_TRY();
		{
			value = expression_text(build, req->workflow, req, change, "Expression");
			variables.value = value;
			free = value != NULL &&
				!is_taken(req, aspect, change, rel, column, value);
		}
		PG_FINALLY();
		{
			expression_variables = outer;
		}
		PG_END_TRY();
		if (!free)
			continue;
		if (present && strcmp(present, value) == 0)
		{
			table_close(rel, NoLock);
			return;
		}
		if (!pending_value_take(req, change, change->target, column, value))
			continue;
		historize(req, aspect, change, rel, attnum);
		aspect_set_value(req, aspect, change, rel, position, value);
		pending_value_keep(req, change, change->target, column, value);
		table_close(rel, NoLock);
		return;
	}
	table_close(rel, NoLock);
	aspect_refuse(req, aspect, psprintf("no value for %s is free after %d attempts",
										element_value(aspect->element, "Binding"), iterations + 1));
}

/*
 * build_unique_value_fits: its expressions and tables are there; errors if not.
 */
void
build_unique_value_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer)
{
	const char *build = build_expression(element);
	const char *check = check_condition(element);
	ListCell   *lc;

	aspect_settable_fits(wf, element, rel, deployer);
	element_binding_fits(wf, element, "HistorizeBinding", rel);
	expression_check(build, EXPRESSION_TEXT, RelationGetRelid(rel), deployer,
					 psprintf("the expression of %s", element_place(wf, element)));
	if (check)
		expression_check(check, EXPRESSION_BOOL, RelationGetRelid(rel), deployer,
						 psprintf("SqlCheckExpression of %s", element_place(wf, element)));
	foreach(lc, element_children_named(element, "UnicityCheckRule"))
	{
		DefinitionElement *rule = (DefinitionElement *) lfirst(lc);
		Relation	target = rule_table(rule, AccessShareLock);

		expression_check(rule_condition(rule, rel, target), EXPRESSION_BOOL, RelationGetRelid(rel),
						 deployer, psprintf("UnicityCheckRule of %s", element_place(wf, element)));
		table_close(target, NoLock);
	}
}

/*
 * definition_check_unique: a value is built in one way, and something says
 * whether it is taken.
 */
void
definition_check_unique(Definition *def, DefinitionElement *aspect)
{
	List	   *rules = element_children_named(aspect, "UnicityCheckRule");
	bool		by_expression = element_value(aspect, "Expression") != NULL;
	bool		by_sql = element_value(aspect, "SqlBuildExpression") != NULL;
	ListCell   *lc;

	if (by_expression == by_sql)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 "Write one of Expression=\"SQL:...\" and SqlBuildExpression=\"SELECT ...\".",
						 by_sql ? "value is built in two ways" : "nothing says how the value is built");
	if (rules == NIL && element_value(aspect, "SqlCheckExpression") == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 "Put a <UnicityCheckRule TargetEntityType=\"schema.table\"/> into it, or write SqlCheckExpression=\"SELECT ... WHERE login = @VALUE\".",
						 "nothing says whether a value is taken");
	if (element_integer(aspect, "IterationsCount", 0) < 0)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 "Write a whole number from 0 on.",
						 "attribute IterationsCount must not be negative");
	foreach(lc, rules)
	{
		const char *table = element_value((DefinitionElement *) lfirst(lc), "TargetEntityType");

		for (int i = 0; table && i < foreach_current_index(lc); i++)
		{
			const char *other = element_value((DefinitionElement *) list_nth(rules, i), "TargetEntityType");

			if (other && strcmp(other, table) == 0)
			{
				definition_error(def, ERRCODE_WF_DEFINITION, ((DefinitionElement *) lfirst(lc))->line,
								 "UnicityCheckRule", "Write one rule for each table.",
								 "table %s has two rules", table);
				break;
			}
		}
	}
}
