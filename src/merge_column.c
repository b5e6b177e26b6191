/*-------------------------------------------------------------------------
 *
 * merge_column.c
 *	  Merging a drafted value with what others have made of the column since.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "column.h"

/* live + (draft - base) */
static StorePlan next_plan = {
	"SELECT ($2::pg_catalog.numeric + ($3::pg_catalog.numeric - $1::pg_catalog.numeric))::pg_catalog.text",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

/*
 * Members of an object: those that the draft sets or removes, over the live
 * ones; null if another one has changed the same member to something else.
 */
static StorePlan object_plan = {
	"WITH touched AS ("
	"  SELECT key, b.value AS base, d.value AS draft, l.value AS live"
	"  FROM pg_catalog.jsonb_each($1::pg_catalog.jsonb) b"
	"  FULL JOIN pg_catalog.jsonb_each($3::pg_catalog.jsonb) d USING (key)"
	"  LEFT JOIN pg_catalog.jsonb_each($2::pg_catalog.jsonb) l USING (key)"
	"  WHERE b.value IS DISTINCT FROM d.value)"
	" SELECT CASE WHEN pg_catalog.bool_or(live IS DISTINCT FROM base AND live IS DISTINCT FROM draft) IS NOT TRUE"
	"  THEN (($2::pg_catalog.jsonb - COALESCE(pg_catalog.array_agg(key), '{}'))"
	"   || COALESCE(pg_catalog.jsonb_object_agg(key, draft) FILTER (WHERE draft IS NOT NULL), '{}'))::pg_catalog.text END"
	" FROM touched",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

/*
 * Elements of an array as a set: the live ones, without those that the draft
 * removes, and those that it adds.  Null is an element like any other.  Null,
 * the result, if that would lose something: of arrays of arrays, or where the
 * draft has only put the elements in another order or number.
 */
static StorePlan array_plan = {
	"SELECT CASE"
	" WHEN GREATEST(pg_catalog.array_ndims(b), pg_catalog.array_ndims(l), pg_catalog.array_ndims(d)) > 1 THEN NULL"
	" WHEN NOT EXISTS (SELECT FROM pg_catalog.unnest(d) e WHERE pg_catalog.array_position(b, e) IS NULL)"
	"  AND NOT EXISTS (SELECT FROM pg_catalog.unnest(b) e WHERE pg_catalog.array_position(d, e) IS NULL) THEN NULL"
	" ELSE (ARRAY("
	"  SELECT e FROM pg_catalog.unnest(l) WITH ORDINALITY u (e, o)"
	"  WHERE pg_catalog.array_position(b, e) IS NULL OR pg_catalog.array_position(d, e) IS NOT NULL ORDER BY o"
	" ) || ARRAY("
	"  SELECT e FROM pg_catalog.unnest(d) WITH ORDINALITY u (e, o)"
	"  WHERE pg_catalog.array_position(b, e) IS NULL AND pg_catalog.array_position(l, e) IS NULL ORDER BY o"
	" ))::pg_catalog.text END"
	" FROM (VALUES ($1::pg_catalog.text[], $2::pg_catalog.text[], $3::pg_catalog.text[])) v (b, l, d)",
	3, {TEXTOID, TEXTOID, TEXTOID}
};

static bool
is_json_object(const char *text)
{
	Jsonb	   *jsonb = json_from_text(text);

	return JB_ROOT_IS_OBJECT(jsonb);
}

/* Are the elements of an array type parted by commas in its text? */
static bool
array_has_commas(Oid typid)
{
	int16		len;
	bool		byval;
	char		align;
	char		delimiter;
	Oid			ioparam;
	Oid			function;

	get_type_io_data(get_base_element_type(typid), IOFunc_output,
					 &len, &byval, &align, &delimiter, &ioparam, &function);
	return delimiter == ',';
}

/*
 * merge_column: a column that a draft changes and others have changed since:
 * base and draft are the draft's, live is what it is now; texts, or NULL.
 * Returns whether they merge; *merged is then the value, in the current memory
 * context.
 */
bool
merge_column(ColumnMerge merge, Form_pg_attribute att, const char *base,
			 const char *live, const char *draft, char **merged)
{
	MemoryContext cxt = CurrentMemoryContext;
	StorePlan  *plan;
	Datum		values[3];
	UserSwitch	save;
	int			nest;
	char	   *result;

	switch (merge)
	{
		case MERGE_CONFLICT:
			return false;
		case MERGE_LIVE:
			*merged = live ? pstrdup(live) : NULL;
			return true;
		case MERGE_DRAFT:
			*merged = draft ? pstrdup(draft) : NULL;
			return true;
		default:
			break;
	}
	if (base == NULL || live == NULL || draft == NULL)
		return false;
	if (merge == MERGE_NEXT)
		plan = &next_plan;
	else if (getBaseType(att->atttypid) != JSONBOID)
	{
		/* of a box and its like the text has another delimiter than text's */
		if (!array_has_commas(att->atttypid))
			return false;
		plan = &array_plan;
	}
	else if (is_json_object(base) && is_json_object(live) && is_json_object(draft))
		plan = &object_plan;
	else
		return false;

	values[0] = CStringGetTextDatum(base);
	values[1] = CStringGetTextDatum(live);
	values[2] = CStringGetTextDatum(draft);
	store_begin(&save);
	/* operators are not all qualified here */
	nest = NewGUCNestLevel();
	set_if_different("search_path", "pg_catalog, pg_temp");
	if (store_exec(plan, values, NULL, true) != 1)
		elog(ERROR, "could not merge a column");
	result = spi_text(SPI_tuptable->vals[0], 1);
	if (result)
		result = MemoryContextStrdup(cxt, result);
	AtEOXact_GUC(true, nest);
	store_end(&save);
	*merged = result;
	return result != NULL;
}
