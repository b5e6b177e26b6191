/*-------------------------------------------------------------------------
 *
 * homonym_query.c
 *	  A homonym link over a draft, as conditions in SQL.
 *
 * Values are parameters of the types that columns have, so that an index on
 * the compared column can be used; names and operators are written with their
 * schemas.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "attach.h"
#include "homonym.h"
#include "reading.h"
#include "trust.h"

/* -------------------------------------------------------------- the tables */

static bool
names_relation(const char *name, Oid relid)
{
	char	   *relname = get_rel_name(relid);

	return strcmp(name, relname) == 0 || strcmp(snake_case(name), relname) == 0;
}

/*
 * The table that an entity type means: schema.table; or, by the last part of
 * a path, as Workflow_Person:Person, the draft's table or another one of its
 * schema.  The workflow's VariablesType is the draft's table, whatever its
 * name.  A partition stands for the whole table.
 */
static Oid
entity_table(Workflow *wf, const DefinitionElement *link, const char *entity, Relation rel)
{
	const char *variables = element_value(wf->element, "VariablesType");
	const char *last = strrchr(entity, ':');
	Oid			own = homonym_root_table(RelationGetRelid(rel));
	Oid			schema = get_rel_namespace(own);
	Oid			relid = InvalidOid;

	if (variables && strcmp(variables, entity) == 0)
		return own;
	last = last ? last + 1 : entity;
	if (strchr(last, '.'))
	{
		List	   *names;

		if (SplitIdentifierString(pstrdup(last), '.', &names) && list_length(names) == 2)
		{
			Oid			other = get_namespace_oid(linitial(names), true);

			relid = OidIsValid(other) ? get_relname_relid(lsecond(names), other) : InvalidOid;
		}
	}
	else if (names_relation(last, own))
		return own;
	else
	{
		relid = get_relname_relid(last, schema);
		if (!OidIsValid(relid))
			relid = get_relname_relid(snake_case(last), schema);
	}
	if (!OidIsValid(relid) ||
		strchr("rpvmf", get_rel_relkind(relid)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table for entity type \"%s\"", entity),
				 errdetail("It is in %s.", element_place(wf, link)),
				 errhint("Write schema.table, the name of the table that the workflow is attached to, or of another one in its schema.")));
	return relid;
}

/* ----------------------------------------------------------- what is compared */

static AttrNumber
bound_column(Workflow *wf, const DefinitionElement *link, Relation rel, const char *what,
			 int number, const char *binding)
{
	char	   *column = binding_column(binding, RelationGetDescr(rel));

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column for %s%d=\"%s\"",
						RelationGetRelationName(rel), what, number, binding),
				 errdetail("It is in %s.", element_place(wf, link)),
				 errhint("A property is a column's name, or a path whose last part is one: Workflow_User:User.LastName is last_name.")));
	return get_attnum(RelationGetRelid(rel), column);
}

/* Is it text, varchar, character, name, or a type like citext? */
static bool
is_text(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

static bool
is_flexible(HomonymOperator op)
{
	return op >= HOMONYM_FLEXIBLE_EQUAL;
}

/* Is the operator one over text only? */
static bool
is_text_operator(HomonymOperator op)
{
	return is_flexible(op) || (op >= HOMONYM_CONTAIN && op <= HOMONYM_NOT_END_WITH);
}

/*
 * Auto: text that is nearly the same, or, where the database can't tell that,
 * the same but for capitals; anything else, the same.  Stays Auto for the
 * second.
 */
static HomonymOperator
choose_operator(HomonymComparison *comparison)
{
	if (!is_text(comparison->type) || !is_text(comparison->value_type))
		return HOMONYM_EQUAL;
	if (homonym_flexible_at_hand())
		return HOMONYM_FLEXIBLE_EQUAL;
	/* a type such as citext knows best what is the same */
	return comparison->type < FirstNormalObjectId ? HOMONYM_AUTO : HOMONYM_EQUAL;
}

static HomonymComparison *
bind_comparison(Workflow *wf, const DefinitionElement *link, const DefinitionElement *filter,
				int i, Relation rel, Relation compared)
{
	HomonymComparison *comparison = palloc0(sizeof(HomonymComparison));
	const char *property = homonym_attribute(filter, "Property", i);
	const char *other = homonym_attribute(filter, "ComparisonProperty", i);
	Form_pg_attribute att;

	comparison->number = i;
	comparison->op = homonym_operator(filter, i);
	comparison->expression = homonym_attribute(filter, "Expression", i);
	comparison->attnum = bound_column(wf, link, compared, other ? "ComparisonProperty" : "Property",
									  i, homonym_compared_property(filter, i));
	att = TupleDescAttr(RelationGetDescr(compared), comparison->attnum - 1);
	comparison->column = pstrdup(NameStr(att->attname));
	comparison->type = comparison->value_type = getBaseType(att->atttypid);
	comparison->collation = att->attcollation;
	if (property)
	{
		comparison->source = bound_column(wf, link, rel, "Property", i, property);
		att = TupleDescAttr(RelationGetDescr(rel), comparison->source - 1);
		comparison->value_type = getBaseType(att->atttypid);
	}
	if (comparison->op == HOMONYM_AUTO)
		comparison->op = choose_operator(comparison);
	return comparison;
}

/*
 * homonym_filters: the filters of a link, as HomonymFilter, for drafts of a
 * table; in the current memory context.  Errors if a table or a column is not
 * there.
 */
List *
homonym_filters(Workflow *wf, const DefinitionElement *link, Relation rel)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, element_children_named(link, "Filter"))
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);
		HomonymFilter *filter = palloc0(sizeof(HomonymFilter));
		char	   *other = homonym_other_entity(element);
		Relation	compared;

		filter->number = foreach_current_index(lc) + 1;
		filter->table = entity_table(wf, link,
									 other ? other : element_value(link, "FormEntityType"), rel);
		compared = relation_open(filter->table, AccessShareLock);
		for (int i = 1; i <= HOMONYM_COMPARISONS; i++)
			if (homonym_attribute(element, "Property", i) || homonym_attribute(element, "Expression", i))
				filter->comparisons = lappend(filter->comparisons,
											  bind_comparison(wf, link, element, i, rel, compared));
		relation_close(compared, NoLock);
		result = lappend(result, filter);
	}
	return result;
}

