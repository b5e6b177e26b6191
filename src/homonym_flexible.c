/*-------------------------------------------------------------------------
 *
 * homonym_flexible.c
 *	  The Flexible operators of homonym links: text that is nearly the same.
 *
 * They are conditions made of what pg_trgm has, which indexes can serve, or
 * else of what fuzzystrmatch has.  Which of them a database has, and in which
 * schema, is looked up each time: both can be dropped and moved.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "homonym.h"

/*
 * How alike text must be.  They are fixed, and not pg_trgm's settings, because
 * those are of whoever asks, and he must not be able to make homonyms vanish.
 */
#define SIMILARITY		"0.3"
#define WORD_SIMILARITY	"0.5"

typedef struct Flexible
{
	Oid			trgm;			/* schema of pg_trgm; InvalidOid: not installed */
	Oid			fuzzy;			/* of fuzzystrmatch */
} Flexible;

static Flexible
find_extensions(void)
{
	static StorePlan plan = {
		"SELECT e.extname, e.extnamespace FROM pg_catalog.pg_extension e"
		" WHERE e.extname OPERATOR(pg_catalog.=) ANY ('{pg_trgm,fuzzystrmatch}'::pg_catalog.name[])",
		0, {0}
	};
	Flexible	result = {InvalidOid, InvalidOid};
	UserSwitch	save;

	store_begin(&save);
	(void) store_exec(&plan, NULL, NULL, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;
		Oid			schema = DatumGetObjectId(spi_datum(row, 2, &isnull));

		if (strcmp(spi_text(row, 1), "pg_trgm") == 0)
			result.trgm = schema;
		else
			result.fuzzy = schema;
	}
	store_end(&save);
	return result;
}

/*
 * homonym_flexible_at_hand: can the Flexible operators be used in this
 * database?
 */
bool
homonym_flexible_at_hand(void)
{
	Flexible	flexible = find_extensions();

	return OidIsValid(flexible.trgm) || OidIsValid(flexible.fuzzy);
}

/*
 * homonym_flexible_limit: how many letters may differ where fuzzystrmatch
 * compares: one in four.
 */
int
homonym_flexible_limit(const char *value)
{
	return pg_mbstrlen(value) / 4;
}

/*
 * homonym_pin_thresholds: give pg_trgm's operators their thresholds, until the
 * nest level of settings at hand ends.
 */
void
homonym_pin_thresholds(void)
{
	set_if_different("pg_trgm.similarity_threshold", SIMILARITY);
	set_if_different("pg_trgm.word_similarity_threshold", WORD_SIMILARITY);
}

static void
append_trgm(StringInfo sql, const char *schema, HomonymOperator op, const char *column,
			const char *value)
{
	const char *end = op == HOMONYM_FLEXIBLE_END_WITH ? "right" : "left";

	switch (op)
	{
		case HOMONYM_FLEXIBLE_EQUAL:
			appendStringInfo(sql, "%s OPERATOR(%s.%%) %s", column, schema, value);
			break;
		case HOMONYM_FLEXIBLE_CONTAIN:
			appendStringInfo(sql, "%s OPERATOR(%s.%%>) %s", column, schema, value);
			break;
		default:
			/* what begins with it contains it: that is for the index */
			appendStringInfo(sql, "(%s OPERATOR(%s.%%>) %s"
							 " AND %s.similarity(pg_catalog.%s(%s, pg_catalog.char_length(%s)), %s)"
							 " OPERATOR(pg_catalog.>=) '" SIMILARITY "'::pg_catalog.float4)",
							 column, schema, value, schema, end, column, value, value);
			break;
	}
}

/* One text is the other but for so many letters; it has a limit of its own. */
static void
append_distance(StringInfo sql, const char *schema, const char *text, const char *value, int nlimit)
{
	appendStringInfo(sql, "CASE WHEN pg_catalog.char_length(%s) OPERATOR(pg_catalog.<=) 255"
					 " AND pg_catalog.char_length(%s) OPERATOR(pg_catalog.<=) 255"
					 " THEN %s.levenshtein_less_equal(pg_catalog.lower(%s), pg_catalog.lower(%s), $%d)"
					 " OPERATOR(pg_catalog.<=) $%d"
					 " ELSE pg_catalog.lower(%s) OPERATOR(pg_catalog.=) pg_catalog.lower(%s) END",
					 text, value, schema, text, value, nlimit, nlimit, text, value);
}

static void
append_fuzzy(StringInfo sql, const char *schema, HomonymOperator op, const char *column,
			 const char *value, int nlimit)
{
	switch (op)
	{
		case HOMONYM_FLEXIBLE_EQUAL:
			append_distance(sql, schema, column, value, nlimit);
			break;
		case HOMONYM_FLEXIBLE_CONTAIN:
			appendStringInfo(sql, "(pg_catalog.strpos(pg_catalog.lower(%s), pg_catalog.lower(%s))"
							 " OPERATOR(pg_catalog.>) 0"
							 " OR EXISTS (SELECT FROM pg_catalog.regexp_split_to_table(%s, '\\s+') w WHERE ",
							 column, value, column);
			append_distance(sql, schema, "w", value, nlimit);
			appendStringInfoString(sql, "))");
			break;
		default:
			append_distance(sql, schema,
							psprintf("pg_catalog.%s(%s, pg_catalog.char_length(%s))",
									 op == HOMONYM_FLEXIBLE_END_WITH ? "right" : "left", column, value),
							value, nlimit);
			break;
	}
}

/*
 * homonym_append_flexible: append the condition that text is nearly a value;
 * column and value are SQL expressions of type text, nlimit is the number of
 * the parameter that holds homonym_flexible_limit().  Returns the schema of the
 * extension that is used.  Errors if the database has neither.
 */
Oid
homonym_append_flexible(StringInfo sql, HomonymOperator op, const char *column,
						const char *value, int nlimit)
{
	Flexible	flexible = find_extensions();
	Oid			schema = OidIsValid(flexible.trgm) ? flexible.trgm : flexible.fuzzy;
	const char *quoted;

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("operator %s needs extension pg_trgm or fuzzystrmatch",
						homonym_operator_name(op)),
				 errhint("Have one of them installed in this database, CREATE EXTENSION pg_trgm, or write another operator.")));
	quoted = quote_identifier(get_namespace_name(schema));
	if (schema == flexible.trgm)
		append_trgm(sql, quoted, op, column, value);
	else
		append_fuzzy(sql, quoted, op, column, value, nlimit);
	return schema;
}