/* ------------------------------------------------------------------ values */

/* Where a comparison stands, for messages. */
typedef struct ComparisonPlace
{
	Workflow   *wf;
	const DefinitionElement *link;
	HomonymFilter *filter;
	HomonymComparison *comparison;
} ComparisonPlace;

static char *
place_text(ComparisonPlace *place)
{
	return psprintf("comparison %d of filter %d in %s", place->comparison->number,
					place->filter->number, element_place(place->wf, place->link));
}

static void
comparison_error_context(void *arg)
{
	errcontext("%s", place_text((ComparisonPlace *) arg));
}

/*
 * The draft's value: as text for the operators over text, else of the type
 * value_type.  False if there is none: null, and, for text operators, the
 * empty string, which everything contains.
 */
static bool
comparison_value(ComparisonPlace *place, Request *req, Change *change, Relation rel, Datum *value)
{
	HomonymComparison *comparison = place->comparison;
	bool		as_text = is_text_operator(comparison->op) || comparison->op == HOMONYM_AUTO;
	char	   *text;
	bool		isnull;
	Oid			input;
	Oid			ioparam;
	UserSwitch	save;

	if (comparison->expression)
		text = expression_text(comparison->expression, place->wf, req, change,
							   psprintf("Expression%d of filter %d of homonym link \"%s\"",
										comparison->number, place->filter->number,
										element_identifier(place->link)));
	else if (as_text)
		text = row_text(rel, change->new_row, comparison->source);
	else
	{
		*value = heap_getattr(change->new_row, comparison->source, RelationGetDescr(rel), &isnull);
		return !isnull;
	}
	if (text == NULL || text[0] == '\0')
		return false;
	if (as_text)
	{
		*value = CStringGetTextDatum(text);
		return true;
	}
	getTypeInputInfo(comparison->type, &input, &ioparam);
	become(&save, deployer_role(place->wf), SECURITY_RESTRICTED_OPERATION);
	*value = OidInputFunctionCall(input, text, ioparam, -1);
	restore_user(&save);
	return true;
}

/* The pattern that LIKE takes for a value of the given text. */
static Datum
like_pattern(HomonymOperator op, const char *text)
{
	StringInfoData pattern;

	initStringInfo(&pattern);
	if (op == HOMONYM_CONTAIN || op == HOMONYM_NOT_CONTAIN ||
		op == HOMONYM_END_WITH || op == HOMONYM_NOT_END_WITH)
		appendStringInfoChar(&pattern, '%');
	for (const char *p = text; *p; p++)
	{
		if (*p == '%' || *p == '_' || *p == '\\')
			appendStringInfoChar(&pattern, '\\');
		appendStringInfoChar(&pattern, *p);
	}
	if (op != HOMONYM_END_WITH && op != HOMONYM_NOT_END_WITH)
		appendStringInfoChar(&pattern, '%');
	return PointerGetDatum(cstring_to_text_with_len(pattern.data, pattern.len));
}

static int
add_param(HomonymQuery *query, Oid type, Datum value)
{
	int			n = query->nparams++;

	query->types = repalloc(query->types, query->nparams * sizeof(Oid));
	query->values = repalloc(query->values, query->nparams * sizeof(Datum));
	query->types[n] = type;
	query->values[n] = value;
	return query->nparams;
}

/* -------------------------------------------------------------- conditions */

/*
 * The operator that the default btree operators of the compared column's type
 * have for a value of another type; *cast: only once the value is cast to the
 * column's.  Errors if there is none.
 */
static Oid
btree_operator(ComparisonPlace *place, bool *cast)
{
	static const StrategyNumber strategies[] = {
		[HOMONYM_GREATER_THAN] = BTGreaterStrategyNumber,
		[HOMONYM_LESS_THAN] = BTLessStrategyNumber,
		[HOMONYM_GREATER_THAN_OR_EQUAL] = BTGreaterEqualStrategyNumber,
		[HOMONYM_LESS_THAN_OR_EQUAL] = BTLessEqualStrategyNumber
	};
	HomonymComparison *comparison = place->comparison;
	StrategyNumber strategy = strategies[comparison->op];
	TypeCacheEntry *column = lookup_type_cache(comparison->type, TYPECACHE_BTREE_OPFAMILY);
	TypeCacheEntry *value = lookup_type_cache(comparison->value_type, TYPECACHE_BTREE_OPFAMILY);
	Oid			right = InvalidOid;
	Oid			funcid;
	Oid			opno = InvalidOid;

	*cast = false;
	if (comparison->type == comparison->value_type)
		right = column->btree_opintype;
	else if (OidIsValid(column->btree_opf) && column->btree_opf == value->btree_opf &&
			 !IsPolymorphicType(value->btree_opintype))
		right = value->btree_opintype;
	else if (find_coercion_pathway(comparison->type, comparison->value_type, COERCION_IMPLICIT,
								   &funcid) != COERCION_PATH_NONE)
	{
		right = column->btree_opintype;
		*cast = true;
	}
	if (OidIsValid(column->btree_opf) && OidIsValid(right))
		opno = get_opfamily_member(column->btree_opf, column->btree_opintype, right,
								   strategy ? strategy : BTEqualStrategyNumber);
	if (OidIsValid(opno) && comparison->op == HOMONYM_NOT_EQUAL)
		opno = get_negator(opno);
	if (!OidIsValid(opno))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("operator %s does not compare type %s with type %s",
						homonym_operator_name(comparison->op), format_type_be(comparison->value_type),
						format_type_be(comparison->type)),
				 errdetail("It is in %s.", place_text(place)),
				 errhint("Compare with a column of that type, or write an Expression that yields the type of column \"%s\".",
						 comparison->column)));
	return opno;
}

/* The compared column as SQL of type text. */
static char *
column_as_text(HomonymComparison *comparison, const char *column)
{
	const char *collation = "";

	/* patterns are not for collations in which unlike text is equal */
	if (OidIsValid(comparison->collation) && !get_collation_isdeterministic(comparison->collation))
		collation = " COLLATE pg_catalog.\"default\"";
	if (comparison->type == TEXTOID || comparison->type == VARCHAROID)
		return collation[0] ? psprintf("(%s%s)", column, collation) : pstrdup(column);
	return psprintf("(%s::pg_catalog.text%s)", column, collation);
}

/* Append that the column and the value compare as the operator says. */
static void
append_comparison(HomonymQuery *query, ComparisonPlace *place, StringInfo sql, Datum value)
{
	HomonymComparison *comparison = place->comparison;
	HomonymOperator op = comparison->op;
	char	   *column = psprintf("t.%s", quote_identifier(comparison->column));
	bool		cast;

	if (op == HOMONYM_AUTO)
		appendStringInfo(sql, "pg_catalog.lower(%s) OPERATOR(pg_catalog.=) pg_catalog.lower($%d)",
						 column_as_text(comparison, column), add_param(query, TEXTOID, value));
	else if (is_flexible(op))
	{
		int			limit = value ? homonym_flexible_limit(TextDatumGetCString(value)) : 0;
		int			n = add_param(query, TEXTOID, value);

		int			nlimit = add_param(query, INT4OID, Int32GetDatum(limit));

		query->schemas =
			list_append_unique_oid(query->schemas,
								   homonym_append_flexible(sql, op, column_as_text(comparison, column),
														   psprintf("$%d", n), nlimit));
	}
	else if (is_text_operator(op))
	{
		/* a type such as citext ignores case, as its = does */
		appendStringInfo(sql, "%s OPERATOR(pg_catalog.%s~~%s) $%d",
						 column_as_text(comparison, column),
						 op >= HOMONYM_NOT_CONTAIN ? "!" : "",
						 comparison->type >= FirstNormalObjectId ? "*" : "",
						 add_param(query, TEXTOID, value ? like_pattern(op, TextDatumGetCString(value)) : value));
	}
	else
	{
		Oid			opno = btree_operator(place, &cast);
		int			n = add_param(query, comparison->value_type, value);

		appendStringInfo(sql, "%s ", column);
		append_operator(sql, opno);
		if (cast)
			appendStringInfo(sql, " CAST($%d AS %s)", n,
							 format_type_extended(comparison->type, -1,
												  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
		else
			appendStringInfo(sql, " $%d", n);
	}
}

/* The operators over text compare text only; errors if one is over anything else. */
static void
check_text_operator(ComparisonPlace *place)
{
	HomonymComparison *comparison = place->comparison;

	if (is_text_operator(comparison->op) &&
		(!is_text(comparison->type) || !is_text(comparison->value_type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("operator %s does not compare type %s", homonym_operator_name(comparison->op),
						format_type_be(is_text(comparison->type) ? comparison->value_type : comparison->type)),
				 errdetail("It is in %s.", place_text(place)),
				 errhint("It compares text. For numbers and dates write Equal, NotEqual, GreaterThan, LessThan, GreaterThanOrEqual or LessThanOrEqual.")));
}

/*
 * Append the condition of one filter.  False, and nothing is appended, if a
 * value is null: null is like nothing.  Without a request the values are left
 * out, for a check of the rest.
 */
static bool
append_filter(HomonymQuery *query, ComparisonPlace *place, StringInfo sql, Relation rel,
			  Request *req, Change *change)
{
	Datum		values[HOMONYM_COMPARISONS] = {0};
	ErrorContextCallback callback;
	bool		complete = true;
	ListCell   *lc;

	callback.callback = comparison_error_context;
	callback.arg = place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	foreach(lc, place->filter->comparisons)
	{
		place->comparison = lfirst(lc);
		check_text_operator(place);
		if (req && !comparison_value(place, req, change, rel, &values[foreach_current_index(lc)]))
			complete = false;
	}
	foreach(lc, complete ? place->filter->comparisons : NIL)
	{
		place->comparison = lfirst(lc);
		appendStringInfoString(sql, lc == list_head(place->filter->comparisons) ? "(" : " AND ");
		append_comparison(query, place, sql, values[foreach_current_index(lc)]);
		query->attnums = list_append_unique_int(query->attnums, place->comparison->attnum);
	}
	error_context_stack = callback.previous;
	if (complete)
		appendStringInfoChar(sql, ')');
	return complete;
}

static HomonymQuery *
query_of(List **queries, Workflow *wf, const DefinitionElement *link, Oid table)
{
	HomonymQuery *query;
	ListCell   *lc;

	foreach(lc, *queries)
		if (((HomonymQuery *) lfirst(lc))->table == table)
			return lfirst(lc);
	query = palloc0(sizeof(HomonymQuery));
	query->workflow = wf;
	query->link = element_identifier(link);
	query->table = table;
	query->types = palloc(sizeof(Oid));
	query->values = palloc(sizeof(Datum));
	initStringInfo(&query->condition);
	initStringInfo(&query->which);
	*queries = lappend(*queries, query);
	return query;
}

static List *
build_queries(Workflow *wf, const DefinitionElement *link, Relation rel, Request *req, Change *change)
{
	List	   *queries = NIL;
	ListCell   *lc;

	foreach(lc, homonym_filters(wf, link, rel))
	{
		HomonymFilter *filter = lfirst(lc);
		HomonymQuery *query = query_of(&queries, wf, link, filter->table);
		ComparisonPlace place = {wf, link, filter, NULL};
		StringInfoData sql;

		initStringInfo(&sql);
		if (!append_filter(query, &place, &sql, rel, req, change))
			continue;
		appendStringInfo(&query->which, " WHEN %s THEN %d", sql.data, filter->number);
		appendStringInfo(&query->condition, "%s%s", query->condition.len ? " OR " : "", sql.data);
	}
	return queries;
}

/*
 * homonym_queries: what a link searches for a draft, as HomonymQuery, one for
 * each table that it looks into, in the current memory context.  Runs the
 * link's expressions.
 */
List *
homonym_queries(Request *req, const DefinitionElement *link, Change *change)
{
	Relation	rel = row_open(change, AccessShareLock);
	List	   *queries;

	row_load(req, change, rel);
	queries = build_queries(req->workflow, link, rel, req, change);
	table_close(rel, NoLock);
	return queries;
}

/*
 * homonym_fits: a link fits the table: its columns are there, its operators
 * are for their types, its expressions can be read, and the deployer, as whom
 * it will search, may; errors if not.
 */
void
homonym_fits(Workflow *wf, const DefinitionElement *link, Relation rel, Oid deployer)
{
	ListCell   *lc;

	foreach(lc, link->children)
		element_expressions_fit(wf, lfirst(lc), rel, deployer);
	foreach(lc, build_queries(wf, link, rel, NULL, NULL))
		homonym_query_check(lfirst(lc), deployer);
}
